//! What a user should know of a model.

use super::{DiffusionModel, Parts};
use alice_calculus::{Cpu, Device};
use alice_diffusion::SamplerKind;

impl DiffusionModel {
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
        if told.positive.cut > 0 {
            notes.push(match told.positive.cut {
                1 => "the last token of the prompt did not fit and was left out".to_owned(),
                cut => format!("the last {cut} tokens of the prompt did not fit and were left out"),
            });
        }
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
