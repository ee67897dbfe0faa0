//! A single file: a checkpoint or a LoRA.

use super::folder::{count, part_of_config, scheduler};
use super::{Licence, LoraDescription, ModelDescription, PartDescription};
use crate::StudyError;
use alice_diffusion::ScheduleConfig;
use alice_networks::{Checkpoint, ControlFile, LoraSummary};
use alice_runs::TensorReader;
use std::collections::BTreeMap;

/// What trainers say in a file's metadata that is worth showing, shortest
/// form first.
const SAID: [&str; 9] = [
    "modelspec.title",
    "modelspec.architecture",
    "modelspec.author",
    "ss_output_name",
    "ss_base_model_version",
    "ss_sd_model_name",
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
];

/// What a LoRA's header tells.
pub(super) fn lora(summary: LoraSummary) -> ModelDescription {
    let reader = &summary.reader;
    let mut part = PartDescription {
        part: "lora".to_owned(),
        class: summary.methods.join(" + "),
        architecture: match summary.ranks {
            Some((least, most)) if least == most => format!("rank {least}"),
            Some((least, most)) => format!("ranks {least} to {most}"),
            None => "whole factors".to_owned(),
        },
        supported: true,
        ..PartDescription::default()
    };
    count(&mut part, reader, |_| true);
    let name = reader.path().file_name().unwrap_or_default();
    part.files = vec![name.to_string_lossy().into_owned()];
    let mut notes = Vec::new();
    if let Some(first) = summary.unknown.first() {
        let (count, first) = (summary.unknown.len(), super::text::shown(first));
        notes.push(format!(
            "{count} tensors are no part of a LoRA, such as {first}"
        ));
    }
    ModelDescription {
        path: Some(reader.path().to_path_buf()),
        kind: "lora",
        class: Some(summary.layout.name().to_owned()),
        parts: vec![part],
        licence: licence(reader),
        lora: Some(LoraDescription {
            methods: summary.methods,
            ranks: summary.ranks,
            layers: summary.layers,
            said: said(reader),
        }),
        notes,
        ..ModelDescription::default()
    }
}

/// What a checkpoint's header tells.
pub(super) fn checkpoint(checkpoint: &Checkpoint) -> Result<ModelDescription, StudyError> {
    let reader = checkpoint.reader();
    let mut parts = Vec::new();
    let mut prefixes = Vec::new();
    for name in checkpoint.parts() {
        let config = checkpoint.config(name)?;
        let mut part = part_of_config(name, &config);
        let prefix = checkpoint.prefix(name).unwrap_or_default();
        count(&mut part, reader, |tensor| tensor.starts_with(prefix));
        prefixes.push(prefix);
        parts.push(part);
    }
    let other = |(name, _): &(&str, _)| !prefixes.iter().any(|prefix| name.starts_with(prefix));
    let others = reader.tensors().filter(other).count();
    let schedule = ScheduleConfig::from_json(&checkpoint.scheduler())?;
    let mut notes = vec![format!(
        "a single file holds no scheduler and no tokenizer: the schedule of {} and CLIP's \
         tokenizer are used",
        checkpoint.family().name()
    )];
    if checkpoint.prediction_is_default() {
        notes.push(format!(
            "nothing says what it predicts; {} is usual. Say otherwise with --prediction",
            checkpoint.prediction().name()
        ));
    }
    for part in ["vae", "text_encoder"] {
        if !checkpoint.has(part) {
            notes.push(format!("it holds no {part}, without which it cannot draw"));
        }
    }
    if others > 0 {
        notes.push(format!("{others} other tensors are not used"));
    }
    Ok(ModelDescription {
        path: Some(checkpoint.path().to_path_buf()),
        kind: "checkpoint",
        class: Some(checkpoint.family().name().to_owned()),
        parts,
        scheduler: Some(scheduler(&schedule, false)),
        licence: licence(reader),
        notes,
        ..ModelDescription::default()
    })
}

/// What the header of a file with a ControlNet tells.
pub(super) fn control(file: &ControlFile) -> ModelDescription {
    let mut part = part_of_config("controlnet", &file.config().to_json());
    let reader = file.reader();
    count(&mut part, reader, |name| name.starts_with(file.prefix()));
    ModelDescription {
        path: Some(file.path().to_path_buf()),
        kind: "controlnet",
        class: Some("ControlNetModel".to_owned()),
        parts: vec![part],
        licence: licence(reader),
        notes: vec!["it steers a model: --control FILE=PICTURE".to_owned()],
        ..ModelDescription::default()
    }
}

fn licence(reader: &TensorReader) -> Option<Licence> {
    let name = reader.metadata().get("modelspec.license")?;
    Some(Licence {
        name: super::text::shown(name),
        file: "the file's metadata".to_owned(),
    })
}

fn said(reader: &TensorReader) -> BTreeMap<String, String> {
    let pair = |key: &&str| {
        let value = reader.metadata().get(*key)?;
        Some(((*key).to_owned(), super::text::shown(value)))
    };
    SAID.iter().filter_map(pair).collect()
}
