//! DDIM: Song, Meng & Ermon, "Denoising diffusion implicit models", ICLR 2021,
//! arXiv 2010.02502, equation 12. With ᾱ at the current step and ᾱ′ at the next:
//!
//! ```text
//! x̂₀ = the network's x₀, clipped if the configuration says so
//! σ  = η·√((1 − ᾱ′)/(1 − ᾱ))·√(1 − ᾱ/ᾱ′)                          (16)
//! x′ = √ᾱ′·x̂₀ + √(1 − ᾱ′ − σ²)·ε̂ + σ·z
//! ```
//!
//! First order in the step for η = 0. ε̂ is the network's, also where x̂₀ was
//! clipped, as published pipelines do.

use serde::{Deserialize, Serialize};

use crate::config::ScheduleConfig;
use crate::error::{Error, Result};
use crate::kind::SamplerKind;
use crate::prediction::PredictionType;
use crate::sampler::{
    History, Sampler, StepOutput, Track, clipped, each_value, entry, required_noise,
};

/// How stochastic each DDIM step is: 0 is deterministic, 1 adds DDPM's noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eta {
    /// The same η at every step.
    Constant(f64),
    /// η at the steps with t ≤ `fraction`·T, 0 before: restores texture at the
    /// end of an edit (arXiv 2307.12868 uses η = 1, fraction 0.2).
    Tail {
        /// η in the tail.
        eta: f64,
        /// Where the tail begins, as a fraction of the training steps.
        fraction: f64,
    },
}

impl Eta {
    /// η at a timestep.
    #[must_use]
    pub fn at(self, timestep: usize, train_steps: usize) -> f64 {
        match self {
            Self::Constant(eta) => eta,
            Self::Tail { eta, fraction } if timestep as f64 <= fraction * train_steps as f64 => eta,
            Self::Tail { .. } => 0.0,
        }
    }

    fn check(self) -> Result<()> {
        let (Self::Constant(eta) | Self::Tail { eta, .. }) = self;
        if !(0.0..=1.0).contains(&eta) {
            return Err(Error::Parameter {
                what: "eta",
                value: eta,
                expected: "between 0 and 1",
            });
        }
        match self {
            Self::Tail { fraction, .. } if !(0.0..=1.0).contains(&fraction) => {
                Err(Error::Parameter {
                    what: "the stochastic tail's fraction",
                    value: fraction,
                    expected: "between 0 and 1",
                })
            }
            _ => Ok(()),
        }
    }
}

/// The DDIM sampler.
///
/// A step at t leads to t − ⌊T/n⌋, as published pipelines do. That is the next
/// timestep of the grid for leading spacing always, for trailing where n
/// divides T; linspace grids are a little wider than that stride.
#[derive(Clone, Debug)]
pub struct Ddim {
    track: Track,
    timesteps: Vec<usize>,
    stride: usize,
    prediction: PredictionType,
    clip: Option<f64>,
    final_alpha_bar: f64,
    eta: Eta,
}

impl Ddim {
    /// A sampler of `steps` steps.
    ///
    /// # Errors
    /// Those of [`ScheduleConfig::schedule`]; [`Error::Steps`],
    /// [`Error::Timestep`] for a bad grid; [`Error::Parameter`] for η outside
    /// [0, 1]; [`Error::ZeroSignal`] for ε-prediction on a grid with ᾱ = 0.
    pub fn new(config: &ScheduleConfig, steps: usize, eta: Eta) -> Result<Self> {
        eta.check()?;
        config.solver.require(SamplerKind::Ddim)?;
        let schedule = config.schedule()?;
        let timesteps = config.timesteps(steps)?;
        Ok(Self {
            stride: schedule.train_steps() / steps,
            prediction: config.prediction_type,
            clip: config.clip(),
            final_alpha_bar: config.final_alpha_bar(&schedule),
            eta,
            track: Track::at(schedule, &timesteps, config.prediction_type)?,
            timesteps,
        })
    }

    /// The same steps from another timestep on: for a state whose noise is that of
    /// no timestep of the grid.
    ///
    /// # Errors
    /// [`Error::Timestep`]; [`Error::ZeroSignal`] for ε-prediction at ᾱ = 0.
    pub fn beginning_at(self, timestep: usize) -> Result<Self> {
        let stride = self.stride.max(1);
        let next = |t: &usize| t.checked_sub(stride);
        let timesteps: Vec<usize> = std::iter::successors(Some(timestep), next).collect();
        Ok(Self {
            track: Track::at(self.track.schedule.clone(), &timesteps, self.prediction)?,
            timesteps,
            ..self
        })
    }

    /// σ² at η = 1 of a step from `timestep` to `previous` (`None`: the end).
    ///
    /// # Errors
    /// [`Error::Timestep`].
    pub fn variance(&self, timestep: usize, previous: Option<usize>) -> Result<f64> {
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = match previous {
            Some(t) => self.track.schedule.alpha_bar(t)?,
            None => self.final_alpha_bar,
        };
        Ok(((1.0 - next) / (1.0 - alpha_bar) * (1.0 - alpha_bar / next)).max(0.0))
    }

    /// η at a timestep.
    #[must_use]
    pub fn eta(&self, timestep: usize) -> f64 {
        self.eta.at(timestep, self.track.schedule.train_steps())
    }

    /// The training steps that are visited, descending.
    #[must_use]
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }
}

impl Sampler for Ddim {
    fn track(&self) -> &Track {
        &self.track
    }

    fn uses_noise(&self, index: usize) -> bool {
        let timestep = self.timesteps.get(index);
        timestep.is_some_and(|&timestep| self.eta(timestep) > 0.0)
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
        self.track
            .schedule
            .check_signal(self.prediction, timestep)?;
        let previous = timestep.checked_sub(self.stride);
        let alpha_bar = self.track.schedule.alpha_bar(timestep)?;
        let next = match previous {
            Some(t) => self.track.schedule.alpha_bar(t)?,
            None => self.final_alpha_bar,
        };
        let sigma = self.eta(timestep) * self.variance(timestep, previous)?.sqrt();
        let signal = next.sqrt();
        let direction = (1.0 - next - sigma * sigma).max(0.0).sqrt();
        each_value(model_output, sample, noise, |x, output, z| {
            let original = clipped(self.prediction.original(alpha_bar, x, output), self.clip);
            let epsilon = self.prediction.epsilon(alpha_bar, x, output);
            (
                signal * original + direction * epsilon + sigma * z,
                original,
            )
        })
    }
}
