//! What shapes do not tell, by family: what is predicted, the noise schedule,
//! the scale of latents, the size.

use crate::UNet2DConditionConfig;
use alice_runs::{TensorReader, disk};
use serde_json::json;
use std::str::FromStr;

/// The families of Stable Diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// SD 1: one CLIP text encoder, convolutional projections.
    StableDiffusion1,
    /// SD 2: one open_clip text encoder, linear projections.
    StableDiffusion2,
    /// SDXL: two text encoders.
    StableDiffusionXl,
}

/// What a network predicts, where it can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// √ᾱ · noise − √(1 − ᾱ) · picture.
    Velocity,
}

impl Prediction {
    /// The name in `scheduler_config.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::Velocity => "v_prediction",
        }
    }
}

impl FromStr for Prediction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "epsilon" | "eps" => Ok(Self::Epsilon),
            "v_prediction" | "v" | "v-prediction" => Ok(Self::Velocity),
            _ => Err(format!("{text:?} is not epsilon or v_prediction")),
        }
    }
}

impl Family {
    /// The family of a U-Net.
    #[must_use]
    pub(crate) fn of(unet: &UNet2DConditionConfig) -> Self {
        match (unet.addition_embedding, unet.use_linear_projection) {
            (Some(_), _) => Self::StableDiffusionXl,
            (None, true) => Self::StableDiffusion2,
            (None, false) => Self::StableDiffusion1,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StableDiffusion1 => "Stable Diffusion 1",
            Self::StableDiffusion2 => "Stable Diffusion 2",
            Self::StableDiffusionXl => "Stable Diffusion XL",
        }
    }

    /// Height and width of its latents. SD 2 was trained on 768 pixels to
    /// predict the velocity and on 512 to predict the noise.
    pub(super) fn sample_size(self, prediction: Prediction) -> (usize, usize) {
        let side = match (self, prediction) {
            (Self::StableDiffusion1, _) => 64,
            (Self::StableDiffusion2, Prediction::Epsilon) => 64,
            (Self::StableDiffusion2, Prediction::Velocity) => 96,
            (Self::StableDiffusionXl, _) => 128,
        };
        (side, side)
    }

    /// What its networks predict where nothing says otherwise. SD 2 repaints by
    /// predicting the noise.
    pub(super) fn usual_prediction(self, unet: &UNet2DConditionConfig) -> Prediction {
        match self {
            Self::StableDiffusion2 if unet.inpainting_channels() == 0 => Prediction::Velocity,
            _ => Prediction::Epsilon,
        }
    }

    /// See [`crate::AutoencoderKLConfig::scaling_factor`].
    pub(super) fn scaling_factor(self) -> f64 {
        match self {
            Self::StableDiffusionXl => 0.13025,
            _ => 0.18215,
        }
    }
}

/// What the U-Net of a file predicts, if something says it, see
/// [`super::Checkpoint::prediction`].
pub(super) fn said_prediction(reader: &TensorReader) -> Option<Prediction> {
    let said = reader.metadata().get("modelspec.prediction_type");
    if let Some(prediction) = said.and_then(|text| text.parse().ok()) {
        return Some(prediction);
    }
    if reader.get("v_pred").is_some() {
        return Some(Prediction::Velocity);
    }
    let beside = reader.path().with_extension("yaml");
    let text = disk::read_text(beside).unwrap_or_default();
    text.lines().find_map(|line| {
        let value = line.trim().strip_prefix("parameterization:")?;
        value.trim().trim_matches(['"', '\'']).parse().ok()
    })
}

/// The `scheduler_config.json` of a family, as its public folders have it.
pub(super) fn scheduler(family: Family, prediction: Prediction, zero_snr: bool) -> String {
    let mut config = json!({
        "_class_name": "PNDMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": prediction.name(),
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "timestep_spacing": "leading",
    });
    if family == Family::StableDiffusionXl {
        config["_class_name"] = json!("EulerDiscreteScheduler");
    }
    if zero_snr {
        // PNDM cannot begin without any signal.
        if family != Family::StableDiffusionXl {
            config["_class_name"] = json!("DDIMScheduler");
        }
        config["rescale_betas_zero_snr"] = json!(true);
        config["timestep_spacing"] = json!("trailing");
    }
    format!("{config:#}\n")
}
