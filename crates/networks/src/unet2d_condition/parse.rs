//! `config.json` to [`UNet2DConditionConfig`] and back.

use super::{AdditionEmbedding, ConditionBlock, UNet2DConditionConfig};
use crate::NetworkError;
use crate::fields::{Fields, Size, invalid, name};
use crate::unet2d::{ClassEmbedding, TimeConditioning};
use serde_json::{Value, json};

/// Fields that change the network, with the only value we know how to build.
const FIXED: [(&str, &str); 15] = [
    ("time_embedding_type", "\"positional\""),
    ("attention_type", "\"default\""),
    ("encoder_hid_dim", "null"),
    ("encoder_hid_dim_type", "null"),
    ("cross_attention_norm", "null"),
    ("num_attention_heads", "null"),
    ("reverse_transformer_layers_per_block", "null"),
    ("time_embedding_act_fn", "null"),
    ("timestep_post_act", "null"),
    ("dual_cross_attention", "false"),
    ("class_embeddings_concat", "false"),
    ("resnet_skip_time_act", "false"),
    ("resnet_out_scale_factor", "1"),
    ("conv_in_kernel", "3"),
    ("conv_out_kernel", "3"),
];

impl UNet2DConditionConfig {
    /// Reads diffusers' `config.json`. Missing fields take diffusers'
    /// defaults, unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not a JSON object, or naming the first field whose
    /// value is not supported or does not fit the others.
    pub fn from_json(text: &str) -> Result<Self, NetworkError> {
        let fields = Fields::parse(text)?;
        fields.choose("_class_name", &[("UNet2DConditionModel", ())], ())?;
        let up_block_types = fields.choose_each(
            "up_block_types",
            &ConditionBlock::UP,
            &Self::default().up_block_types,
        )?;
        Self::read(&fields, up_block_types)
    }

    /// Reads what U-Nets and networks made of their encoders have in common.
    pub(crate) fn read(
        fields: &Fields,
        up_block_types: Vec<ConditionBlock>,
    ) -> Result<Self, NetworkError> {
        fields.choose("act_fn", &[("silu", ()), ("swish", ())], ())?;
        for (field, only) in FIXED {
            fields.require(field, only)?;
        }
        for field in ["only_cross_attention", "mid_block_only_cross_attention"] {
            if fields
                .read_uniform(field, Some(false), "false")?
                .unwrap_or(false)
            {
                return Err(invalid(field, true, "supported: false"));
            }
        }
        let base = Self::default();
        let whole = "a whole number";
        let count = |field, default: usize| fields.read(field, default, whole);
        let maybe = |field| fields.read(field, None, "a whole number or null");
        let number = |field, default: f64| fields.read(field, default, "a number");
        let flag = |field, default: bool| fields.read(field, default, "true or false");
        let block_out_channels = fields.read(
            "block_out_channels",
            base.block_out_channels,
            "a list of whole numbers",
        )?;
        let blocks = block_out_channels.len();
        let config = Self {
            sample_size: read_sample_size(fields)?,
            in_channels: count("in_channels", base.in_channels)?,
            out_channels: count("out_channels", base.out_channels)?,
            center_input_sample: flag("center_input_sample", base.center_input_sample)?,
            flip_sin_to_cos: flag("flip_sin_to_cos", base.flip_sin_to_cos)?,
            freq_shift: number("freq_shift", base.freq_shift)?,
            down_block_types: fields.choose_each(
                "down_block_types",
                &ConditionBlock::DOWN,
                &base.down_block_types,
            )?,
            mid_block: read_mid_block(fields)?,
            up_block_types,
            layers_per_block: fields.read_each("layers_per_block", 2, blocks)?,
            downsample_padding: count("downsample_padding", base.downsample_padding)?,
            mid_block_scale_factor: number("mid_block_scale_factor", base.mid_block_scale_factor)?,
            dropout: number("dropout", base.dropout)?,
            norm_num_groups: count("norm_num_groups", base.norm_num_groups)?,
            norm_eps: number("norm_eps", base.norm_eps)?,
            cross_attention_dim: fields.read_uniform(
                "cross_attention_dim",
                base.cross_attention_dim,
                "a whole number, the same for all blocks",
            )?,
            transformer_layers_per_block: fields.read_each(
                "transformer_layers_per_block",
                1,
                blocks,
            )?,
            attention_head_dim: fields.read_each("attention_head_dim", 8, blocks)?,
            use_linear_projection: flag("use_linear_projection", base.use_linear_projection)?,
            class_embedding: ClassEmbedding::read(fields)?,
            addition_embedding: read_addition(fields)?,
            resnet_time_scale_shift: fields.choose(
                "resnet_time_scale_shift",
                &TimeConditioning::ALL,
                base.resnet_time_scale_shift,
            )?,
            time_embedding_dim: maybe("time_embedding_dim")?,
            time_cond_proj_dim: maybe("time_cond_proj_dim")?,
            block_out_channels,
        };
        config.check()?;
        Ok(config)
    }

    /// The `config.json` from which diffusers builds this network.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.to_fields())
    }

    /// The fields of the `config.json`.
    pub(crate) fn to_fields(&self) -> Value {
        let blocks = |types: &[ConditionBlock], names: &[(&'static str, ConditionBlock)]| {
            types.iter().map(|t| name(*t, names)).collect::<Vec<_>>()
        };
        let (class_embed_type, num_class_embeds) = ClassEmbedding::fields(self.class_embedding);
        let addition = self.addition_embedding;
        json!({
            "_class_name": "UNet2DConditionModel",
            "act_fn": "silu",
            "addition_embed_type": addition.map(|_| "text_time"),
            "addition_time_embed_dim": addition.map(|a| a.time_dim),
            "attention_head_dim": self.attention_head_dim,
            "block_out_channels": self.block_out_channels,
            "center_input_sample": self.center_input_sample,
            "class_embed_type": class_embed_type,
            "cross_attention_dim": self.cross_attention_dim,
            "down_block_types": blocks(&self.down_block_types, &ConditionBlock::DOWN),
            "downsample_padding": self.downsample_padding,
            "dropout": self.dropout,
            "flip_sin_to_cos": self.flip_sin_to_cos,
            "freq_shift": self.freq_shift,
            "in_channels": self.in_channels,
            "layers_per_block": self.layers_per_block,
            "mid_block_scale_factor": self.mid_block_scale_factor,
            "mid_block_type": self.mid_block.then_some("UNetMidBlock2DCrossAttn"),
            "norm_eps": self.norm_eps,
            "norm_num_groups": self.norm_num_groups,
            "num_class_embeds": num_class_embeds,
            "out_channels": self.out_channels,
            "projection_class_embeddings_input_dim": addition.map(|a| a.input_dim),
            "resnet_time_scale_shift": name(self.resnet_time_scale_shift, &TimeConditioning::ALL),
            "sample_size": self.sample_size.map(Size::write),
            "time_cond_proj_dim": self.time_cond_proj_dim,
            "time_embedding_dim": self.time_embedding_dim,
            "transformer_layers_per_block": self.transformer_layers_per_block,
            "up_block_types": blocks(&self.up_block_types, &ConditionBlock::UP),
            "use_linear_projection": self.use_linear_projection,
        })
    }
}

/// Files older than diffusers 0.9 name a smaller size than the 64 that SD 1 was
/// trained at; its pipelines take them to mean that.
fn read_sample_size(fields: &Fields) -> Result<Option<(usize, usize)>, NetworkError> {
    let size = fields.read_size("sample_size")?;
    let version: Value = fields.read("_diffusers_version", Value::Null, "text")?;
    let mut numbers = version.as_str().unwrap_or_default().split('.');
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    let old = matches!((number(), number()), (Some(0), Some(0..9)));
    Ok(match size {
        Some(Size::Side(0..64)) if old => Some((64, 64)),
        size => size.map(Size::sides),
    })
}

/// `null` means none; a missing field means diffusers' default.
fn read_mid_block(fields: &Fields) -> Result<bool, NetworkError> {
    let name = "UNetMidBlock2DCrossAttn";
    match fields.read("mid_block_type", json!(name), "text or null")? {
        Value::Null => Ok(false),
        _ => fields.choose("mid_block_type", &[(name, true)], true),
    }
}

fn read_addition(fields: &Fields) -> Result<Option<AdditionEmbedding>, NetworkError> {
    if !fields.choose("addition_embed_type", &[("text_time", true)], false)? {
        return Ok(None);
    }
    let need = |field| {
        let found: Option<usize> = fields.read(field, None, "a whole number")?;
        found.ok_or_else(|| invalid(field, "missing", "addition_embed_type text_time needs it"))
    };
    Ok(Some(AdditionEmbedding {
        time_dim: need("addition_time_embed_dim")?,
        input_dim: need("projection_class_embeddings_input_dim")?,
    }))
}
