//! PNDM and PLMS: Liu et al., "Pseudo numerical methods for diffusion models on
//! manifolds", ICLR 2022, arXiv 2202.09778. φ is the transfer of equation 11,
//! the deterministic DDIM step from t to t′ with a given ε:
//!
//! ```text
//! φ(x, ε, t, t′) = √(ᾱ′/ᾱ)·x − (ᾱ′ − ᾱ)·ε/(ᾱ·√(1 − ᾱ′) + √(ᾱ·(1 − ᾱ)·ᾱ′))
//!
//! linear multistep (12):   x′ = φ(x, (55ε₀ − 59ε₁ + 37ε₂ − 9ε₃)/24)
//! Runge-Kutta (13):        x′ = φ(x, (e₁ + 2e₂ + 2e₃ + e₄)/6)
//! ```
//!
//! Fourth order with three Runge-Kutta steps at the beginning, of four
//! evaluations each. With `skip_prk_steps`, as Stable Diffusion has it, a first
//! step of two evaluations and lower orders lead in instead.

use crate::config::ScheduleConfig;
use crate::error::Result;
use crate::prediction::PredictionType;
use crate::sampler::{History, Sampler, StepOutput, Track, combination, each_value, entry};

/// What an evaluation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// One of the four of a Runge-Kutta step from `from`, which leads to `to`
    /// (`None`: the clean end).
    RungeKutta {
        number: usize,
        from: usize,
        to: Option<usize>,
    },
    /// The second of the first step: the mean of two outputs, from its start.
    Improve,
    /// A step by all the outputs that are remembered.
    Multistep,
}

/// The PNDM sampler.
#[derive(Clone, Debug)]
pub struct Pndm {
    track: Track,
    prediction: PredictionType,
    final_alpha_bar: f64,
    stride: usize,
    evaluations: Vec<(usize, Role)>,
}

impl Pndm {
    /// A sampler of `steps` steps: n + 1 evaluations, or n + 9 with
    /// Runge-Kutta steps, which need at least four.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`] and of bad grids.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        // φ divides by ᾱ, so it has no meaning at none; nor does diffusers' know the field.
        let config = &ScheduleConfig {
            rescale_betas_zero_snr: false,
            ..config.clone()
        };
        let schedule = config.schedule()?;
        let grid = config.timesteps(steps)?;
        let stride = schedule.train_steps() / steps;
        let mut evaluations = Vec::new();
        if config.solver.skip_prk_steps || steps < 4 {
            evaluations.push((grid[0], Role::Multistep));
            if let Some(&second) = grid.get(1) {
                evaluations.push((second, Role::Improve));
            }
            evaluations.extend(grid.iter().skip(1).map(|&t| (t, Role::Multistep)));
        } else {
            let half = stride / 2;
            for pair in grid[..4].windows(2) {
                let (from, end) = (pair[0], pair[1]);
                let middle = end + half;
                let told = [from, middle, middle, end];
                let leads = [from.checked_sub(half), Some(middle), Some(end), Some(end)];
                let roles = told.iter().zip(leads).enumerate();
                evaluations.extend(
                    roles.map(|(number, (&t, to))| (t, Role::RungeKutta { number, from, to })),
                );
            }
            evaluations.extend(grid[3..].iter().map(|&t| (t, Role::Multistep)));
        }
        let told: Vec<usize> = evaluations.iter().map(|(t, _)| *t).collect();
        Ok(Self {
            prediction: config.prediction_type,
            final_alpha_bar: config.final_alpha_bar(&schedule),
            stride,
            track: Track::at(schedule, &told, config.prediction_type)?,
            evaluations,
        })
    }

    /// φ. What v-prediction gives is turned into ε at the state it starts from.
    fn transfer(
        &self,
        sample: &[f32],
        output: &[f32],
        timestep: usize,
        to: Option<usize>,
    ) -> Result<StepOutput> {
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = match to {
            Some(t) => self.track.schedule.alpha_bar(t)?,
            None => self.final_alpha_bar,
        };
        let scale = (next / alpha_bar).sqrt();
        let denominator =
            alpha_bar * (1.0 - next).sqrt() + (alpha_bar * (1.0 - alpha_bar) * next).sqrt();
        each_value(output, sample, None, |x, output, _| {
            let epsilon = self.prediction.epsilon(alpha_bar, x, output);
            let original = self.prediction.original(alpha_bar, x, output);
            let reached = scale * x - (next - alpha_bar) * epsilon / denominator;
            (reached, original)
        })
    }
}

/// Adams and Bashforth's combination of the outputs remembered, newest first.
fn multistep(outputs: &[&[f32]]) -> Vec<f32> {
    let (weights, divisor): (&[f64], f64) = match outputs.len() {
        0 | 1 => (&[1.0], 1.0),
        2 => (&[3.0, -1.0], 2.0),
        3 => (&[23.0, -16.0, 5.0], 12.0),
        _ => (&[55.0, -59.0, 37.0, -9.0], 24.0),
    };
    let terms = weights.iter().zip(outputs).map(|(w, o)| (w / divisor, *o));
    combination(&terms.collect::<Vec<_>>())
}

impl Sampler for Pndm {
    fn track(&self) -> &Track {
        &self.track
    }

    fn begins_step(&self, index: usize) -> bool {
        self.evaluations
            .get(index)
            .is_none_or(|(_, role)| match role {
                Role::RungeKutta { number, .. } => *number == 0,
                Role::Improve => false,
                Role::Multistep => true,
            })
    }

    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        _noise: Option<&[f32]>,
        history: &mut History,
    ) -> Result<StepOutput> {
        const SIXTHS: [f64; 4] = [1.0, 2.0, 2.0, 1.0];
        let (timestep, role) = entry(&self.evaluations, index)?;
        let before = timestep.checked_sub(self.stride);
        match role {
            Role::Multistep => {
                history.push(model_output.to_vec(), 4);
                if index == 0 {
                    history.anchor = Some(sample.to_vec());
                }
                let outputs: Vec<&[f32]> = history.outputs.iter().map(Vec::as_slice).collect();
                self.transfer(sample, &multistep(&outputs), timestep, before)
            }
            Role::Improve => {
                let (Some(anchor), Some(first)) = (history.anchor.take(), history.outputs.front())
                else {
                    // A run that begins here stands where the step would lead.
                    return Ok(StepOutput {
                        prev_sample: sample.to_vec(),
                        pred_original: sample.to_vec(),
                    });
                };
                let mean = combination(&[(0.5, model_output), (0.5, first)]);
                self.transfer(&anchor, &mean, timestep + self.stride, Some(timestep))
            }
            Role::RungeKutta { number, from, to } => {
                if number == 0 {
                    history.push(model_output.to_vec(), 4);
                    history.anchor = Some(sample.to_vec());
                    history.sum = vec![0.0; sample.len()];
                }
                let weight = SIXTHS[number] / 6.0;
                history.sum = combination(&[(1.0, &history.sum), (weight, model_output)]);
                let anchor = history.anchor.as_deref().unwrap_or(sample);
                let output = if number == 3 {
                    &history.sum
                } else {
                    model_output
                };
                self.transfer(anchor, output, from, to)
            }
        }
    }
}
