//! What a model or a LoRA file holds, told from headers and configs.

mod folder;
mod single;
mod text;

use crate::{DiffusionModel, StudyError};
use alice_networks::{LoraSummary, ModelLocation};
use alice_runs::{disk, hash};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which model to look at.
#[derive(Args, Clone, Debug)]
pub struct DescribeArguments {
    /// A folder, a .safetensors file or OWNER/NAME in the Hugging Face cache
    /// [default: the bundled puppets-32]
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Compute the content hash too, which reads the weights
    #[arg(long)]
    pub hash: bool,
}

/// What a model or a LoRA file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelDescription {
    /// The name as it was given.
    pub name: String,
    /// Where it was found; `None` for the model inside this program.
    pub path: Option<PathBuf>,
    /// `pipeline`, `network`, `checkpoint` (a single file) or `lora`.
    pub kind: &'static str,
    /// The pipeline's class, the family of a single file, or the layout of a
    /// LoRA's names.
    pub class: Option<String>,
    /// Its networks, or what a LoRA changes.
    pub parts: Vec<PartDescription>,
    /// The noise schedule, where there is one.
    pub scheduler: Option<SchedulerDescription>,
    /// For a LoRA file.
    pub lora: Option<LoraDescription>,
    /// What its files say about the licence.
    pub licence: Option<Licence>,
    /// What a reader should know besides: defaults that are used, tensors
    /// that are not.
    pub notes: Vec<String>,
    /// The content hash that recipes record, if it was asked for or costs
    /// nothing.
    pub hash: Option<String>,
}

/// One network of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PartDescription {
    /// The folder's name in a pipeline.
    pub part: String,
    /// The class that the config names.
    pub class: String,
    /// The architecture in a few words, or why Alice cannot use it.
    pub architecture: String,
    /// Whether Alice can use it.
    pub supported: bool,
    /// Numbers in all its tensors.
    pub parameters: u64,
    /// Numbers by element type: `F32`, `F16`, `BF16`, …
    pub types: BTreeMap<&'static str, u64>,
    /// Bytes of all its tensors.
    pub bytes: u64,
    /// The files of its weights, relative to the model.
    pub files: Vec<String>,
}

/// A noise schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchedulerDescription {
    /// The class that the config names.
    pub class: String,
    /// `epsilon`, `v_prediction` or `sample`.
    pub prediction: &'static str,
    /// How β is given.
    pub schedule: &'static str,
    /// The first and the last β.
    pub betas: (f64, f64),
    /// Training steps.
    pub steps: usize,
    /// Whether it is read from a file of the model, not a default.
    pub from_file: bool,
}

/// What is special to a LoRA file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoraDescription {
    /// `LoRA`, `LoCon`, `LoHa`, `LoKr`, `DoRA`.
    pub methods: Vec<&'static str>,
    /// The least and the greatest rank.
    pub ranks: Option<(usize, usize)>,
    /// Layers it changes, by network.
    pub layers: BTreeMap<&'static str, usize>,
    /// What the trainer said: the base model, the title and the like.
    pub said: BTreeMap<String, String>,
}

/// What a model's files say about its licence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Licence {
    /// The name, or the first line of the text.
    pub name: String,
    /// The file that says so, relative to the model.
    pub file: String,
}

/// Looks at a model. Reads headers and configs; the weights only for the hash.
///
/// # Errors
/// When there is no such model, or its files are broken.
pub fn run(arguments: &DescribeArguments) -> Result<ModelDescription, StudyError> {
    let Some(name) = &arguments.path else {
        return bundled();
    };
    let mut description = describe(name)?;
    description.name = name.display().to_string();
    if arguments.hash {
        description.hash = Some(content_hash(name, &description)?);
    }
    Ok(description)
}

fn describe(name: &Path) -> Result<ModelDescription, StudyError> {
    if disk::is_file(name)
        && name.extension().is_some_and(|e| e == "safetensors")
        && let Some(summary) = LoraSummary::open(name)?
    {
        return Ok(single::lora(summary));
    }
    match ModelLocation::find(name)? {
        ModelLocation::File(checkpoint) => single::checkpoint(&checkpoint),
        ModelLocation::Control(file) => Ok(single::control(&file)),
        ModelLocation::Folder(folder) => folder::describe(&folder),
    }
}

/// The hash that runs record where there is a U-Net, else that of all files.
fn content_hash(name: &Path, found: &ModelDescription) -> Result<String, StudyError> {
    let has_unet = found.parts.iter().any(|part| part.part == "unet");
    match (&found.path, has_unet) {
        (_, true) if found.kind != "lora" => Ok(ModelLocation::find(name)?.hash()?),
        (Some(path), _) => Ok(hash::model(path)?),
        (None, _) => Ok(hash::model(name)?),
    }
}

fn bundled() -> Result<ModelDescription, StudyError> {
    let model = DiffusionModel::bundled()?;
    let network = model.pixel_network()?;
    let parameters = network.parameters.count() as u64;
    let part = folder::part_of_config("unet", &network.config.to_json());
    Ok(ModelDescription {
        name: DiffusionModel::BUNDLED.to_owned(),
        kind: "pipeline",
        class: Some("DDIMPipeline".to_owned()),
        parts: vec![PartDescription {
            parameters,
            types: BTreeMap::from([("F32", parameters)]),
            bytes: 4 * parameters,
            ..part
        }],
        scheduler: Some(folder::scheduler(&model.schedule, true)),
        licence: Some(Licence {
            name: "MIT OR Apache-2.0".to_owned(),
            file: "part of Alice".to_owned(),
        }),
        hash: Some(model.reference.hash),
        ..ModelDescription::default()
    })
}
