//! Control tasks as problems of a search over policies.

use super::environment::{Environment, Frame, Step};
use super::task::{Task, with_environment};
use super::{
    Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum, Policy, PolicyScratch,
};
use crate::{Draws, EvolutionError, Problem};
use rayon::prelude::*;

/// How a return R becomes a fitness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fitness {
    /// R itself; negative for most tasks, so only for algorithms that rank.
    Return,
    /// exp((R − best) / temperature), in (0, 1] for R ≤ best.
    Exponential {
        /// The return whose fitness is 1.
        best: f64,
        /// How much less return divides the fitness by e, above 0.
        temperature: f64,
    },
}

impl Fitness {
    /// The fitness of a return.
    #[must_use]
    pub fn of(self, total: f64) -> f64 {
        match self {
            Self::Return => total,
            Self::Exponential { best, temperature } => libm::exp((total - best) / temperature),
        }
    }

    fn check(self) -> Result<(), EvolutionError> {
        let Self::Exponential { best, temperature } = self else {
            return Ok(());
        };
        if !best.is_finite() {
            return Err(EvolutionError::parameter("the best return", best, "finite"));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            let requirement = "a finite number above 0";
            return Err(EvolutionError::parameter(
                "temperature",
                temperature,
                requirement,
            ));
        }
        Ok(())
    }
}

/// What came of an episode, or, as means, of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Episode {
    /// The sum of the rewards.
    pub total: f64,
    /// Steps taken.
    pub steps: f64,
    /// 1 if the episode was solved (see [`Task`]), 0 if not.
    pub solved: f64,
}

/// The mean return of a policy's episodes from given starts.
///
/// A point is the parameters of the [`Policy`]. The starts are the same for
/// every point and generation, so that a point has one fitness.
#[derive(Clone, Debug)]
pub struct ControlProblem {
    task: Task,
    policy: Policy,
    starts: Vec<u64>,
    fitness: Fitness,
}

impl ControlProblem {
    /// A task, the hidden layers of its policies, the seeds of the episodes (as
    /// Gymnasium's `reset(seed=…)` takes them) and the fitness of a return.
    ///
    /// # Errors
    /// Without a start, with an empty layer or with a temperature that is not
    /// above 0.
    pub fn new(
        task: Task,
        hidden: &[usize],
        starts: &[u64],
        fitness: Fitness,
    ) -> Result<Self, EvolutionError> {
        if starts.is_empty() {
            let requirement = "at least one start seed";
            return Err(EvolutionError::parameter("starts", "empty", requirement));
        }
        fitness.check()?;
        Ok(Self {
            task,
            policy: task.policy(hidden)?,
            starts: starts.to_vec(),
            fitness,
        })
    }

    /// The same task, policies and fitness with episodes from other starts.
    ///
    /// # Errors
    /// Without a start.
    pub fn with_starts(&self, starts: &[u64]) -> Result<Self, EvolutionError> {
        let hidden = &self.policy.sizes()[1..self.policy.sizes().len() - 1];
        Self::new(self.task, hidden, starts, self.fitness)
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// The shape of the policies.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The mean outcome of each of n policies.
    ///
    /// `points` is `[n, d]`. Runs the policies in parallel; the result does not
    /// depend on the number of threads. Cost: d multiplications and additions
    /// per step, at most [`Task::time_limit`] steps per start.
    ///
    /// # Errors
    /// When `points` is not rows of d finite numbers.
    pub fn outcomes(&self, points: &[f64]) -> Result<Vec<Episode>, EvolutionError> {
        let dimension = self.dimension();
        let count = points.len() / dimension;
        let expected = count * dimension;
        EvolutionError::check_extent("evaluate", "number of values", points.len(), expected)?;
        let rows = points.par_chunks_exact(dimension);
        rows.enumerate()
            .map_init(
                || self.policy.scratch(),
                |scratch, (individual, point)| {
                    self.outcome(point, scratch)
                        .map_err(|error| EvolutionError::Problem {
                            problem: self.task.name().to_owned(),
                            detail: format!("individual {individual}: {error}"),
                        })
                },
            )
            .collect()
    }

    /// One policy, from every start.
    fn outcome(
        &self,
        point: &[f64],
        scratch: &mut PolicyScratch,
    ) -> Result<Episode, EvolutionError> {
        self.policy.load(point, scratch)?;
        let mut mean = Episode::default();
        for &start in &self.starts {
            let episode = self.run(start, scratch, |_, _| ())?;
            mean.total += episode.total;
            mean.steps += episode.steps;
            mean.solved += episode.solved;
        }
        let count = self.starts.len() as f64;
        Ok(Episode {
            total: mean.total / count,
            steps: mean.steps / count,
            solved: mean.solved / count,
        })
    }

    /// Runs one episode of a policy and shows every step, for pictures.
    ///
    /// `watch` receives the frame after each step and what the step gave.
    ///
    /// # Errors
    /// When `point` is not d finite numbers.
    pub fn episode(
        &self,
        point: &[f64],
        start: u64,
        watch: impl FnMut(Frame, Step),
    ) -> Result<Episode, EvolutionError> {
        let mut scratch = self.policy.scratch();
        self.policy.load(point, &mut scratch)?;
        self.run(start, &mut scratch, watch)
    }

    fn run(
        &self,
        start: u64,
        scratch: &mut PolicyScratch,
        watch: impl FnMut(Frame, Step),
    ) -> Result<Episode, EvolutionError> {
        let (mut episode, terminated) = with_environment!(self.task, E => {
            roll_out::<E>(&self.policy, start, scratch, watch)?
        });
        episode.solved = f64::from(u8::from(self.task.solved(terminated)));
        Ok(episode)
    }
}

/// One episode, up to its end or the time limit; whether it terminated.
fn roll_out<E: Environment>(
    policy: &Policy,
    start: u64,
    scratch: &mut PolicyScratch,
    mut watch: impl FnMut(Frame, Step),
) -> Result<(Episode, bool), EvolutionError> {
    let mut environment = E::default();
    environment.reset(start);
    let mut episode = Episode::default();
    for _ in 0..E::TIME_LIMIT {
        let outputs = policy.act(environment.observe().as_ref(), scratch)?;
        let step = environment.step(E::decide(outputs));
        episode.total += step.reward;
        episode.steps += 1.0;
        watch(environment.frame(), step);
        if step.terminated {
            return Ok((episode, true));
        }
    }
    Ok((episode, false))
}

impl Problem for ControlProblem {
    fn dimension(&self) -> usize {
        self.policy.parameters()
    }

    fn evaluate(
        &self,
        points: &[f64],
        _draws: Draws,
        fitness: &mut [f64],
    ) -> Result<(), EvolutionError> {
        let expected = fitness.len() * self.dimension();
        EvolutionError::check_extent("evaluate", "number of values", points.len(), expected)?;
        for (fitness, outcome) in fitness.iter_mut().zip(self.outcomes(points)?) {
            *fitness = self.fitness.of(outcome.total);
        }
        Ok(())
    }
}
