//! `survey`: how true and how varied a model's pictures are.
//!
//! Samples are drawn and read; the share that is valid says how true they
//! are, the factors' histograms beside those of the world how varied.

mod distances;

use crate::drawing::{DrawingArguments, check_count, drawn_by, noised};
use crate::pictures::numbers;
use crate::points::{check_share, index_at};
use crate::raster::{columns, sheet};
use crate::reader::Reader;
use crate::sampling::{pictures, run_steps};
use crate::statistics::Estimate;
use crate::world::show;
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Draws, initial_noise};
use alice_runs::{ModelReference, RunFolder};
use alice_worlds::{FACTORS, FactorKind, render_batch};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Bins of a histogram of a continuous or circular factor.
const BINS: usize = 10;
/// Pictures drawn and read at once.
const BLOCK: usize = 32;
/// Pictures in the sheet.
const IN_SHEET: usize = 64;
/// Pictures of the world that the histograms are compared with.
const TRUE_PICTURES: u64 = 20_000;

/// What `survey` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SurveyArguments {
    /// Samples to draw and read
    #[arg(long, default_value_t = 256)]
    pub count: usize,
    /// How to draw.
    #[command(flatten)]
    pub drawing: DrawingArguments,
    /// Begin at the world's pictures with the noise of this share of the schedule,
    /// not at noise alone: shows where along the way a model goes wrong
    #[arg(long, value_name = "SHARE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// Share of haunted faces in the world that the model was trained on
    #[arg(long, default_value_t = 0.03)]
    pub haunted_share: f32,
    /// Factors that keep one value, such as species,hat,glasses: of such a world
    #[arg(long, value_name = "FACTORS", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

/// One factor of the samples beside the world's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorCoverage {
    /// The factor.
    pub factor: String,
    /// Share of the samples in each bin of the factor's range.
    pub samples: Vec<f64>,
    /// Share of true pictures in each bin.
    pub world: Vec<f64>,
    /// Of the bins that the world has, those that hold at least a tenth of
    /// their share there.
    pub covered: usize,
    /// Total variation distance of the two histograms, in 0..1.
    pub distance: f64,
}

/// `report.json` of `survey`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurveyReport {
    /// The model.
    pub model: ModelReference,
    /// Samples drawn.
    pub count: usize,
    /// The timestep of the noisy true pictures that the drawing began at, if it did.
    pub from: Option<f64>,
    /// How they were drawn.
    pub sampler: &'static str,
    /// Its steps.
    pub steps: usize,
    /// Share of the samples whose re-rendered reading is close to them.
    pub validity: f64,
    /// Its 95 % interval (Wilson).
    pub validity_interval: [f64; 2],
    /// Share of the samples closer than nearly every picture with a wrong
    /// part: one puppet, its parts in place, though perhaps not sharp.
    pub sound: f64,
    /// Its 95 % interval (Wilson).
    pub sound_interval: [f64; 2],
    /// The same as validity by the rougher test of reading alone.
    pub quick_validity: f64,
    /// Its 95 % interval (Wilson).
    pub quick_validity_interval: [f64; 2],
    /// Distances of the re-renderings at the quantiles 0.1, 0.25, 0.5, 0.75, 0.9.
    pub distances: Vec<f64>,
    /// The bound of a valid picture's distance.
    pub threshold: f64,
    /// The bound of a sound picture's distance.
    pub structural_threshold: f64,
    /// Every factor, in the world's order.
    pub factors: Vec<FactorCoverage>,
    /// Seconds in all.
    pub seconds: f64,
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &SurveyArguments) -> Result<(), StudyError> {
    check_count(arguments.count)?;
    if let Some(from) = arguments.from {
        check_share(from, "--from")?;
    }
    show(arguments.haunted_share, &arguments.held)?;
    Ok(())
}

/// Draws, reads and compares; writes `sheet.png` and `distances.svg`, the
/// caller `report.json`.
///
/// # Errors
/// When the model draws no puppets, the network fails or the user asks to stop.
pub fn run(
    arguments: &SurveyArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<SurveyReport, StudyError> {
    let start = Instant::now();
    let show = show(arguments.haunted_share, &arguments.held)?;
    let reader = Reader::required(model, arguments.puppets, "survey")?;
    let size = model.size()?;
    let network = model.at(size)?;
    let mut denoiser = network.denoiser()?;
    let sampler = arguments.drawing.build(model)?;
    let evaluations = sampler.times().len();
    let begin = match arguments.from {
        Some(from) => {
            let train_steps = model.schedule.num_train_timesteps;
            index_at(sampler.as_ref(), from, train_steps, "--from")?
        }
        None => 0,
    };
    let deviation = sampler.initial_deviation() as f32;
    progress.begin(
        "drawing and reading",
        (arguments.count * (evaluations - begin)) as u64,
    );
    let mut distances = Vec::with_capacity(arguments.count);
    let (mut valid, mut quick) = (0, 0);
    let mut histograms = Histograms::new();
    let mut shown = Vec::new();
    for first in (0..arguments.count).step_by(BLOCK) {
        let count = BLOCK.min(arguments.count - first);
        let draws = Draws {
            seed,
            first_item: first as u64,
        };
        let mut states = initial_noise(draws, count, denoiser.dim());
        if arguments.from.is_some() {
            let range = first as u64..(first + count) as u64;
            let batch = render_batch(&show, seed, range, size.0)?;
            let clean: Vec<f32> = batch.rgb.iter().map(|v| 2.0 * v - 1.0).collect();
            states = noised(sampler.as_ref(), begin, &clean, states)?;
        } else {
            states.iter_mut().for_each(|x| *x *= deviation);
        }
        let drawn = run_steps(
            &mut denoiser,
            sampler.as_ref(),
            draws,
            states,
            count,
            begin..evaluations,
            progress,
        )?;
        if first < IN_SHEET {
            shown.extend_from_slice(&drawn);
        }
        let drawn = pictures(size, 3, drawn);
        quick += reader
            .quick_validity(&drawn)?
            .iter()
            .filter(|v| **v)
            .count();
        for validity in reader.validity(&drawn)? {
            valid += usize::from(validity.valid);
            distances.push(f64::from(validity.distance));
            let factors = &validity.reading.factors;
            histograms.count(|f| factors.get(f).unwrap_or(0.0));
        }
    }
    let mut world = Histograms::new();
    for index in 0..TRUE_PICTURES {
        let factors = show.sample_factors(seed, index);
        world.count(|f| factors.get(f).unwrap_or(0.0));
    }
    let cells = shown.len() / denoiser.dim().max(1);
    let shown = pictures(size, 3, shown);
    let picture = sheet(&shown, columns(cells), &[])?;
    let metadata = drawn_by(folder.recipe(), size);
    folder.write_png("sheet.png", &picture, &metadata)?;
    distances.sort_by(f64::total_cmp);
    let name = format!("samples of {}", model.reference.name);
    folder.write_text(
        "distances.svg",
        &distances::plot(&name, &distances, &reader),
    )?;
    let quantile = |q: f64| distances[((distances.len() - 1) as f64 * q).round() as usize];
    let structural = reader.structural_threshold();
    let share = |n: usize| Estimate::share(n, arguments.count).unwrap_or(Estimate::alone(0.0));
    let ends = |share: Estimate| [share.low, share.high];
    let valid = share(valid);
    let sound = share(distances.iter().filter(|d| **d <= structural).count());
    let quick = share(quick);
    Ok(SurveyReport {
        model: model.reference.clone(),
        count: arguments.count,
        from: arguments.from.map(|_| sampler.times()[begin]),
        sampler: arguments.drawing.kind(model).name(),
        steps: arguments.drawing.steps,
        validity: valid.value,
        validity_interval: ends(valid),
        sound: sound.value,
        sound_interval: ends(sound),
        quick_validity: quick.value,
        quick_validity_interval: ends(quick),
        distances: [0.1, 0.25, 0.5, 0.75, 0.9].map(quantile).to_vec(),
        threshold: reader.threshold(),
        structural_threshold: structural,
        factors: histograms.compare(&world),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Counts of every factor's bins.
struct Histograms {
    bins: Vec<Vec<usize>>,
}

impl Histograms {
    fn new() -> Self {
        let bins = FACTORS.iter().map(|spec| match spec.kind {
            FactorKind::Binary => vec![0; 2],
            FactorKind::Categorical { count } => vec![0; count],
            FactorKind::Continuous { .. } | FactorKind::Circular => vec![0; BINS],
        });
        Self {
            bins: bins.collect(),
        }
    }

    /// Counts one picture, whose factor f is `value(f)`.
    fn count(&mut self, value: impl Fn(usize) -> f32) {
        for (f, (spec, bins)) in FACTORS.iter().zip(&mut self.bins).enumerate() {
            let last = bins.len() - 1;
            let bin = match spec.kind {
                FactorKind::Binary | FactorKind::Categorical { .. } => value(f).round() as usize,
                FactorKind::Continuous { low, high } => {
                    ((value(f) - low) / (high - low) * BINS as f32) as usize
                }
                FactorKind::Circular => (value(f) * BINS as f32) as usize,
            };
            bins[bin.min(last)] += 1;
        }
    }

    fn compare(&self, world: &Self) -> Vec<FactorCoverage> {
        let shares = |bins: &[usize]| -> Vec<f64> {
            let total = bins.iter().sum::<usize>().max(1);
            bins.iter().map(|&n| n as f64 / total as f64).collect()
        };
        let both = self.bins.iter().zip(&world.bins);
        FACTORS
            .iter()
            .zip(both)
            .map(|(spec, (samples, world))| {
                let (samples, world) = (shares(samples), shares(world));
                let pairs = || samples.iter().zip(&world);
                FactorCoverage {
                    factor: spec.name.to_owned(),
                    covered: pairs()
                        .filter(|(s, w)| **w > 0.0 && **s >= 0.1 * **w)
                        .count(),
                    distance: 0.5 * pairs().map(|(s, w)| (s - w).abs()).sum::<f64>(),
                    samples,
                    world,
                }
            })
            .collect()
    }
}

impl fmt::Display for SurveyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let ranged = |share: f64, [low, high]: [f64; 2]| {
            let numbers = [share, low, high].map(|share| numbers::fixed(100.0 * share, 1));
            format!("{} % ({}–{})", numbers[0], numbers[1], numbers[2])
        };
        let from = self.from.map_or_else(String::new, |t| {
            format!(" from true pictures at timestep {t}")
        });
        writeln!(
            f,
            "{} of {} in {} of {}{from}: {} sound (distance below {}: parts in place), {} valid (below {}: sharp too; {} by reading alone), median distance {}",
            numbers::counted(self.count as u64, "sample"),
            self.model.name,
            numbers::counted(self.steps as u64, "step"),
            self.sampler,
            ranged(self.sound, self.sound_interval),
            numbers::figures(self.structural_threshold),
            ranged(self.validity, self.validity_interval),
            numbers::figures(self.threshold),
            ranged(self.quick_validity, self.quick_validity_interval),
            numbers::figures(self.distances[2]),
        )?;
        for factor in &self.factors {
            if factor.samples.len() == 2 {
                writeln!(
                    f,
                    "  {:16} {} of the samples, {} of the world",
                    factor.factor,
                    percent(factor.samples[1]),
                    percent(factor.world[1])
                )?;
            } else {
                writeln!(
                    f,
                    "  {:16} {} of {} bins covered, distance {:.2}",
                    factor.factor,
                    factor.covered,
                    factor.world.iter().filter(|share| **share > 0.0).count(),
                    factor.distance
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_worlds::PuppetShow;

    #[test]
    fn the_world_covers_itself() {
        let show = PuppetShow::default();
        let mut a = Histograms::new();
        let mut b = Histograms::new();
        for index in 0..4000 {
            let factors = show.sample_factors(1, index);
            a.count(|f| factors.get(f).unwrap());
            let factors = show.sample_factors(2, index);
            b.count(|f| factors.get(f).unwrap());
        }
        for coverage in a.compare(&b) {
            assert_eq!(
                coverage.covered,
                coverage.world.len(),
                "{}",
                coverage.factor
            );
            assert!(
                coverage.distance < 0.05,
                "{}: {}",
                coverage.factor,
                coverage.distance
            );
        }
    }

    #[test]
    fn one_picture_covers_little() {
        let show = PuppetShow::default();
        let (mut one, mut world) = (Histograms::new(), Histograms::new());
        for index in 0..2000 {
            let factors = show.sample_factors(1, index);
            world.count(|f| factors.get(f).unwrap());
            let same = show.sample_factors(1, 0);
            one.count(|f| same.get(f).unwrap());
        }
        let smile = &one.compare(&world)[alice_worlds::factor_index("smile").unwrap()];
        assert_eq!(smile.covered, 1);
        assert!(smile.distance > 0.8);
        // A world of one picture has one bin to cover.
        let smile = &world.compare(&one)[alice_worlds::factor_index("smile").unwrap()];
        assert_eq!(smile.covered, 1);
    }
}
