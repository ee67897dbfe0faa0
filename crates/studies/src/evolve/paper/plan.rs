//! Which experiments there are.

use crate::evolve::arguments::{Algorithm, EvolveArguments, ScheduleName};
use crate::evolve::subject::{LARGE, SMALL};
use alice_evolution::control::Task;
use alice_evolution::problems::Function;
use serde::{Deserialize, Serialize};

/// A part of the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The five functions, all methods
    Functions,
    /// Schedules on Rastrigin, 10 to 500 generations
    Schedules,
    /// The control tasks: raw, latent, CMA-ES
    Control,
    /// The control tasks, latent with 17,410 parameters: ten times as long
    LargePolicies,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [
        Self::Functions,
        Self::Schedules,
        Self::Control,
        Self::LargePolicies,
    ];
}

/// Runs that differ in their seed alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Experiment {
    pub part: Part,
    pub problem: &'static str,
    /// What is compared on the problem.
    pub method: String,
    /// What `evolve` would be told.
    pub arguments: EvolveArguments,
}

impl Experiment {
    /// Names its records.
    pub fn name(&self) -> String {
        format!("{}, {}", self.problem, self.method)
    }

    /// Runs that go on side by side.
    pub fn at_once(&self) -> usize {
        if self.arguments.hidden.as_deref() == Some(LARGE) {
            2
        } else {
            8
        }
    }
}

/// Generations of the schedule sweep.
pub(super) const SWEEP: [usize; 4] = [10, 25, 100, 500];
/// Its schedules, in the order of the released figures.
pub(super) const SCHEDULES: [(ScheduleName, &str); 3] = [
    (ScheduleName::Cosine, "cosine"),
    (ScheduleName::Linear, "linear"),
    (ScheduleName::Ddpm, "DDPM"),
];
/// What is compared on control tasks, in the order of the released figures.
pub(super) const CONTROL: [&str; 4] = ["raw", "latent", LARGE_POLICIES, "CMA-ES"];
const LARGE_POLICIES: &str = "latent, 17k";

/// The experiments of these parts.
pub(super) fn plan(parts: &[Part]) -> Vec<Experiment> {
    let mut plan = Vec::new();
    let wanted = |part| parts.contains(&part);
    if wanted(Part::Functions) {
        functions(&mut plan);
    }
    if wanted(Part::Schedules) {
        schedules(&mut plan);
    }
    for task in Task::ALL {
        for method in CONTROL {
            if wanted(if method == LARGE_POLICIES {
                Part::LargePolicies
            } else {
                Part::Control
            }) {
                plan.push(control(task, method));
            }
        }
    }
    plan
}

fn on(problem: &'static str) -> EvolveArguments {
    EvolveArguments {
        problem: Some(problem.to_owned()),
        ..EvolveArguments::default()
    }
}

fn functions(plan: &mut Vec<Experiment>) {
    for problem in &Function::NAMES[1..] {
        plan.extend(Algorithm::ALL.map(|method| Experiment {
            part: Part::Functions,
            problem,
            method: method.label().to_owned(),
            arguments: EvolveArguments {
                method,
                ..on(problem)
            },
        }));
    }
}

fn schedules(plan: &mut Vec<Experiment>) {
    for generations in SWEEP {
        plan.extend(SCHEDULES.map(|(schedule, label)| Experiment {
            part: Part::Schedules,
            problem: "rastrigin",
            method: format!("{label}, {generations} generations"),
            arguments: EvolveArguments {
                generations: Some(generations),
                schedule: Some(schedule),
                ..on("rastrigin")
            },
        }));
    }
}

fn control(task: Task, method: &str) -> Experiment {
    let hidden = if method == LARGE_POLICIES {
        LARGE
    } else {
        SMALL
    };
    Experiment {
        part: Part::Control,
        problem: task.name(),
        method: method.to_owned(),
        arguments: EvolveArguments {
            hidden: Some(hidden.to_vec()),
            latent: method.starts_with("latent").then_some(2),
            method: if method == "CMA-ES" {
                Algorithm::CmaEs
            } else {
                Algorithm::Diffusion
            },
            ..on(task.name())
        },
    }
}
