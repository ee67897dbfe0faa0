//! DPM-Solver++ multistep: Lu et al., "DPM-Solver++: fast solver for guided
//! sampling of diffusion probabilistic models", arXiv 2211.01095, algorithm 2.
//! With α = √ᾱ, s = √(1 − ᾱ), λ = log(α/s), h = λ′ − λ and the x̂₀ of the last
//! evaluations m₀, m₁, m₂:
//!
//! ```text
//! 1:  x′ = s′/s·x + α′·(1 − e⁻ʰ)·m₀
//! 2:  … + α′·(1 − e⁻ʰ)/2·D₁              D₁ = (m₀ − m₁)/r₀,   r₀ = h₀/h
//! 3:  … + α′·((e⁻ʰ − 1)/h + 1)·D₁ − α′·((e⁻ʰ − 1 + h)/h² − 1/2)·D₂
//! ```
//!
//! The stochastic variant has e⁻²ʰ for e⁻ʰ, s′/s·e⁻ʰ for s′/s, and adds
//! s′·√(1 − e⁻²ʰ)·z. The order is the number of x̂₀ used; a run's first steps
//! have fewer, and a step to σ = 0 is of first order, where D₁ has no limit.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::grid::{Grid, Level};
use crate::kind::SamplerKind;
use crate::sampler::{History, Sampler, StepOutput, Track, combination, required_noise};
use crate::solver_config::{DpmAlgorithm, SolverConfig, SolverType};

/// Fewer steps than this end with lower orders.
const FEW: usize = 15;

/// The multistep DPM-Solver++.
#[derive(Clone, Debug)]
pub struct DpmMultistep {
    grid: Grid,
    solver: SolverConfig,
}

impl DpmMultistep {
    /// A sampler of `steps` steps.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(match config.solver.algorithm {
            DpmAlgorithm::Deterministic => SamplerKind::DpmMultistep,
            DpmAlgorithm::Stochastic => SamplerKind::DpmMultistepSde,
        })?;
        Ok(Self {
            grid: Grid::whole(config, steps)?,
            solver: config.solver.clone(),
        })
    }

    fn stochastic(&self) -> bool {
        self.solver.algorithm == DpmAlgorithm::Stochastic
    }

    /// The order of the step after evaluation `index`, with `known` x̂₀.
    fn order(&self, index: usize, known: usize) -> usize {
        let count = self.grid.track.times.len();
        let few = self.solver.lower_order_final && count < FEW;
        let ends_at_zero = self.grid.sigmas[index + 1] == 0.0;
        let most = match count - index {
            1 if few || self.solver.euler_at_final || ends_at_zero => 1,
            2 if few => 2,
            _ => 3,
        };
        self.solver.order.min(known).min(most)
    }
}

impl Sampler for DpmMultistep {
    fn track(&self) -> &Track {
        &self.grid.track
    }

    fn uses_noise(&self, index: usize) -> bool {
        let next = self.grid.sigmas.get(index + 1);
        self.stochastic() && next.is_some_and(|&sigma| sigma > 0.0)
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        noise: Option<&[f32]>,
        history: &mut History,
    ) -> Result<StepOutput> {
        let sigma = self.grid.sigma(index)?;
        let noise = required_noise(self.uses_noise(index), noise, self.grid.track.times[index])?;
        let next = self.grid.sigmas[index + 1];
        let (here, there) = (Level::of_sigma(sigma), Level::of_sigma(next));
        let original = self.grid.originals(sigma, model_output, sample)?;
        history.push(original.clone(), self.solver.order);
        let outputs = &history.outputs;
        let order = self.order(index, outputs.len());

        // λ = −ln σ, so e⁻ʰ = σ′/σ.
        let ratio = next / sigma;
        let (decay, keep) = if self.stochastic() {
            (ratio * ratio, ratio)
        } else {
            (ratio, 1.0)
        };
        let h = -decay.ln();
        let mut terms: Vec<(f64, &[f32])> = vec![(there.noise / here.noise * keep, sample)];
        let a = there.signal;
        let first = a * (1.0 - decay);
        let gap = |i: usize| (self.grid.sigmas[index - i - 1] / self.grid.sigmas[index - i]).ln();
        let step = -ratio.ln();
        let middle = a * ((decay - 1.0) / h + 1.0);
        match order {
            1 => terms.push((first, &outputs[0])),
            2 => {
                let r0 = gap(0) / step;
                let heun = self.solver.solver_type == SolverType::Heun;
                let slope = if heun { middle } else { 0.5 * first };
                terms.push((first + slope / r0, &outputs[0]));
                terms.push((-slope / r0, &outputs[1]));
            }
            _ => {
                let (r0, r1) = (gap(0) / step, gap(1) / step);
                let bend = -a * ((decay - 1.0 + h) / (h * h) - 0.5);
                // D₁ = D₁₀ + r₀/(r₀ + r₁)·(D₁₀ − D₁₁),  D₂ = (D₁₀ − D₁₁)/(r₀ + r₁)
                let from_newer = middle * (1.0 + r0 / (r0 + r1)) + bend / (r0 + r1);
                let from_older = -middle * r0 / (r0 + r1) - bend / (r0 + r1);
                terms.push((first + from_newer / r0, &outputs[0]));
                terms.push((from_older / r1 - from_newer / r0, &outputs[1]));
                terms.push((-from_older / r1, &outputs[2]));
            }
        }
        if let Some(noise) = noise {
            crate::error::check_length("the noise", sample.len(), noise.len())?;
            terms.push((there.noise * (1.0 - decay).max(0.0).sqrt(), noise));
        }
        Ok(StepOutput {
            prev_sample: combination(&terms),
            pred_original: original,
        })
    }
}
