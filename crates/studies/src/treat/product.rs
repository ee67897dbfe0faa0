//! What a treatment leaves for other programs: the samples before and after it,
//! and the concept.

use super::TreatArguments;
use super::heal::Healed;
use super::learn::Lesson;
use super::watch::Watched;
use crate::directions::{file_for, insert_rows};
use crate::discover::findings::Pictures;
use crate::drawing::{DrawingArguments, Made, SamplerName};
use crate::pictures::{Tones, to_picture};
use crate::{DiffusionModel, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::Ddim;
use alice_geometry::{Block, Concept};
use alice_runs::{RunFolder, TensorFile};
use serde::Serialize;

/// A learnt sample that shows a concept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shows {
    /// Its number, as in `learnt.png`: the item of the seed.
    pub sample: usize,
    /// Its score where the concept stands apart most, in deviations of the
    /// samples that do not show it.
    pub score: f64,
}

/// A new sample that shows the concept, and was treated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Treated {
    /// Its number among the new samples, which its pictures are named by.
    pub sample: usize,
    /// The item of the seed: new samples follow those that were learnt from.
    /// `sample` with the same seed and steps draws it as this one.
    pub item: usize,
    /// Its score where the concept stands apart most, as it was drawn.
    pub score: f64,
    /// The same once it was moved there.
    pub score_after: f64,
}

/// The samples that show a concept, the highest score first.
pub(super) fn highest(concept: &Concept) -> Vec<Shows> {
    let both = concept.members.iter().zip(&concept.scores).enumerate();
    let mut all: Vec<Shows> = both
        .filter(|(_, (member, _))| **member)
        .map(|(sample, (_, &score))| Shows { sample, score })
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

/// The treated samples, `learnt` items after the first of the seed.
pub(super) fn treated(
    lesson: &Lesson,
    fresh: &Watched,
    healed: &Healed,
    learnt: usize,
) -> Vec<Treated> {
    let concept = &lesson.concepts[lesson.place];
    let rows = healed.treated.iter().enumerate();
    rows.map(|(row, &sample)| Treated {
        sample,
        item: learnt + sample,
        score: concept.score(fresh.bottlenecks[lesson.place].row(sample)),
        score_after: concept.score(healed.at_place.row(row)),
    })
    .collect()
}

/// `treated/`: each treated sample before and after, as single pictures named by
/// its number, where the model draws pictures, and `latents.safetensors`.
pub(super) fn write_treated(
    folder: &mut RunFolder,
    model: &DiffusionModel,
    arguments: &TreatArguments,
    treated: &[Treated],
    pictures: [&Pictures; 2],
    states: [&Pictures; 2],
) -> Result<(), StudyError> {
    let digits = arguments.samples.saturating_sub(1).to_string().len().max(4);
    let mut made = Made {
        model,
        drawing: &DrawingArguments {
            sampler: Some(SamplerName::Ddim),
            steps: arguments.steps,
            eta: None,
            karras: false,
        },
        seed: folder.recipe().seed,
        others: Vec::new(),
    };
    let sides = ["before", "after"];
    for (side, all) in sides.into_iter().zip(pictures) {
        if !matches!(all.channels, 1 | 3) {
            continue;
        }
        made.others = vec![("Treatment".to_owned(), side.to_owned())];
        for (row, sample) in treated.iter().enumerate() {
            let picture = to_picture(all, row, Tones::of(all))?;
            let name = format!("treated/{:0digits$}-{side}.png", sample.sample);
            let metadata = made.metadata(Some(sample.item), all.size);
            folder.write_png(&name, &picture, &metadata)?;
        }
    }
    let mut file = TensorFile::new();
    for (side, all) in sides.into_iter().zip(states) {
        let dims = [all.len(), all.size.0, all.size.1, all.channels];
        let first = Tensor::new(&dims, all.values.clone())?.to_channels_first()?;
        file.insert(side, first.dims(), first.data().to_vec())?;
    }
    let numbers = treated.iter().map(|t| t.sample as f32).collect();
    file.insert("samples", &[treated.len()], numbers)?;
    folder.write_tensors("treated/latents.safetensors", &file)?;
    Ok(())
}

/// `concept.safetensors`: `left` `[1, dim H]`, the way to the concept where it
/// stands apart most, as a direction of H that `edit` and `measure` take; and
/// what scores are made of, at each of the timesteps `places` `[S]`: `weights`
/// `[S, dim H]` and `offsets` `[S]`, and `differences` `[S, dim H]`, the mean
/// with the concept less that without.
pub(super) fn write_concept(
    folder: &mut RunFolder,
    model: &DiffusionModel,
    lesson: &Lesson,
    sampler: &Ddim,
    stops: &[usize],
) -> Result<(), StudyError> {
    let concepts = &lesson.concepts;
    let timestep = |place: usize| sampler.timesteps()[stops[place]];
    let block = |of: fn(&Concept) -> &[f32]| -> Result<Block, StudyError> {
        let values: Vec<f32> = concepts.iter().flat_map(|c| of(c).to_vec()).collect();
        let dimension = values.len() / concepts.len();
        Ok(Block::from_vec(concepts.len(), dimension, values)?)
    };
    let mut file = file_for(&model.reference, timestep(lesson.place), None);
    let difference = concepts[lesson.place].difference.clone();
    let left = Block::from_vec(1, difference.len(), difference)?.normalised();
    insert_rows(&mut file, "left", &left)?;
    // The direction was not iterated for, so it has no singular value: nothing
    // is weighed by it.
    file.insert("singular_values", &[1], vec![1.0])?;
    insert_rows(&mut file, "weights", &block(|c| &c.weights)?)?;
    insert_rows(&mut file, "differences", &block(|c| &c.difference)?)?;
    let offsets = concepts.iter().map(|c| c.offset as f32).collect();
    file.insert("offsets", &[concepts.len()], offsets)?;
    let places = (0..concepts.len()).map(|place| timestep(place) as f32);
    file.insert("places", &[concepts.len()], places.collect())?;
    folder.write_tensors("concept.safetensors", &file)?;
    Ok(())
}
