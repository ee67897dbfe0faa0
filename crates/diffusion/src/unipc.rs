//! UniPC: Zhao et al., "UniPC: a unified predictor-corrector framework for fast
//! sampling of diffusion models", NeurIPS 2023, arXiv 2302.04867, with data
//! prediction. With α = √ᾱ, s = √(1 − ᾱ), λ = log(α/s), h = λ′ − λ, the x̂₀ of
//! earlier evaluations m_k at λ_k, r_k = (λ_k − λ)/h and D_k = m_k − m₀:
//!
//! ```text
//! predictor:  x′ = s′/s·x + α′·(1 − e⁻ʰ)·m₀ − α′·B·Σ_k a_k·D_k/r_k
//! corrector:  x′ = … − α′·B·(Σ_k c_k·D_k/r_k + c_p·(m′ − m₀))
//! ```
//!
//! B is e⁻ʰ − 1 (`bh2`) or −h (`bh1`); a and c solve R_p(h)·a = φ_p(h)/B
//! (equation 5). Each evaluation first corrects the state that it saw, then
//! predicts the next: order p costs one evaluation a step and is of order p + 1
//! where the corrector runs.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::grid::{Grid, Level};
use crate::kind::SamplerKind;
use crate::sampler::{History, Sampler, StepOutput, Track, combination};
use crate::solver_config::{SolverConfig, SolverType};

/// The UniPC sampler.
#[derive(Clone, Debug)]
pub struct UniPc {
    grid: Grid,
    solver: SolverConfig,
}

/// The part of a step that predictor and corrector share.
struct Step {
    terms: [f64; 2],
    /// α′·B.
    scale: f64,
    /// r_k of the earlier evaluations.
    ratios: Vec<f64>,
    /// φ_p/B for p = 1, 2, …
    moments: Vec<f64>,
}

impl UniPc {
    /// A sampler of `steps` steps.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        config.solver.require(SamplerKind::UniPc)?;
        Ok(Self {
            grid: Grid::whole(config, steps)?,
            solver: config.solver.clone(),
        })
    }

    /// From evaluation `index` to the level after it, with `order` − 1 earlier
    /// evaluations.
    fn between(&self, index: usize, order: usize) -> Step {
        let sigmas = &self.grid.sigmas;
        let (sigma, next) = (sigmas[index], sigmas[index + 1]);
        let (here, there) = (Level::of_sigma(sigma), Level::of_sigma(next));
        // λ = −ln σ.
        let h = (sigma / next).ln();
        let decay = next / sigma - 1.0;
        let b = if self.solver.solver_type == SolverType::Bh1 {
            -h
        } else {
            decay
        };
        let ratios = (1..order).map(|k| -(sigmas[index - k] / sigma).ln() / h);
        let (mut factorial, mut phi) = (1.0, decay / -h - 1.0);
        let mut moments = Vec::new();
        for p in 1..=order {
            moments.push(phi * factorial / b);
            factorial *= (p + 1) as f64;
            phi = phi / -h - 1.0 / factorial;
        }
        Step {
            terms: [there.noise / here.noise, -there.signal * decay],
            scale: -there.signal * b,
            ratios: ratios.collect(),
            moments,
        }
    }

    /// The order of the prediction after evaluation `index`, with `known` x̂₀.
    fn order(&self, index: usize, known: usize) -> usize {
        let left = self.grid.track.times.len() - index;
        let most = match (self.solver.lower_order_final, self.grid.sigmas[index + 1]) {
            (true, _) => left,
            // D_k/r_k has no limit at σ = 0.
            (false, 0.0) => 1,
            (false, _) => self.solver.order,
        };
        self.solver.order.min(most).min(known)
    }
}

/// Solves Σ_k r_kᵖ⁻¹·x_k = b_p, p = 1 …, by elimination: at most three.
fn solve(ratios: &[f64], moments: &[f64]) -> Vec<f64> {
    let n = ratios.len();
    let row = |p: usize| -> Vec<f64> {
        let powers = ratios.iter().map(|r| r.powi(p as i32));
        powers.chain([moments[p]]).collect()
    };
    let mut rows: Vec<Vec<f64>> = (0..n).map(row).collect();
    for column in 0..n {
        let size = |i: &usize| rows[*i][column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b)));
        rows.swap(column, pivot.unwrap_or(column));
        for i in (0..n).filter(|&i| i != column) {
            let factor = rows[i][column] / rows[column][column];
            for j in column..=n {
                rows[i][j] -= factor * rows[column][j];
            }
        }
    }
    (0..n).map(|i| rows[i][n] / rows[i][i]).collect()
}

impl Sampler for UniPc {
    fn track(&self) -> &Track {
        &self.grid.track
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        _noise: Option<&[f32]>,
        history: &mut History,
    ) -> Result<StepOutput> {
        let original = self
            .grid
            .originals(self.grid.sigma(index)?, model_output, sample)?;
        let mut state = sample.to_vec();
        if let Some(before) = &history.anchor {
            let outputs = &history.outputs;
            let step = self.between(index - 1, history.order);
            let mut ratios = step.ratios.clone();
            ratios.push(1.0);
            let weights = if history.order == 1 {
                vec![0.5]
            } else {
                solve(&ratios, &step.moments)
            };
            let at_m0: f64 = weights.iter().zip(&ratios).map(|(c, r)| c / r).sum();
            let mut terms: Vec<(f64, &[f32])> = vec![
                (step.terms[0], before),
                (step.terms[1] - step.scale * at_m0, &outputs[0]),
            ];
            for (k, (weight, ratio)) in weights.iter().zip(&step.ratios).enumerate() {
                terms.push((step.scale * weight / ratio, &outputs[k + 1]));
            }
            terms.push((step.scale * weights[weights.len() - 1], &original));
            state = combination(&terms);
        }
        history.push(original.clone(), self.solver.order);
        let outputs = &history.outputs;
        let order = self.order(index, outputs.len());
        let step = self.between(index, order);
        let weights = match order {
            1 => vec![],
            2 => vec![0.5],
            _ => solve(&step.ratios, &step.moments),
        };
        let at_m0: f64 = weights.iter().zip(&step.ratios).map(|(a, r)| a / r).sum();
        let mut terms: Vec<(f64, &[f32])> = vec![(step.terms[0], &state)];
        let first = step.terms[1] - if order > 1 { step.scale * at_m0 } else { 0.0 };
        terms.push((first, &outputs[0]));
        for (k, (weight, ratio)) in weights.iter().zip(&step.ratios).enumerate() {
            terms.push((step.scale * weight / ratio, &outputs[k + 1]));
        }
        let prev_sample = combination(&terms);
        history.anchor = Some(state);
        history.order = order;
        Ok(StepOutput {
            prev_sample,
            pred_original: original,
        })
    }
}
