//! OpenAI's evolution strategy.

use super::batch::{Batch, Optimizer, check, check_positive, clamp};
use super::pepg::check_even;
use crate::{Bounds, EvolutionError};
use alice_random::Stream;

/// How OpenES starts and learns.
#[derive(Clone, Debug)]
pub struct OpenEsConfig {
    /// The first mean `[d]`.
    pub start: Vec<f64>,
    /// The standard deviation of the samples, which stays; 0.02 in the article.
    pub sigma: f64,
    /// Points per generation, an even number.
    pub population: usize,
    /// The step size of Adam; 0.01 in the article.
    pub rate: f64,
    /// What times the mean is taken from the gradient, before Adam (so that only
    /// its share of the gradient counts); 0.005 in the article's runs on control.
    pub weight_decay: f64,
    /// The box of the search.
    pub bounds: Option<Bounds>,
}

impl OpenEsConfig {
    /// The article's constants, without weight decay.
    #[must_use]
    pub fn new(start: Vec<f64>, population: usize) -> Self {
        Self {
            start,
            sigma: 0.02,
            population,
            rate: 0.01,
            weight_decay: 0.0,
            bounds: None,
        }
    }
}

/// A gradient of the smoothed fitness by mirrored samples θ ± σε, their fitness
/// replaced by centred ranks, followed with Adam.
///
/// Ranks are spread over [−½, ½], equals sharing theirs. The step size does not
/// shrink, so that the mean comes to rest within about a step of an optimum.
/// Points outside the box are evaluated where they meet it. Salimans, Ho, Chen,
/// Sidor and Sutskever, "Evolution strategies as a scalable alternative to
/// reinforcement learning", arXiv 1703.03864, 2017; Kingma and Ba, "Adam",
/// arXiv 1412.6980.
#[derive(Clone, Debug)]
pub struct OpenEs {
    seed: u64,
    sigma: f64,
    rate: f64,
    weight_decay: f64,
    bounds: Option<Bounds>,
    batch: Batch,
    mean: Vec<f64>,
    /// ε of each pair `[n/2, d]`.
    noise: Vec<f64>,
    first_moment: Vec<f64>,
    second_moment: Vec<f64>,
}

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

impl OpenEs {
    /// OpenES before its first generation.
    ///
    /// # Errors
    /// When the start is empty or not finite, sigma or the rate is not above 0,
    /// the weight decay is negative, the population is odd or below 2, or the
    /// bounds do not fit.
    pub fn new(config: OpenEsConfig, seed: u64) -> Result<Self, EvolutionError> {
        check(&config.start, config.sigma, config.bounds.as_ref())?;
        check_positive("rate", config.rate)?;
        if !(config.weight_decay >= 0.0 && config.weight_decay.is_finite()) {
            let (found, requirement) = (config.weight_decay, "a finite number from 0");
            return Err(EvolutionError::parameter(
                "weight decay",
                found,
                requirement,
            ));
        }
        check_even(config.population)?;
        let dimension = config.start.len();
        Ok(Self {
            seed,
            sigma: config.sigma,
            rate: config.rate,
            weight_decay: config.weight_decay,
            bounds: config.bounds,
            batch: Batch::new(config.population, dimension)?,
            noise: vec![0.0; config.population / 2 * dimension],
            first_moment: vec![0.0; dimension],
            second_moment: vec![0.0; dimension],
            mean: config.start,
        })
    }

    /// The mean θ `[d]`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }
}

/// Ranks spread over [−½, ½], the worst first; equals get the mean of theirs.
fn centred_ranks(batch: &Batch) -> Vec<f64> {
    let order = batch.ranked();
    let count = order.len();
    let mut ranks = vec![0.0; count];
    let mut from = 0;
    while from < count {
        let value = batch.fitness()[order[from]];
        let equals = order[from..].iter();
        let to = from + equals.take_while(|&&i| batch.fitness()[i] == value).count();
        let place = (from + to - 1) as f64 / 2.0;
        for &individual in &order[from..to] {
            ranks[individual] = 0.5 - place / (count - 1) as f64;
        }
        from = to;
    }
    ranks
}

impl Optimizer for OpenEs {
    fn name(&self) -> &'static str {
        "OpenES"
    }

    fn ask(&mut self) -> &[f64] {
        if !self.batch.asked {
            let dimension = self.mean.len();
            let generation = self.batch.generation();
            for (pair, noise) in self.noise.chunks_exact_mut(dimension).enumerate() {
                let mut stream = Stream::new(self.seed, "open-es", pair as u64, generation);
                noise.copy_from_slice(&stream.normals::<f64>(dimension));
                let (sigma, bounds) = (self.sigma, self.bounds.as_ref());
                let step = |i: usize| sigma * noise[i];
                self.batch.place_pair(pair, &self.mean, step, bounds);
            }
            self.batch.asked = true;
        }
        self.batch.points()
    }

    fn tell(&mut self, fitness: &[f64]) -> Result<(), EvolutionError> {
        self.batch.accept(fitness)?;
        let dimension = self.mean.len();
        let ranks = centred_ranks(&self.batch);
        let mut gradient = vec![0.0; dimension];
        let pairs = ranks.chunks_exact(2);
        for (pair, noise) in pairs.zip(self.noise.chunks_exact(dimension)) {
            let along = (pair[0] - pair[1]) / (self.sigma * ranks.len() as f64);
            for (gradient, noise) in gradient.iter_mut().zip(noise) {
                *gradient += along * noise;
            }
        }
        let told = self.batch.generation() as f64;
        let correction_1 = 1.0 - libm::pow(BETA_1, told);
        let correction_2 = 1.0 - libm::pow(BETA_2, told);
        for i in 0..dimension {
            let ascent = gradient[i] - self.weight_decay * self.mean[i];
            let first = &mut self.first_moment[i];
            let second = &mut self.second_moment[i];
            *first = BETA_1 * *first + (1.0 - BETA_1) * ascent;
            *second = BETA_2 * *second + (1.0 - BETA_2) * ascent * ascent;
            let root = (*second / correction_2).sqrt() + EPSILON;
            self.mean[i] += self.rate * (*first / correction_1) / root;
        }
        clamp(&mut self.mean, self.bounds.as_ref());
        Ok(())
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_share_a_rank() -> Result<(), EvolutionError> {
        let mut batch = Batch::new(5, 1)?;
        batch.asked = true;
        batch.accept(&[3.0, 1.0, 3.0, 9.0, 2.0])?;
        // Places from the best: 9 is 0; both 3 share 1 and 2; 2 is 3; 1 is 4.
        let expected = [0.125, -0.5, 0.125, 0.5, -0.25];
        assert_eq!(centred_ranks(&batch), expected);
        Ok(())
    }
}
