//! Which configs make a network, and which inputs it takes.

use super::{BlockType, ClassEmbedding, TimeEmbedding, UNet2DConfig};
use crate::NetworkError;
use crate::fields::{check_groups, check_range, check_samples, invalid};

impl UNet2DConfig {
    /// Checks the inputs whose values, not only shapes, the network restricts.
    /// `labels` are those of `class_label`, if it is fed.
    ///
    /// # Errors
    /// When a value is not finite or names no row of its table, or labels are
    /// missing or superfluous.
    pub fn check_inputs(
        &self,
        timesteps: &[f32],
        labels: Option<&[f32]>,
    ) -> Result<(), NetworkError> {
        let steps = match self.time_embedding_type {
            TimeEmbedding::Positional => None,
            TimeEmbedding::Learned => self.num_train_timesteps,
        };
        check_rows("timestep", timesteps, steps)?;
        match (self.class_embedding, labels) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(NetworkError::Input {
                name: "class_label",
                why: "the network has no classes".into(),
            }),
            (Some(_), None) => Err(NetworkError::Input {
                name: "class_label",
                why: "the network needs it".into(),
            }),
            (Some(ClassEmbedding::Table { classes }), Some(labels)) => {
                check_rows("class_label", labels, Some(classes))
            }
            (Some(_), Some(labels)) => check_rows("class_label", labels, None),
        }
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
        check_samples(self.sample_size, self.in_channels, self.out_channels)?;
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
                format!("{channels:?}"),
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

/// Values must be finite and, with a table, name one of its rows.
fn check_rows(name: &'static str, values: &[f32], rows: Option<usize>) -> Result<(), NetworkError> {
    let fits = |value: f32| {
        value.is_finite()
            && rows.is_none_or(|rows| {
                value >= 0.0 && value.fract() == 0.0 && f64::from(value) < rows as f64
            })
    };
    let Some(value) = values.iter().find(|&&value| !fits(value)) else {
        return Ok(());
    };
    let why = match rows {
        Some(rows) => format!(
            "{value} is not a whole number from 0 to {}",
            rows.saturating_sub(1)
        ),
        None => format!("{value} is not a number"),
    };
    Err(NetworkError::Input { name, why })
}
