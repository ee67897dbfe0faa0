//! What `evolve` found.

use super::arguments::{Algorithm, EvolveArguments};
use super::course::Course;
use super::measures::Measures;
use super::paper::PaperReport;
use super::stage::{self, ControlReport};
use super::subject::Subject;
use super::table::Table;
use super::tour::TourReport;
use crate::StudyError;
use crate::pictures::numbers;
use alice_evolution::metrics;
use serde::Serialize;
use std::fmt;

/// A number with so many decimals, or three figures where it is huge.
pub(super) fn sized(value: f64, decimals: usize) -> String {
    match value.abs() < 1e9 {
        true => numbers::fixed(value, decimals),
        false => numbers::figures(value),
    }
}

/// What one run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvolveReport {
    /// The problem.
    pub problem: String,
    /// The algorithm.
    pub method: &'static str,
    /// Fitness values that the algorithm was told.
    pub evaluations: usize,
    /// Generations that an interrupted run had done.
    pub resumed_at: usize,
    /// Mean seconds of a generation, evaluation included.
    pub seconds_per_generation: f64,
    /// How many of the final population count as its best: 64, or all.
    #[serde(skip)]
    pub elite: usize,
    /// The paper's measures.
    #[serde(flatten)]
    pub measures: Measures,
    /// The best fitness of the final population.
    pub best_fitness: f64,
    /// Its point, in the problem's own numbers.
    pub best_point: Vec<f64>,
    /// The share of the final population outside the problem's box, where it
    /// has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_share: Option<f64>,
    /// Whether the best point lies outside of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// What controllers achieve, on control tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlReport>,
}

impl EvolveReport {
    pub(super) fn new(
        arguments: &EvolveArguments,
        subject: &Subject,
        course: &Course,
        seed: u64,
    ) -> Result<Self, StudyError> {
        let survivors = &course.survivors;
        let measures = Measures::of(survivors, subject, course.search.draws())?;
        let best = metrics::best(&survivors.fitness, 1)[0];
        let d = subject.problem().dimension();
        let best_point = survivors.points[best * d..][..d].to_vec();
        let control = match subject {
            Subject::Control(problem) => Some(stage::outcome(
                problem,
                &survivors.points,
                &best_point,
                seed,
            )?),
            _ => None,
        };
        // Where the search sees them, both are exact.
        let bounds = subject.problem().bounds();
        let bounds = bounds.as_ref();
        let outside_share = bounds.map(|bounds| bounds.share_outside(&survivors.points));
        let outside = bounds.is_some_and(|bounds| !bounds.contains(&best_point));
        let generations = course.generations.len();
        Ok(Self {
            problem: arguments.problem.clone().unwrap_or_default(),
            method: arguments.method.label(),
            evaluations: generations * arguments.population,
            resumed_at: course.resumed_at,
            seconds_per_generation: course.seconds / generations as f64,
            elite: metrics::ELITE.min(survivors.fitness.len()),
            measures,
            best_fitness: survivors.fitness[best],
            best_point: subject.own(&best_point),
            outside_share,
            outside,
            control,
        })
    }

    /// The parameters of the best individual, where they are few enough to read.
    pub(super) fn shown_point(&self) -> Option<String> {
        const MOST: usize = 16;
        let values = self.best_point.iter().map(|v| numbers::fixed(*v, 4));
        (self.best_point.len() <= MOST).then(|| values.collect::<Vec<_>>().join(", "))
    }

    /// What is said where the best individual left the box.
    pub(super) fn outside_note(&self) -> Option<String> {
        let sides = match self.problem.starts_with("cmd ") {
            true => "--bounds",
            false => "±4",
        };
        self.outside.then(|| {
            format!(
                "the best point lies outside {sides}; --constraint clamp keeps all points inside"
            )
        })
    }

    pub(super) fn diffuses(&self) -> bool {
        self.method == Algorithm::Diffusion.label()
    }

    /// Name and value.
    pub(super) fn table(&self) -> Table {
        let m = &self.measures;
        let percent = |share: Option<f64>| share.map(|s| 100.0 * s);
        let best = format!("mean of the best {}", self.elite);
        let best_x0 = format!("{best} x̂₀");
        let mut all = vec![
            ("best fitness", Some(self.best_fitness), 4),
            (best.as_str(), Some(m.top64_fitness), 4),
            (best_x0.as_str(), m.top64_fitness_x0, 4),
            ("mean of all", Some(m.mean_fitness), 4),
            ("mean of all x̂₀", m.mean_fitness_x0, 4),
            ("entropy, bits", m.entropy, 2),
            ("QD", m.qd, 2),
            ("QD of x̂₀", m.qd_x0, 2),
        ];
        if let Some(share) = self.outside_share.filter(|share| *share > 0.0) {
            all.push(("outside the box, % of all", Some(100.0 * share), 1));
        }
        if let Some(control) = &self.control {
            all.extend([
                ("solved, % of all", percent(control.population_solved), 1),
                ("best return", Some(control.best_return), 1),
                (
                    "its return from 100 other starts",
                    Some(control.other_starts_return),
                    1,
                ),
                (
                    "solved, % of 100 other starts",
                    percent(control.other_starts_solved),
                    0,
                ),
            ]);
        }
        let known = all.into_iter().filter_map(|(name, value, decimals)| {
            Some(vec![name.to_owned(), sized(value?, decimals)])
        });
        Table {
            headings: vec!["", "value"],
            rows: known.collect(),
            words: 1,
        }
    }
}

impl fmt::Display for EvolveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = numbers::count(self.evaluations);
        writeln!(
            f,
            "{} on {}: {count} evaluations",
            self.method, self.problem
        )?;
        if self.resumed_at > 0 {
            writeln!(f, "resumed after generation {}", self.resumed_at)?;
        }
        let table = self.table().to_text();
        let (_, rows) = table.split_once('\n').unwrap_or_default();
        write!(f, "{}", rows.trim_end())?;
        if let Some(point) = self.shown_point() {
            write!(f, "\nbest at {point}")?;
        }
        if let Some(note) = self.outside_note() {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// What a run of the command leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// One problem.
    Single(Box<EvolveReport>),
    /// All functions.
    Tour(TourReport),
    /// The paper's experiments.
    Paper(PaperReport),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(report) => report.fmt(f),
            Self::Tour(report) => report.fmt(f),
            Self::Paper(report) => report.fmt(f),
        }
    }
}
