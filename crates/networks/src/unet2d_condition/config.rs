//! What `config.json` says about a conditional U-Net.

use crate::NetworkError;
use crate::fields::{check_groups, check_range, check_samples, invalid, time_channels};
use crate::unet2d::{ClassEmbedding, TimeConditioning};

/// What a down or up block is made of, besides its residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionBlock {
    /// `DownBlock2D`, `UpBlock2D`.
    Plain,
    /// `CrossAttnDownBlock2D`, `CrossAttnUpBlock2D`: a transformer after
    /// every residual block.
    CrossAttention,
}

impl ConditionBlock {
    pub(crate) const DOWN: [(&str, Self); 2] = [
        ("DownBlock2D", Self::Plain),
        ("CrossAttnDownBlock2D", Self::CrossAttention),
    ];
    pub(crate) const UP: [(&str, Self); 2] = [
        ("UpBlock2D", Self::Plain),
        ("CrossAttnUpBlock2D", Self::CrossAttention),
    ];
}

/// What joins the time embedding besides time and class: SDXL's pooled text
/// and the sizes of the picture (`addition_embed_type` `text_time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdditionEmbedding {
    /// Channels of each embedded size, `addition_time_embed_dim`.
    pub time_dim: usize,
    /// Channels of pooled text and embedded sizes together,
    /// `projection_class_embeddings_input_dim`.
    pub input_dim: usize,
}

impl AdditionEmbedding {
    /// Sizes that are embedded: original, crop and target, of two numbers each.
    pub const TIME_IDS: usize = 6;

    /// Channels of the pooled text.
    #[must_use]
    pub fn text_dim(self) -> usize {
        self.input_dim
            .saturating_sub(Self::TIME_IDS * self.time_dim)
    }
}

/// The config of a `UNet2DConditionModel`; the fields carry diffusers' names,
/// and what diffusers lets be one number or a list has an entry for each block.
///
/// The default is diffusers': a network for which `config.json` is `{}`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are diffusers', documented there")]
pub struct UNet2DConditionConfig {
    /// Height and width.
    pub sample_size: Option<(usize, usize)>,
    pub in_channels: usize,
    pub out_channels: usize,
    pub center_input_sample: bool,
    pub flip_sin_to_cos: bool,
    pub freq_shift: f64,
    pub down_block_types: Vec<ConditionBlock>,
    /// Whether there is a `UNetMidBlock2DCrossAttn`.
    pub mid_block: bool,
    pub up_block_types: Vec<ConditionBlock>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: Vec<usize>,
    pub downsample_padding: usize,
    pub mid_block_scale_factor: f64,
    pub dropout: f64,
    pub norm_num_groups: usize,
    pub norm_eps: f64,
    /// Channels of the context.
    pub cross_attention_dim: usize,
    pub transformer_layers_per_block: Vec<usize>,
    /// Heads, whatever the name says, which diffusers keeps for old files.
    pub attention_head_dim: Vec<usize>,
    /// Whether transformers begin and end with a linear map instead of a 1×1
    /// convolution; the numbers are the same, the files are not.
    pub use_linear_projection: bool,
    pub class_embedding: Option<ClassEmbedding>,
    pub addition_embedding: Option<AdditionEmbedding>,
    pub resnet_time_scale_shift: TimeConditioning,
    pub time_embedding_dim: Option<usize>,
    /// Channels of a vector that joins the timestep, such as an embedded
    /// guidance scale.
    pub time_cond_proj_dim: Option<usize>,
}

impl Default for UNet2DConditionConfig {
    fn default() -> Self {
        use ConditionBlock::{CrossAttention, Plain};
        Self {
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: vec![CrossAttention, CrossAttention, CrossAttention, Plain],
            mid_block: true,
            up_block_types: vec![Plain, CrossAttention, CrossAttention, CrossAttention],
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: vec![2; 4],
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            dropout: 0.0,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: 1280,
            transformer_layers_per_block: vec![1; 4],
            attention_head_dim: vec![8; 4],
            use_linear_projection: false,
            class_embedding: None,
            addition_embedding: None,
            resnet_time_scale_shift: TimeConditioning::Shift,
            time_embedding_dim: None,
            time_cond_proj_dim: None,
        }
    }
}

impl UNet2DConditionConfig {
    /// Channels of the time embedding after its layers.
    #[must_use]
    pub fn time_embedding_channels(&self) -> usize {
        time_channels(self.time_embedding_dim, &self.block_out_channels)
    }

    /// Channels that an inpainting network takes beside the noisy latents: a
    /// mask and the masked picture's latents. 0 for all other networks.
    #[must_use]
    pub fn inpainting_channels(&self) -> usize {
        let extra = self.out_channels + 1;
        if self.in_channels == self.out_channels + extra {
            extra
        } else {
            0
        }
    }

    /// How often the picture is halved.
    #[must_use]
    pub fn halvings(&self) -> usize {
        self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks ranges and that the fields fit each other.
    ///
    /// # Errors
    /// Naming the first field that does not fit.
    pub fn check(&self) -> Result<(), NetworkError> {
        check_samples(self.sample_size, self.in_channels, self.out_channels)?;
        check_range("downsample_padding", self.downsample_padding, 0..=1)?;
        check_range("norm_eps", self.norm_eps, f64::MIN_POSITIVE..=1.0)?;
        check_range("dropout", self.dropout, 0.0..=1.0)?;
        check_range("cross_attention_dim", self.cross_attention_dim, 1..=65_536)?;
        let factor = self.mid_block_scale_factor;
        check_range("mid_block_scale_factor", factor, 1e-6..=1e6)?;
        self.check_blocks()?;
        self.check_embeddings()
    }

    fn check_blocks(&self) -> Result<(), NetworkError> {
        let blocks = self.block_out_channels.len();
        check_range("block_out_channels", blocks, 1..=8).map_err(|_| {
            let channels = format!("{:?}", self.block_out_channels);
            invalid("block_out_channels", channels, "it needs 1 to 8 entries")
        })?;
        for (field, entries) in [
            ("down_block_types", self.down_block_types.len()),
            ("up_block_types", self.up_block_types.len()),
            ("layers_per_block", self.layers_per_block.len()),
            ("attention_head_dim", self.attention_head_dim.len()),
            (
                "transformer_layers_per_block",
                self.transformer_layers_per_block.len(),
            ),
        ] {
            if entries != blocks {
                let wanted = format!("block_out_channels has {blocks}, both must agree");
                return Err(invalid(field, format!("{entries} entries"), wanted));
            }
        }
        for level in 0..blocks {
            let channels = self.block_out_channels[level];
            check_range("block_out_channels", channels, 2..=16_384)?;
            check_groups("norm_num_groups", self.norm_num_groups, channels)?;
            check_range("layers_per_block", self.layers_per_block[level], 1..=16)?;
            let layers = self.transformer_layers_per_block[level];
            check_range("transformer_layers_per_block", layers, 1..=64)?;
            let heads = self.attention_head_dim[level];
            let crossed = self.down_block_types[level] == ConditionBlock::CrossAttention
                || self.up_block_types[blocks - 1 - level] == ConditionBlock::CrossAttention
                || (self.mid_block && level + 1 == blocks);
            if crossed && (heads == 0 || !channels.is_multiple_of(heads)) {
                let wanted = format!(
                    "it is the number of heads and must divide the block's {channels} channels"
                );
                return Err(invalid("attention_head_dim", heads, wanted));
            }
        }
        Ok(())
    }

    fn check_embeddings(&self) -> Result<(), NetworkError> {
        let half = (self.block_out_channels[0] / 2) as f64;
        check_range("freq_shift", self.freq_shift, -1e6..=1e6)?;
        if self.freq_shift >= half {
            let wanted = "it must be below half of the first block's channels";
            return Err(invalid("freq_shift", self.freq_shift, wanted));
        }
        if let Some(dim) = self.time_embedding_dim {
            check_range("time_embedding_dim", dim, 0..=65_536)?;
        }
        if let Some(dim) = self.time_cond_proj_dim {
            check_range("time_cond_proj_dim", dim, 1..=65_536)?;
        }
        if let Some(ClassEmbedding::Table { classes }) = self.class_embedding {
            check_range("num_class_embeds", classes, 1..=1_000_000)?;
        }
        if let Some(addition) = self.addition_embedding {
            check_range("addition_time_embed_dim", addition.time_dim, 2..=65_536)?;
            let least = AdditionEmbedding::TIME_IDS * addition.time_dim + 1;
            let field = "projection_class_embeddings_input_dim";
            check_range(field, addition.input_dim, least..=1 << 20)?;
        }
        Ok(())
    }
}
