//! `scheduler_config.json` of the diffusers layout, read and written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{BetaSchedule, ScheduleConfig, VarianceType};
use crate::error::{Error, Result};
use crate::prediction::PredictionType;
use crate::solver_config::{LOWEST, SolverConfig};
use crate::timesteps::TimestepSpacing;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    timestep_spacing: Option<String>,
    rescale_betas_zero_snr: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variance_type: Option<String>,
}

/// Schedulers whose files describe a β schedule over discrete timesteps.
const CLASSES: [&str; 17] = [
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
    "LCMScheduler",
];

/// Those that clip x̂₀ unless the file says otherwise.
const CLIPPING: [&str; 5] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "DDIMInverseScheduler",
    "DDPMParallelScheduler",
    "DDIMParallelScheduler",
];

/// The β schedule where the file names none.
fn default_betas(class_name: &str) -> (f64, f64, BetaSchedule) {
    match class_name {
        "LCMScheduler" => (0.00085, 0.012, BetaSchedule::ScaledLinear),
        "HeunDiscreteScheduler" | "KDPM2DiscreteScheduler" | "KDPM2AncestralDiscreteScheduler" => {
            (0.00085, 0.012, BetaSchedule::Linear)
        }
        _ => (1e-4, 0.02, BetaSchedule::Linear),
    }
}

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
    /// change the numbers of every sampler; those of
    /// [`ScheduleConfig::schedule`].
    pub fn from_json(text: &str) -> Result<Self> {
        // Python writes infinities, which JSON does not have.
        let text = text.replace(&format!("{LOWEST:?}"), LOWEST);
        let text = text.replace(LOWEST, &format!("{LOWEST:?}"));
        let fields: Map<String, Value> = serde_json::from_str(&text)?;
        let value = Value::Object(fields);
        let solver = SolverConfig::from_value(&value)?;
        let file: File = serde_json::from_value(value)?;
        let default = Self::default();
        let known = |name: &str| CLASSES.contains(&name).then(|| name.to_string());
        let class_name = named(
            "_class_name",
            file.class_name,
            default.class_name,
            CLASSES_EXPECTED,
            known,
        )?;
        let clips = CLIPPING.contains(&class_name.as_str());
        let (beta_start, beta_end, beta_schedule) = default_betas(&class_name);
        let to_one = class_name != "PNDMScheduler";
        let config = Self {
            num_train_timesteps: file
                .num_train_timesteps
                .unwrap_or(default.num_train_timesteps),
            beta_start: file.beta_start.unwrap_or(beta_start),
            beta_end: file.beta_end.unwrap_or(beta_end),
            beta_schedule: named(
                "beta_schedule",
                file.beta_schedule,
                beta_schedule,
                "linear, scaled_linear, squaredcos_cap_v2 or sigmoid",
                BetaSchedule::parse,
            )?,
            trained_betas: file.trained_betas,
            prediction_type: named(
                "prediction_type",
                file.prediction_type,
                default.prediction_type,
                "epsilon, v_prediction or sample",
                PredictionType::parse,
            )?,
            clip_sample: file.clip_sample.unwrap_or(clips),
            clip_sample_range: file.clip_sample_range.unwrap_or(default.clip_sample_range),
            set_alpha_to_one: file.set_alpha_to_one.unwrap_or(to_one),
            steps_offset: file.steps_offset.unwrap_or(default.steps_offset),
            timestep_spacing: named(
                "timestep_spacing",
                file.timestep_spacing,
                None,
                "leading, linspace or trailing",
                |name| TimestepSpacing::parse(name).map(Some),
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
            solver,
            class_name,
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
            timestep_spacing: self.timestep_spacing.map(|spacing| spacing.name().into()),
            rescale_betas_zero_snr: Some(self.rescale_betas_zero_snr),
            variance_type: (ddpm || self.variance_type != VarianceType::FixedSmall)
                .then(|| self.variance_type.name().into()),
        };
        let mut value = serde_json::to_value(&file)?;
        if let Value::Object(fields) = &mut value {
            fields.extend(self.solver.fields());
        }
        Ok(serde_json::to_string_pretty(&value)?)
    }
}
