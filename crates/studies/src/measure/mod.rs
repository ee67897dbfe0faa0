//! `measure`: what the directions of a model mean, over samples and timesteps.
//!
//! At each of several samples and timesteps the leading directions are found
//! and walked, and the instrument reads every frame. Small steps say what each
//! does, and so which combination of them should move one factor alone: these
//! are walked too. Random directions, and the combinations of as many of them,
//! are the null. With `--concept` one direction is measured along pictures
//! instead.

mod concept;
mod summary;
mod walks;

pub use concept::{ConceptReport, Stop};
pub use summary::{Counts, FactorSummary, Group};
pub use walks::{Family, WalkRecord};

use crate::drawing::check_bound;
use crate::parts::kept;
use crate::points::{check_share, index_at, indices_at, noisy_samples};
use crate::progress::Portion;
use crate::reader::Reader;
use crate::walk::{Method, Walk};
use crate::{DiffusionModel, InputFile, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;
use walks::{Bench, Point};

/// Where directions are measured when nothing is said.
const SHARES: [f64; 4] = [0.8, 0.6, 0.4, 0.2];

/// What to measure.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureArguments {
    /// Samples whose directions are measured
    #[arg(long, default_value_t = 16)]
    pub samples: usize,
    /// Timesteps, as shares of the noise schedule, divided by commas; a concept is measured at the step nearest to where its file says that it was found, else at the first
    #[arg(long, value_delimiter = ',', default_values_t = SHARES)]
    pub at: Vec<f64>,
    /// Directions at each sample and timestep
    #[arg(long, default_value_t = 50)]
    pub rank: usize,
    /// Random directions beside them
    #[arg(long, default_value_t = 10)]
    pub random: usize,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 20)]
    pub steps: usize,
    /// How a walk moves
    #[arg(long, value_enum, default_value_t = Method::Guidance)]
    pub method: Method,
    /// Length of a walk to each end: root mean square change of a noisy pixel, which walks by guidance
    /// have at first and lose as they turn
    /// [default: 0.3; 0.1 of geodesics, which longer walks lose]
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
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
    #[arg(
        long,
        value_name = "FILE",
        requires = "pictures",
        conflicts_with_all = ["samples", "random", "method", "reach", "iterations", "frames", "localize", "puppets"]
    )]
    #[serde(default)]
    pub concept: Option<InputFile>,
    /// Which direction of that file is the concept, counted from 0
    #[arg(long, value_name = "INDEX", default_value_t = 0, requires = "concept")]
    #[serde(default)]
    pub direction: usize,
    /// The pictures, PNGs of the model's size, in the order of the path, such as the frames/*.png of an edit
    #[arg(long, value_name = "PNG", num_args = 1.., requires = "concept")]
    #[serde(default)]
    pub pictures: Vec<InputFile>,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

/// `report.json` of `measure`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureReport {
    /// The model.
    pub model: ModelReference,
    /// Seconds of this session.
    pub seconds: f64,
    /// For each timestep and each family of directions.
    pub groups: Vec<Group>,
    /// For each factor, how well some direction moves it.
    pub factors: Vec<FactorSummary>,
    /// Counts over everything, for each family.
    pub counts: Vec<Counts>,
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
    for at in &arguments.at {
        check_share(*at, "--at")?;
    }
    check_bound("--samples", arguments.samples)?;
    if let Some(concept) = &arguments.concept {
        concept::check(concept, arguments, model)?;
    } else {
        let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
        let train_steps = model.schedule.num_train_timesteps;
        indices_at(&sampler, &arguments.at, train_steps, "--at")?;
        let (height, width) = model.size()?;
        let dimension = height * width * model.channels();
        for (name, count, least) in [
            ("--rank", arguments.rank, 1),
            ("--random", arguments.random, 0),
        ] {
            if !(least..=dimension).contains(&count) {
                let why = format!(
                    "{count} is not between {least} and {dimension}, the values of a sample"
                );
                return Err(StudyError::argument(name, why));
            }
        }
    }
    arguments.walk().check()
}

impl MeasureArguments {
    fn walk(&self) -> Walk {
        let reach = self.reach.unwrap_or(self.method.usual_reach());
        Walk::new(self.method, self.iterations, self.frames, reach)
    }
}

/// Runs `measure` and writes `measure.md`; the caller writes `report.json`.
/// What an earlier session of the same run finished is kept.
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
    let bench = Bench {
        arguments,
        model,
        network: &network,
        sampler: &sampler,
        reader: &reader,
        seed,
    };
    let train_steps = model.schedule.num_train_timesteps;
    let mut walks = Vec::new();
    for &at in &arguments.at {
        let index = index_at(&sampler, at, train_steps, "--at")?;
        progress.begin(
            &format!("walking at {at}"),
            arguments.samples as u64 * bench.work(index),
        );
        let count = arguments.samples;
        let states = noisy_samples(&network, &sampler, seed, count, index, &mut crate::Silent)?;
        for (sample, state) in states.iter().enumerate() {
            let point = Point {
                at,
                sample,
                index,
                state,
            };
            let mut portion = Portion::new(progress, bench.work(index));
            let timestep = sampler.timesteps()[index];
            let name = format!("parts/walks-{timestep:04}-{sample:04}.json");
            let found: Vec<WalkRecord> =
                kept(folder, &name, |_| bench.walks(&point, &mut portion))?;
            walks.extend(found);
            portion.done();
        }
    }
    let mut report = MeasureReport {
        model: model.reference.clone(),
        seconds: 0.0,
        groups: summary::groups(&walks, &arguments.at),
        factors: summary::factors(&walks),
        counts: summary::counts(&walks),
        walks,
    };
    report.seconds = start.elapsed().as_secs_f64();
    folder.write_text("measure.md", &summary::markdown(&report))?;
    Ok(Measured::Walks(report))
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Walks(report) => {
                writeln!(f, "{}", summary::markdown(report))?;
                write!(f, "measure.md, {:.1} s", report.seconds)
            }
            Self::Concept(report) => report.fmt(f),
        }
    }
}
