//! Films and sheets of populations in the plane.

use super::course::Generation;
use super::landscape::Landscape;
use crate::StudyError;
use crate::pictures::{Canvas, Face, Type, palette};
use alice_evolution::problems::Function;
use alice_runs::Picture;
use rayon::prelude::*;

const MARGIN: usize = 24;
const GAP: usize = 14;
/// Above each panel, for its name.
const NAME: usize = 26;
/// Below all, for the generation.
const FOOT: usize = 40;
/// Sides of a panel: alone, among others, on the sheet.
const ALONE: usize = 560;
const TOGETHER: usize = 256;
const SMALL: usize = 196;
/// Room for names at the left of the sheet.
const LABEL: usize = 128;
const COLUMNS: usize = 3;
/// Generations on the sheet.
const SHOWN: usize = 6;
/// With more generations, films skip some.
const MOST_FRAMES: usize = 60;
/// The last frame stays for so many.
const REST: usize = 6;

const BODY: Type = Type::new(Face::Regular, 15.0);
const BOLD: Type = Type::new(Face::Bold, 16.0);
const HEADING: Type = Type::new(Face::Bold, 24.0);

/// One function and the populations that were on it.
pub(super) struct Scene<'a> {
    pub function: Function,
    pub generations: &'a [Generation],
}

impl Scene<'_> {
    /// Points and fitness at generation `at`, which lies between two where it
    /// is not whole: individuals then move from one to the other.
    fn at(&self, at: f64, smooth: bool) -> (Vec<f64>, &[f64]) {
        let last = self.generations.len() - 1;
        let index = (at as usize).min(last);
        let here = &self.generations[index];
        let points = here.points.clone().unwrap_or_default();
        let next = self.generations.get(index + 1);
        let next = next.and_then(|next| next.points.as_ref());
        let share = at - index as f64;
        let (Some(next), true, true) = (next, smooth, share > 0.0) else {
            return (points, &here.fitness);
        };
        let pairs = points.iter().zip(next);
        let moved = pairs.map(|(a, b)| a + share * (b - a)).collect();
        (moved, &here.fitness)
    }
}

/// How long a frame of so many scenes is shown.
pub(super) fn milliseconds(scenes: usize) -> u16 {
    if scenes > 1 { 150 } else { 80 }
}

/// The populations from the first generation to the last. `smooth` where
/// individuals keep their place from one to the next; a single scene then has
/// frames between the generations.
pub(super) fn film(scenes: &[Scene], smooth: bool) -> Result<Vec<Picture>, StudyError> {
    let columns = scenes.len().min(COLUMNS);
    let rows = scenes.len().div_ceil(columns.max(1));
    let side = if scenes.len() > 1 { TOGETHER } else { ALONE };
    let landscapes: Vec<Landscape> = scenes
        .iter()
        .map(|scene| Landscape::new(scene.function, side))
        .collect::<Result<_, _>>()?;
    let last = scenes.iter().map(|s| s.generations.len()).max();
    let last = last.unwrap_or(1).saturating_sub(1);
    let smooth = smooth && scenes.len() == 1;
    let steps = if smooth { 2 * last } else { last }.min(MOST_FRAMES);
    let width = 2 * MARGIN + columns * (side + GAP) - GAP;
    let height = 2 * MARGIN + rows * (NAME + side + GAP) - GAP + FOOT;
    let moments: Vec<f64> = (0..=steps)
        .map(|step| step as f64 * last as f64 / steps.max(1) as f64)
        .collect();
    let frames: Vec<Picture> = moments
        .par_iter()
        .map(|&moment| {
            let mut canvas = Canvas::new(width, height, palette::GROUND);
            for (index, (scene, landscape)) in scenes.iter().zip(&landscapes).enumerate() {
                let x = MARGIN + index % columns * (side + GAP);
                let y = MARGIN + index / columns * (NAME + side + GAP);
                let name = scene.function.name();
                canvas.text((x, y + 16), name, BOLD, palette::INK);
                let (points, fitness) = scene.at(moment, smooth);
                landscape.draw(&mut canvas, (x, y + NAME), &points, fitness)?;
            }
            foot(&mut canvas, moment, last);
            canvas.into_picture()
        })
        .collect::<Result<_, StudyError>>()?;
    let still = frames.last().cloned();
    Ok(frames
        .into_iter()
        .chain(still.into_iter().cycle().take(REST))
        .collect())
}

/// Which generation it is, in words and as a bar.
fn foot(canvas: &mut Canvas, moment: f64, last: usize) {
    let y = canvas.height() - MARGIN;
    let words = format!("generation {} of {}", moment as usize + 1, last + 1);
    canvas.text((MARGIN, y), &words, BODY, palette::SOFT);
    let start = MARGIN + 200;
    let width = canvas.width() - MARGIN - start;
    canvas.fill((start, y - 7), (width, 4), palette::RAISED);
    let done = (width as f64 * moment / last.max(1) as f64).round() as usize;
    canvas.fill((start, y - 7), (done, 4), palette::ACCENT);
}

/// Rows of functions, columns of generations.
pub(super) fn sheet(scenes: &[Scene], title: &str) -> Result<Picture, StudyError> {
    let last = scenes.iter().map(|s| s.generations.len()).max();
    let last = last.unwrap_or(1).saturating_sub(1);
    let mut shown: Vec<usize> = (0..SHOWN)
        .map(|k| (k as f64 / (SHOWN - 1) as f64 * last as f64).round() as usize)
        .collect();
    shown.dedup();
    let top = MARGIN + 74;
    let width = 2 * MARGIN + LABEL + shown.len() * (SMALL + GAP) - GAP;
    let height = top + scenes.len() * (SMALL + GAP) - GAP + MARGIN;
    let mut canvas = Canvas::new(width.max(640), height, palette::GROUND);
    canvas.text((MARGIN, MARGIN + 20), title, HEADING, palette::INK);
    for (column, generation) in shown.iter().enumerate() {
        let x = MARGIN + LABEL + column * (SMALL + GAP) + SMALL / 2;
        let words = format!("generation {}", generation + 1);
        canvas.centred((x, top - 12), &words, BODY, palette::SOFT);
    }
    for (row, scene) in scenes.iter().enumerate() {
        let landscape = Landscape::new(scene.function, SMALL)?;
        let y = top + row * (SMALL + GAP);
        let name = scene.function.name();
        canvas.text((MARGIN, y + SMALL / 2 + 5), name, BOLD, palette::INK);
        for (column, generation) in shown.iter().enumerate() {
            let x = MARGIN + LABEL + column * (SMALL + GAP);
            let (points, fitness) = scene.at(*generation as f64, false);
            landscape.draw(&mut canvas, (x, y), &points, fitness)?;
        }
    }
    canvas.into_picture()
}
