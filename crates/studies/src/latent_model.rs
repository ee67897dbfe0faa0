//! A latent diffusion model: text encoders, conditional U-Net, autoencoder.

use crate::StudyError;
use alice_diffusion::ScheduleConfig;
use alice_networks::{ModelFolder, UNet2DCondition};
use alice_pipelines::{Latents, TextEncoders};
use alice_runs::{ModelReference, disk, hash};
use std::path::Path;

/// A latent diffusion model, opened from a diffusers folder.
#[derive(Clone, Debug)]
pub struct LatentModel {
    /// Its path as it was given, and the content hash of its U-Net.
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
    /// Reads a pipeline folder.
    ///
    /// # Errors
    /// When files are missing, broken or not supported.
    pub fn open(folder: &Path) -> Result<Self, StudyError> {
        let files = ModelFolder::find(folder)?;
        let Some(scheduler) = &files.scheduler else {
            let why = "has no scheduler/scheduler_config.json, so it is no pipeline folder";
            return Err(StudyError::argument(folder.display().to_string(), why));
        };
        let schedule = ScheduleConfig::from_json(&disk::read_text(scheduler)?)
            .map_err(|e| StudyError::argument(scheduler.display().to_string(), e.to_string()))?;
        Ok(Self {
            texts: TextEncoders::open(folder)?,
            latents: Latents::open(folder)?,
            unet: UNet2DCondition::open(folder)?,
            reference: ModelReference {
                name: folder.display().to_string(),
                hash: hash::file(&files.weights)?,
            },
            schedule,
        })
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
