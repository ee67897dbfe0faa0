//! What `sample` leaves: tensors, pictures, a sheet.

use super::SampleArguments;
use super::prompted::guidance;
use crate::StudyError;
use crate::pictures::{Tones, to_picture};
use crate::raster::{columns, sheet};
use crate::sampling::pictures;
use alice_calculus::Tensor;
use alice_runs::{Metadata, ModelReference, Parameters, RunFolder, TensorFile};

/// Most pictures in the sheet; the others are on their own.
const MOST_IN_SHEET: usize = 1024;

/// `latents` [N, C, H, W].
pub(super) fn write_latents(
    folder: &mut RunFolder,
    samples: &Tensor<f32>,
) -> Result<(), StudyError> {
    let first = samples.to_channels_first()?;
    let mut file = TensorFile::new();
    file.insert("latents", first.dims(), first.data().to_vec())?;
    folder.write_tensors("latents.safetensors", &file)?;
    Ok(())
}

/// Writes each sample, if it is a picture, and a sheet of the first ones;
/// returns the names of the single pictures.
pub(super) fn write_pictures(
    arguments: &SampleArguments,
    model: &ModelReference,
    seed: u64,
    folder: &mut RunFolder,
    samples: Tensor<f32>,
) -> Result<Vec<String>, StudyError> {
    let (size, channels) = ((samples.dims()[1], samples.dims()[2]), samples.channels());
    let mut all = pictures(size, channels, samples.into_data());
    let mut names = Vec::new();
    if matches!(channels, 1 | 3) {
        for i in 0..all.len() {
            let picture = to_picture(&all, i, Tones::of(&all))?;
            let texts = metadata(arguments, model, seed, Some(i), size);
            let name = format!("{i:04}.png");
            folder.write_png(&name, &picture, &texts)?;
            names.push(name);
        }
    }
    all.values.truncate(MOST_IN_SHEET * all.item_len());
    let sheet = sheet(&all, columns(all.len()), &[])?;
    let texts = metadata(arguments, model, seed, None, size);
    folder.write_png("sheet.png", &sheet, &texts)?;
    Ok(names)
}

/// How a picture was made, as other programs read it.
fn metadata(
    arguments: &SampleArguments,
    model: &ModelReference,
    seed: u64,
    item: Option<usize>,
    size: (usize, usize),
) -> Metadata {
    let mut others = Vec::new();
    if let Some(eta) = arguments.eta {
        others.push(("Eta".to_owned(), eta.to_string()));
    }
    if let Some(item) = item {
        others.push(("Item".to_owned(), item.to_string()));
    }
    Metadata::new().with_parameters(&Parameters {
        steps: Some(arguments.steps),
        sampler: Some(arguments.sampler.name().to_owned()),
        seed: Some(seed),
        size: Some((size.1 as u32, size.0 as u32)),
        model_hash: Some(model.hash.clone()),
        model: Some(model.name.clone()),
        prompt: arguments.prompt.clone().unwrap_or_default(),
        negative_prompt: arguments.negative.clone().unwrap_or_default(),
        guidance: arguments.prompt.as_ref().map(|_| guidance(arguments).scale),
        others,
    })
}
