//! The sheets: what was learnt from, who shows a concept, and who was treated.

use super::learn::Rare;
use crate::discover::findings::Pictures;
use crate::drawing::drawn_by;
use crate::pictures::numbers;
use crate::raster::sheet;
use crate::sampling::pictures;
use crate::{DiffusionModel, Progress, StudyError};
use alice_runs::RunFolder;
use std::path::PathBuf;

/// Samples in a row.
const IN_SHEET: usize = 12;
/// Samples in a row of all that were learnt from, and rows of a sheet.
const LEARNT: (usize, usize) = (16, 16);
const LEARNT_PNG: &str = "learnt.png";

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

/// `learnt.png`, and `learnt-2.png` and so on for more than 256: all samples that
/// are learnt from, each with its number. Returns where the first one is.
pub(super) fn write_learnt(
    folder: &mut RunFolder,
    model: &DiffusionModel,
    found: &Pictures,
    progress: &mut dyn Progress,
) -> Result<PathBuf, StudyError> {
    let (columns, rows) = LEARNT;
    let all: Vec<usize> = (0..found.len()).collect();
    for (index, samples) in all.chunks(columns * rows).enumerate() {
        let shown = model.pictures(only(found, samples), progress)?;
        let labels: Vec<String> = samples.iter().map(|i| format!("sample {i}")).collect();
        let picture = sheet(&shown, columns, &labels)?;
        let name = match index {
            0 => LEARNT_PNG.to_owned(),
            _ => format!("learnt-{}.png", index + 1),
        };
        let metadata = drawn_by(folder.recipe(), shown.size);
        folder.write_png(&name, &picture, &metadata)?;
    }
    Ok(folder.path().join(LEARNT_PNG))
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
            labels.push(format!("concept {}: sample {i}, score {score}", row + 1));
        }
    }
    let shown = model.pictures(only(found, &shown), progress)?;
    let picture = sheet(&shown, columns, &labels)?;
    let metadata = drawn_by(folder.recipe(), shown.size);
    folder.write_png("learn.png", &picture, &metadata)?;
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
    let metadata = drawn_by(folder.recipe(), both.size);
    folder.write_png("sheet.png", &picture, &metadata)?;
    Ok(())
}
