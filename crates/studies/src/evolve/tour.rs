//! `evolve` without a problem: the two-peak demo and the paper's functions.

use super::arguments::EvolveArguments;
use super::course::{self, Course, Place};
use super::film::{self, Scene};
use super::page::{self, Film};
use super::report::EvolveReport;
use super::search::Search;
use super::subject::Subject;
use super::table::Table;
use super::{Algorithm, released};
use crate::pictures::numbers;
use crate::{Progress, StudyError};
use alice_evolution::problems::Function;
use alice_runs::{Metadata, RunFolder};
use serde::Serialize;
use std::fmt;

/// The heading of figures of the paper's runs.
const RELEASED: &str = "released";

/// What was found on every function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TourReport {
    /// One run per function.
    pub problems: Vec<EvolveReport>,
    /// Seconds of all generations.
    pub seconds: f64,
    /// Whether the settings are those of the released figures.
    #[serde(skip)]
    pub(super) comparable: bool,
}

/// Evolves on every function, from where an earlier session stopped; writes the
/// film, the sheet and the page.
pub(super) fn run(
    arguments: &EvolveArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<TourReport, StudyError> {
    let names = Function::NAMES;
    let generations = names.len() * arguments.generations();
    progress.begin("evolving", generations as u64);
    let mut courses: Vec<(Function, Course)> = Vec::new();
    let mut report = TourReport {
        problems: Vec::new(),
        seconds: 0.0,
        comparable: arguments.is_papers(),
    };
    for name in names {
        let arguments = EvolveArguments {
            problem: Some(name.to_owned()),
            ..arguments.clone()
        };
        let function = Function::new(name, None)?;
        let subject = Subject::Function(function);
        let search = Search::new(&arguments, &subject, seed)?;
        let place = Place {
            folder,
            part: Some(name),
        };
        let course = course::run(search, &subject, Some(place), progress)?;
        report.seconds += course.seconds;
        let found = EvolveReport::new(&arguments, &subject, &course, seed)?;
        report.problems.push(found);
        courses.push((function, course));
    }
    progress.begin("drawing", 1);
    let scenes: Vec<Scene> = courses
        .iter()
        .map(|(function, course)| Scene {
            function: *function,
            generations: &course.generations,
        })
        .collect();
    let smooth = arguments.method == Algorithm::Diffusion;
    let frames = film::film(&scenes, smooth)?;
    let nothing = Metadata::new();
    let film = folder.write_apng(
        "film.png",
        &frames,
        film::milliseconds(scenes.len()),
        &nothing,
    )?;
    let title = format!("{} on six functions", arguments.method.label());
    let sheet = film::sheet(&scenes, &title)?;
    let sheet = folder.write_png("sheet.png", &sheet, &nothing)?;
    let fitness: Vec<(String, Vec<Vec<f64>>)> = courses
        .iter()
        .map(|(function, course)| (function.name().to_owned(), course.fitness()))
        .collect();
    let page = page::tour(
        &report,
        &report.table(),
        &fitness,
        &Film {
            film: &alice_runs::disk::read(film)?,
            sheet: &alice_runs::disk::read(sheet)?,
            about: "The population over each function, generation by generation. Bright ground is fit; \
                    the best 64 individuals are orange; the frame is the domain ±4."
                .to_owned(),
        },
        folder.recipe(),
    );
    folder.write_text("report.html", &page)?;
    progress.advance(1);
    Ok(report)
}

impl TourReport {
    /// What all functions were given to.
    pub(super) fn method(&self) -> &str {
        self.problems.first().map_or("none", |run| run.method)
    }

    /// One line per function, the released figures beside where they are of
    /// the same settings.
    pub(super) fn table(&self) -> Table {
        let fixed = |value: Option<f64>, decimals| {
            value.map_or_else(|| numbers::NONE.to_owned(), |v| numbers::fixed(v, decimals))
        };
        let row = |report: &EvolveReport| {
            let known = released::function(&report.problem);
            let measures = &report.measures;
            vec![
                report.problem.clone(),
                numbers::fixed(report.best_fitness, 3),
                numbers::fixed(measures.top64_fitness, 3),
                fixed(measures.entropy, 2),
                fixed(known.map(|k| k.entropy), 2),
                numbers::fixed(measures.mean_fitness, 2),
                fixed(known.map(|k| k.mean_fitness), 2),
                fixed(measures.qd, 1),
                fixed(known.map(|k| k.qd), 1),
                fixed(report.outside_share.map(|share| 100.0 * share), 1),
            ]
        };
        let mut table = Table {
            headings: vec![
                "function",
                "best",
                "best 64",
                "entropy",
                RELEASED,
                "mean",
                RELEASED,
                "QD",
                RELEASED,
                "outside, %",
            ],
            rows: self.problems.iter().map(row).collect(),
            words: 1,
        };
        if !self.comparable {
            table.remove(RELEASED);
        }
        table
    }
}

impl fmt::Display for TourReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.method(), self.table().to_text())?;
        if self.comparable {
            writeln!(
                f,
                "released: means of the paper's runs of Diffusion Evolution, where these are one run each"
            )?;
        }
        write!(f, "film.png, sheet.png and report.html are")
    }
}
