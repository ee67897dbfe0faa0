//! A ControlNet in one file: under the names of the program that trained it,
//! or under diffusers' names without their config.

use super::{Shapes, renamed, unet, unusual};
use crate::network::Architecture;
use crate::unet2d_condition::UNet2DConditionConfig;
use crate::weights::Weights;
use crate::{ControlNetConfig, NetworkError};
use alice_runs::TensorReader;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What stands before the original names, most often first.
const PREFIXES: [&str; 2] = ["control_model.", ""];
const FIRST: &str = "input_hint_block.0.weight";
const FIRST_OF_DIFFUSERS: &str = "controlnet_cond_embedding.conv_in.weight";

/// A file with a ControlNet whose header is read.
#[derive(Debug)]
pub struct ControlFile {
    reader: Arc<TensorReader>,
    config: ControlNetConfig,
    naming: Naming,
}

/// How a file calls its tensors.
#[derive(Debug)]
enum Naming {
    /// As the original program, behind a prefix.
    Original(&'static str),
    Diffusers,
}

impl Naming {
    fn of(reader: &TensorReader) -> Option<Self> {
        let has = |prefix: &&str| reader.get(&format!("{prefix}{FIRST}")).is_some();
        if let Some(prefix) = PREFIXES.into_iter().find(has) {
            return Some(Self::Original(prefix));
        }
        reader.get(FIRST_OF_DIFFUSERS).map(|_| Self::Diffusers)
    }
}

/// Whether a file holds a ControlNet.
pub(super) fn is_in(reader: &TensorReader) -> bool {
    Naming::of(reader).is_some()
}

impl ControlFile {
    /// Opens a file and tells the config from its shapes; `None` where it
    /// holds no ControlNet.
    ///
    /// # Errors
    /// When the file is no safetensors file, or its ControlNet is of an unusual
    /// form.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<Self>, NetworkError> {
        Self::of(&Arc::new(TensorReader::open(path.as_ref())?))
    }

    pub(super) fn of(reader: &Arc<TensorReader>) -> Result<Option<Self>, NetworkError> {
        if reader.get("lora_controlnet").is_some() {
            let why = "a Control-LoRA, which changes the U-Net's own encoder, is not supported. Use \
                       the whole ControlNet";
            return Err(unusual(reader.path(), why));
        }
        let Some(naming) = Naming::of(reader) else {
            return Ok(None);
        };
        let (prefix, names) = match naming {
            Naming::Original(prefix) => (prefix, None),
            Naming::Diffusers => ("", Some(originals(reader))),
        };
        let shapes = Shapes {
            reader,
            prefix,
            names: names.as_ref(),
        };
        Ok(Some(Self {
            config: config(shapes)?,
            reader: reader.clone(),
            naming,
        }))
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

    /// What the shapes tell.
    #[must_use]
    pub fn config(&self) -> &ControlNetConfig {
        &self.config
    }

    /// What stands before the names of its tensors.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        match self.naming {
            Naming::Original(prefix) => prefix,
            Naming::Diffusers => "",
        }
    }

    /// The config, as JSON, and the weights under diffusers' names.
    pub(crate) fn part(&self) -> Result<(String, Weights), NetworkError> {
        let graph = self.config.smallest()?;
        let rename = |name: &str| match self.naming {
            Naming::Original(_) => original_name(&self.config.encoder, name),
            Naming::Diffusers => Some(name.to_owned()),
        };
        let weights = renamed(&self.reader, self.prefix(), &graph, rename, &[]);
        Ok((self.config.to_json(), weights))
    }
}

/// The original name of a parameter that diffusers calls `name`, without the
/// prefix.
pub(super) fn original_name(encoder: &UNet2DConditionConfig, name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("controlnet_cond_embedding.") {
        // Convolutions and what is between them are counted alike.
        let rest = rest.strip_prefix("blocks.").unwrap_or(rest);
        let (layer, rest) = rest.split_once('.')?;
        let index = match layer {
            "conv_in" => 0,
            "conv_out" => LAST_HINT,
            layer => 2 * (layer.parse::<usize>().ok()? + 1),
        };
        return Some(format!("input_hint_block.{index}.{rest}"));
    }
    if let Some(rest) = name.strip_prefix("controlnet_down_blocks.") {
        let (index, rest) = rest.split_once('.')?;
        return Some(format!("zero_convs.{index}.0.{rest}"));
    }
    if let Some(rest) = name.strip_prefix("controlnet_mid_block.") {
        return Some(format!("middle_block_out.0.{rest}"));
    }
    unet::original_name(encoder, name)
}

/// Where the last layer stands of those that bring the picture to the size of
/// states: pictures are eight times as large.
const LAST_HINT: usize = 14;

/// For a file under diffusers' names, what it calls each original tensor.
fn originals(reader: &TensorReader) -> HashMap<String, String> {
    let count = |name: &dyn Fn(usize) -> String| {
        let has = |i: &usize| reader.get(&name(*i)).is_some();
        (0..1000).take_while(has).count()
    };
    let first = |level| format!("down_blocks.{level}.resnets.0.conv1.weight");
    let layers = |level| count(&|i| format!("down_blocks.{level}.resnets.{i}.conv1.weight"));
    let encoder = UNet2DConditionConfig {
        layers_per_block: (0..count(&first)).map(layers).collect(),
        ..UNet2DConditionConfig::default()
    };
    let tensors = reader.tensors();
    tensors
        .filter_map(|(name, _)| Some((original_name(&encoder, name)?, name.to_owned())))
        .collect()
}

/// The config that the shapes tell.
fn config(shapes: Shapes) -> Result<ControlNetConfig, NetworkError> {
    let encoder = unet::encoder(shapes)?;
    let wrong = |why: &str| unusual(shapes.reader.path(), why);
    let each = &encoder.layers_per_block;
    if each.iter().any(|layers| *layers != each[0]) {
        return Err(wrong("the levels of its ControlNet differ in layers"));
    }
    let hint = |index: usize| format!("input_hint_block.{index}.weight");
    // Two layers to each size but the last, which the last layer shares.
    let sizes = (0..=LAST_HINT / 4).map(|size| shapes.extent(&hint(4 * size), 0));
    let config = ControlNetConfig {
        conditioning_channels: shapes.extent(&hint(0), 1)?,
        conditioning_embedding_out_channels: sizes.collect::<Result<_, _>>()?,
        encoder,
    };
    config
        .check()
        .map_err(|error| error.at(shapes.reader.path()))?;
    Ok(config)
}
