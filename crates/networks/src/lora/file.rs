//! Reading a LoRA file.

use super::adapter::{Adapter, Role};
use super::magnitude::{Magnitude, Spelling};
use super::names;
use super::peft::Scales;
use super::write::LoraLayout;
use crate::NetworkError;
use crate::error::shown;
use crate::location::refuse_pickle;
use alice_runs::{TensorReader, disk};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files that a folder with a LoRA holds, most usual first.
const USUAL: [&str; 2] = [
    "pytorch_lora_weights.safetensors",
    "adapter_model.safetensors",
];

/// A LoRA file, read: the factors of each layer, under the file's names.
#[derive(Clone, Debug)]
pub struct LoraFile {
    pub(super) path: PathBuf,
    pub(super) layout: LoraLayout,
    /// By the name that the file has for the layer.
    pub(super) layers: BTreeMap<String, LayerChange>,
    /// Tensors that are no part of a LoRA.
    pub(super) unknown: Vec<String>,
}

/// What changes one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LayerChange {
    pub(super) adapter: Adapter,
    /// α/r, or α/√r where the file says so.
    pub(super) scale: f64,
    /// What makes it a DoRA.
    pub(super) magnitude: Option<Magnitude>,
}

/// Whether a file's names are mainly a LoRA's.
pub(crate) fn looks_like_lora(reader: &TensorReader) -> bool {
    let known = reader
        .tensors()
        .filter(|(name, _)| names::split(name).is_some());
    2 * known.count() > reader.tensors().count()
}

impl LoraFile {
    /// Reads a LoRA: a safetensors file, or the folder of one.
    ///
    /// # Errors
    /// When the file is a pickle, cannot be read, holds NaN or infinity, is
    /// no LoRA, or a layer's tensors do not go together; the error names the
    /// layer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = find(path.as_ref())?;
        if disk::is_file(&path) {
            refuse_pickle(&path)?;
        }
        let reader = TensorReader::open(&path)?;
        let mut layers: BTreeMap<String, BTreeMap<Role, &str>> = BTreeMap::new();
        let mut layouts = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, _) in reader.tensors() {
            let Some((layer, role, layout)) = names::split(name) else {
                unknown.push(name.to_owned());
                continue;
            };
            if layers
                .entry(layer)
                .or_default()
                .insert(role, name)
                .is_some()
            {
                let why = format!("{name:?} stands for a factor that it holds twice");
                return Err(wrong(&path, why));
            }
            if role != Role::Alpha {
                *layouts.entry(layout).or_insert(0_usize) += 1;
            }
        }
        let Some((&layout, _)) = layouts.iter().max_by_key(|(_, count)| **count) else {
            let why = "it holds no LoRA: no tensor is named as kohya, diffusers or PEFT do";
            return Err(wrong(&path, why.to_owned()));
        };
        let scales = Scales::read(&path, reader.metadata())?;
        let mut read = BTreeMap::new();
        for (layer, roles) in layers {
            let change = read_layer(&reader, &layer, &roles, &scales)?;
            read.insert(layer, change);
        }
        Ok(Self {
            layout,
            layers: read,
            unknown,
            path,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose names it has.
    #[must_use]
    pub fn layout(&self) -> LoraLayout {
        self.layout
    }
}

fn read_layer(
    reader: &TensorReader,
    layer: &str,
    roles: &BTreeMap<Role, &str>,
    scales: &Scales,
) -> Result<LayerChange, NetworkError> {
    let mut tensors = BTreeMap::new();
    for (&role, name) in roles {
        let tensor = reader.read(name)?;
        tensor.require_finite(reader.path(), name)?;
        tensors.insert(role, tensor);
    }
    let path = reader.path();
    let shown = shown(layer);
    let alpha = match tensors.get(&Role::Alpha) {
        None => None,
        Some(tensor) => match tensor.data[..] {
            [alpha] => Some(f64::from(alpha)),
            _ => {
                let why = format!("the alpha of {shown} is {:?}, not a number", tensor.shape);
                return Err(wrong(path, why));
            }
        },
    };
    let refuse = |why: String| wrong(path, format!("{shown}: {why}"));
    let mut magnitude = |spelling| {
        let tensor = tensors.remove(&Role::Magnitude(spelling))?;
        Some(Magnitude { spelling, tensor })
    };
    let magnitude = match (magnitude(Spelling::Kohya), magnitude(Spelling::Peft)) {
        (Some(_), Some(_)) => {
            let why = "it has both a dora_scale and a lora_magnitude_vector (DoRA)";
            return Err(refuse(why.to_owned()));
        }
        (kohya, peft) => kohya.or(peft),
    };
    if magnitude.is_none() && scales.dora(layer) {
        let why = "it has no lora_magnitude_vector, and its config says that it is a DoRA";
        return Err(refuse(why.to_owned()));
    }
    let adapter = Adapter::new(tensors).map_err(refuse)?;
    let scale = scales.of(layer, adapter.rank(), alpha);
    Ok(LayerChange {
        adapter,
        scale,
        magnitude,
    })
}

/// The file of a name: itself, or the LoRA in a folder or in the cache.
pub(super) fn find(path: &Path) -> Result<PathBuf, NetworkError> {
    let folder = match path.to_str().filter(|name| alice_runs::hub::is_id(name)) {
        _ if disk::is_folder(path) => path.to_path_buf(),
        Some(id) if !disk::is_file(path) => alice_runs::hub::find(id)?,
        _ => return Ok(path.to_path_buf()),
    };
    let usual = USUAL.map(|name| folder.join(name));
    if let Some(file) = usual.into_iter().find(|file| disk::is_file(file)) {
        return Ok(file);
    }
    let mut files = disk::list(&folder)?;
    files.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
    match &files[..] {
        [file] => Ok(file.clone()),
        _ => {
            let why = format!(
                "{} safetensors files are here; name the one that is the LoRA",
                files.len()
            );
            Err(wrong(&folder, why))
        }
    }
}

pub(super) fn wrong(path: &Path, why: String) -> NetworkError {
    NetworkError::Folder {
        path: path.to_path_buf(),
        why,
    }
}
