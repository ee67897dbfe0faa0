//! Euler: algorithm 2 of Karras et al., "Elucidating the design space of
//! diffusion-based generative models", NeurIPS 2022, arXiv 2206.00364, without
//! churn and correction. With y = x/√ᾱ:
//!
//! ```text
//! d  = (y − x̂₀)/σ
//! y′ = y + (σ′ − σ)·d
//! ```
//!
//! First order. It is the step of DDIM (η = 0); what differs is where the
//! steps lie.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::grid::{Grid, Level};
use crate::kind::SamplerKind;
use crate::sampler::{History, Sampler, StepOutput, Track, each_value};

/// The Euler sampler.
#[derive(Clone, Debug)]
pub struct Euler {
    grid: Grid,
}

impl Euler {
    /// A sampler of `steps` steps.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::Euler)?;
        Ok(Self {
            grid: Grid::fractional(config, steps, f64::NEG_INFINITY)?,
        })
    }
}

impl Sampler for Euler {
    fn track(&self) -> &Track {
        &self.grid.track
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        _noise: Option<&[f32]>,
        _history: &mut History,
    ) -> Result<StepOutput> {
        let (sigma, next) = (self.grid.sigma(index)?, self.grid.sigmas[index + 1]);
        let here = Level::of_sigma(sigma);
        // The last state is x̂₀ with what noise is left, not scaled.
        let signal = match index + 2 == self.grid.sigmas.len() {
            true => 1.0,
            false => Level::of_sigma(next).signal,
        };
        each_value(model_output, sample, None, |x, output, _| {
            let alpha_bar = here.signal.powi(2);
            let original = self.grid.prediction.original(alpha_bar, x, output);
            let y = x / here.signal;
            let slope = (y - original) / sigma;
            (signal * (y + (next - sigma) * slope), original)
        })
    }
}
