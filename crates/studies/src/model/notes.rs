//! What a user should know of a model.

use super::{DiffusionModel, Parts};
use crate::StudyError;
use alice_calculus::{Cpu, Device};
use alice_diffusion::SamplerKind;
use alice_runs::ModelOptions;

/// What was asked for and changes nothing.
fn without_effect(options: &ModelOptions, guidance: f64, distilled: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if guidance == 1.0 || distilled {
        let rescales = options.guidance_rescale.is_some_and(|share| share != 0.0);
        let asked = [
            ("--negative", options.negative.is_some()),
            ("--guidance-rescale", rescales),
        ];
        let asked = asked.iter().filter(|(_, asked)| *asked);
        let asked: Vec<_> = asked.map(|(name, _)| *name).collect();
        if !asked.is_empty() {
            let verb = if asked.len() == 1 { "has" } else { "have" };
            let names = asked.join(" and ");
            let why = if distilled {
                "the network is told its guidance and evaluates no other prompt"
            } else {
                "at --guidance 1 nothing is guided away from"
            };
            notes.push(format!("{why}, so {names} {verb} no effect"));
        }
    }
    let texts = [&options.prompt, &options.negative].into_iter().flatten();
    if let Some(tag) = texts.into_iter().find_map(|text| lora_tag(text)) {
        notes.push(format!(
            "{tag} in a prompt is read as text; a LoRA is named by --lora FILE:WEIGHT"
        ));
    }
    notes
}

/// The first `<lora:…>` of a text.
fn lora_tag(text: &str) -> Option<&str> {
    let from = text.find("<lora:").or_else(|| text.find("<lyco:"))?;
    let length = text[from..].find('>')?;
    Some(&text[from..=from + length])
}

impl DiffusionModel {
    /// Tokens at the prompt's end that the text encoder could not take.
    #[must_use]
    pub fn cut(&self) -> usize {
        match &self.parts {
            Parts::Pixels(_) => 0,
            Parts::Latents(_, told) => told.positive.cut,
        }
    }

    /// The same of the negative prompt.
    #[must_use]
    pub fn cut_negative(&self) -> usize {
        match &self.parts {
            Parts::Pixels(_) => 0,
            Parts::Latents(_, told) => told.negative.cut,
        }
    }

    /// The same of any text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn cut_of(&self, text: &str) -> Result<usize, StudyError> {
        match &self.parts {
            Parts::Pixels(_) => Ok(0),
            Parts::Latents(model, _) => Ok(model.texts.cut(text)?),
        }
    }

    /// What a user should know of the model: where it ran if not on the
    /// processor, what was merged into its weights, and what of it, or of the
    /// prompt, was left out.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let device = self.device.name();
        if device != Cpu.name() {
            notes.push(format!("computed on {device}"));
        }
        if self.assumed {
            notes.push(format!(
                "its folder has no scheduler_config.json, so diffusers' default is assumed: linear \
                 betas, {} predicted",
                self.schedule.prediction_type.name()
            ));
        }
        let Parts::Latents(model, told) = &self.parts else {
            notes.extend(self.unused_scheduler());
            return notes;
        };
        if SamplerKind::of(&self.schedule).is_none() {
            notes.push(format!(
                "its scheduler file names {}, which Alice does not have; DDIM stands in for it \
                 where --sampler names no other",
                self.schedule.class_name
            ));
        }
        for lora in &model.loras {
            let layers: Vec<String> = lora
                .layers
                .iter()
                .map(|(part, count)| format!("{count} of {part}"))
                .collect();
            notes.push(format!(
                "{} (names of {}) changes {} layers, {} times",
                lora.file.display(),
                lora.layout,
                layers.join(" and "),
                lora.weight
            ));
            if !lora.unmatched.is_empty() {
                notes.push(format!(
                    "the model has no layer for {} of its names: {}",
                    lora.unmatched.len(),
                    lora.unmatched.join(", ")
                ));
            }
        }
        notes.extend(
            model
                .controls
                .iter()
                .map(|control| control.note(told.pixels)),
        );
        for (text, cut) in [
            ("prompt", told.positive.cut),
            ("negative prompt", told.negative.cut),
        ] {
            match cut {
                0 => {}
                1 => notes.push(format!(
                    "the last token of the {text} did not fit and was left out"
                )),
                cut => notes.push(format!(
                    "the last {cut} tokens of the {text} did not fit and were left out"
                )),
            }
        }
        notes.extend(model.guessed.map(|prediction| {
            format!(
                "nothing says what it predicts; {} is usual. Say otherwise with --prediction",
                prediction.name()
            )
        }));
        let distilled = model.unet.config.time_cond_proj_dim.is_some();
        let options = &self.reference.options;
        notes.extend(without_effect(options, told.guidance.scale, distilled));
        notes
    }

    /// That a model of pixels is drawn by another sampler than its folder
    /// names: walks and inversions need one that repeats.
    fn unused_scheduler(&self) -> Option<String> {
        let class = &self.schedule.class_name;
        let own = SamplerKind::of(&self.schedule);
        if self.assumed || own == Some(SamplerKind::Ddim) {
            return None;
        }
        let instead = match own {
            Some(SamplerKind::Ddpm) => {
                let steps = self.schedule.num_train_timesteps;
                format!("draw as it says with --sampler ddpm --steps {steps}")
            }
            Some(_) => "name another with --sampler".to_owned(),
            None => "Alice does not have it".to_owned(),
        };
        Some(format!(
            "its scheduler file names {class}; models of pixels are drawn by DDIM, which adds no \
             noise and can be inverted, where --sampler names no other; {instead}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_told() {
        let options = |prompt: &str| ModelOptions {
            prompt: Some(prompt.to_owned()),
            negative: Some("blue".to_owned()),
            guidance_rescale: Some(0.7),
            ..ModelOptions::default()
        };
        assert_eq!(without_effect(&options("a cat"), 7.5, false), [""; 0]);
        let notes = without_effect(&options("a cat"), 1.0, false);
        assert!(notes[0].contains("--negative and --guidance-rescale have"));
        assert_eq!(without_effect(&options("a cat"), 7.5, true).len(), 1);
        let notes = without_effect(&options("a cat <lora:ink:0.8>, big"), 7.5, false);
        assert!(notes[0].starts_with("<lora:ink:0.8> in a prompt"));
        let notes = without_effect(&options("<lora: without an end"), 7.5, false);
        assert_eq!(notes, [""; 0]);
    }
}
