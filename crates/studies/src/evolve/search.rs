//! Diffusion Evolution and its baselines, driven alike.

use super::arguments::{Algorithm, EvolveArguments};
use super::subject::Subject;
use crate::{InputFile, StudyError};
use alice_evolution::baselines::{
    CmaEs, CmaEsConfig, MapElites, MapElitesConfig, OpenEs, OpenEsConfig, Optimizer, Pepg,
    PepgConfig,
};
use alice_evolution::{Bounds, Draws, Evolution};
use alice_runs::{Recipe, disk};

/// An algorithm on its way.
pub(super) enum Search {
    Diffusion(Box<Evolution>),
    Baseline {
        optimizer: Baseline,
        generations: usize,
        seed: u64,
    },
}

pub(super) enum Baseline {
    Mean(Box<dyn Optimizer>),
    MapElites(Box<MapElites>),
}

impl Baseline {
    fn optimizer(&self) -> &dyn Optimizer {
        match self {
            Self::Mean(optimizer) => optimizer.as_ref(),
            Self::MapElites(optimizer) => optimizer.as_ref(),
        }
    }

    fn optimizer_mut(&mut self) -> &mut dyn Optimizer {
        match self {
            Self::Mean(optimizer) => optimizer.as_mut(),
            Self::MapElites(optimizer) => optimizer.as_mut(),
        }
    }
}

/// What an algorithm ends with.
pub(super) struct Survivors {
    /// x `[n, d]`.
    pub points: Vec<f64>,
    /// Their fitness `[n]`.
    pub fitness: Vec<f64>,
    /// x̂₀ `[n, d]`, of Diffusion Evolution.
    pub denoised: Option<Vec<f64>>,
}

impl Search {
    /// The algorithm of the arguments at its first generation.
    pub fn new(
        arguments: &EvolveArguments,
        subject: &Subject,
        seed: u64,
    ) -> Result<Self, StudyError> {
        let problem = subject.problem();
        let (dimension, bounds) = (problem.dimension(), problem.bounds());
        let sigma = arguments.scaling();
        let (start, population) = (vec![0.0; dimension], arguments.population);
        let optimizer = match arguments.method {
            Algorithm::Diffusion => {
                let evolution = diffusion(arguments, subject, seed)?;
                return Ok(Self::Diffusion(Box::new(evolution)));
            }
            Algorithm::CmaEs => {
                let config = CmaEsConfig {
                    start,
                    sigma,
                    population: Some(population),
                    bounds,
                };
                Baseline::Mean(Box::new(CmaEs::new(config, seed)?))
            }
            Algorithm::Pepg => {
                let config = PepgConfig {
                    bounds,
                    ..PepgConfig::new(start, sigma, population)
                };
                Baseline::Mean(Box::new(Pepg::new(config, seed)?))
            }
            Algorithm::OpenEs => {
                let config = OpenEsConfig {
                    bounds,
                    sigma: OPEN_ES_SIGMA * sigma,
                    rate: OPEN_ES_RATE * sigma,
                    ..OpenEsConfig::new(start, population)
                };
                Baseline::Mean(Box::new(OpenEs::new(config, seed)?))
            }
            Algorithm::MapElites => {
                let bounds = bounds.unwrap_or_else(|| Bounds::cube(dimension, sigma));
                let config = MapElitesConfig::new(bounds, population);
                Baseline::MapElites(Box::new(MapElites::new(config, seed)?))
            }
        };
        Ok(Self::Baseline {
            optimizer,
            generations: arguments.generations(),
            seed,
        })
    }

    /// The points to evaluate.
    pub fn ask(&mut self) -> Vec<f64> {
        match self {
            Self::Diffusion(evolution) => evolution.ask(),
            Self::Baseline { optimizer, .. } => optimizer.optimizer_mut().ask().to_vec(),
        }
    }

    /// Takes their fitness.
    pub fn tell(&mut self, fitness: &[f64]) -> Result<(), StudyError> {
        match self {
            Self::Diffusion(evolution) => evolution.tell(fitness)?,
            Self::Baseline { optimizer, .. } => optimizer.optimizer_mut().tell(fitness)?,
        }
        Ok(())
    }

    pub fn draws(&self) -> Draws {
        match self {
            Self::Diffusion(evolution) => evolution.draws(),
            Self::Baseline {
                optimizer, seed, ..
            } => Draws {
                seed: *seed,
                generation: optimizer.optimizer().batch().generation(),
            },
        }
    }

    pub fn is_finished(&self) -> bool {
        match self {
            Self::Diffusion(evolution) => evolution.is_finished(),
            Self::Baseline {
                optimizer,
                generations,
                ..
            } => optimizer.optimizer().batch().generation() >= *generations as u64,
        }
    }

    /// Who is there after `points` were told their `fitness`, which is empty
    /// before the first generation was: they themselves with their estimates;
    /// of MAP-Elites, its elites.
    pub fn survivors(&self, points: Vec<f64>, fitness: Vec<f64>) -> Survivors {
        let told = !fitness.is_empty();
        match self {
            Self::Diffusion(evolution) => Survivors {
                points,
                fitness,
                denoised: told.then(|| evolution.denoised()),
            },
            Self::Baseline {
                optimizer: Baseline::MapElites(elites),
                ..
            } if told => {
                let elites = || elites.cells().iter().flatten();
                Survivors {
                    points: elites().flat_map(|e| e.point.clone()).collect(),
                    fitness: elites().map(|e| e.fitness).collect(),
                    denoised: None,
                }
            }
            Self::Baseline { .. } => Survivors {
                points,
                fitness,
                denoised: None,
            },
        }
    }
}

/// OpenES' deviation and rate, in units of the scaling.
const OPEN_ES_SIGMA: f64 = 0.25;
const OPEN_ES_RATE: f64 = 0.05;

/// Diffusion Evolution at its first generation, or continued from a file.
fn diffusion(
    arguments: &EvolveArguments,
    subject: &Subject,
    seed: u64,
) -> Result<Evolution, StudyError> {
    let problem = subject.problem();
    let options = arguments.options(subject, seed);
    let (Some(file), Some(level)) = (&arguments.continue_from, arguments.rediffuse) else {
        return Ok(Evolution::new(
            problem.dimension(),
            problem.bounds(),
            options,
        )?);
    };
    let refused = |why: String| StudyError::argument(file.path.display().to_string(), why);
    if let Some(why) = other_problem(arguments, file) {
        return Err(refused(why));
    }
    let (bytes, bounds) = (file.read()?, problem.bounds());
    Evolution::continued(&bytes, problem.dimension(), bounds, &options, level)
        .map_err(|e| refused(e.to_string()))
}

/// Why a population is none for this problem, where the recipe of its run
/// stands beside it. Another command may be the same problem in other
/// surroundings; its points mean the same where the bounds are the same.
fn other_problem(arguments: &EvolveArguments, file: &InputFile) -> Option<String> {
    let folder = file.path.parent()?;
    let recipe = disk::read_text(folder.join("recipe.json")).ok()?;
    let recipe = Recipe::from_json(&file.path, &recipe).ok()?;
    let before: EvolveArguments = recipe.arguments(folder).ok()?;
    let name = |arguments: &EvolveArguments| match arguments.task() {
        Some(task) => task.name().to_owned(),
        None => arguments.problem.clone().unwrap_or_default(),
    };
    let (was, is) = (name(&before), name(arguments));
    let programs = [&was, &is].iter().all(|name| name.starts_with("cmd "));
    if was != is && !programs {
        return Some(format!(
            "its population evolved on {was}, and the problem is {is}; continue on the same problem"
        ));
    }
    (before.bounds != arguments.bounds).then(|| {
        "its population evolved in other --bounds, in which its points mean something else; \
         give the same ones"
            .to_owned()
    })
}
