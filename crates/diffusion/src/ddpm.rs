//! DDPM: Ho, Jain & Abbeel, "Denoising diffusion probabilistic models",
//! NeurIPS 2020, arXiv 2006.11239, equations 6 and 7. Between neighbours ᾱ and
//! ᾱ′ of any grid, with α = ᾱ/ᾱ′ and β = 1 − α:
//!
//! ```text
//! x′ = √ᾱ′·β/(1 − ᾱ)·x̂₀ + √α·(1 − ᾱ′)/(1 − ᾱ)·x + σ·z      (no noise at t = 0)
//! σ² = (1 − ᾱ′)/(1 − ᾱ)·β   (fixed_small)    or    β   (fixed_large)
//! ```

use crate::config::{ScheduleConfig, VarianceType};
use crate::error::Result;
use crate::kind::SamplerKind;
use crate::prediction::PredictionType;
use crate::sampler::{
    History, Sampler, StepOutput, Track, clipped, each_value, entry, required_noise,
};

/// The DDPM (ancestral) sampler.
#[derive(Clone, Debug)]
pub struct Ddpm {
    track: Track,
    timesteps: Vec<usize>,
    prediction: PredictionType,
    clip: Option<f64>,
    variance_type: VarianceType,
}

impl Ddpm {
    /// A sampler of `steps` steps.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`]; [`Error::Steps`],
    /// [`Error::Timestep`] for a bad grid; [`Error::ZeroSignal`] for
    /// ε-prediction on a grid with ᾱ = 0.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::Ddpm)?;
        let schedule = config.schedule()?;
        let timesteps = config.timesteps(steps)?;
        Ok(Self {
            prediction: config.prediction_type,
            clip: config.clip(),
            variance_type: config.variance_type,
            track: Track::at(schedule, &timesteps, config.prediction_type)?,
            timesteps,
        })
    }

    /// σ² of a step from `timestep` to `previous` (`None`: the clean end).
    ///
    /// # Errors
    /// [`Error::Timestep`].
    pub fn variance(&self, timestep: usize, previous: Option<usize>) -> Result<f64> {
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = self.level(previous)?;
        let beta = 1.0 - alpha_bar / next;
        Ok(match self.variance_type {
            VarianceType::FixedSmall => ((1.0 - next) / (1.0 - alpha_bar) * beta).max(1e-20),
            VarianceType::FixedLarge => beta,
        })
    }

    fn level(&self, timestep: Option<usize>) -> Result<f64> {
        timestep.map_or(Ok(1.0), |t| self.track.schedule.alpha_bar(t))
    }
}

impl Sampler for Ddpm {
    fn track(&self) -> &Track {
        &self.track
    }

    fn uses_noise(&self, index: usize) -> bool {
        self.timesteps.get(index).is_some_and(|&t| t > 0)
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        noise: Option<&[f32]>,
        _history: &mut History,
    ) -> Result<StepOutput> {
        let timestep = entry(&self.timesteps, index)?;
        let noise = required_noise(self.uses_noise(index), noise, self.track.times[index])?;
        let previous = self.timesteps.get(index + 1).copied();
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = self.level(previous)?;
        let alpha = alpha_bar / next;
        let from_original = next.sqrt() * (1.0 - alpha) / (1.0 - alpha_bar);
        let from_sample = alpha.sqrt() * (1.0 - next) / (1.0 - alpha_bar);
        let sigma = self.variance(timestep, previous)?.sqrt();
        each_value(model_output, sample, noise, |x, output, z| {
            let original = clipped(self.prediction.original(alpha_bar, x, output), self.clip);
            (
                from_original * original + from_sample * x + sigma * z,
                original,
            )
        })
    }
}
