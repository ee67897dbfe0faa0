//! The sheets: who shows a concept, and who was treated.

use super::learn::Rare;
use crate::discover::findings::Pictures;
use crate::pictures::numbers;
use crate::raster::sheet;
use crate::sampling::pictures;
use crate::{DiffusionModel, Progress, StudyError};
use alice_runs::{Metadata, RunFolder};

/// Samples in a row.
const IN_SHEET: usize = 12;

/// The states of some samples, in that order.
pub(super) fn only(all: &Pictures, samples: &[usize]) -> Pictures {
    let values = samples.iter().flat_map(|&i| all.get(i).iter().copied());
    pictures(all.size, all.channels, values.collect())
}

/// All states, those of `samples` replaced.
pub(super) fn replaced(all: &Pictures, samples: &[usize], by: &Pictures) -> Pictures {
    let mut after = all.clone();
    let item = all.item_len();
    for (row, &i) in samples.iter().enumerate() {
        after.values[i * item..][..item].copy_from_slice(by.get(row));
    }
    after
}

/// `learn.png`: a row for each rare concept, the samples that show it most.
pub(super) fn write_candidates(
    folder: &mut RunFolder,
    model: &DiffusionModel,
    found: &Pictures,
    candidates: &[Rare],
    progress: &mut dyn Progress,
) -> Result<(), StudyError> {
    let columns = IN_SHEET.min(found.len());
    let mut shown = Vec::new();
    let mut labels = Vec::new();
    for (row, rare) in candidates.iter().enumerate() {
        let scores = &rare.concept.scores;
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        for &i in &order[..columns] {
            shown.push(i);
            let score = numbers::signed(scores[i], 1);
            labels.push(format!("{}: {i} {score}", row + 1));
        }
    }
    let shown = model.pictures(only(found, &shown), progress)?;
    let picture = sheet(&shown, columns, &labels)?;
    folder.write_png("learn.png", &picture, &Metadata::new())?;
    Ok(())
}

/// `sheet.png`: treated samples above, healed ones below.
pub(super) fn write_treated(
    folder: &mut RunFolder,
    sick: &Pictures,
    well: &Pictures,
    treated: &[usize],
) -> Result<(), StudyError> {
    let shown = IN_SHEET.min(treated.len());
    let length = shown * sick.item_len();
    let values = [&sick.values[..length], &well.values[..length]].concat();
    let both = pictures(sick.size, sick.channels, values);
    let label = |what: &str| -> Vec<String> {
        let shown = treated.iter().take(shown);
        shown.map(|i| format!("{i} {what}")).collect()
    };
    let labels = [label("before"), label("after")].concat();
    let picture = sheet(&both, shown, &labels)?;
    folder.write_png("sheet.png", &picture, &Metadata::new())?;
    Ok(())
}
