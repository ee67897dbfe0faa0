//! The paper's experiments: all methods at equal evaluations, over many seeds.

mod plan;
mod plots;
mod report;

pub use plan::Part;
pub use report::{Estimate, PaperReport, Row};

use super::arguments::EvolveArguments;
use super::measures::Measures;
use super::search::Search;
use super::stage;
use super::subject::Subject;
use super::{course, page};
use crate::{Progress, Silent, StudyError};
use alice_evolution::metrics;
use alice_runs::{RunFolder, disk};
use plan::Experiment;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What each run gave, in the run folder.
const RECORDS: &str = "records.json";
const BETWEEN_WRITES: Duration = Duration::from_secs(2);
/// Seeds of an experiment.
const SEEDS: usize = 100;

/// What one run gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    experiment: String,
    seed: u64,
    #[serde(flatten)]
    measures: Measures,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<Control>,
    seconds: f64,
}

/// What a final population does on its control task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Control {
    /// Share of the population that solves it.
    solved: f64,
    /// Whether anyone does.
    any: f64,
    /// Mean return of the population.
    mean_return: f64,
    /// The best return.
    best_return: f64,
}

/// Runs what the folder has no record of yet, and reports.
pub(super) fn run(
    arguments: &EvolveArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<PaperReport, StudyError> {
    let seeds = arguments.seeds.unwrap_or(SEEDS);
    let plan = plan::plan(arguments.parts.as_deref().unwrap_or(&Part::ALL));
    let path = folder.announce(RECORDS)?;
    let mut records: Vec<Record> = if disk::is_file(&path) {
        disk::read_json(&path)?
    } else {
        Vec::new()
    };
    let done: BTreeSet<(String, u64)> = records
        .iter()
        .map(|record| (record.experiment.clone(), record.seed))
        .collect();
    progress.begin("the paper's experiments", (plan.len() * seeds) as u64);
    let mut written = Instant::now();
    for experiment in &plan {
        let name = experiment.name();
        progress.note(&name);
        let missing: Vec<u64> = (0..seeds as u64)
            .map(|index| seed.wrapping_add(index))
            .filter(|seed| !done.contains(&(name.clone(), *seed)))
            .collect();
        progress.advance((seeds - missing.len()) as u64);
        // Large policies take all threads for one run; many at once take
        // memory. As the seeds are few, an interruption costs little.
        for some in missing.chunks(experiment.at_once()) {
            if progress.is_cancelled() {
                folder.write_json(RECORDS, &records)?;
                return Err(StudyError::Cancelled);
            }
            let found = some.par_iter().map(|seed| one(experiment, *seed));
            records.extend(found.collect::<Result<Vec<_>, _>>()?);
            progress.advance(some.len() as u64);
            if written.elapsed() > BETWEEN_WRITES {
                folder.write_json(RECORDS, &records)?;
                written = Instant::now();
            }
        }
    }
    folder.write_json(RECORDS, &records)?;
    let report = PaperReport::new(&plan, &records, seed, seeds);
    folder.write_text("tables.md", &report.to_markdown())?;
    let plots = plots::all(&report);
    for (name, plot) in &plots {
        folder.write_text(&format!("{name}.svg"), &plot.clone().into_string())?;
    }
    let page = page::paper(&report, &plots, folder.recipe());
    folder.write_text("report.html", &page)?;
    Ok(report)
}

fn one(experiment: &Experiment, seed: u64) -> Result<Record, StudyError> {
    let arguments = &experiment.arguments;
    let subject = Subject::new(arguments, seed)?;
    let clock = Instant::now();
    let search = Search::new(arguments, &subject, seed)?;
    let course = course::run(search, &subject, None, &mut Silent)?;
    let seconds = clock.elapsed().as_secs_f64();
    let measures = Measures::of(&course.survivors, &subject, course.search.draws())?;
    let control = match &subject {
        Subject::Control(problem) => Some(control(problem, &course.survivors)?),
        _ => None,
    };
    Ok(Record {
        experiment: experiment.name(),
        seed,
        measures,
        control,
        seconds,
    })
}

fn control(
    problem: &alice_evolution::control::ControlProblem,
    survivors: &super::search::Survivors,
) -> Result<Control, StudyError> {
    let best = metrics::best(&survivors.fitness, 1)[0];
    let d = survivors.points.len() / survivors.fitness.len().max(1);
    let point = &survivors.points[best * d..][..d];
    let episodes = problem.outcomes(&survivors.points)?;
    let count = episodes.len().max(1) as f64;
    let solved = episodes.iter().map(|e| e.solved).sum::<f64>() / count;
    Ok(Control {
        solved,
        any: f64::from(u8::from(solved > 0.0)),
        mean_return: episodes.iter().map(|e| e.total).sum::<f64>() / count,
        best_return: stage::total(problem, point)?,
    })
}
