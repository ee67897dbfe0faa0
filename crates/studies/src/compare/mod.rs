//! `compare`: ways to edit side by side, and the papers' claims on this model.
//!
//! The table follows that of LOCO Edit (NeurIPS 2024), with the truth of the
//! world in place of raters. The claims are those of Park et al. (arXiv
//! 2302.12469 and 2307.12868); the leakage follows Haas et al. (FG 2024).

mod beside;
mod claims;
mod edits;
mod lab;
mod leakage;
mod page;
mod plots;
mod score;
mod table;
mod techniques;

pub use beside::Beside;
pub use claims::{AtTime, PathRecord, Paths, Spaces};
pub use edits::{EditRecord, TransferRecord};
pub use leakage::{Leak, Leakage, Trial};
pub use score::Score;
pub use table::Row;
pub use techniques::Technique;

use crate::drawing::check_bound;
use crate::parts::kept;
use crate::points::{check_share, indices_at};
use crate::reader::{Reader, no_truth};
use crate::walk::LONGEST;
use crate::{DiffusionModel, InputModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_runs::{ModelReference, RunFolder};
use lab::Lab;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::time::Instant;

/// What to compare.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareArguments {
    /// Samples that every technique edits
    #[arg(long, default_value_t = 64)]
    pub count: usize,
    /// Where, as a share of the noise schedule
    #[arg(long, value_name = "SHARE", default_value_t = 0.6)]
    pub at: f64,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 12)]
    pub steps: usize,
    /// Directions that each technique may choose from
    #[arg(long, default_value_t = 5)]
    pub rank: usize,
    /// Change inside the region that every edit aims at: root mean square, pixels in −1..1
    #[arg(long, default_value_t = 0.25)]
    pub change: f64,
    /// Longest edit: root mean square change of a noisy pixel, or share of ‖h‖
    #[arg(long, default_value_t = 0.6)]
    pub reach: f64,
    /// Updates from a sample to each end of an edit
    #[arg(long, default_value_t = 8)]
    pub iterations: usize,
    /// Samples whose tangent spaces are compared
    #[arg(long, default_value_t = 12)]
    pub spaces: usize,
    /// Dimension of those tangent spaces
    #[arg(long, default_value_t = 20)]
    pub space_rank: usize,
    /// Timesteps of the tangent spaces, as shares of the noise schedule, divided by commas
    #[arg(long, value_delimiter = ',', default_values_t = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])]
    pub times: Vec<f64>,
    /// Pairs of samples that paths are laid between
    #[arg(long, default_value_t = 50)]
    pub pairs: usize,
    /// Samples that the directions of factors are learnt from
    #[arg(long, default_value_t = 192)]
    pub learn: usize,
    /// Samples that they are tried on; with fewer than 8 there is no leakage
    #[arg(long, default_value_t = 24)]
    pub leak_samples: usize,
    /// Length of Δh when they are tried, as a share of ‖h‖
    #[arg(long, default_value_t = 1.0)]
    pub leak: f64,
    /// Other models of the same size and noise schedule: their tangent spaces, and how far they
    /// are from this one's
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<InputModel>,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

impl CompareArguments {
    /// Samples that are drawn.
    fn samples(&self) -> usize {
        let learnt = self.learn + self.leak_samples;
        (self.count + 1).max(learnt).max(2 * self.pairs)
    }

    /// Those that directions of factors are tried on, whatever else more samples
    /// are drawn for.
    fn tried(&self) -> Range<usize> {
        self.learn..self.learn + self.leak_samples
    }
}

/// `report.json` of `compare`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompareReport {
    /// The model.
    pub model: ModelReference,
    /// The training timestep of edits, paths and leakage.
    pub timestep: usize,
    /// One row for each technique; empty where no instrument reads the pictures.
    pub techniques: Vec<Row>,
    /// Tangent spaces over the noise schedule.
    pub spaces: Spaces,
    /// Other models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
    /// Lengths and energies of paths; nothing for no pairs.
    pub paths: Option<Paths>,
    /// Leakage; nothing where no instrument reads the pictures.
    pub leakage: Option<Leakage>,
    /// Every edit.
    pub edits: Vec<EditRecord>,
    /// Seconds of this session.
    pub seconds: f64,
}

/// Refuses arguments that do not fit, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &CompareArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    let lengths = [
        // Pixels lie in −1..1.
        ("--change", arguments.change, 2.0),
        ("--reach", arguments.reach, LONGEST),
        ("--leak", arguments.leak, LONGEST),
    ];
    for (name, value, most) in lengths {
        if !(value > 0.0 && value <= most) {
            let why = format!("{value}; it must be positive, and at most {most}");
            return Err(StudyError::argument(name, why));
        }
    }
    let least = [
        ("--count", arguments.count, 1),
        ("--rank", arguments.rank, 1),
        ("--spaces", arguments.spaces, 2),
        ("--space-rank", arguments.space_rank, 1),
        ("--learn", arguments.learn, 8),
        ("--leak-samples", arguments.leak_samples, 1),
        ("--times", arguments.times.len(), 1),
    ];
    for (name, value, least) in least {
        if value < least {
            return Err(StudyError::argument(
                name,
                format!("must be at least {least}"),
            ));
        }
    }
    let shares = arguments.times.iter().map(|at| ("--times", *at));
    for (name, share) in shares.chain([("--at", arguments.at)]) {
        check_share(share, name)?;
    }
    if arguments.iterations == 0 || !arguments.iterations.is_multiple_of(2) {
        let why = "must be even: the frames lie at its half and its end";
        return Err(StudyError::argument("--iterations", why));
    }
    for (name, count) in [
        ("--count", arguments.count),
        ("--learn", arguments.learn),
        ("--pairs", arguments.pairs),
        ("--leak-samples", arguments.leak_samples),
        ("--spaces", arguments.spaces),
    ] {
        check_bound(name, count)?;
    }
    check_ranks(arguments, model)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let train_steps = model.schedule.num_train_timesteps;
    indices_at(&sampler, &arguments.times, train_steps, "--times")?;
    beside::check(arguments, model)
}

/// Refuses more directions than a sample of the model has.
fn check_ranks(arguments: &CompareArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    let size = model.size()?;
    let hidden: usize = model.hidden_dims(size)?.iter().product();
    let dimension = hidden.min(size.0 * size.1 * model.channels());
    for (name, rank) in [
        ("--rank", arguments.rank),
        ("--space-rank", arguments.space_rank),
    ] {
        if rank > dimension {
            let why = format!("{rank}; a sample of this model has {dimension} directions");
            return Err(StudyError::argument(name, why));
        }
    }
    Ok(())
}

/// Compares, and writes the page, the tables, the plots and the sheets; the
/// caller writes `report.json`. What an earlier session of the same run
/// finished is kept.
///
/// # Errors
/// When an argument does not fit the model, the network fails, or the user
/// asks to stop.
pub fn run(
    arguments: &CompareArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<CompareReport, StudyError> {
    let clock = Instant::now();
    let reader = Reader::for_model(model, arguments.puppets)?;
    if model.is_latent() {
        return Err(no_truth(model, "compare"));
    }
    let network = model.at(model.size()?)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let lab = Lab::open(arguments, model, &network, &sampler, seed, folder, progress)?;
    let mut edits = Vec::new();
    let mut leakage = None;
    if let Some(reader) = &reader {
        edits = edits::run(arguments, &lab, reader, folder, progress)?;
        leakage = Some(leakage::run(arguments, &lab, reader, folder, progress)?);
    }
    let spaces = kept(folder, "parts/spaces.json", |_| {
        claims::spaces(arguments, &lab.subject(), progress)
    })?;
    let beside = beside::run(arguments, &lab, folder, progress)?;
    let paths = claims::paths(arguments, &lab, folder, progress)?;
    let mut report = CompareReport {
        model: model.reference.clone(),
        timestep: lab.timestep,
        techniques: table::rows(&edits),
        spaces,
        beside,
        paths,
        leakage,
        edits,
        seconds: 0.0,
    };
    report.seconds = clock.elapsed().as_secs_f64();
    let plots = plots::all(&report);
    for plot in &plots {
        folder.write_text(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    folder.write_text("compare.md", &table::markdown(&report))?;
    let page = page::page(&report, &plots, folder.recipe());
    folder.write_text("report.html", &page)?;
    Ok(report)
}

impl fmt::Display for CompareReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::text(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: CompareArguments,
    }

    #[test]
    fn leakage_is_tried_on_as_many_samples_as_asked_for() {
        let line = "compare --count 40 --pairs 50 --learn 8 --leak-samples 2";
        let arguments = Line::parse_from(line.split(' ')).arguments;
        assert_eq!(arguments.samples(), 100);
        assert_eq!(arguments.tried(), 8..10);
    }
}
