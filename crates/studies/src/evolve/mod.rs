//! `evolve`: Diffusion Evolution and its baselines, on functions, control tasks
//! and other programs.

mod arguments;
mod course;
mod curve;
mod film;
mod history;
mod landscape;
mod measures;
mod page;
pub mod paper;
mod population;
mod program;
pub mod released;
mod report;
mod search;
mod stage;
mod subject;
mod table;
mod tour;

pub use arguments::{Algorithm, ConstraintName, EvolveArguments, MapName, ScheduleName};
pub use course::POPULATION;
pub use measures::Measures;
pub use report::{EvolveReport, Report};
pub use stage::ControlReport;
pub use tour::TourReport;

use crate::{Progress, StudyError};
use alice_evolution::metrics;
use alice_runs::{Metadata, Recipe, RunFolder, RunState, disk};
use course::Place;
use film::Scene;
use search::Search;
use std::path::Path;
use subject::Subject;

/// Numbers in a population: 32 GiB of them.
const MOST_VALUES: usize = 1 << 32;

/// Refuses arguments that make no run.
///
/// # Errors
/// Names what does not fit.
pub fn check(arguments: &EvolveArguments) -> Result<(), StudyError> {
    arguments.check_combinations()?;
    arguments.check_extents()?;
    if arguments.study {
        return Ok(());
    }
    let subject = Subject::new(arguments, 0)?;
    let values = subject
        .problem()
        .dimension()
        .checked_mul(arguments.population);
    if values.is_none_or(|values| values > MOST_VALUES) {
        let why = format!(
            "{} points of {} numbers; there must be at most {MOST_VALUES} numbers",
            arguments.population,
            subject.problem().dimension()
        );
        return Err(StudyError::argument("--population", why));
    }
    if arguments.elite.unwrap_or(0) >= arguments.population.max(1) {
        let population = arguments.population;
        let why = format!("must be smaller than the population, {population}");
        return Err(StudyError::argument("--elite", why));
    }
    // Few of what is asked for are no less right, and take no memory.
    let probe = EvolveArguments {
        population: match arguments.population {
            few @ ..=8 => few,
            many => 8 + many % 2,
        },
        generations: Some(arguments.generations().min(2)),
        elite: arguments.elite.map(|elite| elite.min(1)),
        continue_from: None,
        ..arguments.clone()
    };
    Search::new(&probe, &subject, 0)?;
    Ok(())
}

/// Whether the run in a folder is this one, interrupted, or a study with other
/// seeds or parts.
#[must_use]
pub fn can_resume(folder: &Path, arguments: &EvolveArguments, seed: u64) -> bool {
    let Ok(recipe) = Recipe::find(folder) else {
        return false;
    };
    let Ok(before) = recipe.arguments::<EvolveArguments>(folder) else {
        return false;
    };
    let same = |before: &EvolveArguments| {
        // Another program may be given more time.
        let comparable = EvolveArguments {
            timeout: arguments.timeout,
            ..before.clone()
        };
        comparable == *arguments
    };
    let state = RunFolder::state(folder);
    recipe.verb == "evolve"
        && recipe.seed == seed
        && match state {
            RunState::Interrupted => same(&before) || (before.study && arguments.study),
            RunState::Complete => before.study && arguments.study && !same(&before),
            RunState::None => false,
        }
}

/// Evolves, from where an earlier session stopped if there was one.
///
/// # Errors
/// When an argument does not fit, the problem fails, or the user asks to stop.
/// What was found until then stays in the folder.
pub fn run(
    arguments: &EvolveArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Report, StudyError> {
    Ok(if arguments.study {
        Report::Paper(paper::run(arguments, seed, folder, progress)?)
    } else if arguments.problem.is_none() {
        Report::Tour(tour::run(arguments, seed, folder, progress)?)
    } else {
        Report::Single(Box::new(single(arguments, seed, folder, progress)?))
    })
}

fn single(
    arguments: &EvolveArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<EvolveReport, StudyError> {
    let subject = Subject::new(arguments, seed)?;
    let search = Search::new(arguments, &subject, seed)?;
    progress.begin("evolving", arguments.generations() as u64);
    let place = Place { folder, part: None };
    let course = course::run(search, &subject, Some(place), progress)?;
    let report = EvolveReport::new(arguments, &subject, &course, seed)?;
    let nothing = Metadata::new();
    let pictures = match (&subject, subject.plane()) {
        (Subject::Control(problem), _) => {
            let (frames, sheet) = stage::film(problem, &report.best_point, seed)?;
            let about = format!(
                "The best controller of the last generation in {}.",
                report.problem
            );
            Some((frames, stage::MILLISECONDS, sheet, about))
        }
        (_, Some(function)) => {
            let scene = [Scene {
                function,
                generations: &course.generations,
            }];
            let smooth = arguments.method == Algorithm::Diffusion;
            let title = format!("{} on {}", report.method, function.name());
            let frames = film::film(&scene, smooth)?;
            let about = format!(
                "The population, generation by generation. Bright ground is fit; the best {} \
                 individuals are orange; the frame is the domain ±4.",
                metrics::ELITE.min(arguments.population)
            );
            let sheet = film::sheet(&scene, &title)?;
            Some((frames, film::milliseconds(1), sheet, about))
        }
        _ => None,
    };
    let fitness = course.fitness();
    let page = match pictures {
        Some((frames, milliseconds, sheet, about)) => {
            let film = folder.write_apng("film.png", &frames, milliseconds, &nothing)?;
            let sheet = folder.write_png("sheet.png", &sheet, &nothing)?;
            let (film, sheet) = (disk::read(film)?, disk::read(sheet)?);
            let film = page::Film {
                film: &film,
                sheet: &sheet,
                about,
            };
            page::single(&report, &fitness, Some(&film), folder.recipe())
        }
        None => page::single(&report, &fitness, None, folder.recipe()),
    };
    folder.write_text("report.html", &page)?;
    Ok(report)
}
