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
        let path = path.as_ref();
        let missing = |why: &str| {
            Err(NetworkError::Folder {
                path: path.to_path_buf(),
                why: why.to_owned(),
            })
        };
        if !is_folder(path) {
            return missing("there is no such folder. Name a diffusers U-Net or pipeline folder");
        }
        let inner = path.join("unet");
        let unet = if is_folder(&inner) { &inner } else { path };
        let config = unet.join(CONFIG);
        if !is_file(&config) {
            return missing(
                "no config.json is here or in unet/. Name a diffusers U-Net or pipeline folder",
            );
        }
        let weights = ["diffusion_pytorch_model.fp16.safetensors", WEIGHTS]
            .map(|name| unet.join(name))
            .into_iter()
            .rfind(|file| is_file(file));
        let Some(weights) = weights else {
            return missing(&lacking_weights(unet));
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
fn lacking_weights(unet: &Path) -> String {
    let hint = if is_file(unet.join(format!("{WEIGHTS}.index.json"))) {
        "The weights are split into several files; save them with diffusers' max_shard_size=\"100GB\""
    } else if is_file(unet.join("diffusion_pytorch_model.bin")) {
        "Save the .bin file again with diffusers, with safe_serialization=True"
    } else {
        "Download them next to config.json"
    };
    format!("{WEIGHTS} is missing. {hint}")
}
