//! Euler ancestral: an Euler step too far down, then fresh noise up to the
//! level wanted, so that the marginal variance is right. With y = x/√ᾱ:
//!
//! ```text
//! σ_up   = √(σ′²·(σ² − σ′²)/σ²)
//! σ_down = √(σ′² − σ_up²)
//! y′ = y + (σ_down − σ)·(y − x̂₀)/σ + σ_up·z
//! ```
//!
//! Reference: Katherine Crowson's k-diffusion. First order.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::grid::{Grid, Level};
use crate::sampler::{History, Sampler, StepOutput, Track, each_value, required_noise};

/// The Euler ancestral sampler.
#[derive(Clone, Debug)]
pub struct EulerAncestral {
    grid: Grid,
}

impl EulerAncestral {
    /// A sampler of `steps` steps; the last leads to σ = 0.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        let config = config.ending_at_zero();
        Ok(Self {
            grid: Grid::fractional(&config, steps, f64::NEG_INFINITY)?,
        })
    }
}

impl Sampler for EulerAncestral {
    fn track(&self) -> &Track {
        &self.grid.track
    }

    fn uses_noise(&self, index: usize) -> bool {
        self.grid.sigmas.get(index + 1).is_some_and(|&s| s > 0.0)
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        noise: Option<&[f32]>,
        _history: &mut History,
    ) -> Result<StepOutput> {
        let (sigma, next) = (self.grid.sigma(index)?, self.grid.sigmas[index + 1]);
        let noise = required_noise(self.uses_noise(index), noise, self.grid.track.times[index])?;
        let variance = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).max(0.0);
        let (up, down) = (variance.sqrt(), (next * next - variance).max(0.0).sqrt());
        let (here, there) = (Level::of_sigma(sigma), Level::of_sigma(next));
        each_value(model_output, sample, noise, |x, output, z| {
            let alpha_bar = here.signal.powi(2);
            let original = self.grid.prediction.original(alpha_bar, x, output);
            let y = x / here.signal;
            let slope = (y - original) / sigma;
            let reached = y + (down - sigma) * slope + up * z;
            (there.signal * reached, original)
        })
    }
}
