//! `config.json` to [`UNet2DConfig`] and back.

use super::{BlockType, ClassEmbedding, Sampler, TimeConditioning, TimeEmbedding, UNet2DConfig};
use crate::NetworkError;
use crate::fields::{Fields, Size, name};
use serde_json::{Value, json};

impl UNet2DConfig {
    /// Reads diffusers' `config.json`. Missing fields take diffusers'
    /// defaults, unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not a JSON object, or naming the first field whose
    /// value is not supported or does not fit the others.
    pub fn from_json(text: &str) -> Result<Self, NetworkError> {
        let fields = Fields::parse(text)?;
        fields.choose("_class_name", &[("UNet2DModel", ())], ())?;
        fields.choose("act_fn", &[("silu", ()), ("swish", ())], ())?;
        let base = Self::default();
        let whole = "a whole number";
        let count = |field, default: usize| fields.read(field, default, whole);
        let maybe =
            |field, default: Option<usize>| fields.read(field, default, "a whole number or null");
        let number = |field, default: f64| fields.read(field, default, "a number");
        let flag = |field, default: bool| fields.read(field, default, "true or false");
        let config = Self {
            sample_size: fields.read_size("sample_size")?.map(Size::sides),
            in_channels: count("in_channels", base.in_channels)?,
            out_channels: count("out_channels", base.out_channels)?,
            center_input_sample: flag("center_input_sample", base.center_input_sample)?,
            time_embedding_type: fields.choose(
                "time_embedding_type",
                &TimeEmbedding::ALL,
                base.time_embedding_type,
            )?,
            time_embedding_dim: maybe("time_embedding_dim", base.time_embedding_dim)?,
            freq_shift: number("freq_shift", base.freq_shift)?,
            flip_sin_to_cos: flag("flip_sin_to_cos", base.flip_sin_to_cos)?,
            down_block_types: fields.choose_each(
                "down_block_types",
                &BlockType::DOWN,
                &base.down_block_types,
            )?,
            mid_block: read_mid_block(&fields)?,
            up_block_types: fields.choose_each(
                "up_block_types",
                &BlockType::UP,
                &base.up_block_types,
            )?,
            block_out_channels: fields.read(
                "block_out_channels",
                base.block_out_channels,
                "a list of whole numbers",
            )?,
            layers_per_block: count("layers_per_block", base.layers_per_block)?,
            mid_block_scale_factor: number("mid_block_scale_factor", base.mid_block_scale_factor)?,
            downsample_padding: count("downsample_padding", base.downsample_padding)?,
            downsample_type: fields.choose("downsample_type", &Sampler::ALL, Sampler::Conv)?,
            upsample_type: fields.choose("upsample_type", &Sampler::ALL, Sampler::Conv)?,
            dropout: number("dropout", base.dropout)?,
            attention_head_dim: maybe("attention_head_dim", base.attention_head_dim)?,
            norm_num_groups: count("norm_num_groups", base.norm_num_groups)?,
            attn_norm_num_groups: maybe("attn_norm_num_groups", base.attn_norm_num_groups)?,
            norm_eps: number("norm_eps", base.norm_eps)?,
            resnet_time_scale_shift: fields.choose(
                "resnet_time_scale_shift",
                &TimeConditioning::ALL,
                base.resnet_time_scale_shift,
            )?,
            add_attention: flag("add_attention", base.add_attention)?,
            class_embedding: ClassEmbedding::read(&fields)?,
            num_train_timesteps: maybe("num_train_timesteps", base.num_train_timesteps)?,
        };
        config.check()?;
        Ok(config)
    }

    /// The `config.json` from which diffusers builds this network.
    #[must_use]
    pub fn to_json(&self) -> String {
        let blocks = |types: &[BlockType], names: &[(&'static str, BlockType)]| {
            types.iter().map(|t| name(*t, names)).collect::<Vec<_>>()
        };
        let (class_embed_type, num_class_embeds) = ClassEmbedding::fields(self.class_embedding);
        let config = json!({
            "_class_name": "UNet2DModel",
            "act_fn": "silu",
            "add_attention": self.add_attention,
            "attention_head_dim": self.attention_head_dim,
            "attn_norm_num_groups": self.attn_norm_num_groups,
            "block_out_channels": self.block_out_channels,
            "center_input_sample": self.center_input_sample,
            "class_embed_type": class_embed_type,
            "down_block_types": blocks(&self.down_block_types, &BlockType::DOWN),
            "downsample_padding": self.downsample_padding,
            "downsample_type": name(self.downsample_type, &Sampler::ALL),
            "dropout": self.dropout,
            "flip_sin_to_cos": self.flip_sin_to_cos,
            "freq_shift": self.freq_shift,
            "in_channels": self.in_channels,
            "layers_per_block": self.layers_per_block,
            "mid_block_scale_factor": self.mid_block_scale_factor,
            "mid_block_type": self.mid_block.then_some("UNetMidBlock2D"),
            "norm_eps": self.norm_eps,
            "norm_num_groups": self.norm_num_groups,
            "num_class_embeds": num_class_embeds,
            "num_train_timesteps": self.num_train_timesteps,
            "out_channels": self.out_channels,
            "resnet_time_scale_shift": name(self.resnet_time_scale_shift, &TimeConditioning::ALL),
            "sample_size": self.sample_size.map(Size::write),
            "time_embedding_dim": self.time_embedding_dim,
            "time_embedding_type": name(self.time_embedding_type, &TimeEmbedding::ALL),
            "up_block_types": blocks(&self.up_block_types, &BlockType::UP),
            "upsample_type": name(self.upsample_type, &Sampler::ALL),
        });
        format!("{config:#}\n")
    }
}

/// `null` means none; a missing field means diffusers' default.
fn read_mid_block(fields: &Fields) -> Result<bool, NetworkError> {
    match fields.read("mid_block_type", json!("UNetMidBlock2D"), "text or null")? {
        Value::Null => Ok(false),
        _ => fields.choose("mid_block_type", &[("UNetMidBlock2D", true)], true),
    }
}

impl ClassEmbedding {
    pub(crate) fn read(fields: &Fields) -> Result<Option<Self>, NetworkError> {
        let choices = [
            ("timestep", Some(Self::Timestep)),
            ("identity", Some(Self::Identity)),
        ];
        let named = fields.choose("class_embed_type", &choices, None)?;
        let classes = fields.read("num_class_embeds", None, "a whole number or null")?;
        Ok(named.or(classes.map(|classes| Self::Table { classes })))
    }

    /// `class_embed_type` and `num_class_embeds`.
    pub(crate) fn fields(class: Option<Self>) -> (Option<&'static str>, Option<usize>) {
        match class {
            None => (None, None),
            Some(Self::Table { classes }) => (None, Some(classes)),
            Some(Self::Timestep) => (Some("timestep"), None),
            Some(Self::Identity) => (Some("identity"), None),
        }
    }
}
