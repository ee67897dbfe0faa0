//! A LoRA's layers joined with a model's, and merged into its weights.

use super::adapter::Extents;
use super::file::{LayerChange, LoraFile, wrong};
use super::names;
use crate::checkpoint::original_unet_name;
use crate::error::shown;
use crate::{Architecture, ClipTextConfig, NetworkError, UNet2DCondition};
use alice_calculus::{Graph, ParameterKind, Parameters};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// A network that a LoRA may change.
#[derive(Debug)]
pub struct LoraTarget<'a> {
    /// Its folder in a pipeline: `unet`, `text_encoder` or `text_encoder_2`.
    part: &'static str,
    graph: Graph,
    parameters: &'a mut Parameters<f32>,
    /// Names of its layers in single-file checkpoints.
    originals: HashMap<String, String>,
}

impl<'a> LoraTarget<'a> {
    /// A U-Net.
    ///
    /// # Errors
    /// When its config makes no network.
    pub fn unet(network: &'a mut UNet2DCondition) -> Result<Self, NetworkError> {
        let graph = network.config.smallest()?;
        let original = |layer: &str| {
            let name = original_unet_name(&network.config, &format!("{layer}.weight"))?;
            Some((layer.to_owned(), name.strip_suffix(".weight")?.to_owned()))
        };
        let originals = layers(&graph).filter_map(|(_, layer, _)| original(layer));
        Ok(Self {
            part: "unet",
            originals: originals.collect(),
            parameters: &mut network.parameters,
            graph,
        })
    }

    /// A text encoder, the first (`text_encoder`) or the second
    /// (`text_encoder_2`) of a pipeline.
    ///
    /// # Errors
    /// When its config makes no network.
    pub fn text(
        second: bool,
        config: &ClipTextConfig,
        parameters: &'a mut Parameters<f32>,
    ) -> Result<Self, NetworkError> {
        Ok(Self {
            part: if second {
                "text_encoder_2"
            } else {
                "text_encoder"
            },
            graph: config.smallest()?,
            parameters,
            originals: HashMap::new(),
        })
    }
}

/// The layers of a graph that have a matrix: position, name and kind.
fn layers(graph: &Graph) -> impl Iterator<Item = (usize, &str, ParameterKind)> {
    let all = graph.parameters().iter().enumerate();
    all.filter_map(|(index, spec)| match spec.kind {
        ParameterKind::Linear { .. } | ParameterKind::Convolution { .. } => {
            Some((index, spec.name.strip_suffix(".weight")?, spec.kind))
        }
        _ => None,
    })
}

fn extents(kind: ParameterKind) -> Extents {
    let dims = kind.file_dims();
    Extents {
        output: dims[0],
        columns: dims[1..].iter().product(),
    }
}

/// A LoRA whose layers are known to be a model's.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    pub(super) path: PathBuf,
    /// By part and layer, as diffusers names them.
    pub(super) layers: BTreeMap<(&'static str, String), LayerChange>,
    unmatched: Vec<String>,
    layout: super::LoraLayout,
}

/// What a LoRA did to a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoraReport {
    /// The file.
    pub file: PathBuf,
    /// The weight it was merged with.
    pub weight: f64,
    /// Whose names the file has.
    pub layout: &'static str,
    /// Layers changed, by network.
    pub layers: BTreeMap<&'static str, usize>,
    /// Names in the file for which the model has no layer.
    pub unmatched: Vec<String>,
}

impl Lora {
    /// Finds the layers of a file in a model.
    ///
    /// # Errors
    /// When no layer of the file is the model's, or one has other extents.
    pub fn resolve(file: LoraFile, targets: &[LoraTarget]) -> Result<Self, NetworkError> {
        let mut by_name = HashMap::new();
        for target in targets {
            for (_, layer, kind) in layers(&target.graph) {
                let original = target.originals.get(layer).map(String::as_str);
                for name in names::of_layer(target.part, layer, original) {
                    by_name.insert(name, (target.part, layer, kind));
                }
            }
        }
        let mut found = BTreeMap::new();
        let mut unmatched = file.unknown;
        for (name, change) in file.layers {
            let Some(&(part, layer, kind)) = by_name.get(&name) else {
                unmatched.push(name);
                continue;
            };
            let error = |why: String| {
                let hint = "The LoRA is for another model";
                wrong(&file.path, format!("{}: {why}. {hint}", shown(&name)))
            };
            let (changed, wanted) = (change.adapter.extents().map_err(error)?, extents(kind));
            if changed != wanted {
                return Err(error(format!(
                    "it changes a matrix of {}×{}, the model's is {}×{}",
                    changed.output, changed.columns, wanted.output, wanted.columns
                )));
            }
            if found.insert((part, layer.to_owned()), change).is_some() {
                return Err(error("the file names this layer twice".to_owned()));
            }
        }
        if found.is_empty() {
            let first = unmatched.first().map_or("", String::as_str);
            let why = format!(
                "none of its {} layers is the model's; the first is {}. It is for another model",
                unmatched.len(),
                shown(first)
            );
            return Err(wrong(&file.path, why));
        }
        Ok(Self {
            path: file.path,
            layers: found,
            unmatched,
            layout: file.layout,
        })
    }

    /// Adds `weight` times the changes to the weights. A negative weight
    /// takes away what the LoRA learned.
    ///
    /// Cost: 2 · O · I · k² · r operations for each layer.
    ///
    /// # Errors
    /// When a layer is none of the targets' (resolve with the same ones), or
    /// a weight becomes infinite; the targets must not be used then.
    pub fn merge(
        &self,
        targets: &mut [LoraTarget],
        weight: f64,
    ) -> Result<LoraReport, NetworkError> {
        if !weight.is_finite() {
            let why = format!("its weight is {weight}; it must be a number");
            return Err(wrong(&self.path, why));
        }
        let mut counts = BTreeMap::new();
        for ((part, layer), change) in &self.layers {
            let target = targets.iter_mut().find(|target| target.part == *part);
            let place = target.and_then(|target| {
                let (index, _, _) = layers(&target.graph).find(|(_, name, _)| name == layer)?;
                let spec = target.graph.parameters()[index].clone();
                Some((&mut target.parameters, index, spec))
            });
            let Some((parameters, index, spec)) = place else {
                let why = format!("the model has no layer {part} {}", shown(layer));
                return Err(wrong(&self.path, why));
            };
            let scale = (weight * change.scale) as f32;
            let delta = change.adapter.change();
            let mut finite = true;
            parameters.change(index, &spec, |values| {
                for (value, delta) in values.iter_mut().zip(delta) {
                    *value += scale * delta;
                    finite &= value.is_finite();
                }
            })?;
            if !finite {
                let why = format!("{part}.{layer} becomes infinite at the weight {weight}");
                return Err(wrong(&self.path, why));
            }
            *counts.entry(*part).or_insert(0) += 1;
        }
        Ok(LoraReport {
            file: self.path.clone(),
            weight,
            layout: self.layout.name(),
            layers: counts,
            unmatched: self.unmatched.clone(),
        })
    }
}
