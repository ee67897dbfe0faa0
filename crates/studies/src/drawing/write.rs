//! What verbs that draw leave: tensors, pictures, a sheet.

use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::pictures::{Tones, to_picture};
use crate::raster::{columns, sheet};
use crate::{
    DiffusionModel,
    drawing::{DrawingArguments, SamplerName},
};
use alice_calculus::Tensor;
use alice_diffusion::SamplerKind;
use alice_runs::{Metadata, ModelOptions, Parameters, Recipe, RunFolder, TensorFile};
use serde::Deserialize;
use serde_json::Value;

/// Most pictures in the sheet; the others are on their own.
const MOST_IN_SHEET: usize = 1024;

/// How pictures were made, for what they carry.
pub(crate) struct Made<'a> {
    pub model: &'a DiffusionModel,
    pub drawing: &'a DrawingArguments,
    pub seed: u64,
    /// Anything else, by name.
    pub others: Vec<(String, String)>,
}

impl Made<'_> {
    /// As other programs read it.
    pub fn metadata(&self, item: Option<usize>, size: (usize, usize)) -> Metadata {
        let kind = self.drawing.kind(self.model);
        let mut others = self.others.clone();
        if self.drawing.karras {
            others.push(("Schedule type".to_owned(), "Karras".to_owned()));
        }
        if let Some(eta) = self.drawing.eta {
            others.push(("Eta".to_owned(), eta.to_string()));
        }
        if let Some(item) = item {
            others.push(("Item".to_owned(), item.to_string()));
        }
        let reference = &self.model.reference;
        let options = &reference.options;
        others.extend(told(options, |_| false));
        Metadata::new().with_parameters(&Parameters {
            steps: Some(self.drawing.steps),
            sampler: Some(kind.name().to_owned()),
            seed: Some(self.seed),
            size: Some((size.1 as u32, size.0 as u32)),
            model_hash: Some(reference.hash.clone()),
            model: Some(named(&reference.name)),
            prompt: with_loras(options.prompt.clone().unwrap_or_default(), options),
            negative_prompt: options.negative.clone().unwrap_or_default(),
            guidance: self.model.guidance(),
            others,
        })
    }
}

/// The metadata of a picture that shows several which a run drew, each of this
/// height and width, as its recipe tells. What varies among them, as in a grid,
/// is left out.
pub(crate) fn drawn_by(recipe: &Recipe, size: (usize, usize)) -> Metadata {
    let arguments = &recipe.arguments;
    // Verbs that let the sampler be chosen keep that apart; others draw with DDIM.
    let drawing = arguments.get("drawing");
    let of = drawing.unwrap_or(arguments);
    let varies = |name: &str| {
        let axes = ["x", "y", "z"].into_iter();
        axes.filter_map(|axis| arguments.get(axis)?.get("parameter"))
            .any(|parameter| parameter == name)
    };
    let chosen = of.get("sampler").filter(|name| !name.is_null());
    let model = recipe.model.as_ref();
    let options = model.map(|model| model.options.clone()).unwrap_or_default();
    let kind = match chosen {
        Some(name) => SamplerName::deserialize(name).ok().map(SamplerName::kind),
        // The model's own, which the recipe does not tell.
        None if drawing.is_some() && options.prompt.is_some() => None,
        None => Some(SamplerKind::Ddim),
    };
    let steps = of.get("steps").and_then(Value::as_u64);
    let text =
        |name: &str, text: Option<String>| text.filter(|_| !varies(name)).unwrap_or_default();
    Metadata::new().with_parameters(&Parameters {
        steps: steps.map(|n| n as usize).filter(|_| !varies("steps")),
        sampler: kind
            .map(|kind| kind.name().to_owned())
            .filter(|_| !varies("sampler")),
        seed: Some(recipe.seed).filter(|_| !varies("seed")),
        size: Some((size.1 as u32, size.0 as u32)),
        model_hash: model.map(|model| model.hash.clone()),
        model: model.map(|model| named(&model.name)),
        prompt: with_loras(text("prompt", options.prompt.clone()), &options),
        negative_prompt: text("negative", options.negative.clone()),
        guidance: options.guidance.filter(|_| !varies("guidance")),
        others: told(&options, varies),
    })
}

/// A model's or a file's name in the terms of other programs: without the
/// folders above it, which are nobody's business, and without its ending.
fn named(name: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']);
    let last = last.rsplit(['/', '\\']).next().unwrap_or_default();
    let last = last.strip_suffix(".safetensors").unwrap_or(last);
    if last.trim_matches('.').is_empty() {
        return "model".to_owned();
    }
    last.to_owned()
}

/// The prompt with a tag for each LoRA, as A1111 has it in its text.
fn with_loras(mut prompt: String, options: &ModelOptions) -> String {
    for lora in &options.lora {
        if !prompt.is_empty() {
            prompt.push(' ');
        }
        prompt += &format!("<lora:{}:{}>", named(&lora.file), lora.weight);
    }
    prompt
}

/// What a model is told that has no field of its own.
fn told(options: &ModelOptions, varies: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let rescale = options
        .guidance_rescale
        .filter(|_| !varies("guidance-rescale"));
    if let Some(rescale) = rescale.filter(|rescale| *rescale != 0.0) {
        told.push(("CFG Rescale".to_owned(), rescale.to_string()));
    }
    told
}

/// `latents` [N, C, H, W].
pub(crate) fn write_latents(
    folder: &mut RunFolder,
    samples: &Tensor<f32>,
) -> Result<(), StudyError> {
    let first = samples.to_channels_first()?;
    let mut file = TensorFile::new();
    file.insert("latents", first.dims(), first.data().to_vec())?;
    folder.write_tensors("latents.safetensors", &file)?;
    Ok(())
}

/// Writes each, if it is a picture; returns their names.
pub(crate) fn write_pictures(
    folder: &mut RunFolder,
    all: &Pictures,
    made: &Made<'_>,
) -> Result<Vec<String>, StudyError> {
    let mut names = Vec::new();
    if matches!(all.channels, 1 | 3) {
        for i in 0..all.len() {
            let picture = to_picture(all, i, Tones::of(all))?;
            let name = format!("{i:04}.png");
            folder.write_png(&name, &picture, &made.metadata(Some(i), all.size))?;
            names.push(name);
        }
    }
    Ok(names)
}

/// Writes a sheet of an original `[1, H, W, C]` and of what was made of it.
pub(crate) fn write_sheet_beside(
    folder: &mut RunFolder,
    original: Tensor<f32>,
    mut made_of_it: Pictures,
    made: &Made<'_>,
) -> Result<(), StudyError> {
    let numbers = (0..made_of_it.len()).map(|i| i.to_string());
    let labels: Vec<String> = std::iter::once("original".to_owned())
        .chain(numbers)
        .collect();
    made_of_it.values.splice(0..0, original.into_data());
    write_sheet(folder, made_of_it, &labels, made)
}

/// Writes a sheet of the first pictures.
pub(crate) fn write_sheet(
    folder: &mut RunFolder,
    mut all: Pictures,
    labels: &[String],
    made: &Made<'_>,
) -> Result<(), StudyError> {
    all.values.truncate(MOST_IN_SHEET * all.item_len());
    let labels = &labels[..labels.len().min(all.len())];
    let sheet = sheet(&all, columns(all.len()), labels)?;
    folder.write_png("sheet.png", &sheet, &made.metadata(None, all.size))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_runs::{LoraReference, ModelReference};
    use serde_json::json;

    fn parameters(arguments: &Value, prompt: Option<&str>) -> String {
        let model = ModelReference {
            name: "net".into(),
            hash: "ab".repeat(32),
            options: ModelOptions {
                prompt: prompt.map(str::to_owned),
                ..ModelOptions::default()
            },
            ..ModelReference::default()
        };
        let recipe = Recipe::new("grid", arguments, 7, Some(model)).unwrap();
        drawn_by(&recipe, (16, 24)).texts["parameters"].clone()
    }

    #[test]
    fn loras_are_told_as_other_programs_read_them() {
        let options = ModelOptions {
            guidance_rescale: Some(0.7),
            lora: vec![LoraReference {
                file: "/home/me/loras/ink.v2.safetensors".to_owned(),
                weight: 0.8,
                hash: Some("cd".repeat(32)),
            }],
            ..ModelOptions::default()
        };
        assert_eq!(
            with_loras("a cat".to_owned(), &options),
            "a cat <lora:ink.v2:0.8>"
        );
        assert_eq!(with_loras(String::new(), &options), "<lora:ink.v2:0.8>");
        assert_eq!(
            told(&options, |_| false),
            [("CFG Rescale".to_owned(), "0.7".to_owned())]
        );
        assert_eq!(told(&options, |name| name == "guidance-rescale").len(), 0);
    }

    #[test]
    fn models_are_named_without_their_folders() {
        for (name, expected) in [
            ("/home/me/models/sd15.safetensors", "sd15"),
            ("C:\\models\\sd15\\", "sd15"),
            ("owner/name", "name"),
            ("puppets-32", "puppets-32"),
            ("v1.5", "v1.5"),
            ("..", "model"),
        ] {
            assert_eq!(named(name), expected);
        }
    }

    #[test]
    fn a_recipe_tells_how_its_pictures_were_drawn() {
        let plain = parameters(&json!({"steps": 20}), None);
        let start = "Steps: 20, Sampler: DDIM, Seed: 7, Size: 24x16, Model hash: ababab";
        assert!(plain.starts_with(start), "{plain}");
        let chosen = json!({"drawing": {"steps": 9, "sampler": "euler-a"}});
        let chosen = parameters(&chosen, Some("a cat"));
        assert!(
            chosen.starts_with("a cat\nSteps: 9, Sampler: Euler a, Seed: 7"),
            "{chosen}"
        );
        // Nothing is said of what differs from cell to cell, or is not known.
        let grid = json!({
            "x": {"parameter": "steps", "values": ["5", "9"]},
            "y": {"parameter": "seed", "values": ["1", "2"]},
            "drawing": {"steps": 50},
        });
        let grid = parameters(&grid, Some("a cat"));
        assert!(grid.starts_with("a cat\nSize: 24x16, Model hash"), "{grid}");
    }
}
