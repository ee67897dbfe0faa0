//! Where the files of a model folder lie.

use crate::NetworkError;
use crate::location::PICKLED;
use alice_runs::disk::{self, is_file, is_folder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The name of a config.
pub(crate) const CONFIG: &str = "config.json";
/// The name of a network's weights.
pub(crate) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const SCHEDULER: &str = "scheduler_config.json";
/// The most files that one network's weights may be split into.
const MOST_SHARDS: usize = 10_000;

/// The files of a diffusion model in the diffusers layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The network's `config.json`.
    pub config: PathBuf,
    /// The network's safetensors file, or the shards it is split into.
    pub weights: Vec<PathBuf>,
    /// The scheduler's config, where there is one.
    pub scheduler: Option<PathBuf>,
}

impl ModelFolder {
    /// Finds the files of a pipeline folder (with `unet/`) or of a U-Net
    /// folder (with `config.json`).
    ///
    /// Where the plain weights are absent, shards with their index or a
    /// variant such as `diffusion_pytorch_model.fp16.safetensors` are taken.
    ///
    /// # Errors
    /// When the folder or one of the network's files is missing.
    pub fn find(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        Self::find_part(path, "unet", WEIGHTS)
    }

    /// Finds the files of one network of a pipeline: in `part/` or, when that
    /// does not exist, in the folder itself.
    ///
    /// # Errors
    /// As [`ModelFolder::find`].
    pub fn find_part(
        path: impl AsRef<Path>,
        part: &str,
        weights_name: &str,
    ) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let missing = |path: &Path, why: &str| {
            Err(NetworkError::Folder {
                path: path.to_path_buf(),
                why: why.to_owned(),
            })
        };
        if !is_folder(path) {
            return missing(
                path,
                &format!(
                    "there is no such folder. Name a diffusers pipeline folder or its {part}/"
                ),
            );
        }
        let inner = path.join(part);
        let folder = if is_folder(&inner) { &inner } else { path };
        let config = folder.join(CONFIG);
        if !is_file(&config) {
            if folder == inner.as_path() {
                let why = "it has no config.json. Download the whole folder";
                return missing(folder, why);
            }
            if part != "unet" && is_folder(path.join("unet")) {
                let why = format!("it has no {part}/. Download the whole model");
                return missing(path, &why);
            }
            let hint = single_files(path);
            let why = format!(
                "no config.json is here or in {part}/. Name a diffusers pipeline folder or its {part}/{hint}"
            );
            return missing(path, &why);
        }
        let Some(weights) = find_weights(folder, weights_name)? else {
            return missing(folder, &lacking_weights(folder, weights_name));
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

/// What holds a network's weights, by its name in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsFile {
    /// The one file.
    Whole(String),
    /// The index of the files that they are split into.
    Index(String),
}

impl WeightsFile {
    /// Of the names of a folder's files, what holds the weights called `name`:
    /// the file of this name, the index of its shards, or a variant of either.
    #[must_use]
    pub fn choose<'a>(names: impl IntoIterator<Item = &'a str>, name: &str) -> Option<Self> {
        let index = format!("{name}.index.json");
        let stem = name.trim_end_matches("safetensors");
        let (mut files, mut indices) = (Vec::new(), Vec::new());
        for file in names {
            let Some(rest) = file.strip_prefix(stem) else {
                continue;
            };
            let variant = |end: &str| rest.strip_suffix(end).filter(|v| !v.contains(['-', '.']));
            if file == name || variant(".safetensors").is_some() {
                files.push((file != name, rank(rest), file));
            } else if rest.starts_with("safetensors.index.") && rest.ends_with(".json")
                || rest.ends_with(".safetensors.index.json")
            {
                indices.push((file != index, rank(rest), file));
            }
        }
        let (file, index) = (files.into_iter().min(), indices.into_iter().min());
        match (file, index) {
            // Shards of the plain weights come before a variant in one file.
            (Some((true, ..)), Some((false, _, index))) => Some(Self::Index(index.to_owned())),
            (Some((_, _, file)), _) => Some(Self::Whole(file.to_owned())),
            (None, Some((_, _, index))) => Some(Self::Index(index.to_owned())),
            (None, None) => None,
        }
    }
}

/// The file of this name, its shards, or a variant of either.
fn find_weights(folder: &Path, name: &str) -> Result<Option<Vec<PathBuf>>, NetworkError> {
    let listed = disk::list(folder)?;
    let files = listed.iter().filter(|path| is_file(path));
    let names = files.filter_map(|path| path.file_name()?.to_str());
    match WeightsFile::choose(names, name) {
        Some(WeightsFile::Whole(file)) => Ok(Some(vec![folder.join(file)])),
        Some(WeightsFile::Index(index)) => shards(folder, &index).map(Some),
        None => Ok(None),
    }
}

/// Which variant is taken first: halves, then whatever comes first by name,
/// last the weights that were not averaged.
fn rank(variant: &str) -> usize {
    let order = |(place, name): (usize, &str)| variant.contains(name).then_some(place);
    let known = ["fp16", "bf16"].into_iter().enumerate().find_map(order);
    known.unwrap_or(if variant.contains("non_ema") { 9 } else { 2 })
}

/// The names of the files that an index names, all beside it.
///
/// # Errors
/// When it is no index, or names something else.
pub fn shard_names(index: &Path) -> Result<BTreeSet<String>, NetworkError> {
    let wrong = |why: &str| NetworkError::Folder {
        path: index.to_path_buf(),
        why: why.to_owned(),
    };
    let json: serde_json::Value = disk::read_json(index)?;
    let Some(map) = json["weight_map"].as_object() else {
        return Err(wrong("it has no weight_map. Download it again"));
    };
    let mut names = BTreeSet::new();
    for value in map.values() {
        let name = value.as_str().unwrap_or_default();
        let plain = Path::new(name).file_name().is_some_and(|n| n == name);
        if !plain || !name.ends_with(".safetensors") {
            return Err(wrong(
                "its weight_map must name safetensors files beside it. Download it again",
            ));
        }
        names.insert(name.to_owned());
    }
    if names.is_empty() || names.len() > MOST_SHARDS {
        return Err(wrong("it names no file, or too many. Download it again"));
    }
    Ok(names)
}

/// The files that an index names.
fn shards(folder: &Path, index: &str) -> Result<Vec<PathBuf>, NetworkError> {
    let path = folder.join(index);
    let names = shard_names(&path)?;
    let files: Vec<_> = names.into_iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !is_file(file)) {
        Some(missing) => Err(NetworkError::Folder {
            path,
            why: format!(
                "{} is missing. Download all parts",
                missing.file_name().unwrap_or_default().display()
            ),
        }),
        None => Ok(files),
    }
}

/// The single-file checkpoints in a folder that is no model, as a hint.
fn single_files(folder: &Path) -> String {
    let is_tensors = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    let files = disk::list(folder).unwrap_or_default();
    let names: Vec<_> = files
        .iter()
        .filter(|path| is_tensors(path))
        .filter_map(|path| path.file_name()?.to_str())
        .take(3)
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", or a file in it: {}", names.join(", "))
}

/// Why there are no weights, if another format explains it.
fn lacking_weights(folder: &Path, name: &str) -> String {
    let pickled = |path: &PathBuf| {
        let extension = path.extension().and_then(|e| e.to_str());
        extension.is_some_and(|e| PICKLED.contains(&e))
    };
    let files = disk::list(folder).unwrap_or_default();
    let hint = if files.iter().any(pickled) {
        "A .bin file can run code when it is opened; save it again with diffusers, with safe_serialization=True"
    } else {
        "Download them next to config.json"
    };
    format!("{name} is missing. {hint}")
}
