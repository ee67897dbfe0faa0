//! A scheduler's parameters and the schedule they describe.

use crate::error::{Error, Result, check_length};
use crate::kind::SamplerKind;
use crate::prediction::PredictionType;
use crate::schedule::NoiseSchedule;
use crate::solver_config::{FinalSigma, SolverConfig};
use crate::timesteps::TimestepSpacing;

/// More training steps than this are taken for a damaged file.
const MAX_TRAIN_STEPS: usize = 1_000_000;

/// How β_t is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BetaSchedule {
    /// β linear in t.
    Linear,
    /// √β linear in t.
    ScaledLinear,
    /// `squaredcos_cap_v2`: the cosine schedule.
    Cosine,
    /// β logistic in t.
    Sigmoid,
}

/// The variance of a DDPM step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarianceType {
    /// The posterior's for known x₀ (`fixed_small`, `fixed_small_log`).
    FixedSmall,
    /// β (`fixed_large`).
    FixedLarge,
}

/// A scheduler's parameters. The defaults are those of diffusers' DDPM and
/// DDIM schedulers; a network's folder says which ones it was trained with.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// `_class_name`: the scheduler that the file names.
    pub class_name: String,
    /// T.
    pub num_train_timesteps: usize,
    /// First β.
    pub beta_start: f64,
    /// Last β.
    pub beta_end: f64,
    /// How β goes from one to the other.
    pub beta_schedule: BetaSchedule,
    /// All β, instead of a formula.
    pub trained_betas: Option<Vec<f64>>,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Whether each x̂₀ is clipped to ± `clip_sample_range`.
    pub clip_sample: bool,
    /// The bound of the clipping.
    pub clip_sample_range: f64,
    /// Whether the last DDIM step leads to ᾱ = 1 (else to ᾱ₀).
    pub set_alpha_to_one: bool,
    /// Added to the timesteps of leading spacing.
    pub steps_offset: usize,
    /// How sampling steps are spread; each sampler's own way if `None`.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// Whether the schedule is rescaled to end without signal.
    pub rescale_betas_zero_snr: bool,
    /// The noise of DDPM steps.
    pub variance_type: VarianceType,
    /// What samplers of higher order are told.
    pub solver: SolverConfig,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            class_name: "DDPMScheduler".into(),
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            prediction_type: PredictionType::Epsilon,
            clip_sample: true,
            clip_sample_range: 1.0,
            set_alpha_to_one: true,
            steps_offset: 0,
            timestep_spacing: None,
            rescale_betas_zero_snr: false,
            variance_type: VarianceType::FixedSmall,
            solver: SolverConfig::default(),
        }
    }
}

impl ScheduleConfig {
    /// The same schedule for walks to noise and back: DDIM and its inverse step
    /// by a fixed stride, so leading timesteps stand in for linspace ones.
    #[must_use]
    pub fn invertible(&self) -> Self {
        let linspace = self.timestep_spacing == Some(TimestepSpacing::Linspace);
        Self {
            timestep_spacing: if linspace {
                Some(TimestepSpacing::Leading)
            } else {
                self.timestep_spacing
            },
            ..self.clone()
        }
    }

    /// Refuses a sampler that the file tells something which ours does not do.
    ///
    /// # Errors
    /// [`Error::UnsupportedBy`].
    pub fn require_sampler(&self, sampler: SamplerKind) -> Result<()> {
        self.solver.require(sampler)
    }

    /// The schedule that the parameters describe.
    ///
    /// # Errors
    /// [`Error::Beta`], [`Error::Length`] (trained betas), [`Error::Parameter`]
    /// (number of training steps, clipping range).
    pub fn schedule(&self) -> Result<NoiseSchedule> {
        if self.clip_sample_range.is_nan() || self.clip_sample_range <= 0.0 {
            return Err(Error::Parameter {
                what: "clip_sample_range",
                value: self.clip_sample_range,
                expected: "positive",
            });
        }
        let (steps, start, end) = (self.num_train_timesteps, self.beta_start, self.beta_end);
        if !(1..=MAX_TRAIN_STEPS).contains(&steps) {
            return Err(Error::Parameter {
                what: "num_train_timesteps",
                value: steps as f64,
                expected: "between 1 and 1000000",
            });
        }
        let schedule = match (&self.trained_betas, self.beta_schedule) {
            (Some(betas), _) => {
                check_length("trained_betas", steps, betas.len())?;
                NoiseSchedule::from_betas(betas.clone())
            }
            (None, BetaSchedule::Linear) => NoiseSchedule::linear(steps, start, end),
            (None, BetaSchedule::ScaledLinear) => NoiseSchedule::scaled_linear(steps, start, end),
            (None, BetaSchedule::Cosine) => NoiseSchedule::cosine(steps),
            (None, BetaSchedule::Sigmoid) => NoiseSchedule::sigmoid(steps, start, end),
        }?;
        if self.rescale_betas_zero_snr {
            schedule.with_zero_terminal_snr()
        } else {
            Ok(schedule)
        }
    }

    /// The timesteps of a sampler with `steps` steps, descending; leading if
    /// the configuration does not say.
    ///
    /// # Errors
    /// As [`TimestepSpacing::timesteps`].
    pub fn timesteps(&self, steps: usize) -> Result<Vec<usize>> {
        self.timestep_spacing
            .unwrap_or(TimestepSpacing::Leading)
            .timesteps(self.num_train_timesteps, steps, self.steps_offset)
    }

    /// The same, its last step to σ = 0.
    pub(crate) fn ending_at_zero(&self) -> Self {
        let mut config = self.clone();
        config.solver.final_sigma = FinalSigma::Zero;
        config
    }

    pub(crate) fn clip(&self) -> Option<f64> {
        self.clip_sample.then_some(self.clip_sample_range)
    }

    /// ᾱ at the clean end of DDIM.
    pub(crate) fn final_alpha_bar(&self, schedule: &NoiseSchedule) -> f64 {
        if self.set_alpha_to_one {
            1.0
        } else {
            schedule.alphas_cumprod()[0]
        }
    }
}

impl BetaSchedule {
    /// The name used in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::ScaledLinear => "scaled_linear",
            Self::Cosine => "squaredcos_cap_v2",
            Self::Sigmoid => "sigmoid",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [
            Self::Linear,
            Self::ScaledLinear,
            Self::Cosine,
            Self::Sigmoid,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

impl VarianceType {
    /// The name used in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FixedSmall => "fixed_small",
            Self::FixedLarge => "fixed_large",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "fixed_small" | "fixed_small_log" => Some(Self::FixedSmall),
            "fixed_large" => Some(Self::FixedLarge),
            _ => None,
        }
    }
}
