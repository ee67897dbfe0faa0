//! A model folder.

use super::{Licence, ModelDescription, PartDescription, SchedulerDescription};
use crate::StudyError;
use alice_diffusion::{SamplerKind, ScheduleConfig};
use alice_networks::{
    Architecture, AutoencoderKLConfig, ClipTextConfig, ControlNetConfig, LoraSummary, ModelFolder,
    ModelLocation, NetworkError, UNet2DConditionConfig, UNet2DConfig,
};
use alice_runs::{TensorReader, disk};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The most of a README that is looked at.
const LONGEST_FRONT_MATTER: usize = 200;

/// What a folder holds.
pub(super) fn describe(folder: &Path) -> Result<ModelDescription, StudyError> {
    let index = folder.join("model_index.json");
    let is_pipeline = disk::is_file(&index) || disk::is_folder(folder.join("unet"));
    let has_config = disk::is_file(folder.join("config.json"));
    if !is_pipeline && !has_config {
        if let Some(summary) = LoraSummary::open(folder).ok().flatten() {
            return Ok(super::single::lora(summary));
        }
        // The error says what was looked for.
        ModelFolder::find(folder)?;
    }
    let mut description = ModelDescription {
        path: Some(folder.to_path_buf()),
        kind: if is_pipeline { "pipeline" } else { "network" },
        licence: licence(folder)?,
        ..ModelDescription::default()
    };
    if disk::is_file(&index) {
        let index: Value = disk::read_json(&index)?;
        description.class = index["_class_name"].as_str().map(str::to_owned);
    }
    let mut parts = Vec::new();
    // A U-Net at the top is the model's, unless there is one in its folder.
    if has_config && !disk::is_folder(folder.join("unet")) {
        parts.push(folder.to_path_buf());
    }
    for path in disk::list(folder)? {
        if is_pipeline && disk::is_file(path.join("config.json")) {
            parts.push(path);
        }
    }
    for path in parts {
        description.parts.push(part(folder, &path)?);
    }
    let schedulers = ["scheduler/scheduler_config.json", "scheduler_config.json"];
    let found = schedulers.map(|name| folder.join(name));
    match found.iter().find(|file| disk::is_file(file)) {
        Some(path) => match ScheduleConfig::from_json(&scheduler_text(folder, path)?) {
            Ok(config) => {
                let own = SamplerKind::of(&config).unwrap_or(SamplerKind::Ddim);
                if let Err(error) = config.require_sampler(own) {
                    description.notes.push(format!("the scheduler: {error}"));
                }
                description.scheduler = Some(scheduler(&config, true));
            }
            Err(error) => description.notes.push(format!("the scheduler: {error}")),
        },
        None if is_pipeline => {
            let note = "it has no scheduler_config.json; diffusers' default schedule is used";
            description.notes.push(note.to_owned());
        }
        None => {}
    }
    let texts = description
        .parts
        .iter()
        .any(|part| part.part.starts_with("text_encoder"));
    if texts && !disk::is_folder(folder.join("tokenizer")) {
        let note = "it has no tokenizer/, without which it cannot read prompts";
        description.notes.push(note.to_owned());
    }
    Ok(description)
}

/// The scheduler's config, of the class that is used: the index may name another.
fn scheduler_text(folder: &Path, path: &Path) -> Result<String, StudyError> {
    match ModelLocation::Folder(folder.to_path_buf()).scheduler() {
        Ok(Some((_, text))) => Ok(text),
        // A folder that is no model yet may well have a scheduler.
        _ => Ok(disk::read_text(path)?),
    }
}

/// What a schedule is.
pub(super) fn scheduler(config: &ScheduleConfig, from_file: bool) -> SchedulerDescription {
    SchedulerDescription {
        class: config.class_name.clone(),
        prediction: config.prediction_type.name(),
        schedule: config.beta_schedule.name(),
        betas: (config.beta_start, config.beta_end),
        steps: config.num_train_timesteps,
        from_file,
    }
}

/// The part in a folder with a `config.json`.
fn part(root: &Path, folder: &Path) -> Result<PartDescription, StudyError> {
    let text = disk::read_text(folder.join("config.json"))?;
    let name = match folder == root {
        true => part_of_class(&text).to_owned(),
        false => folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    let mut part = part_of_config(&name, &text);
    let texts = part.class.starts_with("CLIP") || disk::is_file(folder.join("model.safetensors"));
    let weights = match texts {
        true => "model.safetensors",
        false => "diffusion_pytorch_model.safetensors",
    };
    match ModelFolder::find_part(folder, "", weights) {
        Ok(files) => {
            for path in &files.weights {
                let reader = TensorReader::open(path)?;
                count(&mut part, &reader, |_| true);
                let name = path.strip_prefix(root).unwrap_or(path);
                part.files.push(name.to_string_lossy().replace('\\', "/"));
            }
        }
        Err(error) => {
            part.supported = false;
            part.architecture = match error {
                NetworkError::Folder { why, .. } => why,
                other => other.to_string(),
            };
        }
    }
    Ok(part)
}

/// Adds the tensors that a test chooses.
pub(super) fn count(
    part: &mut PartDescription,
    reader: &TensorReader,
    chosen: impl Fn(&str) -> bool,
) {
    for (_, info) in reader.tensors().filter(|(name, _)| chosen(name)) {
        let numbers: u64 = info.shape.iter().map(|&n| n as u64).product();
        part.parameters += numbers;
        part.bytes += info.bytes;
        *part.types.entry(info.dtype).or_default() += numbers;
    }
}

/// The part that a network of this class usually is.
fn part_of_class(config: &str) -> &'static str {
    let json: Value = serde_json::from_str(config).unwrap_or_default();
    match json["_class_name"].as_str() {
        Some("AutoencoderKL") => "vae",
        Some("ControlNetModel") => "controlnet",
        None if json["model_type"] == "clip_text_model" => "text_encoder",
        _ => "unet",
    }
}

/// What a config tells of a part.
pub(super) fn part_of_config(part: &str, text: &str) -> PartDescription {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let class = json["_class_name"]
        .as_str()
        .or_else(|| json["architectures"][0].as_str());
    let class = class.unwrap_or("unknown").to_owned();
    let words = match class.as_str() {
        "UNet2DModel" => UNet2DConfig::from_json(text).map(|c| {
            let size = c.sample_size.map(size).unwrap_or_default();
            let channels = list(&c.block_out_channels);
            format!("channels {} → {channels}{size}", c.in_channels)
        }),
        "UNet2DConditionModel" => UNet2DConditionConfig::from_json(text).map(|c| {
            format!(
                "channels {} → {}, context {}, heads {}{}",
                c.in_channels,
                list(&c.block_out_channels),
                c.cross_attention_dim,
                list(&c.attention_head_dim),
                c.sample_size.map(size).unwrap_or_default()
            )
        }),
        "ControlNetModel" => ControlNetConfig::from_json(text).map(|c| {
            format!(
                "channels {} → {}, context {}, steered by {} channels {} times as large",
                c.encoder.in_channels,
                list(&c.encoder.block_out_channels),
                c.encoder.cross_attention_dim,
                c.conditioning_channels,
                c.scale()
            )
        }),
        "AutoencoderKL" => AutoencoderKLConfig::from_json(text).map(|c| {
            format!(
                "channels {} → {} → {}, scale {}",
                c.in_channels,
                list(&c.block_out_channels),
                c.latent_channels,
                c.scaling_factor
            )
        }),
        "CLIPTextModel" | "CLIPTextModelWithProjection" => {
            ClipTextConfig::from_json(text).map(|c| {
                format!(
                    "{} layers of {}, {} tokens, {} positions",
                    c.num_hidden_layers, c.hidden_size, c.vocab_size, c.max_position_embeddings
                )
            })
        }
        _ => {
            return PartDescription {
                part: part.to_owned(),
                class,
                architecture: "not used by Alice".to_owned(),
                ..PartDescription::default()
            };
        }
    };
    PartDescription {
        part: part.to_owned(),
        class,
        supported: words.is_ok(),
        architecture: words.unwrap_or_else(|error| error.to_string()),
        ..PartDescription::default()
    }
}

fn list(numbers: &[usize]) -> String {
    let mut all: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    if all.iter().all(|n| *n == all[0]) && all.len() > 1 {
        all.truncate(1);
    }
    all.join(" ")
}

fn size((height, width): (usize, usize)) -> String {
    format!(", {height}×{width}")
}

/// What a model card or a licence file says.
fn licence(folder: &Path) -> Result<Option<Licence>, StudyError> {
    let readme = folder.join("README.md");
    if disk::is_file(&readme)
        && let Ok(text) = disk::read_text(&readme)
        && let Some(name) = front_matter(&text)
    {
        let file = "README.md".to_owned();
        return Ok(Some(Licence { name, file }));
    }
    let is_licence = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_uppercase();
        (name.starts_with("LICENSE") || name.starts_with("LICENCE")) && disk::is_file(path)
    };
    let Some(path) = disk::list(folder)?.into_iter().find(is_licence) else {
        return Ok(None);
    };
    let text = disk::read_text(&path)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(Some(Licence {
        name: super::text::shown(line.unwrap_or("empty")),
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }))
}

/// The `license` of a model card, with its own name where that is `other`.
fn front_matter(text: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.next().filter(|line| line.trim() == "---")?;
    let head = lines
        .take(LONGEST_FRONT_MATTER)
        .take_while(|line| line.trim() != "---");
    let field = |line: &str, name: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| super::text::shown(value))
    };
    let (mut licence, mut own) = (None, None);
    for line in head {
        licence = licence.or_else(|| field(line, "license"));
        own = own.or_else(|| field(line, "license_name"));
    }
    match licence.as_deref() {
        Some("other") => own.or(licence),
        _ => licence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_of_model_cards_are_read() {
        let card = |text: &str| front_matter(text);
        assert_eq!(
            card("---\nlicense: creativeml-openrail-m\ntags:\n- x\n---\n# Title"),
            Some("creativeml-openrail-m".to_owned())
        );
        let own = "---\nlicense: other\nlicense_name: \"own terms\"\n---\n";
        assert_eq!(card(own), Some("own terms".to_owned()));
        assert_eq!(card("# Title\nlicense: mit"), None);
        assert_eq!(card("---\ntags: x\n---\nlicense: mit"), None);
        assert_eq!(card(""), None);
    }
}
