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
    /// The control tasks: raw, latent, latent with 17,410 parameters, CMA-ES
    Control,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Functions, Self::Schedules, Self::Control];
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
pub(super) const CONTROL: [&str; 4] = ["raw", "latent", "latent, 17k", "CMA-ES"];

/// The experiments of these parts.
pub(super) fn plan(parts: &[Part]) -> Vec<Experiment> {
    let mut plan = Vec::new();
    for part in parts {
        match part {
            Part::Functions => functions(&mut plan),
            Part::Schedules => schedules(&mut plan),
            Part::Control => control(&mut plan),
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

fn control(plan: &mut Vec<Experiment>) {
    for task in Task::ALL {
        plan.extend(CONTROL.map(|method| {
            let hidden = if method == CONTROL[2] { LARGE } else { SMALL };
            let cma_es = method == CONTROL[3];
            Experiment {
                part: Part::Control,
                problem: task.name(),
                method: method.to_owned(),
                arguments: EvolveArguments {
                    hidden: Some(hidden.to_vec()),
                    latent: method.starts_with("latent").then_some(2),
                    method: if cma_es {
                        Algorithm::CmaEs
                    } else {
                        Algorithm::Diffusion
                    },
                    ..on(task.name())
                },
            }
        }));
    }
}
