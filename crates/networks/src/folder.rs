//! Where the files of a model lie.

use crate::NetworkError;
use alice_runs::disk::{is_file, is_folder};
use std::path::{Path, PathBuf};

/// The name of a config.
pub(crate) const CONFIG: &str = "config.json";
/// The name of a network's weights.
pub(crate) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const SCHEDULER: &str = "scheduler_config.json";

/// The files of a diffusion model in the diffusers layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The network's `config.json`.
    pub config: PathBuf,
    /// The network's safetensors file.
    pub weights: PathBuf,
    /// The scheduler's config, where there is one.
    pub scheduler: Option<PathBuf>,
}

impl ModelFolder {
    /// Finds the files of a pipeline folder (with `unet/`) or of a U-Net
    /// folder (with `config.json`).
    ///
    /// # Errors
    /// When the folder or one of the network's two files is missing.
    pub fn find(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        Self::find_part(path, "unet", WEIGHTS)
    }

    /// Finds the files of one network of a pipeline: in `part/` or, when that
    /// does not exist, in the folder itself.
    ///
    /// # Errors
    /// When the folder or one of the network's two files is missing.
    pub(crate) fn find_part(
        path: impl AsRef<Path>,
        part: &str,
        weights_name: &str,
    ) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let missing = |why: &str| {
            Err(NetworkError::Folder {
                path: path.to_path_buf(),
                why: why.to_owned(),
            })
        };
        if !is_folder(path) {
            return missing(&format!(
                "there is no such folder. Name a diffusers pipeline folder or its {part}/"
            ));
        }
        let inner = path.join(part);
        let folder = if is_folder(&inner) { &inner } else { path };
        let config = folder.join(CONFIG);
        if !is_file(&config) {
            return missing(&format!(
                "no config.json is here or in {part}/. Name a diffusers pipeline folder or its {part}/"
            ));
        }
        let half = weights_name.replace(".safetensors", ".fp16.safetensors");
        let weights = [half.as_str(), weights_name]
            .map(|name| folder.join(name))
            .into_iter()
            .rfind(|file| is_file(file));
        let Some(weights) = weights else {
            return missing(&lacking_weights(folder, weights_name));
        };
        let scheduler = [path.join("scheduler").join(SCHEDULER), path.join(SCHEDULER)]
            .into_iter()
            .chain(beside_unet(path))
            .find(|file| is_file(file));
        Ok(Self {
            config,
            weights,
            scheduler,
        })
    }
}

/// The scheduler of the pipeline whose `unet/` this is.
fn beside_unet(path: &Path) -> Option<PathBuf> {
    let pipeline = path.parent().filter(|_| path.ends_with("unet"))?;
    Some(pipeline.join("scheduler").join(SCHEDULER))
}

/// Why there are no weights, if another format explains it.
fn lacking_weights(folder: &Path, name: &str) -> String {
    let pickled = ["diffusion_pytorch_model.bin", "pytorch_model.bin"];
    let hint = if is_file(folder.join(format!("{name}.index.json"))) {
        "The weights are split into several files; save them with diffusers' max_shard_size=\"100GB\""
    } else if pickled.iter().any(|file| is_file(folder.join(file))) {
        "A .bin file can run code when it is opened; save it again with diffusers, with safe_serialization=True"
    } else {
        "Download them next to config.json"
    };
    format!("{name} is missing. {hint}")
}
