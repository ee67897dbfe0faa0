//! Single-file checkpoints: all networks of a Stable Diffusion model in one
//! file, under the names of the programs that trained them.
//!
//! The configs are not in such a file. What they say is told from the shapes,
//! and by the family where shapes say nothing.

mod autoencoder;
mod controlnet;
mod family;
mod text;
mod unet;

pub use controlnet::ControlFile;
pub use family::{Family, Prediction};
pub(crate) use unet::original_name as original_unet_name;

use crate::network::Architecture;
use crate::weights::{View, Weights};
use crate::{AutoencoderKLConfig, NetworkError, UNet2DConditionConfig};
use alice_calculus::Graph;
use alice_runs::TensorReader;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use text::Encoder;

const UNET: &str = "model.diffusion_model.";
const AUTOENCODER: &str = "first_stage_model.";
/// Tensors of models that are SDXL's in all but their noise levels.
const OTHER_NOISE: [(&str, &str); 2] = [
    ("edm_mean", "Playground v2.5 was"),
    ("edm_vpred.sigma_max", "CosXL was"),
];

/// A single-file checkpoint whose header is read.
#[derive(Debug)]
pub struct Checkpoint {
    reader: Arc<TensorReader>,
    family: Family,
    prediction: Prediction,
    /// Whether the prediction is only what is usual.
    guessed: bool,
    zero_terminal_snr: bool,
    unet: UNet2DConditionConfig,
}

/// The shapes of a file's tensors below a prefix.
#[derive(Clone, Copy)]
struct Shapes<'a> {
    reader: &'a TensorReader,
    prefix: &'a str,
    /// What the file calls each tensor, where it is not by its name.
    names: Option<&'a HashMap<String, String>>,
}

impl<'a> Shapes<'a> {
    fn get(self, name: &str) -> Option<&'a [usize]> {
        let info = match self.names {
            Some(names) => self.reader.get(names.get(name)?),
            None => self.reader.get(&format!("{}{name}", self.prefix)),
        };
        Some(info?.shape)
    }

    fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// One extent of a tensor that must be there.
    fn extent(self, name: &str, axis: usize) -> Result<usize, NetworkError> {
        let found = self.get(name).and_then(|shape| shape.get(axis).copied());
        found.ok_or_else(|| {
            let name = format!("{}{name}", self.prefix);
            unusual(self.reader.path(), &format!("it lacks the tensor {name}"))
        })
    }

    /// How many of `name(0)`, `name(1)`, … there are.
    fn count(self, name: impl Fn(usize) -> String) -> usize {
        (0..1000).take_while(|&i| self.has(&name(i))).count()
    }
}

impl Checkpoint {
    /// Opens a file and tells the U-Net's config from its shapes.
    ///
    /// # Errors
    /// When the file is no safetensors file, or holds no U-Net under the
    /// original names, or one of an unusual form.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let reader = TensorReader::open(path)?;
        let shapes = Shapes {
            reader: &reader,
            prefix: UNET,
            names: None,
        };
        if !shapes.has("input_blocks.0.0.weight") {
            let seems = match crate::lora::looks_like_lora(&reader) {
                true => "this is a LoRA file, which changes a model and is none",
                false => "it holds no U-Net under the original names (model.diffusion_model.…)",
            };
            return Err(unusual(path, seems));
        }
        for (name, models) in OTHER_NOISE {
            if reader.get(name).is_some() {
                let why = format!(
                    "its tensor {name} says that it was trained with other noise levels, as \
                     {models}, which is not supported"
                );
                return Err(unusual(path, &why));
            }
        }
        let mut unet = unet::config(shapes)?;
        let family = Family::of(&unet);
        let said = family::said_prediction(&reader);
        let prediction = said.unwrap_or(family.usual_prediction(&unet));
        unet.sample_size = Some(family.sample_size(prediction));
        let has = |name| reader.get(name).is_some();
        Ok(Self {
            family,
            prediction,
            guessed: said.is_none(),
            zero_terminal_snr: has("ztsnr"),
            unet,
            reader: Arc::new(reader),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// What the header says.
    #[must_use]
    pub fn reader(&self) -> &TensorReader {
        &self.reader
    }

    /// Which programs it works with.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// What its U-Net predicts: what the file's metadata says, or a tensor
    /// `v_pred`, or `parameterization` in a `.yaml` of the same name beside
    /// the file, or else what is usual in its family.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Whether nothing says what the U-Net predicts.
    #[must_use]
    pub fn prediction_is_default(&self) -> bool {
        self.guessed
    }

    /// Says what the U-Net predicts, which shapes do not tell.
    pub fn set_prediction(&mut self, prediction: Prediction) {
        (self.prediction, self.guessed) = (prediction, false);
        self.unet.sample_size = Some(self.family.sample_size(prediction));
    }

    /// The parts that the file holds, named as their folders in a pipeline.
    #[must_use]
    pub fn parts(&self) -> Vec<&'static str> {
        [
            "unet",
            "vae",
            "text_encoder",
            "text_encoder_2",
            "controlnet",
        ]
        .into_iter()
        .filter(|part| self.has(part))
        .collect()
    }

    /// Whether the file holds a part.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        match part {
            "unet" => true,
            "vae" => self.shapes(AUTOENCODER).has("decoder.conv_in.weight"),
            "controlnet" => controlnet::is_in(&self.reader),
            _ => self.encoder(part).is_some(),
        }
    }

    /// What stands before the names of a part's tensors; `None` where the
    /// file lacks it.
    #[must_use]
    pub fn prefix(&self, part: &str) -> Option<&'static str> {
        match part {
            "unet" => Some(UNET),
            "vae" => self.has(part).then_some(AUTOENCODER),
            "controlnet" => Some(self.control().ok()??.prefix()),
            _ => Some(self.encoder(part)?.prefix),
        }
    }

    /// The `scheduler_config.json` of its family.
    #[must_use]
    pub fn scheduler(&self) -> String {
        family::scheduler(self.family, self.prediction, self.zero_terminal_snr)
    }

    /// The config of a part as diffusers' `config.json` has it.
    ///
    /// # Errors
    /// When the file lacks the part, or it is of an unusual form.
    pub fn config(&self, part: &str) -> Result<String, NetworkError> {
        Ok(self.part(part)?.0)
    }

    /// The config of a part, as JSON, and its weights under diffusers' names.
    ///
    /// # Errors
    /// When the file lacks the part, or it is of an unusual form.
    pub(crate) fn part(&self, part: &str) -> Result<(String, Weights), NetworkError> {
        match part {
            "unet" => {
                let rename = |name: &str| unet::original_name(&self.unet, name);
                let weights = renamed(&self.reader, UNET, &self.unet.smallest()?, rename, &[]);
                Ok((self.unet.to_json(), weights))
            }
            "vae" if self.has(part) => {
                let config = autoencoder::config(self.shapes(AUTOENCODER), self.family)?;
                let rename = |name: &str| autoencoder::original_name(&config, name);
                let skipped = ["model_ema.", "loss."];
                let graph = config.smallest()?;
                let weights = renamed(&self.reader, AUTOENCODER, &graph, rename, &skipped);
                Ok((AutoencoderKLConfig::to_json(&config), weights))
            }
            "controlnet" => self.control()?.ok_or_else(|| self.lacks(part))?.part(),
            _ => {
                let encoder = self.encoder(part).ok_or_else(|| self.lacks(part))?;
                let config = encoder.config(self.shapes(encoder.prefix))?;
                let rename = |name: &str| encoder.original_name(name);
                let skipped = encoder.skipped(&config);
                let skipped: Vec<_> = skipped.iter().map(String::as_str).collect();
                let graph = config.smallest()?;
                let weights = below(&self.reader, encoder.prefix, &graph, rename, &skipped);
                Ok((config.to_json(), weights))
            }
        }
    }

    fn shapes<'a>(&'a self, prefix: &'a str) -> Shapes<'a> {
        Shapes {
            reader: &self.reader,
            prefix,
            names: None,
        }
    }

    fn control(&self) -> Result<Option<ControlFile>, NetworkError> {
        ControlFile::of(&self.reader)
    }

    fn encoder(&self, part: &str) -> Option<Encoder> {
        Encoder::find(&self.reader, self.family, part)
    }

    fn lacks(&self, part: &str) -> NetworkError {
        let why = format!(
            "the file holds no {part}, only {}. Use a checkpoint with all parts, or a diffusers folder",
            self.parts().join(", ")
        );
        unusual(self.path(), &why)
    }
}

/// The tensors below a prefix that a graph needs, under its names, and the rest
/// under theirs, apart from those whose names begin as `skipped`.
fn below(
    reader: &Arc<TensorReader>,
    prefix: &str,
    graph: &Graph,
    rename: impl Fn(&str) -> Option<(String, View)>,
    skipped: &[&str],
) -> Weights {
    let mut weights = Weights::new(reader.path());
    let mut used = HashSet::new();
    for spec in graph.parameters() {
        if let Some((original, view)) = rename(&spec.name) {
            let inside = format!("{prefix}{original}");
            weights.insert(&spec.name, reader, &inside, view);
            used.insert(inside);
        }
    }
    for (name, _) in reader.tensors() {
        let rest = name.strip_prefix(prefix).filter(|_| !used.contains(name));
        if rest.is_some_and(|rest| !skipped.iter().any(|skip| rest.starts_with(skip))) {
            weights.insert(name, reader, name, View::Whole);
        }
    }
    weights
}

/// [`below`] where each tensor is a whole one of the file.
fn renamed(
    reader: &Arc<TensorReader>,
    prefix: &str,
    graph: &Graph,
    rename: impl Fn(&str) -> Option<String>,
    skipped: &[&str],
) -> Weights {
    let rename = |name: &str| Some((rename(name)?, View::Whole));
    below(reader, prefix, graph, rename, skipped)
}

/// The error of a file that is not what is looked for.
pub(crate) fn unusual(path: &Path, why: &str) -> NetworkError {
    NetworkError::Folder {
        path: path.to_path_buf(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
