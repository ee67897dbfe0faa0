//! The sheets: what was learnt from, who shows a concept, and who was treated.

use super::learn::Rare;
use super::product::{Treated, highest};
use crate::discover::findings::Pictures;
use crate::drawing::drawn_by;
use crate::pictures::{Row, numbers};
use crate::raster::{rows, sheet};
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

/// `learn.png`: a row for each rare concept, of the samples that show it most.
pub(super) fn write_candidates(
    folder: &mut RunFolder,
    model: &DiffusionModel,
    found: &Pictures,
    candidates: &[Rare],
    chosen: usize,
    progress: &mut dyn Progress,
) -> Result<(), StudyError> {
    let mut shown = Vec::new();
    let mut all = Vec::new();
    for (number, rare) in (1..).zip(candidates) {
        let concept = &rare.concept;
        let members = concept.members.iter().filter(|member| **member).count();
        let most = highest(concept).into_iter().take(IN_SHEET);
        let labels: Vec<String> = most
            .map(|shows| {
                shown.push(shows.sample);
                let score = numbers::signed(shows.score, 1);
                format!("sample {}, score {score}", shows.sample)
            })
            .collect();
        let part = match labels.len() {
            some if some < members => format!(", the {some} that show it most"),
            _ => String::new(),
        };
        let treated = if number == chosen { " (treated)" } else { "" };
        all.push(Row {
            heading: format!(
                "concept {number}{treated}: {members} of {} samples, {:.1} deviations apart{part}",
                found.len(),
                concept.separation
            ),
            labels,
        });
    }
    let shown = model.pictures(only(found, &shown), progress)?;
    let picture = rows(&shown, &all)?;
    let metadata = drawn_by(folder.recipe(), shown.size);
    folder.write_png("learn.png", &picture, &metadata)?;
    Ok(())
}

/// `sheet.png`: treated samples above, healed ones below.
pub(super) fn write_treated(
    folder: &mut RunFolder,
    sick: &Pictures,
    well: &Pictures,
    treated: &[Treated],
) -> Result<(), StudyError> {
    let shown = &treated[..IN_SHEET.min(treated.len())];
    let length = shown.len() * sick.item_len();
    let values = [&sick.values[..length], &well.values[..length]].concat();
    let both = pictures(sick.size, sick.channels, values);
    let row = |what: &str, score: fn(&Treated) -> f64| {
        let part = match treated.len() - shown.len() {
            0 => String::new(),
            _ => format!(", the first {} of {}", shown.len(), treated.len()),
        };
        let label = |t: &Treated| {
            let score = numbers::signed(score(t), 1);
            format!("new sample {}, score {score}", t.sample)
        };
        Row {
            heading: format!("{what}{part}"),
            labels: shown.iter().map(label).collect(),
        }
    };
    let above = row("before: as the model draws them", |t| t.score);
    let below = row("after: the same, drawn again without the concept", |t| {
        t.score_after
    });
    let picture = rows(&both, &[above, below])?;
    let metadata = drawn_by(folder.recipe(), both.size);
    folder.write_png("sheet.png", &picture, &metadata)?;
    Ok(())
}
