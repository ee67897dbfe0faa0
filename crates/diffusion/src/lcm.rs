//! Latent consistency models: Luo et al., arXiv 2310.04378, multistep
//! consistency sampling (Song et al., arXiv 2303.01469, algorithm 1). With τ
//! the scaled timestep and σ_d = 1/2:
//!
//! ```text
//! c_skip = σ_d²/(τ² + σ_d²)      c_out = τ/√(τ² + σ_d²)
//! x̂ = c_skip·x + c_out·x̂₀
//! x′ = √ᾱ′·x̂ + √(1 − ᾱ′)·z      (x̂ after the last evaluation)
//! ```
//!
//! For models distilled to it, in about four steps.

use crate::config::ScheduleConfig;
use crate::error::{Error, Result};
use crate::kind::SamplerKind;
use crate::prediction::PredictionType;
use crate::sampler::{
    History, Sampler, StepOutput, Track, clipped, each_value, entry, required_noise,
};

/// The consistency sampler.
#[derive(Clone, Debug)]
pub struct Lcm {
    track: Track,
    prediction: PredictionType,
    clip: Option<f64>,
    scaling: f64,
    timesteps: Vec<usize>,
}

impl Lcm {
    /// A sampler of `steps` of the steps the model was distilled from.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`]; [`Error::Steps`] for more steps
    /// than the model was distilled from.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::Lcm)?;
        let schedule = config.schedule()?;
        let train_steps = schedule.train_steps();
        let original = config.solver.original_inference_steps;
        if original == 0 || original > train_steps {
            return Err(Error::Parameter {
                what: "original_inference_steps",
                value: original as f64,
                expected: "between 1 and the number of training steps",
            });
        }
        if steps == 0 || steps > original {
            return Err(Error::Steps {
                steps,
                most: original,
            });
        }
        let stride = train_steps / original;
        let at = |i: usize| (original - i * original / steps) * stride - 1;
        let timesteps: Vec<usize> = (0..steps).map(at).collect();
        Ok(Self {
            prediction: config.prediction_type,
            clip: config.clip(),
            scaling: config.solver.timestep_scaling,
            track: Track::at(schedule, &timesteps, config.prediction_type)?,
            timesteps,
        })
    }
}

impl Sampler for Lcm {
    fn track(&self) -> &Track {
        &self.track
    }

    fn uses_noise(&self, index: usize) -> bool {
        index + 1 < self.timesteps.len()
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        noise: Option<&[f32]>,
        _history: &mut History,
    ) -> Result<StepOutput> {
        const SIGMA_DATA: f64 = 0.5;
        let timestep = entry(&self.timesteps, index)?;
        let noise = required_noise(self.uses_noise(index), noise, self.track.times[index])?;
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = match self.timesteps.get(index + 1) {
            Some(&t) => self.track.schedule.alpha_bar(t)?,
            None => 1.0,
        };
        let tau = timestep as f64 * self.scaling;
        let square = tau * tau + SIGMA_DATA * SIGMA_DATA;
        let (skip, out) = (SIGMA_DATA * SIGMA_DATA / square, tau / square.sqrt());
        each_value(model_output, sample, noise, |x, output, z| {
            let original = clipped(self.prediction.original(alpha_bar, x, output), self.clip);
            let denoised = out * original + skip * x;
            let next_state = next.sqrt() * denoised + (1.0 - next).sqrt() * z;
            (next_state, denoised)
        })
    }
}
