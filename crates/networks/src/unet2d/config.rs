//! What `config.json` says about a U-Net.

use crate::fields::time_channels;

/// What a down or up block is made of, besides its residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockType {
    /// `DownBlock2D`, `UpBlock2D`: resampled by a convolution.
    Plain,
    /// `AttnDownBlock2D`, `AttnUpBlock2D`: attention after every residual
    /// block, resampled as `downsample_type` and `upsample_type` say.
    Attention,
    /// `ResnetDownsampleBlock2D`, `ResnetUpsampleBlock2D`: resampled by a residual block.
    Resnet,
}

impl BlockType {
    pub(crate) const DOWN: [(&str, Self); 3] = [
        ("DownBlock2D", Self::Plain),
        ("AttnDownBlock2D", Self::Attention),
        ("ResnetDownsampleBlock2D", Self::Resnet),
    ];
    pub(crate) const UP: [(&str, Self); 3] = [
        ("UpBlock2D", Self::Plain),
        ("AttnUpBlock2D", Self::Attention),
        ("ResnetUpsampleBlock2D", Self::Resnet),
    ];
}

/// How pictures change their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// A convolution of stride 2, or one after nearest-neighbour upsampling.
    Conv,
    /// A residual block around average pooling or nearest-neighbour upsampling.
    Resnet,
}

impl Sampler {
    pub(crate) const ALL: [(&str, Self); 2] = [("conv", Self::Conv), ("resnet", Self::Resnet)];
}

/// How a timestep becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeEmbedding {
    /// Sines and cosines.
    Positional,
    /// A table with a row for each of `num_train_timesteps`.
    Learned,
}

impl TimeEmbedding {
    pub(crate) const ALL: [(&str, Self); 2] =
        [("positional", Self::Positional), ("learned", Self::Learned)];
}

/// How the time embedding enters a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeConditioning {
    /// Added before the second norm (`default`).
    Shift,
    /// Scales and shifts the second norm's result (`scale_shift`).
    ScaleShift,
}

impl TimeConditioning {
    pub(crate) const ALL: [(&str, Self); 2] =
        [("default", Self::Shift), ("scale_shift", Self::ScaleShift)];
}

/// How a class label becomes a vector that is added to the time embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassEmbedding {
    /// A table with a row for each class.
    Table {
        /// The number of classes, `num_class_embeds`.
        classes: usize,
    },
    /// Embedded like a timestep, by layers of its own.
    Timestep,
    /// The label is the vector.
    Identity,
}

/// The config of a `UNet2DModel`; the fields carry diffusers' names.
///
/// The default is diffusers': a network for which `config.json` is `{}`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are diffusers', documented there")]
pub struct UNet2DConfig {
    /// Height and width.
    pub sample_size: Option<(usize, usize)>,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Whether samples in 0..1 are mapped to -1..1 first.
    pub center_input_sample: bool,
    pub time_embedding_type: TimeEmbedding,
    /// `None` is four times the first block's channels.
    pub time_embedding_dim: Option<usize>,
    pub freq_shift: f64,
    pub flip_sin_to_cos: bool,
    pub down_block_types: Vec<BlockType>,
    /// Whether there is a `UNetMidBlock2D`.
    pub mid_block: bool,
    pub up_block_types: Vec<BlockType>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub mid_block_scale_factor: f64,
    /// 0 pads below and to the right, 1 on all sides.
    pub downsample_padding: usize,
    pub downsample_type: Sampler,
    pub upsample_type: Sampler,
    pub dropout: f64,
    /// Channels of a head, `None` is one head.
    pub attention_head_dim: Option<usize>,
    pub norm_num_groups: usize,
    /// Groups of the norm in the mid block's attention. `None` is
    /// `norm_num_groups` or, with [`TimeConditioning::ScaleShift`], no norm.
    pub attn_norm_num_groups: Option<usize>,
    pub norm_eps: f64,
    pub resnet_time_scale_shift: TimeConditioning,
    /// Whether the mid block has attention.
    pub add_attention: bool,
    pub class_embedding: Option<ClassEmbedding>,
    pub num_train_timesteps: Option<usize>,
}

impl Default for UNet2DConfig {
    fn default() -> Self {
        use BlockType::{Attention, Plain};
        Self {
            sample_size: None,
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: TimeEmbedding::Positional,
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: vec![Plain, Attention, Attention, Attention],
            mid_block: true,
            up_block_types: vec![Attention, Attention, Attention, Plain],
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            downsample_type: Sampler::Conv,
            upsample_type: Sampler::Conv,
            dropout: 0.0,
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: TimeConditioning::Shift,
            add_attention: true,
            class_embedding: None,
            num_train_timesteps: None,
        }
    }
}

impl UNet2DConfig {
    /// Channels of the time embedding after its layers.
    #[must_use]
    pub fn time_embedding_channels(&self) -> usize {
        time_channels(self.time_embedding_dim, &self.block_out_channels)
    }

    /// How often the picture is halved: 2 to this power divides its sides.
    #[must_use]
    pub fn halvings(&self) -> usize {
        self.block_out_channels.len().saturating_sub(1)
    }
}
