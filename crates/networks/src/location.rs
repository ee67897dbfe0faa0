//! What a model's name stands for: a folder, a file or an entry of the cache.

use crate::checkpoint::{Checkpoint, ControlFile, unusual};
use crate::folder::{ModelFolder, WEIGHTS};
use crate::network::{Architecture, Network};
use crate::weights::{Precision, Weights};
use crate::{NetworkError, Prediction};
use alice_runs::disk::{self, is_file, is_folder};
use alice_runs::{hash, hub};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// How files that hold Python's pickles end.
pub(crate) const PICKLED: [&str; 6] = ["ckpt", "bin", "pt", "pth", "pkl", "pickle"];

/// Where a model is.
#[derive(Debug)]
pub enum ModelLocation {
    /// A folder in the diffusers layout.
    Folder(PathBuf),
    /// One file with all networks, under the names of the original programs.
    File(Box<Checkpoint>),
    /// One file with a ControlNet, which is no model by itself.
    Control(Box<ControlFile>),
}

impl ModelLocation {
    /// Finds what a name stands for: a diffusers folder, a single-file
    /// checkpoint, or `owner/name` in the local Hugging Face cache.
    ///
    /// # Errors
    /// When there is nothing of this name, or it is a pickle, which is refused
    /// because opening it could run code.
    pub fn find(name: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = name.as_ref();
        if is_folder(path) {
            return Ok(Self::Folder(path.to_path_buf()));
        }
        if is_file(path) {
            refuse_pickle(path)?;
            let beside = path.parent().filter(|f| is_file(f.join("config.json")));
            return match (Checkpoint::open(path), beside) {
                (Ok(checkpoint), _) => Ok(Self::File(Box::new(checkpoint))),
                (Err(NetworkError::Folder { .. }), Some(folder)) => {
                    Ok(Self::Folder(folder.to_path_buf()))
                }
                (Err(error @ NetworkError::Folder { .. }), None) => {
                    let control = ControlFile::open(path)?.ok_or(error)?;
                    Ok(Self::Control(Box::new(control)))
                }
                (Err(error), _) => Err(error),
            };
        }
        match path.to_str().filter(|name| hub::is_id(name)) {
            Some(id) => Ok(Self::Folder(hub::find(id)?)),
            None => Err(NetworkError::Folder {
                path: path.to_path_buf(),
                why: "there is no such folder or file. Name a diffusers folder, a .safetensors \
                      checkpoint, or a model of the hub as OWNER/NAME"
                    .into(),
            }),
        }
    }

    /// The folder or file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::File(checkpoint) => checkpoint.path(),
            Self::Control(file) => file.path(),
        }
    }

    /// Whether the model has a part, named as its folder in a pipeline.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        match self {
            Self::Folder(folder) => is_folder(folder.join(part)),
            Self::File(checkpoint) => checkpoint.has(part),
            Self::Control(_) => part == "controlnet",
        }
    }

    /// A network of the model: the one in the folder `part`.
    ///
    /// Peak memory: the weights as f32 and one tensor.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit; the error names the file.
    pub fn network<A: Architecture>(&self, part: &str) -> Result<Network<A>, NetworkError> {
        self.network_in(part, Precision::Stored)
    }

    /// The same, its weights in this precision.
    ///
    /// # Errors
    /// As [`ModelLocation::network`].
    pub fn network_in<A: Architecture>(
        &self,
        part: &str,
        precision: Precision,
    ) -> Result<Network<A>, NetworkError> {
        match self {
            Self::Folder(folder) => {
                let files = ModelFolder::find_part(folder, part, A::WEIGHTS)?;
                let text = disk::read_text(&files.config)?;
                let config = A::from_json(&text).map_err(|error| error.at(&files.config))?;
                let weights = Weights::open(&files.weights)?.in_precision(precision);
                Network::with_weights(config, weights)
            }
            Self::File(checkpoint) => self.join(checkpoint.part(part)?, precision),
            Self::Control(file) if self.has(part) => self.join(file.part()?, precision),
            Self::Control(_) => Err(self.is_no_model()),
        }
    }

    fn is_no_model(&self) -> NetworkError {
        let why = "the file holds a ControlNet, which steers a model and is none. Name the model, \
                   and this file with --control FILE=PICTURE";
        unusual(self.path(), why)
    }

    fn join<A: Architecture>(
        &self,
        (config, weights): (String, Weights),
        precision: Precision,
    ) -> Result<Network<A>, NetworkError> {
        let config = A::from_json(&config).map_err(|error| error.at(self.path()))?;
        Network::with_weights(config, weights.in_precision(precision))
    }

    /// What a single-file checkpoint's U-Net predicts is taken to be this,
    /// whatever else speaks about it; folders say it themselves.
    pub fn set_prediction(&mut self, prediction: Prediction) {
        if let Self::File(checkpoint) = self {
            checkpoint.set_prediction(prediction);
        }
    }

    /// What a single-file checkpoint's U-Net is taken to predict, where nothing
    /// says it.
    #[must_use]
    pub fn guessed(&self) -> Option<Prediction> {
        match self {
            Self::File(checkpoint) => checkpoint
                .prediction_is_default()
                .then(|| checkpoint.prediction()),
            Self::Folder(_) | Self::Control(_) => None,
        }
    }

    /// The text of the `scheduler_config.json`, of the class that the pipeline's
    /// `model_index.json` names, and the file that it is from;
    /// `None` where a folder has none. A single file has that of its family.
    ///
    /// # Errors
    /// When the folder holds no U-Net, or the file cannot be read.
    pub fn scheduler(&self) -> Result<Option<(PathBuf, String)>, NetworkError> {
        match self {
            Self::Folder(folder) => {
                let Some(path) = ModelFolder::find(folder)?.scheduler else {
                    return Ok(None);
                };
                let mut text = disk::read_text(&path)?;
                if let Some(class) = self.index()?["scheduler"][1].as_str()
                    && let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&text)
                    && fields.insert("_class_name".into(), class.into()) != Some(class.into())
                {
                    text = Value::Object(fields).to_string();
                }
                Ok(Some((path, text)))
            }
            Self::File(checkpoint) => Ok(Some((self.path().to_path_buf(), checkpoint.scheduler()))),
            Self::Control(_) => Err(self.is_no_model()),
        }
    }

    /// A yes or no of the pipeline's `model_index.json`, where it says so.
    ///
    /// # Errors
    /// When that file is broken.
    pub fn index_flag(&self, name: &str) -> Result<Option<bool>, NetworkError> {
        Ok(self.index()?[name].as_bool())
    }

    /// The pipeline's `model_index.json`; null where there is none.
    fn index(&self) -> Result<Value, NetworkError> {
        let Self::Folder(folder) = self else {
            return Ok(Value::Null);
        };
        let index = folder.join("model_index.json");
        if !is_file(&index) {
            return Ok(Value::Null);
        }
        Ok(disk::read_json(&index)?)
    }

    /// The content hash of the file that holds the U-Net.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hash(&self) -> Result<String, NetworkError> {
        self.hash_of("unet")
    }

    /// The content hash of the file that holds a network: the one in the
    /// folder `part`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hash_of(&self, part: &str) -> Result<String, NetworkError> {
        Ok(match self {
            Self::Folder(folder) => {
                hash::files(&ModelFolder::find_part(folder, part, WEIGHTS)?.weights)?
            }
            Self::File(_) | Self::Control(_) => hash::file(self.path())?,
        })
    }
}

/// Refuses a file that could run code when it is opened.
///
/// # Errors
/// Says why, and how to convert it.
pub fn refuse_pickle(path: &Path) -> Result<(), NetworkError> {
    let extension = path.extension().and_then(|e| e.to_str());
    let lower = extension.unwrap_or_default().to_ascii_lowercase();
    if !PICKLED.contains(&lower.as_str()) {
        return Ok(());
    }
    // Python reads a backslash in a text as the beginning of something else.
    let name = path.with_extension("").display().to_string();
    let name = name.replace('\\', "/").replace('\'', "\\'");
    let extension = extension.unwrap_or_default();
    let why = format!(
        "a .{lower} file is a Python pickle, which can run code when it is opened, so it is not. \
         Convert it where you trust it: python -c \"import torch, safetensors.torch as s; \
         w = torch.load('{name}.{extension}', weights_only=True); w = w.get('state_dict', w); \
         s.save_file({{k: v.contiguous() for k, v in w.items() if hasattr(v, 'shape')}}, '{name}.safetensors')\""
    );
    Err(NetworkError::Folder {
        path: path.to_path_buf(),
        why,
    })
}
