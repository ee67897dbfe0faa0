//! The paper's tables from the records.

use super::plan::{CONTROL, Experiment, Part, SCHEDULES, SWEEP};
use super::{Control, Record};
use crate::evolve::released;
use crate::evolve::table::Table;
use crate::pictures::numbers;
use crate::statistics::half_width;
use alice_evolution::control::Task;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half of the 95 % interval of the mean, by Student's t; not a number for
    /// a single seed.
    pub half_width: f64,
    /// What the released experiments report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<f64>,
}

impl Estimate {
    fn of(values: &[f64], released: Option<f64>) -> Self {
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            half_width: half_width(values).unwrap_or(f64::NAN),
            released,
        }
    }
}

/// One method on one problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The part of the study.
    pub part: Part,
    /// The problem.
    pub problem: String,
    /// What is compared on it.
    pub method: String,
    /// Runs.
    pub runs: usize,
    /// Mean seconds of a run beside the others; not a timing.
    pub seconds: f64,
    /// The measures by name.
    pub measures: BTreeMap<&'static str, Estimate>,
}

/// The paper's experiments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaperReport {
    /// The first seed.
    pub seed: u64,
    /// Runs of each experiment.
    pub seeds: usize,
    /// Methods on problems.
    pub rows: Vec<Row>,
}

impl PaperReport {
    pub(super) fn new(plan: &[Experiment], records: &[Record], seed: u64, seeds: usize) -> Self {
        let rows = plan
            .iter()
            .map(|experiment| {
                let name = experiment.name();
                let wanted =
                    |r: &&Record| r.experiment == name && r.seed.wrapping_sub(seed) < seeds as u64;
                // In the order of the seeds, however they were interrupted.
                let mut records: Vec<&Record> = records.iter().filter(wanted).collect();
                records.sort_by_key(|r| r.seed);
                row(experiment, &records)
            })
            .collect();
        Self { seed, seeds, rows }
    }

    pub(super) fn part(&self, part: Part) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.part == part)
    }

    /// Every table with its heading.
    pub(in crate::evolve) fn tables(&self) -> Vec<(String, Table)> {
        let all = [
            (
                format!(
                    "Functions: 512 individuals, 25 generations, {} seeds",
                    self.seeds
                ),
                self.functions(),
            ),
            (
                format!(
                    "Schedules on Rastrigin: top-64 fitness, {} seeds",
                    self.seeds
                ),
                self.schedules(),
            ),
            (
                format!(
                    "Control tasks: 512 individuals, 10 generations, {} seeds",
                    self.seeds
                ),
                self.control(),
            ),
        ];
        let full = all.into_iter().filter(|(_, table)| !table.rows.is_empty());
        full.collect()
    }

    pub(super) fn to_markdown(&self) -> String {
        let tables = self.tables();
        let parts = tables
            .iter()
            .map(|(title, table)| format!("## {title}\n\n{}", table.to_markdown()));
        parts.collect::<Vec<_>>().join("\n")
    }

    fn functions(&self) -> Table {
        let names = [
            ("entropy", 2),
            ("entropy_x0", 2),
            ("top64_fitness", 3),
            ("top64_fitness_x0", 3),
            ("mean_fitness", 3),
            ("mean_fitness_x0", 3),
            ("qd", 1),
            ("qd_x0", 1),
        ];
        let cells = |row: &Row| {
            let mut cells = vec![row.problem.clone(), row.method.clone()];
            cells.extend(names.map(|(name, decimals)| shown(row.measures.get(name), decimals)));
            cells
        };
        Table {
            headings: vec![
                "function",
                "method",
                "entropy",
                "of x̂₀",
                "top 64",
                "of x̂₀",
                "mean",
                "of x̂₀",
                "QD",
                "of x̂₀",
            ],
            rows: self.part(Part::Functions).map(cells).collect(),
            words: 2,
        }
    }

    fn schedules(&self) -> Table {
        let cells = |row: &Row| {
            let cell = |name| shown(row.measures.get(name), 3);
            vec![
                row.method.clone(),
                cell("top64_fitness"),
                cell("top64_fitness_x0"),
            ]
        };
        Table {
            headings: vec!["schedule", "top 64", "of x̂₀"],
            rows: self.part(Part::Schedules).map(cells).collect(),
            words: 1,
        }
    }

    fn control(&self) -> Table {
        let cells = |row: &Row| {
            let cell = |name, decimals| shown(row.measures.get(name), decimals);
            vec![
                row.problem.clone(),
                row.method.clone(),
                cell("solved_percent", 1),
                cell("any_percent", 0),
                cell("mean_return", 1),
                cell("best_return", 1),
            ]
        };
        Table {
            headings: vec![
                "task",
                "method",
                "solved, % of all",
                "% of runs with a solver",
                "mean return",
                "best return",
            ],
            rows: self.part(Part::Control).map(cells).collect(),
            words: 2,
        }
    }
}

/// "0.70 ± 0.01 (released 0.70)".
fn shown(estimate: Option<&Estimate>, decimals: usize) -> String {
    let Some(estimate) = estimate else {
        return numbers::NONE.to_owned();
    };
    let mut text = numbers::fixed(estimate.mean, decimals);
    if estimate.half_width.is_finite() {
        text += &format!(" ± {}", numbers::fixed(estimate.half_width, decimals));
    }
    if let Some(released) = estimate.released {
        let text_of = numbers::figures(released);
        text += &format!(" ({})", text_of.trim_end_matches('0').trim_end_matches('.'));
    }
    text
}

fn row(experiment: &Experiment, records: &[&Record]) -> Row {
    let mut measures = BTreeMap::new();
    let mut add = |name, value: &dyn Fn(&Record) -> Option<f64>| {
        let values: Vec<f64> = records.iter().filter_map(|r| value(r)).collect();
        if !values.is_empty() {
            measures.insert(name, Estimate::of(&values, released_for(experiment, name)));
        }
    };
    if experiment.part != Part::Control {
        add("top64_fitness", &|r| Some(r.measures.top64_fitness));
        add("top64_fitness_x0", &|r| r.measures.top64_fitness_x0);
        add("mean_fitness", &|r| Some(r.measures.mean_fitness));
        add("mean_fitness_x0", &|r| r.measures.mean_fitness_x0);
        add("entropy", &|r| r.measures.entropy);
        add("entropy_x0", &|r| r.measures.entropy_x0);
        add("qd", &|r| r.measures.qd);
        add("qd_x0", &|r| r.measures.qd_x0);
    }
    let control = |value: fn(&Control) -> f64| move |r: &Record| r.control.as_ref().map(value);
    let solvable = experiment.problem != Task::Pendulum.name();
    if solvable {
        add("solved_percent", &control(|c| 100.0 * c.solved));
        add("any_percent", &control(|c| 100.0 * c.any));
    }
    add("mean_return", &control(|c| c.mean_return));
    add("best_return", &control(|c| c.best_return));
    let seconds = records.iter().map(|r| r.seconds).sum::<f64>();
    Row {
        part: experiment.part,
        problem: experiment.problem.to_owned(),
        method: experiment.method.clone(),
        runs: records.len(),
        seconds: seconds / records.len().max(1) as f64,
        measures,
    }
}

/// The released figure of a measure. They agree with what is found on x, so
/// that is where they stand; see docs/evolution.md.
fn released_for(experiment: &Experiment, measure: &str) -> Option<f64> {
    let problem = experiment.problem;
    match experiment.part {
        Part::Functions if experiment.method == "Diffusion Evolution" => {
            let figures = released::function(problem)?;
            match measure {
                "entropy" => Some(figures.entropy),
                "mean_fitness" => Some(figures.mean_fitness),
                "qd" => Some(figures.qd),
                _ => None,
            }
        }
        Part::Functions => None,
        Part::Schedules => {
            let generations = experiment.arguments.generations();
            let figures = released::schedules(generations)?;
            let named = |(_, label): &(_, &str)| experiment.method.starts_with(label);
            let index = SCHEDULES.iter().position(named)?;
            (measure == "top64_fitness" && SWEEP.contains(&generations)).then(|| figures[index])
        }
        Part::Control | Part::LargePolicies => {
            let figures = released::control(Task::named(problem)?);
            let index = CONTROL.iter().position(|m| *m == experiment.method)?;
            let wanted = if problem == Task::Pendulum.name() {
                "mean_return"
            } else {
                "solved_percent"
            };
            (measure == wanted).then(|| figures[index])
        }
    }
}

impl fmt::Display for PaperReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (title, table) in self.tables() {
            writeln!(f, "{title}\n{}", table.to_text())?;
        }
        write!(
            f,
            "means ± 95 % intervals, (released figures); tables.md and report.html have all of it"
        )
    }
}
