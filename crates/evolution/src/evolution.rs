//! Diffusion Evolution, one generation at a time.

mod options;
mod saved;
mod step;

pub use options::{Constraint, Options};

use crate::estimate::{Cloud, estimate_into};
use crate::latent::Latent;
use crate::noise;
use crate::{Bounds, Draws, EvolutionError, Problem};

/// Diffusion Evolution as a loop that the caller drives: [`ask`](Self::ask)
/// for points, evaluate them anywhere, [`tell`](Self::tell) their fitness.
///
/// ```
/// use alice_evolution::{Evolution, Options};
/// let mut evolution = Evolution::new(2, None, Options { population: 64, ..Options::default() })?;
/// while !evolution.is_finished() {
///     let points = evolution.ask();
///     let fitness: Vec<f64> = points.chunks(2).map(|p| 1.0 / (1.0 + p[0] * p[0] + p[1] * p[1])).collect();
///     evolution.tell(&fitness)?;
/// }
/// # Ok::<(), alice_evolution::EvolutionError>(())
/// ```
///
/// Source: Zhang et al. (2025), Algorithm 1, <https://arxiv.org/abs/2410.02543>.
#[derive(Clone, Debug)]
pub struct Evolution {
    options: Options,
    dimension: usize,
    bounds: Option<Bounds>,
    latent: Option<Latent>,
    /// The seed that its projection was drawn with.
    projection: u64,
    /// α of the generations of this pass, noisiest first.
    levels: Vec<f64>,
    /// Generations of this pass that were told.
    told: usize,
    /// Generations of all passes that were told: names the random draws.
    generation: u64,
    /// x `[n, d]`, in units of the prior.
    population: Vec<f64>,
    /// The last x̂₀, in units of the prior.
    denoised: Vec<f64>,
    /// Fitness of the last generation that was told.
    fitness: Vec<f64>,
}

impl Evolution {
    /// A population of standard normal noise in `dimension` dimensions.
    ///
    /// # Errors
    /// When an option makes no sense, or a constraint has no bounds.
    pub fn new(
        dimension: usize,
        bounds: Option<Bounds>,
        options: Options,
    ) -> Result<Self, EvolutionError> {
        options.check(dimension, bounds.as_ref())?;
        let latent = options
            .latent
            .map(|d| Latent::new(dimension, d, options.seed))
            .transpose()?;
        let mut evolution = Self {
            levels: options.schedule.levels(options.generations, 1.0)?,
            dimension,
            bounds,
            latent,
            projection: options.seed,
            told: 0,
            generation: 0,
            population: vec![0.0; options.population * dimension],
            denoised: Vec::new(),
            fitness: Vec::new(),
            options,
        };
        let name = (evolution.options.seed, "initial population", 0);
        noise::for_each_row(
            name,
            dimension,
            &mut evolution.population,
            |_, noise, row| {
                for (x, n) in row.iter_mut().zip(noise) {
                    *x = f64::from(*n);
                }
            },
        );
        evolution.constrain();
        evolution.denoised.clone_from(&evolution.population);
        Ok(evolution)
    }

    /// The points to evaluate `[n, d]`, in the problem's units; once finished,
    /// the result.
    #[must_use]
    pub fn ask(&self) -> Vec<f64> {
        let mut points = self.in_problem_units(&self.population);
        if let (Some(bounds), Some(_)) = (&self.bounds, self.options.constraint) {
            // Products round, and the sides belong to the box.
            Constraint::Clamp.apply(bounds, 1.0, &mut points);
        }
        points
    }

    /// The last estimate x̂₀ `[n, d]` of every individual, in the problem's
    /// units; before the second generation, the population.
    #[must_use]
    pub fn denoised(&self) -> Vec<f64> {
        self.in_problem_units(&self.denoised)
    }

    /// Fitness `[n]` of the points that were last told; empty before.
    #[must_use]
    pub fn fitness(&self) -> &[f64] {
        &self.fitness
    }

    /// Whether every generation of this pass was told.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.told == self.levels.len()
    }

    /// Generations told, over all passes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// α of the generation that [`ask`](Self::ask) gives.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.levels[self.told.min(self.levels.len() - 1)]
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Parameters of an individual.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Takes the fitness `[n]` of the asked points, and moves the population
    /// to the next noise level; the last generation is only recorded.
    ///
    /// Cost: that of [`estimate`](crate::estimate).
    ///
    /// # Errors
    /// When the run is finished, the extent does not fit, or a fitness cannot
    /// weigh. The population is as it was then.
    pub fn tell(&mut self, fitness: &[f64]) -> Result<(), EvolutionError> {
        let n = self.options.population;
        EvolutionError::check_extent("tell", "number of fitness values", fitness.len(), n)?;
        if self.is_finished() {
            return Err(EvolutionError::parameter(
                "the generation",
                self.told + 1,
                format!(
                    "at most {}; continue with a re-diffused population",
                    self.told
                ),
            ));
        }
        let weights = self.options.map.weights(fitness)?;
        if self.told + 1 < self.levels.len() {
            let places = self.latent.as_ref().map(|l| l.project(&self.population));
            let plain = Cloud::new(&self.population, self.dimension, &weights);
            let cloud = match (&places, &self.latent) {
                (Some(places), Some(latent)) => Cloud {
                    places,
                    place_dimension: latent.dimension(),
                    ..plain
                },
                _ => plain,
            };
            let (alpha, next) = (self.levels[self.told], self.levels[self.told + 1]);
            let Options { guards, method, .. } = self.options;
            estimate_into(&cloud, alpha, guards, method, &mut self.denoised)?;
            let elite = step::best(fitness, self.options.elite);
            let name = (self.options.seed, "mutation", self.generation);
            let coefficients = step::Coefficients::new(alpha, next, self.options.mutation);
            coefficients.apply(
                name,
                self.dimension,
                &self.denoised,
                &elite,
                &mut self.population,
            );
            self.constrain();
        }
        self.fitness = fitness.to_vec();
        self.told += 1;
        self.generation += 1;
        Ok(())
    }

    /// One generation: ask, evaluate, tell.
    ///
    /// # Errors
    /// Those of the problem and of [`tell`](Self::tell).
    pub fn advance(&mut self, problem: &dyn Problem) -> Result<(), EvolutionError> {
        let mut fitness = vec![0.0; self.options.population];
        problem.evaluate(&self.ask(), self.draws(), &mut fitness)?;
        self.tell(&fitness)
    }

    /// Names the draws of the evaluation of this generation.
    #[must_use]
    pub fn draws(&self) -> Draws {
        Draws {
            seed: self.options.seed,
            generation: self.generation,
        }
    }

    /// Begins another pass: adds noise up to time `level` of the schedule
    /// (1 forgets everything, 0 nothing) and evolves for `generations` more.
    ///
    /// # Errors
    /// When `level` does not lie above 0 and up to 1, or there is no generation.
    pub fn rediffuse(&mut self, level: f64, generations: usize) -> Result<(), EvolutionError> {
        self.levels = self.options.schedule.levels(generations, level)?;
        self.told = 0;
        let (signal, noise) = (self.levels[0].sqrt(), (1.0 - self.levels[0]).sqrt());
        let name = (self.options.seed, "re-diffusion", self.generation);
        noise::for_each_row(
            name,
            self.dimension,
            &mut self.population,
            |_, draws, row| {
                for (x, n) in row.iter_mut().zip(draws) {
                    *x = signal * *x + noise * f64::from(*n);
                }
            },
        );
        self.constrain();
        Ok(())
    }

    fn in_problem_units(&self, points: &[f64]) -> Vec<f64> {
        points.iter().map(|x| x * self.options.scaling).collect()
    }

    fn constrain(&mut self) {
        if let (Some(bounds), Some(constraint)) = (&self.bounds, self.options.constraint) {
            constraint.apply(bounds, self.options.scaling, &mut self.population);
        }
    }
}

#[cfg(test)]
mod tests;
