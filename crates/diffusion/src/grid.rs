//! Noise levels of the samplers that count in σ = √(1 − ᾱ)/√ᾱ.
//!
//! Reference: Karras et al., arXiv 2206.00364. With y = x/√ᾱ = x₀ + σ·ε, the
//! probability flow is dy/dσ = ε̂(y, σ).

use crate::config::{BetaSchedule, ScheduleConfig};
use crate::error::{Error, Result, check_length};
use crate::prediction::PredictionType;
use crate::sampler::{Track, entry};
use crate::schedule::NoiseSchedule;
use crate::solver_config::{FinalSigma, SigmaSpacing};
use crate::timesteps::TimestepSpacing;

/// ρ of Karras et al., equation 5.
const KARRAS_RHO: f64 = 7.0;
/// ᾱ where the schedule has none: a first σ must be finite.
const LEAST_ALPHA_BAR: f64 = 1.0 / 16_777_216.0;
/// The least log SNR/2 for cosine schedules, whose end is nearly all noise
/// (DPM-Solver's authors).
const COSINE_LAMBDA_MIN: f64 = -5.1;
/// Schedulers whose own files say where they begin: at the last training step
/// if they do not.
const SOLVERS: [&str; 5] = [
    "HeunDiscreteScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
];

/// Where a sampler evaluates the network.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub track: Track,
    pub prediction: PredictionType,
    /// σ at each evaluation, and where the last step leads.
    pub sigmas: Vec<f64>,
}

/// √ᾱ and √(1 − ᾱ) of a noise level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub signal: f64,
    pub noise: f64,
}

impl Level {
    pub fn of_sigma(sigma: f64) -> Self {
        let signal = 1.0 / sigma.mul_add(sigma, 1.0).sqrt();
        Self {
            signal,
            noise: sigma * signal,
        }
    }
}

fn training_sigmas(schedule: &NoiseSchedule) -> Vec<f64> {
    let sigma = |alpha_bar: &f64| {
        let alpha_bar = if *alpha_bar > 0.0 {
            *alpha_bar
        } else {
            LEAST_ALPHA_BAR
        };
        ((1.0 - alpha_bar) / alpha_bar).sqrt()
    };
    schedule.alphas_cumprod().iter().map(sigma).collect()
}

/// σ at a time between training steps, linear in between.
fn interpolate(sigmas: &[f64], time: f64) -> f64 {
    let last = sigmas.len() - 1;
    let low = (time.max(0.0) as usize).min(last);
    let high = (low + 1).min(last);
    let share = (time - low as f64).clamp(0.0, 1.0);
    sigmas[low] + share * (sigmas[high] - sigmas[low])
}

/// The time at which the schedule has the level σ, log σ being linear between
/// training steps.
fn time_of(sigmas: &[f64], sigma: f64) -> f64 {
    let wanted = sigma.max(1e-10).ln();
    let above = sigmas.partition_point(|s| s.ln() <= wanted);
    let low = above.saturating_sub(1).min(sigmas.len().saturating_sub(2));
    let high = (low + 1).min(sigmas.len() - 1);
    let (a, b) = (sigmas[low].ln(), sigmas[high].ln());
    let share = if a == b { 0.0 } else { (wanted - a) / (b - a) };
    low as f64 + share.clamp(0.0, 1.0)
}

/// `count` levels from `most` down to `least`.
fn spread(spacing: SigmaSpacing, most: f64, least: f64, count: usize) -> Vec<f64> {
    let ramp = |i: usize| i as f64 / (count - 1).max(1) as f64;
    let root = |sigma: f64| sigma.powf(1.0 / KARRAS_RHO);
    let level = |i: usize| match spacing {
        SigmaSpacing::Karras => {
            (root(most) + ramp(i) * (root(least) - root(most))).powf(KARRAS_RHO)
        }
        _ => (most.ln() + ramp(i) * (least.ln() - most.ln())).exp(),
    };
    (0..count).map(level).collect()
}

fn is_cosine(config: &ScheduleConfig) -> bool {
    config.beta_schedule == BetaSchedule::Cosine && config.trained_betas.is_none()
}

/// The least λ = log(√ᾱ/√(1 − ᾱ)) at which solvers of higher order begin: the
/// file's, or one that suits cosine schedules of models that name another
/// sampler.
pub(crate) fn lambda_min(config: &ScheduleConfig) -> f64 {
    let other = !SOLVERS.contains(&config.class_name.as_str());
    let usual = (other && is_cosine(config)).then_some(COSINE_LAMBDA_MIN);
    let least = config.solver.lambda_min.or(usual);
    least.unwrap_or(f64::NEG_INFINITY)
}

impl Grid {
    /// `steps` levels over all training steps, at fractions of them where the
    /// spacing asks for it: Euler's and, with a least λ, Heun's.
    pub fn fractional(config: &ScheduleConfig, steps: usize, lambda_min: f64) -> Result<Self> {
        let schedule = config.schedule()?;
        let spacing = config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace);
        let all = training_sigmas(&schedule);
        let train_steps = all.partition_point(|sigma| -sigma.ln() >= lambda_min);
        let whole = spacing.timesteps(train_steps, steps, config.steps_offset)?;
        let mut times: Vec<f64> = whole.iter().map(|&t| t as f64).collect();
        if spacing == TimestepSpacing::Linspace {
            let stride = (train_steps - 1) as f64 / (steps - 1).max(1) as f64;
            times = (0..steps).rev().map(|i| i as f64 * stride).collect();
        }
        let mut sigmas: Vec<f64> = times.iter().map(|&t| interpolate(&all, t)).collect();
        if config.solver.sigma_spacing != SigmaSpacing::Timesteps {
            let (most, least) = (sigmas[0], sigmas[steps - 1]);
            sigmas = spread(config.solver.sigma_spacing, most, least, steps);
            times = sigmas.iter().map(|&s| time_of(&all, s)).collect();
        }
        let mut grid = Self::new(config, schedule, times, sigmas, &all);
        if spacing != TimestepSpacing::Leading {
            // y begins with deviation σ, not √(1 + σ²).
            grid.track.initial_deviation = Level::of_sigma(grid.sigmas[0]).noise;
        }
        Ok(grid)
    }

    /// `steps` levels at whole training steps, of `steps` + 1 spread evenly
    /// without the last: DPM-Solver++'s and UniPC's. Trailing spacing on a
    /// clipped schedule has fewer.
    pub fn whole(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        let schedule = config.schedule()?;
        let train_steps = schedule.train_steps();
        let all = training_sigmas(&schedule);
        let solver = &config.solver;
        let least = lambda_min(config);
        let last = all.partition_point(|sigma| -sigma.ln() >= least);
        if steps == 0 || steps >= last {
            return Err(Error::Steps {
                steps,
                most: last.saturating_sub(1),
            });
        }
        let spacing = config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace);
        let mut times: Vec<f64> = match spacing {
            TimestepSpacing::Linspace => {
                let stride = (last - 1) as f64 / steps as f64;
                let time = |i: usize| (i as f64 * stride).round_ties_even();
                (1..=steps).rev().map(time).collect()
            }
            TimestepSpacing::Leading => {
                let stride = last / (steps + 1);
                let time = |i: usize| (i * stride).saturating_add(config.steps_offset) as f64;
                (1..=steps).rev().map(time).collect()
            }
            TimestepSpacing::Trailing => {
                let stride = train_steps as f64 / steps as f64;
                let time = |i: usize| last as f64 - i as f64 * stride;
                let times = (0..steps).map(time).take_while(|&t| t > 0.0);
                times.map(|t| t.round_ties_even() - 1.0).collect()
            }
        };
        if let Some(&first) = times.first().filter(|&&t| t as usize >= train_steps) {
            return Err(Error::Timestep {
                timestep: first as usize,
                train_steps,
            });
        }
        let mut sigmas: Vec<f64> = times.iter().map(|&t| interpolate(&all, t)).collect();
        if solver.sigma_spacing != SigmaSpacing::Timesteps {
            sigmas = spread(solver.sigma_spacing, all[last - 1], all[0], steps);
            let karras = solver.sigma_spacing == SigmaSpacing::Karras;
            let rounded = |t: f64| {
                if karras && !is_cosine(config) {
                    t.round_ties_even()
                } else {
                    t.floor()
                }
            };
            times = sigmas.iter().map(|&s| rounded(time_of(&all, s))).collect();
        }
        Ok(Self::new(config, schedule, times, sigmas, &all))
    }

    fn new(
        config: &ScheduleConfig,
        schedule: NoiseSchedule,
        times: Vec<f64>,
        mut sigmas: Vec<f64>,
        all: &[f64],
    ) -> Self {
        sigmas.push(match config.solver.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Minimum => all[0],
        });
        let level = |sigma: &f64| Level::of_sigma(*sigma).signal.powi(2);
        Self {
            track: Track {
                alpha_bars: sigmas[..times.len()].iter().map(level).collect(),
                schedule,
                times,
                initial_deviation: 1.0,
            },
            prediction: config.prediction_type,
            sigmas,
        }
    }

    /// σ at evaluation `index`.
    pub fn sigma(&self, index: usize) -> Result<f64> {
        entry(&self.track.times, index)?;
        Ok(self.sigmas[index])
    }

    /// x̂₀ of an evaluation at the level σ.
    pub fn originals(&self, sigma: f64, output: &[f32], sample: &[f32]) -> Result<Vec<f32>> {
        check_length("the model output", sample.len(), output.len())?;
        let alpha_bar = Level::of_sigma(sigma).signal.powi(2);
        let original = |(x, output): (&f32, &f32)| {
            let (x, output) = (f64::from(*x), f64::from(*output));
            self.prediction.original(alpha_bar, x, output) as f32
        };
        Ok(sample.iter().zip(output).map(original).collect())
    }
}
