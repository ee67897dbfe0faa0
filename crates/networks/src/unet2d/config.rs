//! What `config.json` says about a U-Net.

use crate::NetworkError;
use crate::fields::{check_range, invalid};

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
        let first = self.block_out_channels.first().copied().unwrap_or(0);
        // Python's `or`: diffusers takes 0 as not given.
        self.time_embedding_dim
            .filter(|&dim| dim > 0)
            .unwrap_or(4 * first)
    }

    /// How often the picture is halved: 2 to this power divides its sides.
    #[must_use]
    pub fn halvings(&self) -> usize {
        self.block_out_channels.len().saturating_sub(1)
    }

    /// Heads of the attention over `channels`.
    pub(crate) fn heads(&self, channels: usize) -> usize {
        self.attention_head_dim.map_or(1, |dim| channels / dim)
    }

    /// Checks ranges and that the fields fit each other.
    ///
    /// # Errors
    /// Naming the first field that does not fit.
    pub fn check(&self) -> Result<(), NetworkError> {
        self.check_ranges()?;
        self.check_blocks()?;
        self.check_embeddings()
    }

    fn check_ranges(&self) -> Result<(), NetworkError> {
        if let Some((height, width)) = self.sample_size {
            check_range("sample_size", height, 1..=16_384)?;
            check_range("sample_size", width, 1..=16_384)?;
        }
        if self.center_input_sample {
            return Err(invalid("center_input_sample", true, "supported: false"));
        }
        check_range("in_channels", self.in_channels, 1..=4096)?;
        check_range("out_channels", self.out_channels, 1..=4096)?;
        check_range("layers_per_block", self.layers_per_block, 1..=16)?;
        check_range("downsample_padding", self.downsample_padding, 0..=1)?;
        check_range("norm_eps", self.norm_eps, f64::MIN_POSITIVE..=1.0)?;
        check_range("dropout", self.dropout, 0.0..=1.0)?;
        check_range("freq_shift", self.freq_shift, -1e6..=1e6)?;
        let factor = self.mid_block_scale_factor;
        check_range("mid_block_scale_factor", factor, 1e-6..=1e6)
    }

    fn check_blocks(&self) -> Result<(), NetworkError> {
        let channels = &self.block_out_channels;
        check_range("block_out_channels", channels.len(), 1..=8).map_err(|_| {
            invalid(
                "block_out_channels",
                list(channels),
                "it needs 1 to 8 entries",
            )
        })?;
        for (field, types) in [
            ("down_block_types", &self.down_block_types),
            ("up_block_types", &self.up_block_types),
        ] {
            if types.len() != channels.len() {
                let wanted = format!(
                    "block_out_channels has {} entries, both must agree",
                    channels.len()
                );
                return Err(invalid(field, format!("{} blocks", types.len()), wanted));
            }
        }
        for &count in channels {
            check_range("block_out_channels", count, 1..=16_384)?;
            check_groups("norm_num_groups", self.norm_num_groups, count)?;
        }
        let deepest = channels[channels.len() - 1];
        let used = self.mid_block && self.add_attention;
        if let Some(groups) = self.attn_norm_num_groups.filter(|_| used) {
            check_groups("attn_norm_num_groups", groups, deepest)?;
        }
        self.check_heads()
    }

    fn check_heads(&self) -> Result<(), NetworkError> {
        let Some(dim) = self.attention_head_dim else {
            return Ok(());
        };
        let blocks = self.block_out_channels.iter().enumerate();
        let with_attention = blocks.filter(|(level, _)| {
            let last = *level + 1 == self.block_out_channels.len();
            let up = self.up_block_types[self.up_block_types.len() - 1 - level];
            self.down_block_types[*level] == BlockType::Attention
                || up == BlockType::Attention
                || (last && self.mid_block && self.add_attention)
        });
        for (_, &channels) in with_attention {
            if dim == 0 || dim > channels {
                let wanted = format!("it must lie between 1 and the block's {channels} channels");
                return Err(invalid("attention_head_dim", dim, wanted));
            }
        }
        Ok(())
    }

    fn check_embeddings(&self) -> Result<(), NetworkError> {
        if let Some(dim) = self.time_embedding_dim {
            check_range("time_embedding_dim", dim, 0..=65_536)?;
        }
        let first = self.block_out_channels[0];
        match self.time_embedding_type {
            TimeEmbedding::Positional => {
                check_range("block_out_channels", first, 2..=16_384)?;
                let half = (first / 2) as f64;
                if self.freq_shift >= half {
                    let wanted =
                        format!("it must be below half of the first block's {first} channels");
                    return Err(invalid("freq_shift", self.freq_shift, wanted));
                }
            }
            TimeEmbedding::Learned => {
                let steps = self.num_train_timesteps.unwrap_or(0);
                check_range("num_train_timesteps", steps, 1..=1_000_000)?;
            }
        }
        if let Some(ClassEmbedding::Table { classes }) = self.class_embedding {
            check_range("num_class_embeds", classes, 1..=1_000_000)?;
        }
        Ok(())
    }
}

fn check_groups(field: &'static str, groups: usize, channels: usize) -> Result<(), NetworkError> {
    if groups == 0 || !channels.is_multiple_of(groups) {
        let wanted = format!("a block's {channels} channels must divide into the groups");
        return Err(invalid(field, groups, wanted));
    }
    Ok(())
}

fn list(values: &[usize]) -> String {
    format!("{values:?}")
}
