//! A diffusion model: its network, its noise schedule and where it is from.

use crate::StudyError;
use alice_calculus::{Model, Tensor};
use alice_diffusion::{PredictionType, ScheduleConfig};
use alice_networks::{ModelLocation, Prediction, UNet2D};
use alice_runs::ModelReference;
use alice_runs::{TensorFile, disk, hash};
use std::path::Path;

/// A diffusion model, opened.
#[derive(Clone, Debug)]
pub struct DiffusionModel {
    /// Its name, or the path as it was given, and its content hash.
    pub reference: ModelReference,
    /// The network and its weights.
    pub network: UNet2D,
    /// The noise schedule; diffusers' default where the folder names none.
    pub schedule: ScheduleConfig,
}

/// The files of the bundled model, in the diffusers pipeline layout.
mod bundled {
    pub(super) const NAME: &str = "puppets-32";
    pub(super) const CONFIG: &str = include_str!("../../../models/puppets-32/unet/config.json");
    pub(super) const WEIGHTS: &[u8] =
        include_bytes!("../../../models/puppets-32/unet/diffusion_pytorch_model.safetensors");
    pub(super) const SCHEDULER: &str =
        include_str!("../../../models/puppets-32/scheduler/scheduler_config.json");
}

impl DiffusionModel {
    /// The name of the model inside this program.
    pub const BUNDLED: &'static str = bundled::NAME;

    /// The model inside this program, or the one in a folder or in the local
    /// Hugging Face cache.
    ///
    /// # Errors
    /// When the folder's files are missing, broken or not supported.
    pub fn open(folder: Option<&Path>) -> Result<Self, StudyError> {
        match folder {
            None => Self::bundled(),
            Some(name) => Self::predicting(name, None),
        }
    }

    /// The model in the folder of this name, or else the one inside this
    /// program if it has that name.
    ///
    /// # Errors
    /// Those of [`DiffusionModel::open`].
    pub fn named(name: &Path) -> Result<Self, StudyError> {
        let bundled = name == Path::new(Self::BUNDLED) && !disk::is_folder(name);
        Self::open(Some(name).filter(|_| !bundled))
    }

    /// `puppets-32`, the model inside this program.
    ///
    /// # Errors
    /// Never in a program that passed its tests.
    pub fn bundled() -> Result<Self, StudyError> {
        let weights = TensorFile::from_bytes("the bundled model", bundled::WEIGHTS)?;
        Ok(Self {
            reference: ModelReference {
                name: bundled::NAME.to_owned(),
                hash: hash::bytes(bundled::WEIGHTS),
                prediction: None,
            },
            network: UNet2D::from_parts(bundled::CONFIG, weights)?,
            schedule: ScheduleConfig::from_json(bundled::SCHEDULER)?,
        })
    }

    /// Whether this is the model inside this program, by its weights.
    #[must_use]
    pub fn is_bundled(&self) -> bool {
        self.reference.hash == hash::bytes(bundled::WEIGHTS)
    }

    /// As [`DiffusionModel::open`], with what the network predicts said
    /// instead of read.
    ///
    /// # Errors
    /// As [`DiffusionModel::open`].
    pub fn predicting(name: &Path, prediction: Option<Prediction>) -> Result<Self, StudyError> {
        let location = ModelLocation::find(name)?;
        if let ModelLocation::File(checkpoint) = &location {
            let why = format!(
                "this is a {} checkpoint, which needs a --prompt",
                checkpoint.family().name()
            );
            return Err(StudyError::argument(name.display().to_string(), why));
        }
        let network = location.network("unet")?;
        let schedule = open_schedule(&location, prediction)?;
        let reference = ModelReference {
            name: name.display().to_string(),
            hash: location.hash()?,
            prediction: prediction.map(|p| p.name().to_owned()),
        };
        Ok(Self {
            reference,
            network,
            schedule: schedule.unwrap_or_default(),
        })
    }

    /// The size its config names, (height, width), or an error that asks for one.
    ///
    /// # Errors
    /// When the config has no `sample_size`.
    pub fn size(&self) -> Result<(usize, usize), StudyError> {
        self.network.config.sample_size.ok_or_else(|| {
            StudyError::argument(
                "--model",
                "its config has no sample_size; give pictures as input",
            )
        })
    }

    /// The network ready to run on samples of `size` = (height, width).
    ///
    /// # Errors
    /// When the architecture does not allow the size.
    pub fn at(&self, size: (usize, usize)) -> Result<Model<f32>, StudyError> {
        Ok(Model::new(
            self.network.graph(size)?,
            self.network.parameters.clone(),
        )?)
    }
}

/// The noise schedule of a model, with another prediction if one is given;
/// `None` where it has none.
///
/// # Errors
/// When its config is broken or not supported; the error names the file.
pub(crate) fn open_schedule(
    location: &ModelLocation,
    prediction: Option<Prediction>,
) -> Result<Option<ScheduleConfig>, StudyError> {
    let Some((path, text)) = location.scheduler()? else {
        return Ok(None);
    };
    let mut schedule = ScheduleConfig::from_json(&text)
        .map_err(|e| StudyError::argument(path.display().to_string(), e.to_string()))?;
    if let Some(prediction) = prediction {
        schedule.prediction_type = match prediction {
            Prediction::Epsilon => PredictionType::Epsilon,
            Prediction::Velocity => PredictionType::VPrediction,
        };
    }
    Ok(Some(schedule))
}

/// Refuses another model than a recipe's.
///
/// # Errors
/// When the weights are not the recorded ones.
pub(crate) fn require(found: &ModelReference, recorded: &ModelReference) -> Result<(), StudyError> {
    if recorded.hash == found.hash {
        return Ok(());
    }
    Err(StudyError::argument(
        format!("model {}", recorded.name),
        "its weights are not those of the recipe. Name the right one with --model",
    ))
}

/// `[N, H, W, C]` from the `[N, C, H, W]` of files.
///
/// # Errors
/// When the tensor does not have four axes.
pub fn channels_last(shape: &[usize], data: Vec<f32>) -> Result<Tensor<f32>, StudyError> {
    Ok(Tensor::new(shape, data)?.to_channels_last()?)
}
