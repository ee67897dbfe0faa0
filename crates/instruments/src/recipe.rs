//! What instrument to train, on what, how.

use crate::{InstrumentError, Result};
use alice_training::AdamWConfig;
use alice_worlds::{MAX_SIZE, MIN_SIZE, PuppetShow};
use serde::{Deserialize, Serialize};

/// Everything that decides an instrument: the same recipe gives the same
/// weights on the same machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentRecipe {
    /// The instrument's name.
    pub name: String,
    /// The pictures to learn from. More haunted faces than in the show itself
    /// teach to recognise them.
    pub world: PuppetShow,
    /// Side of the pictures, in pixels.
    pub size: usize,
    /// Names every random stream.
    pub seed: u64,
    /// Channels at each resolution. The first has half the side of the
    /// pictures, and every next one half the side of the one before.
    pub channels: Vec<usize>,
    /// Channels of the vector that the last map is turned into.
    pub features: usize,
    /// Channels per group of the norms.
    pub group: usize,
    /// Pictures per step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// The largest learning rate, which falls as a cosine to 0.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from 0.
    pub warmup: u64,
    /// The optimiser's constants.
    pub optimizer: AdamWConfig,
    /// Bound of the gradient's norm.
    pub clip_norm: f64,
    /// Decay of the averaged weights, which are the instrument.
    pub average_decay: f64,
    /// Largest standard deviation of the noise added to pictures in −1..1.
    pub noise: f32,
    /// Largest share of a 3×3 blur that is mixed into pictures.
    pub blur: f32,
}

impl InstrumentRecipe {
    /// The instrument that is shipped with `puppets-32`.
    ///
    /// # Errors
    /// None: the haunted share is valid.
    pub fn puppets_32() -> Result<Self> {
        Ok(Self {
            name: "puppets-32 instrument".to_owned(),
            world: PuppetShow::new(0.15)?,
            size: 32,
            seed: 2_718,
            channels: vec![32, 64, 128],
            features: 160,
            group: 8,
            batch: 64,
            steps: 1_600,
            learning_rate: 2.5e-3,
            warmup: 50,
            optimizer: AdamWConfig::default(),
            clip_norm: 1.0,
            average_decay: 0.995,
            noise: 0.06,
            blur: 0.5,
        })
    }

    /// Side of the last map, in pixels.
    pub(crate) fn last_side(&self) -> usize {
        self.size >> self.channels.len().min(16)
    }

    /// Checks every field once.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |field: &'static str, why: &str| {
            Err(InstrumentError::Recipe {
                field,
                why: why.to_owned(),
            })
        };
        if !(MIN_SIZE..=MAX_SIZE.min(256)).contains(&self.size) {
            return refuse("size", "must be between 8 and 256");
        }
        if self.channels.is_empty() || self.channels.len() > 8 {
            return refuse("channels", "must name 1 to 8 resolutions");
        }
        if self.last_side() == 0 || self.last_side() << self.channels.len() != self.size {
            return refuse("channels", "must halve the size without a rest");
        }
        let widest = self.channels.iter().chain([&self.features]).max();
        if self.group == 0 || widest.is_none_or(|&c| c > 4096) {
            return refuse("channels, features and group", "must be between 1 and 4096");
        }
        let uneven = |&channels: &usize| channels == 0 || !channels.is_multiple_of(self.group);
        if self.channels.iter().any(uneven) || uneven(&self.features) {
            return refuse("channels and features", "must divide into groups");
        }
        if self.batch == 0 || self.batch > 1 << 12 {
            return refuse("batch", "must be between 1 and 4096");
        }
        if self.steps == 0 || self.steps > 1 << 32 {
            return refuse("steps", "must be between 1 and 2³²");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("learning_rate", "must be a positive number");
        }
        if self.clip_norm.is_nan() || self.clip_norm <= 0.0 {
            return refuse("clip_norm", "must be a positive number");
        }
        if !(0.0..1.0).contains(&self.average_decay) {
            return refuse("average_decay", "must lie in [0, 1)");
        }
        if !(0.0..=1.0).contains(&self.noise) || !(0.0..=1.0).contains(&self.blur) {
            return refuse("noise and blur", "must lie in [0, 1]");
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 0.
    pub(crate) fn learning_rate_at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.learning_rate * (step + 1) as f64 / self.warmup as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / rest).min(1.0);
        0.5 * self.learning_rate * (1.0 + (std::f64::consts::PI * done).cos())
    }
}
