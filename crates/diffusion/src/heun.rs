//! Heun: algorithm 1 of Karras et al., "Elucidating the design space of
//! diffusion-based generative models", NeurIPS 2022, arXiv 2206.00364. With
//! y = x/√ᾱ, a step takes two evaluations:
//!
//! ```text
//! d₁ = (y − x̂₀)/σ             y₁ = y + (σ′ − σ)·d₁
//! d₂ = (y₁ − x̂₀(y₁))/σ′       y′ = y + (σ′ − σ)·(d₁ + d₂)/2
//! ```
//!
//! The last step, to σ = 0, has the first only. Second order.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::grid::{Grid, Level, lambda_min};
use crate::kind::SamplerKind;
use crate::sampler::{History, Sampler, StepOutput, Track, combination, entry};

/// The Heun sampler: 2n − 1 evaluations for n steps.
#[derive(Clone, Debug)]
pub struct Heun {
    grid: Grid,
    /// Of every evaluation, where the grid has every level once.
    track: Track,
    clip: Option<f64>,
}

impl Heun {
    /// A sampler of `steps` steps; the last leads to σ = 0.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::Heun)?;
        let config = config.ending_at_zero();
        let grid = Grid::fractional(&config, steps, lambda_min(&config))?;
        let every = |values: &[f64]| (0..2 * steps - 1).map(|i| values[i.div_ceil(2)]).collect();
        Ok(Self {
            track: Track {
                times: every(&grid.track.times),
                alpha_bars: every(&grid.track.alpha_bars),
                ..grid.track.clone()
            },
            clip: config.clip(),
            grid,
        })
    }

    /// d at the level σ, and x̂₀.
    fn slope(&self, sigma: f64, output: &[f32], sample: &[f32]) -> Result<[Vec<f32>; 2]> {
        let mut original = self.grid.originals(sigma, output, sample)?;
        if let Some(bound) = self.clip {
            let bound = bound as f32;
            original
                .iter_mut()
                .for_each(|v| *v = v.clamp(-bound, bound));
        }
        let scale = 1.0 / (Level::of_sigma(sigma).signal * sigma);
        let slope = combination(&[(scale, sample), (-1.0 / sigma, &original)]);
        Ok([slope, original])
    }
}

impl Sampler for Heun {
    fn track(&self) -> &Track {
        &self.track
    }

    fn begins_step(&self, index: usize) -> bool {
        index.is_multiple_of(2)
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        _noise: Option<&[f32]>,
        history: &mut History,
    ) -> Result<StepOutput> {
        entry(&self.track.times, index)?;
        let step = index / 2;
        let (sigma, next) = (self.grid.sigmas[step], self.grid.sigmas[step + 1]);
        let (here, there) = (Level::of_sigma(sigma), Level::of_sigma(next));
        let from_y = there.signal / here.signal;
        let length = there.signal * (next - sigma);
        let (prev_sample, pred_original);
        if self.begins_step(index) {
            let [slope, original] = self.slope(sigma, model_output, sample)?;
            prev_sample = combination(&[(from_y, sample), (length, &slope)]);
            pred_original = original;
            history.anchor = Some(sample.to_vec());
            history.push(slope, 1);
        } else {
            let [slope, original] = self.slope(next, model_output, sample)?;
            prev_sample = match (history.anchor.take(), history.outputs.front()) {
                (Some(anchor), Some(first)) => {
                    let half = 0.5 * length;
                    combination(&[(from_y, &anchor), (half, first), (half, &slope)])
                }
                // A run that begins here stands at σ′ already.
                _ => sample.to_vec(),
            };
            pred_original = original;
        }
        Ok(StepOutput {
            prev_sample,
            pred_original,
        })
    }
}
