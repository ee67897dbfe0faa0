//! A latent diffusion model: text encoders, conditional U-Net, autoencoder.

use crate::StudyError;
use crate::model::open_schedule;
use alice_diffusion::ScheduleConfig;
use alice_networks::{
    Lora, LoraFile, LoraReport, LoraTarget, ModelLocation, Prediction, UNet2DCondition,
};
use alice_pipelines::{Latents, TextEncoders};
use alice_runs::ModelReference;
use std::path::Path;

/// A latent diffusion model, opened.
#[derive(Clone, Debug)]
pub struct LatentModel {
    /// Its path as it was given, and the content hash of its U-Net's file.
    pub reference: ModelReference,
    /// The U-Net.
    pub unet: UNet2DCondition,
    /// What reads prompts.
    pub texts: TextEncoders,
    /// What makes pictures of latents.
    pub latents: Latents,
    /// The noise schedule.
    pub schedule: ScheduleConfig,
}

impl LatentModel {
    /// Opens a pipeline folder, a single-file checkpoint or a model of the
    /// local Hugging Face cache.
    ///
    /// # Errors
    /// When files are missing, broken or not supported.
    pub fn open(name: &Path) -> Result<Self, StudyError> {
        Self::predicting(name, None)
    }

    /// As [`LatentModel::open`], with what the U-Net predicts said instead of
    /// read.
    ///
    /// # Errors
    /// As [`LatentModel::open`].
    pub fn predicting(name: &Path, prediction: Option<Prediction>) -> Result<Self, StudyError> {
        let mut location = ModelLocation::find(name)?;
        if let Some(prediction) = prediction {
            location.set_prediction(prediction);
        }
        let Some(schedule) = open_schedule(&location, prediction)? else {
            let why = "has no scheduler/scheduler_config.json, so it is no pipeline folder";
            return Err(StudyError::argument(name.display().to_string(), why));
        };
        Ok(Self {
            texts: TextEncoders::at(&location)?,
            latents: Latents::at(&location)?,
            unet: location.network("unet")?,
            reference: ModelReference {
                name: name.display().to_string(),
                hash: location.hash()?,
                prediction: prediction.map(|p| p.name().to_owned()),
            },
            schedule,
        })
    }

    /// Merges a LoRA file into the weights, `weight` times: 1 as it was
    /// trained, less for a weaker change, negative for its opposite. Several
    /// may be merged one after the other; their order does not matter beyond
    /// rounding.
    ///
    /// # Errors
    /// When the file is no LoRA, of a kind that is not supported, or for
    /// another model. The model must not be used after an error.
    pub fn apply_lora(&mut self, file: &Path, weight: f64) -> Result<LoraReport, StudyError> {
        let file = LoraFile::open(file)?;
        let mut targets = vec![LoraTarget::unet(&mut self.unet)?];
        targets.extend(self.texts.lora_targets()?);
        let lora = Lora::resolve(file, &targets)?;
        Ok(lora.merge(&mut targets, weight)?)
    }

    /// Refuses networks that do not work together on latents.
    ///
    /// # Errors
    /// Says which numbers of channels differ.
    pub fn check(&self) -> Result<(), StudyError> {
        let config = &self.unet.config;
        let channels = self.latents.channels();
        if (config.in_channels, config.out_channels) == (channels, channels) {
            return Ok(());
        }
        let why = format!(
            "its U-Net takes {} channels and gives {}, its autoencoder's latents have {channels}",
            config.in_channels, config.out_channels
        );
        Err(StudyError::argument("--model", why))
    }
}
