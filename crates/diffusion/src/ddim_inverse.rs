//! DDIM inversion: the deterministic DDIM step (arXiv 2010.02502, section 4.3)
//! walked from data to noise. From level ᾱ at t − ⌊T/n⌋ to level ᾱ′ at t, with
//! the network evaluated at the state reached so far and timestep t:
//!
//! ```text
//! x′ = √ᾱ′·x̂₀ + √(1 − ᾱ′)·ε̂
//! ```
//!
//! It is the first iterate of a fixed point: the exact inverse of a DDIM step
//! has ε̂ at x′ itself, so that [`DdimInverse::refine`] applied a few times
//! makes the round trip exact (Pan et al., ICCV 2023, arXiv 2303.15649).

use crate::config::ScheduleConfig;
use crate::error::{Error, Result};
use crate::kind::SamplerKind;
use crate::prediction::PredictionType;
use crate::sampler::{History, Sampler, StepOutput, Track, clipped, each_value, entry};
use crate::timesteps::TimestepSpacing;

/// The inversion that belongs to [`Ddim`](crate::Ddim) with η = 0.
///
/// Its timesteps ascend. After its first k steps the state stands where
/// [`Ddim`](crate::Ddim) with as many steps n continues at step index n − k.
#[derive(Clone, Debug)]
pub struct DdimInverse {
    track: Track,
    timesteps: Vec<usize>,
    stride: usize,
    prediction: PredictionType,
    clip: Option<f64>,
    initial_alpha_bar: f64,
}

impl DdimInverse {
    /// An inversion of `steps` steps.
    ///
    /// # Errors
    /// As [`Ddim::new`](crate::Ddim::new), and [`Error::Unsupported`] for
    /// linspace spacing, which has no inversion with a fixed stride:
    /// [`ScheduleConfig::invertible`] has the schedule that stands in for it.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::Ddim)?;
        if config.timestep_spacing == Some(TimestepSpacing::Linspace) {
            return Err(Error::Unsupported {
                field: "timestep_spacing",
                value: "linspace".into(),
                expected: "leading or trailing for DDIM inversion",
            });
        }
        let schedule = config.schedule()?;
        let mut timesteps = config.timesteps(steps)?;
        timesteps.reverse();
        let mut inverse = Self {
            stride: schedule.train_steps() / steps,
            prediction: config.prediction_type,
            clip: config.clip(),
            initial_alpha_bar: config.final_alpha_bar(&schedule),
            track: Track::at(schedule, &timesteps, config.prediction_type)?,
            timesteps,
        };
        // The network sees the state before the step, though it is told the
        // timestep after it.
        let before = (0..steps).map(|index| Ok(inverse.levels(index)?.0));
        inverse.track.alpha_bars = before.collect::<Result<_>>()?;
        Ok(inverse)
    }

    /// The training steps that are visited, ascending.
    #[must_use]
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }

    /// (ᾱ before the step, ᾱ after it).
    fn levels(&self, index: usize) -> Result<(f64, f64)> {
        let timestep = entry(&self.timesteps, index)?;
        let source = match timestep.checked_sub(self.stride) {
            Some(t) => self.track.schedule.alpha_bar(t)?,
            None => self.initial_alpha_bar,
        };
        Ok((source, self.track.schedule.alpha_bar(timestep)?))
    }

    /// A better state after step `index`, from the network's output at the state
    /// `reached` so far: one fixed-point iteration on the inverse of the
    /// unclipped DDIM step that leads from it back to `sample`.
    ///
    /// # Shapes
    /// All slices have one length.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Evaluation`].
    pub fn refine(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        reached: &[f32],
    ) -> Result<StepOutput> {
        let (source, level) = self.levels(index)?;
        let scale = (level / source).sqrt();
        let direction = (1.0 - level).sqrt() - scale * (1.0 - source).sqrt();
        each_value(model_output, sample, Some(reached), |x, output, reached| {
            let epsilon = self.prediction.epsilon(level, reached, output);
            let original = self.prediction.original(level, reached, output);
            (scale * x + direction * epsilon, original)
        })
    }
}

impl Sampler for DdimInverse {
    fn track(&self) -> &Track {
        &self.track
    }

    /// From the state at t − ⌊T/n⌋ to the state at t. x̂₀ and ε̂ are read at the
    /// level the state stands at, except for x₀-prediction from the clean end,
    /// where ε̂ exists only at the level of t.
    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        _noise: Option<&[f32]>,
        _history: &mut History,
    ) -> Result<StepOutput> {
        let (source, level) = self.levels(index)?;
        let clean_sample = self.prediction == PredictionType::Sample && source == 1.0;
        let epsilon_level = if clean_sample { level } else { source };
        let (signal, direction) = (level.sqrt(), (1.0 - level).sqrt());
        each_value(model_output, sample, None, |x, output, _| {
            let original = clipped(self.prediction.original(source, x, output), self.clip);
            let epsilon = self.prediction.epsilon(epsilon_level, x, output);
            (signal * original + direction * epsilon, original)
        })
    }
}
