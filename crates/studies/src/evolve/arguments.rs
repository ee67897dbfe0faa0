//! What `evolve` is told, and what it does where it is told nothing.

use super::subject::Subject;
use crate::drawing::check_bound;
use crate::{InputFile, StudyError};
use alice_evolution::control::Task;
use alice_evolution::{Bounds, Constraint, FitnessMap, Options, Schedule};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Names of choices, as the command and recipes spell them.
macro_rules! names {
    ($(#[$about:meta])* $name:ident { $($(#[$help:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$help])* $variant),+ }
    };
}

names! {
    /// The algorithm.
    Algorithm {
        /// Diffusion Evolution
        #[default]
        Diffusion,
        /// Covariance matrix adaptation
        CmaEs,
        /// Parameter-exploring policy gradients
        Pepg,
        /// OpenAI's evolution strategy
        OpenEs,
        /// The best of every kind
        MapElites,
    }
}
names! {
    /// How the noise falls.
    ScheduleName {
        /// A half wave of the cosine
        #[default]
        Cosine,
        /// A line
        Linear,
        /// That of denoising diffusion models
        Ddpm,
    }
}
names! {
    /// From fitness to weight.
    MapName {
        /// The fitness itself, not negative
        #[default]
        Identity,
        /// exp(fitness / T), shifted by the best
        Energy,
        /// (fitness / T)ᵖ, not negative
        Power,
    }
}
names! {
    /// What keeps points inside the bounds.
    ConstraintName {
        /// To the nearest point of the box
        #[default]
        Clamp,
        /// Mirrored at its sides
        Reflect,
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Diffusion,
        Self::CmaEs,
        Self::Pepg,
        Self::OpenEs,
        Self::MapElites,
    ];

    /// The name in tables.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Diffusion => "Diffusion Evolution",
            Self::CmaEs => "CMA-ES",
            Self::Pepg => "PEPG",
            Self::OpenEs => "OpenES",
            Self::MapElites => "MAP-Elites",
        }
    }
}

impl From<ScheduleName> for Schedule {
    fn from(name: ScheduleName) -> Self {
        match name {
            ScheduleName::Cosine => Self::Cosine,
            ScheduleName::Linear => Self::Linear,
            ScheduleName::Ddpm => Self::Ddpm,
        }
    }
}

/// What `evolve` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EvolveArguments {
    /// two-peak, rosenbrock, beale, himmelblau, ackley, rastrigin, cart-pole, acrobot, mountain-car, mountain-car-continuous, pendulum, or 'cmd PROGRAM' [default: all functions]
    #[arg(long)]
    pub problem: Option<String>,
    /// Parameters of an individual [default: 2]
    #[arg(long, value_name = "D")]
    pub dim: Option<usize>,
    /// Individuals
    #[arg(long, default_value_t = 512)]
    pub population: usize,
    /// Generations: everyone is evaluated once in each, and moves between them [default: 25; 10 for control tasks]
    #[arg(long)]
    pub generations: Option<usize>,
    /// The algorithm
    #[arg(long, value_enum, default_value_t)]
    pub method: Algorithm,
    /// How the noise falls [default: cosine]
    #[arg(long, value_enum, help_heading = "Diffusion Evolution")]
    pub schedule: Option<ScheduleName>,
    /// Share of the noise that is drawn anew, 0..1 [default: 0.1; 1 for control tasks]
    #[arg(long, help_heading = "Diffusion Evolution")]
    pub mutation: Option<f64>,
    /// Standard deviation of the first points; points are the population times this [default: 4]
    #[arg(long)]
    pub scaling: Option<f64>,
    /// From fitness to weight [default: identity; energy for control tasks]
    #[arg(long, value_enum, help_heading = "Diffusion Evolution")]
    pub map: Option<MapName>,
    /// T of the energy and power maps [default: 1, or the control task's]
    #[arg(long, value_name = "T", help_heading = "Diffusion Evolution")]
    pub temperature: Option<f64>,
    /// p of the power map [default: 1]
    #[arg(long, value_name = "P", help_heading = "Diffusion Evolution")]
    pub exponent: Option<f64>,
    /// Measure distances in a random projection to so many dimensions
    #[arg(long, value_name = "DIM", help_heading = "Diffusion Evolution")]
    pub latent: Option<usize>,
    /// The best individuals that stay as they are [default: 0]
    #[arg(long, value_name = "COUNT", help_heading = "Diffusion Evolution")]
    pub elite: Option<usize>,
    /// Keep points inside the problem's box [default: they may leave it]
    #[arg(long, value_enum, help_heading = "Diffusion Evolution")]
    pub constraint: Option<ConstraintName>,
    /// Go on from the population.evolution of a finished run
    #[arg(long, value_name = "FILE", help_heading = "Diffusion Evolution")]
    pub continue_from: Option<InputFile>,
    /// How much of the continued population to forget, above 0 to 1
    #[arg(long, value_name = "LEVEL", help_heading = "Diffusion Evolution")]
    pub rediffuse: Option<f64>,
    /// Hidden layers of a control task's policy [default: 8]
    #[arg(long, value_name = "N,N…", value_delimiter = ',')]
    pub hidden: Option<Vec<usize>>,
    /// Seconds that another program has for a generation [default: 60]
    #[arg(long)]
    pub timeout: Option<f64>,
    /// Bounds of another program's parameters, one pair for all or one for each; for --scaling and the measures they are ±4; points may leave them unless --constraint says otherwise [default: none]
    #[arg(
        long,
        value_name = "LOW,HIGH…",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub bounds: Option<Vec<f64>>,
    /// Repeat the paper's experiments, all methods side by side
    #[arg(long, help_heading = "The paper's experiments")]
    pub study: bool,
    /// Runs of each experiment of the study [default: 100]
    #[arg(long, help_heading = "The paper's experiments")]
    pub seeds: Option<usize>,
    /// Only these parts of the study [default: all]
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        help_heading = "The paper's experiments"
    )]
    pub parts: Option<Vec<super::paper::Part>>,
}

impl Default for EvolveArguments {
    fn default() -> Self {
        Self {
            problem: None,
            dim: None,
            population: 512,
            generations: None,
            method: Algorithm::Diffusion,
            schedule: None,
            mutation: None,
            scaling: None,
            map: None,
            temperature: None,
            exponent: None,
            latent: None,
            elite: None,
            constraint: None,
            continue_from: None,
            rediffuse: None,
            hidden: None,
            timeout: None,
            bounds: None,
            study: false,
            seeds: None,
            parts: None,
        }
    }
}

fn default_generations(is_task: bool) -> usize {
    if is_task { 10 } else { 25 }
}

/// Units of a layer of a policy, at most.
const WIDEST: usize = 1 << 16;

impl EvolveArguments {
    /// The task, if the problem is one.
    pub(super) fn task(&self) -> Option<Task> {
        let plain = |name: &str| name.replace('-', "");
        let asked = plain(self.problem.as_deref()?);
        Task::ALL
            .into_iter()
            .find(|task| plain(task.name()) == asked)
    }

    pub(super) fn generations(&self) -> usize {
        self.generations
            .unwrap_or_else(|| default_generations(self.task().is_some()))
    }

    /// Whether all is as in the paper's experiments on functions.
    pub(super) fn is_papers(&self) -> bool {
        let default = Self {
            problem: self.problem.clone(),
            generations: self.generations,
            ..Self::default()
        };
        *self == default && self.generations() == default_generations(false)
    }

    pub(super) fn scaling(&self) -> f64 {
        self.scaling.unwrap_or(4.0)
    }

    pub(super) fn timeout(&self) -> Result<Duration, StudyError> {
        let seconds = self.timeout.unwrap_or(60.0);
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| {
                let why = format!("is {seconds}; it must be a positive number of seconds");
                StudyError::argument("--timeout", why)
            })
    }

    /// The box of another program with `dimension` parameters.
    pub(super) fn bounds(&self, dimension: usize) -> Result<Option<Bounds>, StudyError> {
        let refuse = |why: String| Err(StudyError::argument("--bounds", why));
        let Some(values) = &self.bounds else {
            return Ok(None);
        };
        let (pairs, rest) = values.as_chunks::<2>();
        if !rest.is_empty() || ![1, dimension].contains(&pairs.len()) {
            return refuse(format!(
                "has {} numbers; it takes LOW,HIGH for all parameters, or such a pair for each \
                 of them, which are {} numbers",
                values.len(),
                2 * dimension
            ));
        }
        for [low, high] in pairs {
            if !(low < high && (high - low).is_finite()) {
                return refuse(format!(
                    "{low},{high} is no interval: the first must be below the second, both finite"
                ));
            }
        }
        let of = |side: usize| pairs.iter().map(move |p| p[side]).cycle().take(dimension);
        Ok(Some(Bounds {
            lower: of(0).collect(),
            upper: of(1).collect(),
        }))
    }

    /// The options of Diffusion Evolution on `subject`.
    pub(super) fn options(&self, subject: &Subject, seed: u64) -> Options {
        let task = self.task();
        let default = if task.is_some() {
            MapName::Energy
        } else {
            MapName::Identity
        };
        let temperature = self
            .temperature
            .unwrap_or_else(|| subject.temperature().unwrap_or(1.0));
        Options {
            population: self.population,
            generations: self.generations(),
            seed,
            schedule: self.schedule.unwrap_or_default().into(),
            mutation: self
                .mutation
                .unwrap_or(if task.is_some() { 1.0 } else { 0.1 }),
            scaling: self.scaling(),
            map: match self.map.unwrap_or(default) {
                MapName::Identity => FitnessMap::Identity,
                MapName::Energy => FitnessMap::Energy { temperature },
                MapName::Power => FitnessMap::Power {
                    temperature,
                    exponent: self.exponent.unwrap_or(1.0),
                },
            },
            latent: self.latent,
            elite: self.elite.unwrap_or(0),
            constraint: self.constraint.map(|name| match name {
                ConstraintName::Clamp => Constraint::Clamp,
                ConstraintName::Reflect => Constraint::Reflect,
            }),
            ..Options::default()
        }
    }

    /// Refuses numbers of things beyond all reason.
    pub(super) fn check_extents(&self) -> Result<(), StudyError> {
        check_bound("--generations", self.generations())?;
        check_bound("--dim", self.dim.unwrap_or(0))?;
        check_bound("--seeds", self.seeds.unwrap_or(0))?;
        for width in self.hidden.iter().flatten() {
            if *width > WIDEST {
                let why = format!("{width}; a layer has at most {WIDEST} units");
                return Err(StudyError::argument("--hidden", why));
            }
        }
        Ok(())
    }

    /// Refuses arguments that have no effect together.
    pub(super) fn check_combinations(&self) -> Result<(), StudyError> {
        let given = self.given();
        let refuse = |names: &[&'static str], why: &str| match given
            .iter()
            .find(|name| names.contains(name))
        {
            Some(name) => Err(StudyError::argument(*name, why)),
            None => Ok(()),
        };
        if self.study {
            let all = [ALWAYS, OF_DIFFUSION, OF_PROBLEMS].concat();
            refuse(&all, "has no effect with --study, which sets it")?;
            return match self.seeds {
                Some(0) => Err(StudyError::argument("--seeds", "must be at least 1")),
                _ => Ok(()),
            };
        }
        refuse(&["--seeds", "--parts"], "belongs to --study")?;
        if self.method != Algorithm::Diffusion {
            let why = format!(
                "belongs to Diffusion Evolution, and the method is {}",
                self.method.label()
            );
            refuse(OF_DIFFUSION, &why)?;
        }
        if self.problem.is_none() {
            let why = "needs --problem: without one, all functions are shown";
            refuse(OF_PROBLEMS, why)?;
            refuse(&["--continue-from", "--rediffuse"], why)?;
        }
        let external = self
            .problem
            .as_deref()
            .is_some_and(|p| p.starts_with("cmd"));
        if !external {
            let why = "belongs to --problem 'cmd PROGRAM': functions have theirs, ±4, and control tasks none";
            refuse(&["--bounds"], why)?;
        }
        let bounded = match external {
            true => self.bounds.is_some(),
            false => self.task().is_none(),
        };
        if self.method == Algorithm::MapElites && bounded {
            let why = "has no effect on MAP-Elites in bounds: it begins evenly spread in the box";
            refuse(&["--scaling"], why)?;
        }
        match (self.task(), external) {
            (Some(_), _) => refuse(
                &["--dim", "--timeout"],
                "has no effect on a control task: --hidden sets the size of the policy",
            )?,
            (None, true) => refuse(&["--hidden"], "belongs to control tasks")?,
            (None, false) => refuse(
                &["--hidden", "--timeout"],
                "has no effect on a function: it belongs to control tasks or other programs",
            )?,
        }
        let map = self.map.unwrap_or(match self.task() {
            Some(_) => MapName::Energy,
            None => MapName::Identity,
        });
        if map == MapName::Identity {
            refuse(&["--temperature"], "belongs to --map energy or --map power")?;
        }
        if map != MapName::Power {
            refuse(&["--exponent"], "belongs to --map power")?;
        }
        if self.continue_from.is_some() && self.generations() == 1 {
            let why = "must be at least 2: a continued population is noised first, and a single \
                       generation evaluates that and moves no one";
            return Err(StudyError::argument("--generations", why));
        }
        match (&self.continue_from, self.rediffuse) {
            (Some(_), None) => Err(StudyError::argument(
                "--continue-from",
                "needs --rediffuse LEVEL: how much to forget, above 0 to 1",
            )),
            (None, Some(_)) => Err(StudyError::argument(
                "--rediffuse",
                "needs --continue-from RUN/population.evolution",
            )),
            _ => Ok(()),
        }
    }

    /// The options that were given.
    fn given(&self) -> Vec<&'static str> {
        let default = Self::default();
        let all = [
            ("--problem", self.problem.is_some()),
            ("--dim", self.dim.is_some()),
            ("--population", self.population != default.population),
            ("--generations", self.generations.is_some()),
            ("--method", self.method != default.method),
            ("--scaling", self.scaling.is_some()),
            ("--schedule", self.schedule.is_some()),
            ("--mutation", self.mutation.is_some()),
            ("--map", self.map.is_some()),
            ("--temperature", self.temperature.is_some()),
            ("--exponent", self.exponent.is_some()),
            ("--latent", self.latent.is_some()),
            ("--elite", self.elite.is_some()),
            ("--constraint", self.constraint.is_some()),
            ("--continue-from", self.continue_from.is_some()),
            ("--rediffuse", self.rediffuse.is_some()),
            ("--hidden", self.hidden.is_some()),
            ("--timeout", self.timeout.is_some()),
            ("--bounds", self.bounds.is_some()),
            ("--seeds", self.seeds.is_some()),
            ("--parts", self.parts.is_some()),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name).collect()
    }
}

const ALWAYS: &[&str] = &[
    "--problem",
    "--population",
    "--generations",
    "--method",
    "--scaling",
];
const OF_PROBLEMS: &[&str] = &["--dim", "--hidden", "--timeout", "--bounds"];
const OF_DIFFUSION: &[&str] = &[
    "--schedule",
    "--mutation",
    "--map",
    "--temperature",
    "--exponent",
    "--latent",
    "--elite",
    "--constraint",
    "--continue-from",
    "--rediffuse",
];
