//! `measure`: what the directions of a model mean, over samples and timesteps.
//!
//! At each of several samples and timesteps the leading directions are found
//! and walked, the instrument reads every frame, and random directions of the
//! same length are walked beside them as the null. With `--concept` one
//! direction is measured along pictures instead.

mod concept;
mod summary;

pub use concept::{ConceptReport, Stop};
pub use summary::{FactorSummary, Group, Summary};

use crate::clean::localize;
use crate::drawing::check_bound;
use crate::jacobian::to_network_layout;
use crate::points::{index_at, indices_at, noisy_samples, spectrum_at};
use crate::progress::Within;
use crate::reader::{Reader, along_walk};
use crate::responses::{responses, strongest};
use crate::walk::{Method, Start, Walk};
use crate::{DiffusionModel, InputFile, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Eta, Network};
use alice_geometry::{Block, Span};
use alice_random::Stream;
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// What to measure.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureArguments {
    /// Samples whose directions are measured
    #[arg(long, default_value_t = 16)]
    pub samples: usize,
    /// Timesteps, as shares of the noise schedule, divided by commas
    #[arg(long, value_delimiter = ',', default_values_t = [0.8, 0.6, 0.4, 0.2])]
    pub at: Vec<f64>,
    /// Directions at each sample and timestep
    #[arg(long, default_value_t = 50)]
    pub rank: usize,
    /// Random directions beside them, the null
    #[arg(long, default_value_t = 10)]
    pub random: usize,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 20)]
    pub steps: usize,
    /// How a walk moves
    #[arg(long, value_enum, default_value_t = Method::Guidance)]
    pub method: Method,
    /// Length of a walk to each end: root mean square change of a noisy pixel
    #[arg(long, default_value_t = 0.3)]
    pub reach: f64,
    /// Updates from the sample to each end of a walk
    #[arg(long, default_value_t = 9)]
    pub iterations: usize,
    /// Pictures from the sample to each end of a walk
    #[arg(long, default_value_t = 3)]
    pub frames: usize,
    /// Rotate the directions within their span until each changes few pixels (varimax)
    #[arg(long)]
    #[serde(default)]
    pub localize: bool,
    /// Measure a concept along pictures instead: a file with `left` (basis.safetensors, global.safetensors)
    #[arg(long, value_name = "FILE", requires = "pictures")]
    #[serde(default)]
    pub concept: Option<InputFile>,
    /// Which direction of that file is the concept, counted from 0
    #[arg(long, value_name = "INDEX", default_value_t = 0, requires = "concept")]
    #[serde(default)]
    pub direction: usize,
    /// The pictures, PNGs of the model's size, in the order of the path
    #[arg(long, value_name = "PNG", num_args = 1.., requires = "concept")]
    #[serde(default)]
    pub pictures: Vec<InputFile>,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

/// One walk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkRecord {
    /// Share of the noise schedule.
    pub at: f64,
    /// The sample, counted from 0.
    pub sample: usize,
    /// The direction, the strongest first; nothing for a random one.
    pub direction: Option<usize>,
    /// The factor with the largest change.
    pub factor: Option<String>,
    /// Its change from end to end, in the factor's standard deviations.
    pub change: f64,
    /// Spearman's ρ of the factor with the position.
    pub spearman: f64,
    /// Its share of the total standardised change.
    pub purity: f64,
    /// Standardised changes of all factors, in the world's order.
    pub changes: Vec<f64>,
    /// Share of the frames that are valid.
    pub validity: f64,
}

/// `report.json` of `measure`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureReport {
    /// The model.
    pub model: ModelReference,
    /// Seconds for everything.
    pub seconds: f64,
    /// For each timestep and for found and random directions.
    pub groups: Vec<Group>,
    /// For each factor, how well some found direction moves it.
    pub factors: Vec<FactorSummary>,
    /// Counts over everything.
    pub summary: Summary,
    /// Every walk.
    pub walks: Vec<WalkRecord>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Measured {
    /// What directions mean.
    Walks(MeasureReport),
    /// A concept along pictures.
    Concept(ConceptReport),
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &MeasureArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    if arguments.samples == 0 || arguments.at.is_empty() {
        return Err(StudyError::argument(
            "--samples and --at",
            "must not be empty",
        ));
    }
    if arguments.concept.is_some() && arguments.pictures.is_empty() {
        return Err(StudyError::argument("--pictures", "must name a picture"));
    }
    if let Some(at) = arguments.at.iter().find(|at| !(0.0..=1.0).contains(*at)) {
        return Err(StudyError::argument(
            "--at",
            format!("{at} does not lie in 0..1"),
        ));
    }
    check_bound("--samples", arguments.samples)?;
    if arguments.concept.is_none() {
        let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
        let train_steps = model.schedule.num_train_timesteps;
        indices_at(&sampler, &arguments.at, train_steps, "--at")?;
    }
    arguments.walk().check()
}

impl MeasureArguments {
    fn walk(&self) -> Walk {
        Walk::new(self.method, self.iterations, self.frames, self.reach)
    }
}

/// Runs `measure` and writes `measure.md`; the caller writes `report.json`.
///
/// # Errors
/// When an argument does not fit the model, the model draws no puppets, or the
/// user asks to stop.
pub fn run(
    arguments: &MeasureArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Measured, StudyError> {
    if let Some(concept) = &arguments.concept {
        let found = concept::run(concept, arguments, model, seed, progress)?;
        return Ok(Measured::Concept(found));
    }
    let start = Instant::now();
    let reader = Reader::required(model, arguments.puppets, "measure")?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let network = model.at(model.size()?)?;
    let mut walks = Vec::new();
    for &at in &arguments.at {
        let train_steps = model.schedule.num_train_timesteps;
        let index = index_at(&sampler, at, train_steps)?;
        progress.begin(
            &format!("walking at {at}"),
            arguments.samples as u64 * work(arguments, sampler.timesteps().len() - index),
        );
        let states = noisy_samples(
            &network,
            &sampler,
            seed,
            arguments.samples,
            index,
            &mut crate::Silent,
        )?;
        for (sample, state) in states.iter().enumerate() {
            let point = Point {
                at,
                sample,
                index,
                state,
            };
            let found = walk_sample(
                arguments, model, &network, &sampler, &reader, seed, &point, progress,
            )?;
            walks.extend(found);
        }
    }
    let mut report = MeasureReport {
        model: model.reference.clone(),
        seconds: 0.0,
        groups: summary::groups(&walks, &arguments.at),
        factors: summary::factors(&walks),
        summary: summary::summary(&walks),
        walks,
    };
    report.seconds = start.elapsed().as_secs_f64();
    folder.write_text("measure.md", &summary::markdown(&report))?;
    Ok(Measured::Walks(report))
}

/// Units of progress of one sample.
fn work(arguments: &MeasureArguments, steps: usize) -> u64 {
    let directions = arguments.rank + arguments.random;
    let frames = directions * (2 * arguments.frames + 1);
    (2 * directions * arguments.iterations + frames * steps) as u64
}

/// A sample at a timestep.
struct Point<'a> {
    at: f64,
    sample: usize,
    index: usize,
    state: &'a Tensor<f32>,
}

fn walk_sample(
    arguments: &MeasureArguments,
    model: &DiffusionModel,
    network: &Network,
    sampler: &Ddim,
    reader: &Reader,
    seed: u64,
    point: &Point<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<WalkRecord>, StudyError> {
    let timestep = sampler.timesteps()[point.index];
    let spectrum = spectrum_at(network, point.state, timestep, arguments.rank, seed)?;
    let dims = point.state.dims();
    let (size, channels) = ((dims[1], dims[2]), dims[3]);
    let mut right = spectrum.right;
    if arguments.localize {
        right = localize(model, network, point.state, timestep, &right)?;
    }
    let mut directions = to_network_layout(&right, arguments.rank, channels, size.0 * size.1)?;
    let purpose = "random directions";
    let mut stream = Stream::new(seed, purpose, point.sample as u64, timestep as u64);
    let normals = Block::normals(arguments.random, directions.dimension(), &mut stream);
    if arguments.random > 0 {
        directions.append(&Span::of(&normals)?.orthonormal())?;
    }
    let walk = arguments.walk();
    let start = Start {
        model,
        network,
        sampler,
        index: point.index,
        timestep,
        state: point.state,
        seed,
    };
    let drawn = walk.draw(start, &directions, &mut Within(progress))?;
    let positions = walk.positions();
    let per_walk = positions.len();
    let readings = reader.read(&drawn)?;
    let validity = reader.quick_validity(&drawn)?;
    let per_direction = readings
        .chunks_exact(per_walk)
        .zip(validity.chunks_exact(per_walk));
    Ok(per_direction
        .enumerate()
        .map(|(i, (readings, valid))| {
            let responses = responses(&positions, &along_walk(readings));
            let found = strongest(&responses);
            let moved = found.map(|(factor, _)| &responses[factor]);
            WalkRecord {
                at: point.at,
                sample: point.sample,
                direction: (i < arguments.rank).then_some(i),
                factor: moved.map(|r| r.factor.clone()),
                change: moved.map_or(0.0, |r| r.change),
                spearman: moved.map_or(0.0, |r| r.spearman),
                purity: found.map_or(0.0, |(_, purity)| purity),
                changes: responses.iter().map(|r| r.change).collect(),
                validity: valid.iter().filter(|v| **v).count() as f64 / per_walk as f64,
            }
        })
        .collect())
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Walks(report) => f.write_str(&summary::markdown(report)),
            Self::Concept(report) => report.fmt(f),
        }
    }
}
