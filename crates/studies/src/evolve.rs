//! `evolve`: Diffusion Evolution on a function, or on another program.

use crate::{Progress, StudyError};
use alice_evolution::problems::{External, Function};
use alice_evolution::{Evolution, Options, Problem, Schedule, metrics};
use alice_runs::RunFolder;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// The population so far, in the run folder.
const CHECKPOINT: &str = "population.evolution";

/// How the noise falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleName {
    /// A half wave of the cosine
    #[default]
    Cosine,
    /// A line
    Linear,
    /// That of denoising diffusion models
    Ddpm,
}

/// What `evolve` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EvolveArguments {
    /// two-peak, rosenbrock, beale, himmelblau, ackley, rastrigin, or 'cmd PROGRAM'
    #[arg(long, default_value = "two-peak")]
    pub problem: String,
    /// Parameters of an individual [default: 2]
    #[arg(long, value_name = "D")]
    pub dim: Option<usize>,
    /// Individuals
    #[arg(long, default_value_t = 512)]
    pub population: usize,
    /// Generations: everyone is evaluated once in each
    #[arg(long, default_value_t = 25)]
    pub generations: usize,
    /// How the noise falls
    #[arg(long, value_enum, default_value_t)]
    pub schedule: ScheduleName,
    /// Share of the noise that is drawn anew, 0..1
    #[arg(long, default_value_t = 0.1)]
    pub mutation: f64,
    /// Points are the population times this
    #[arg(long, default_value_t = 4.0)]
    pub scaling: f64,
    /// Seconds that another program has for a generation
    #[arg(long, default_value_t = 60.0)]
    pub timeout: f64,
}

/// What `evolve` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvolveReport {
    /// The problem.
    pub problem: String,
    /// Fitness values that the algorithm was told.
    pub evaluations: usize,
    /// Mean seconds of a generation, evaluation included.
    pub seconds_per_generation: f64,
    /// Mean fitness of the best 64 of the final population.
    pub top64_fitness: f64,
    /// The same of the last estimates x̂₀.
    pub top64_fitness_x0: f64,
    /// Bits of the cells of the 64 individuals whose x̂₀ is best.
    pub entropy: f64,
    /// Sum of the best fitness of each unit cell.
    pub qd: f64,
    /// The best fitness of the final population.
    pub best_fitness: f64,
    /// Its point.
    pub best_point: Vec<f64>,
}

impl fmt::Display for EvolveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} evaluations", self.problem, self.evaluations)?;
        writeln!(
            f,
            "best fitness {:.4}, best 64 {:.4} (of x̂₀ {:.4})",
            self.best_fitness, self.top64_fitness, self.top64_fitness_x0
        )?;
        write!(f, "entropy {:.2} bits, QD {:.2}", self.entropy, self.qd)
    }
}

impl EvolveArguments {
    fn options(&self, seed: u64) -> Options {
        Options {
            population: self.population,
            generations: self.generations,
            seed,
            schedule: match self.schedule {
                ScheduleName::Cosine => Schedule::Cosine,
                ScheduleName::Linear => Schedule::Linear,
                ScheduleName::Ddpm => Schedule::Ddpm,
            },
            mutation: self.mutation,
            scaling: self.scaling,
            ..Options::default()
        }
    }

    fn problem(&self) -> Result<Box<dyn Problem>, StudyError> {
        if let Some(command) = self.problem.strip_prefix("cmd ") {
            let timeout = Duration::try_from_secs_f64(self.timeout)
                .map_err(|_| StudyError::argument("--timeout", "must be a positive time"))?;
            let external = External::new(command, self.dim.unwrap_or(2), timeout)?;
            return Ok(Box::new(external));
        }
        Ok(Box::new(Function::new(&self.problem, self.dim)?))
    }
}

/// Refuses arguments that make no run.
///
/// # Errors
/// Names what does not fit.
pub fn check(arguments: &EvolveArguments) -> Result<(), StudyError> {
    let problem = arguments.problem()?;
    // Options do not depend on the size of the population; this is small.
    let probe = Options {
        population: arguments.population.min(2),
        generations: arguments.generations.min(2),
        ..arguments.options(0)
    };
    Evolution::new(problem.dimension(), problem.bounds(), probe)?;
    Ok(())
}

/// Evolves; writes the population after every generation, so that it is kept
/// whatever happens to the problem.
///
/// # Errors
/// When an argument does not fit, the problem fails, or the user asks to stop.
pub fn run(
    arguments: &EvolveArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<EvolveReport, StudyError> {
    let problem = arguments.problem()?;
    let dimension = problem.dimension();
    let options = arguments.options(seed);
    let mut evolution = Evolution::new(dimension, problem.bounds(), options)?;
    progress.begin("evolving", arguments.generations as u64);
    let mut seconds = 0.0;
    while !evolution.is_finished() {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let start = Instant::now();
        evolution.advance(problem.as_ref())?;
        seconds += start.elapsed().as_secs_f64();
        folder.write(CHECKPOINT, &evolution.to_bytes())?;
        progress.advance(1);
    }
    let points = evolution.ask();
    let fitness = evolution.fitness();
    let mut denoised = vec![0.0; fitness.len()];
    problem.evaluate(&evolution.denoised(), evolution.draws(), &mut denoised)?;
    let best = metrics::best(fitness, 1)[0];
    Ok(EvolveReport {
        problem: arguments.problem.clone(),
        evaluations: arguments.generations * arguments.population,
        seconds_per_generation: seconds / arguments.generations as f64,
        top64_fitness: metrics::elite_fitness(fitness),
        top64_fitness_x0: metrics::elite_fitness(&denoised),
        entropy: metrics::entropy(&points, dimension, &denoised),
        qd: metrics::quality_diversity(&points, dimension, fitness),
        best_fitness: fitness[best],
        best_point: points[best * dimension..][..dimension].to_vec(),
    })
}
