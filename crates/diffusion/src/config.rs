//! `scheduler_config.json` of the diffusers layout, read and written.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::prediction::PredictionType;
use crate::schedule::NoiseSchedule;
use crate::timesteps::TimestepSpacing;

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
    /// How sampling steps are spread.
    pub timestep_spacing: TimestepSpacing,
    /// Whether the schedule is rescaled to end without signal.
    pub rescale_betas_zero_snr: bool,
    /// The noise of DDPM steps.
    pub variance_type: VarianceType,
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
            timestep_spacing: TimestepSpacing::Leading,
            rescale_betas_zero_snr: false,
            variance_type: VarianceType::FixedSmall,
        }
    }
}

/// The file as it is: everything optional, names not yet understood.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    num_train_timesteps: Option<usize>,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: Option<String>,
    trained_betas: Option<Vec<f64>>,
    prediction_type: Option<String>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f64>,
    thresholding: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_alpha_to_one: Option<bool>,
    steps_offset: Option<usize>,
    timestep_spacing: Option<String>,
    rescale_betas_zero_snr: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variance_type: Option<String>,
}

/// Schedulers whose files describe a β schedule over discrete timesteps.
const CLASSES: [&str; 16] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "DDIMInverseScheduler",
    "DDPMParallelScheduler",
    "DDIMParallelScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
];

const CLASSES_EXPECTED: &str = "a scheduler with discrete betas, such as DDPMScheduler, \
     DDIMScheduler, PNDMScheduler or EulerDiscreteScheduler";

fn named<T>(
    field: &'static str,
    value: Option<String>,
    default: T,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    match value {
        None => Ok(default),
        Some(value) => parse(&value).ok_or(Error::Unsupported {
            field,
            value,
            expected,
        }),
    }
}

impl ScheduleConfig {
    /// Reads the text of a `scheduler_config.json`. Absent and null fields take
    /// their default; unknown fields are ignored.
    ///
    /// # Errors
    /// [`Error::Json`]; [`Error::Unsupported`] naming a field whose value would
    /// change the numbers; [`Error::Beta`] or [`Error::Steps`] for a schedule
    /// that makes no sense.
    pub fn from_json(text: &str) -> Result<Self> {
        let file: File = serde_json::from_str(text)?;
        let default = Self::default();
        if file.thresholding == Some(true) {
            return Err(Error::Unsupported {
                field: "thresholding",
                value: "true".into(),
                expected: "false",
            });
        }
        let known = |name: &str| CLASSES.contains(&name).then(|| name.to_string());
        let config = Self {
            class_name: named(
                "_class_name",
                file.class_name,
                default.class_name,
                CLASSES_EXPECTED,
                known,
            )?,
            num_train_timesteps: file
                .num_train_timesteps
                .unwrap_or(default.num_train_timesteps),
            beta_start: file.beta_start.unwrap_or(default.beta_start),
            beta_end: file.beta_end.unwrap_or(default.beta_end),
            beta_schedule: named(
                "beta_schedule",
                file.beta_schedule,
                default.beta_schedule,
                "linear, scaled_linear, squaredcos_cap_v2 or sigmoid",
                BetaSchedule::parse,
            )?,
            trained_betas: file.trained_betas,
            prediction_type: named(
                "prediction_type",
                file.prediction_type,
                default.prediction_type,
                "epsilon, v_prediction or sample",
                |name| {
                    use PredictionType::{Epsilon, Sample, VPrediction};
                    [Epsilon, VPrediction, Sample]
                        .into_iter()
                        .find(|kind| kind.name() == name)
                },
            )?,
            clip_sample: file.clip_sample.unwrap_or(default.clip_sample),
            clip_sample_range: file.clip_sample_range.unwrap_or(default.clip_sample_range),
            set_alpha_to_one: file.set_alpha_to_one.unwrap_or(default.set_alpha_to_one),
            steps_offset: file.steps_offset.unwrap_or(default.steps_offset),
            timestep_spacing: named(
                "timestep_spacing",
                file.timestep_spacing,
                default.timestep_spacing,
                "leading, linspace or trailing",
                |name| {
                    use TimestepSpacing::{Leading, Linspace, Trailing};
                    [Leading, Linspace, Trailing]
                        .into_iter()
                        .find(|kind| kind.name() == name)
                },
            )?,
            rescale_betas_zero_snr: file
                .rescale_betas_zero_snr
                .unwrap_or(default.rescale_betas_zero_snr),
            variance_type: named(
                "variance_type",
                file.variance_type,
                default.variance_type,
                "fixed_small, fixed_small_log or fixed_large",
                VarianceType::parse,
            )?,
        };
        config.schedule()?;
        Ok(config)
    }

    /// The text of a `scheduler_config.json` that diffusers reads.
    ///
    /// # Errors
    /// [`Error::Json`] if a number is not finite.
    pub fn to_json(&self) -> Result<String> {
        let ddpm = self.class_name.starts_with("DDPM");
        let file = File {
            class_name: Some(self.class_name.clone()),
            num_train_timesteps: Some(self.num_train_timesteps),
            beta_start: Some(self.beta_start),
            beta_end: Some(self.beta_end),
            beta_schedule: Some(self.beta_schedule.name().into()),
            trained_betas: self.trained_betas.clone(),
            prediction_type: Some(self.prediction_type.name().into()),
            clip_sample: Some(self.clip_sample),
            clip_sample_range: Some(self.clip_sample_range),
            thresholding: Some(false),
            set_alpha_to_one: (!ddpm || !self.set_alpha_to_one).then_some(self.set_alpha_to_one),
            steps_offset: Some(self.steps_offset),
            timestep_spacing: Some(self.timestep_spacing.name().into()),
            rescale_betas_zero_snr: Some(self.rescale_betas_zero_snr),
            variance_type: (ddpm || self.variance_type != VarianceType::FixedSmall)
                .then(|| self.variance_type.name().into()),
        };
        Ok(serde_json::to_string_pretty(&file)?)
    }

    /// The schedule that the parameters describe.
    ///
    /// # Errors
    /// [`Error::Beta`], [`Error::Steps`], [`Error::Length`] (trained betas),
    /// [`Error::Parameter`] (clipping range).
    pub fn schedule(&self) -> Result<NoiseSchedule> {
        if self.clip_sample_range.is_nan() || self.clip_sample_range <= 0.0 {
            return Err(Error::Parameter {
                what: "clip_sample_range",
                value: self.clip_sample_range,
                expected: "positive",
            });
        }
        let (steps, start, end) = (self.num_train_timesteps, self.beta_start, self.beta_end);
        let schedule = match (&self.trained_betas, self.beta_schedule) {
            (Some(betas), _) => {
                crate::error::check_length("trained_betas", steps, betas.len())?;
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

    /// The timesteps of a sampler with `steps` steps, descending.
    ///
    /// # Errors
    /// As [`TimestepSpacing::timesteps`].
    pub fn timesteps(&self, steps: usize) -> Result<Vec<usize>> {
        self.timestep_spacing
            .timesteps(self.num_train_timesteps, steps, self.steps_offset)
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

    fn parse(name: &str) -> Option<Self> {
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

    fn parse(name: &str) -> Option<Self> {
        match name {
            "fixed_small" | "fixed_small_log" => Some(Self::FixedSmall),
            "fixed_large" => Some(Self::FixedLarge),
            _ => None,
        }
    }
}
