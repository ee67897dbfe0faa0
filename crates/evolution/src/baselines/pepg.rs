//! Parameter-exploring policy gradients.

use super::batch::{Batch, Optimizer, check, check_positive, clamp};
use crate::{Bounds, EvolutionError};
use alice_random::Stream;

/// Beyond this, fitness is taken in units of its largest value.
const HUGE: f64 = 1e100;

/// How PEPG starts and learns.
#[derive(Clone, Debug)]
pub struct PepgConfig {
    /// The first mean `[d]`.
    pub start: Vec<f64>,
    /// The first standard deviation of every parameter; the paper's comparison
    /// has 4.
    pub sigma: f64,
    /// Points per generation, an even number.
    pub population: usize,
    /// α_μ, the rate of the mean; 0.2 in the article.
    pub mean_rate: f64,
    /// α_σ, the rate of the deviations; 0.1 in the article.
    pub sigma_rate: f64,
    /// The box of the search.
    pub bounds: Option<Bounds>,
}

impl PepgConfig {
    /// The article's rates.
    #[must_use]
    pub fn new(start: Vec<f64>, sigma: f64, population: usize) -> Self {
        Self {
            start,
            sigma,
            population,
            mean_rate: 0.2,
            sigma_rate: 0.1,
            bounds: None,
        }
    }
}

/// PEPG with symmetric samples μ ± ε and a deviation per parameter.
///
/// The article's updates, averaged over the pairs of a generation, with rewards
/// measured from their mean in units of their standard deviation, so that the
/// scale of the fitness does not matter. No deviation changes by more than a
/// fifth at once. Points outside the box are evaluated where they meet it.
/// Sehnke et al., "Parameter-exploring policy gradients", Neural Networks 23,
/// 2010.
#[derive(Clone, Debug)]
pub struct Pepg {
    seed: u64,
    mean_rate: f64,
    sigma_rate: f64,
    bounds: Option<Bounds>,
    batch: Batch,
    mean: Vec<f64>,
    sigma: Vec<f64>,
    /// ε of each pair `[n/2, d]`.
    noise: Vec<f64>,
}

impl Pepg {
    /// PEPG before its first generation.
    ///
    /// # Errors
    /// When the start is empty or not finite, sigma or a rate is not above 0,
    /// the population is odd or below 2, or the bounds do not fit.
    pub fn new(config: PepgConfig, seed: u64) -> Result<Self, EvolutionError> {
        check(&config.start, config.sigma, config.bounds.as_ref())?;
        check_positive("the rate of the mean", config.mean_rate)?;
        check_positive("the rate of sigma", config.sigma_rate)?;
        check_even(config.population)?;
        let dimension = config.start.len();
        Ok(Self {
            seed,
            mean_rate: config.mean_rate,
            sigma_rate: config.sigma_rate,
            bounds: config.bounds,
            batch: Batch::new(config.population, dimension)?,
            noise: vec![0.0; config.population / 2 * dimension],
            sigma: vec![config.sigma; dimension],
            mean: config.start,
        })
    }

    /// The mean of the distribution `[d]`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviation of each parameter `[d]`.
    #[must_use]
    pub fn sigma(&self) -> &[f64] {
        &self.sigma
    }
}

/// Symmetric samples come in pairs.
pub(super) fn check_even(population: usize) -> Result<(), EvolutionError> {
    if population.is_multiple_of(2) {
        return Ok(());
    }
    let requirement = "even, as samples come in pairs";
    Err(EvolutionError::parameter(
        "population",
        population,
        requirement,
    ))
}

impl Optimizer for Pepg {
    fn name(&self) -> &'static str {
        "PEPG"
    }

    fn ask(&mut self) -> &[f64] {
        if !self.batch.asked {
            let dimension = self.mean.len();
            let generation = self.batch.generation();
            for (pair, noise) in self.noise.chunks_exact_mut(dimension).enumerate() {
                let mut stream = Stream::new(self.seed, "pepg", pair as u64, generation);
                let normals: Vec<f64> = stream.normals(dimension);
                for ((noise, normal), sigma) in noise.iter_mut().zip(normals).zip(&self.sigma) {
                    *noise = sigma * normal;
                }
                let bounds = self.bounds.as_ref();
                self.batch
                    .place_pair(pair, &self.mean, |i| noise[i], bounds);
            }
            self.batch.asked = true;
        }
        self.batch.points()
    }

    fn tell(&mut self, fitness: &[f64]) -> Result<(), EvolutionError> {
        self.batch.accept(fitness)?;
        let count = fitness.len() as f64;
        // Only the shape counts; squares of huge fitness are no numbers.
        let largest = fitness.iter().fold(0.0f64, |most, f| most.max(f.abs()));
        let unit = if largest > HUGE { largest } else { 1.0 };
        let fitness: Vec<f64> = fitness.iter().map(|f| f / unit).collect();
        let baseline = fitness.iter().sum::<f64>() / count;
        let squares = fitness.iter().map(|f| (f - baseline) * (f - baseline));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        // Where all are equal there is nothing to learn.
        if !(deviation.is_finite() && deviation > 0.0) {
            return Ok(());
        }
        let dimension = self.mean.len();
        let mut mean_gradient = vec![0.0; dimension];
        let mut sigma_gradient = vec![0.0; dimension];
        let pairs = fitness.chunks_exact(2);
        for (pair, noise) in pairs.zip(self.noise.chunks_exact(dimension)) {
            let along = (pair[0] - pair[1]) / (2.0 * deviation);
            let above = ((pair[0] + pair[1]) / 2.0 - baseline) / deviation;
            for i in 0..dimension {
                let sigma = self.sigma[i];
                mean_gradient[i] += along * noise[i];
                sigma_gradient[i] += above * (noise[i] * noise[i] - sigma * sigma) / sigma;
            }
        }
        let pairs = count / 2.0;
        for i in 0..dimension {
            self.mean[i] += self.mean_rate * mean_gradient[i] / pairs;
            let sigma = self.sigma[i];
            let change = self.sigma_rate * sigma_gradient[i] / pairs;
            self.sigma[i] = sigma + change.clamp(-0.2 * sigma, 0.2 * sigma);
        }
        clamp(&mut self.mean, self.bounds.as_ref());
        Ok(())
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }
}
