//! Which timesteps a training step sees.

use alice_random::Stream;
use serde::{Deserialize, Serialize};

/// How timesteps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TimestepSampling {
    /// Uniform, spread evenly over a batch: one offset for all its items.
    Uniform,
    /// With probability ∝ √E[loss²] of the timestep's bin, the loss weighted
    /// by the inverse (Nichol and Dhariwal 2021, section 3.3).
    Importance,
    /// More often where t/T is near the sigmoid of `mean`, the loss not
    /// weighted: logit(t/T) is normal (Esser et al. 2024, section 3.1). It
    /// trains most where it is drawn most, unlike [`Self::Importance`]. A tenth
    /// of the draws stays uniform.
    LogitNormal {
        /// Mean of logit(t/T).
        mean: f64,
        /// Its standard deviation.
        deviation: f64,
    },
}

impl TimestepSampling {
    /// What is wrong with its numbers, if anything is.
    pub(crate) fn fault(self) -> Option<&'static str> {
        match self {
            Self::LogitNormal { mean, deviation } => {
                let fits = mean.is_finite() && deviation.is_finite() && deviation > 0.0;
                (!fits).then_some("mean must be a number, deviation a positive one")
            }
            Self::Uniform | Self::Importance => None,
        }
    }
}

/// Bins of the timesteps over which losses are averaged.
const BINS: usize = 50;
/// Weight of a new loss in its bin's mean.
const FRESH: f64 = 0.02;
/// Share of the draws that stays uniform, so that no bin starves.
const UNIFORM_SHARE: f64 = 0.1;

/// Draws timesteps, and learns from the losses where that is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimestepSampler {
    sampling: TimestepSampling,
    train_steps: usize,
    /// Mean squared loss of each bin; 0 where none was seen.
    pub(crate) squares: Vec<f64>,
}

impl TimestepSampler {
    pub(crate) fn new(sampling: TimestepSampling, train_steps: usize) -> Self {
        Self {
            sampling,
            train_steps,
            squares: vec![0.0; BINS],
        }
    }

    /// Timesteps and loss weights of a batch.
    pub(crate) fn draw(&self, seed: u64, step: u64, batch: usize) -> (Vec<usize>, Vec<f64>) {
        let mut stream = Stream::new(seed, "timesteps", 0, step);
        let offset = stream.uniform();
        let weights = self.probabilities();
        let draws = (0..batch).map(|i| {
            let u = (i as f64 + offset) / batch as f64;
            let (bin, inside) = pick(&weights, u);
            let position = (bin as f64 + inside) / BINS as f64;
            let t = (position * self.train_steps as f64) as usize;
            let weight = match self.sampling {
                TimestepSampling::LogitNormal { .. } => 1.0,
                _ => 1.0 / (weights[bin] * BINS as f64),
            };
            (t.min(self.train_steps - 1), weight)
        });
        draws.unzip()
    }

    /// Learns from the losses of a batch.
    pub(crate) fn observe(&mut self, timesteps: &[usize], losses: &[f64]) {
        for (&t, &loss) in timesteps.iter().zip(losses) {
            let bin = (t * BINS / self.train_steps).min(BINS - 1);
            let square = &mut self.squares[bin];
            let fresh = if *square == 0.0 { 1.0 } else { FRESH };
            *square += fresh * (loss * loss - *square);
        }
    }

    /// The probability of each bin.
    fn probabilities(&self) -> Vec<f64> {
        let shares: Vec<f64> = match self.sampling {
            TimestepSampling::Importance if self.squares.iter().all(|&s| s > 0.0) => {
                let total: f64 = self.squares.iter().map(|s| s.sqrt()).sum();
                self.squares.iter().map(|s| s.sqrt() / total).collect()
            }
            TimestepSampling::LogitNormal { mean, deviation } => {
                let below = |bin: usize| {
                    let position = bin as f64 / BINS as f64;
                    let logit = (position / (1.0 - position)).ln();
                    0.5 * libm::erfc((mean - logit) / (deviation * std::f64::consts::SQRT_2))
                };
                (0..BINS).map(|bin| below(bin + 1) - below(bin)).collect()
            }
            _ => return vec![1.0 / BINS as f64; BINS],
        };
        let mixed = |share| UNIFORM_SHARE / BINS as f64 + (1.0 - UNIFORM_SHARE) * share;
        shares.into_iter().map(mixed).collect()
    }
}

/// The bin in which the cumulative probability passes u, and how far inside.
fn pick(probabilities: &[f64], mut u: f64) -> (usize, f64) {
    for (bin, &p) in probabilities.iter().enumerate() {
        if u < p {
            return (bin, u / p);
        }
        u -= p;
    }
    (probabilities.len() - 1, 1.0 - f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_draws_cover_the_schedule_evenly() {
        let sampler = TimestepSampler::new(TimestepSampling::Uniform, 1000);
        let mut counts = [0usize; 10];
        for step in 0..200 {
            let (timesteps, weights) = sampler.draw(1, step, 16);
            assert!(weights.iter().all(|w| (w - 1.0).abs() < 1e-12));
            timesteps.iter().for_each(|t| counts[t / 100] += 1);
        }
        assert!(
            counts.iter().all(|&c| (290..=350).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn importance_weights_leave_the_expected_loss_unchanged() {
        let mut sampler = TimestepSampler::new(TimestepSampling::Importance, 1000);
        let loss = |t: usize| 0.1 + (t as f64 / 1000.0).powi(2);
        for _ in 0..40 {
            let all: Vec<usize> = (0..1000).collect();
            let losses: Vec<f64> = all.iter().map(|&t| loss(t)).collect();
            sampler.observe(&all, &losses);
        }
        let (mut sum, mut count, mut high) = (0.0, 0.0, 0.0);
        for step in 0..2000 {
            let (timesteps, weights) = sampler.draw(1, step, 16);
            for (t, w) in timesteps.into_iter().zip(weights) {
                sum += w * loss(t);
                count += 1.0;
                high += f64::from(u8::from(t >= 500));
            }
        }
        let exact = (0..1000).map(loss).sum::<f64>() / 1000.0;
        assert!(
            (sum / count - exact).abs() < 0.01 * exact,
            "{} {exact}",
            sum / count
        );
        assert!(high / count > 0.65, "{}", high / count);
    }

    #[test]
    fn logit_normal_draws_have_its_quartiles_and_no_weights() {
        let of = |mean, deviation| TimestepSampling::LogitNormal { mean, deviation };
        assert!(of(0.0, 0.0).fault().is_some() && of(f64::NAN, 1.0).fault().is_some());
        let (mean, deviation) = (0.6, 0.5);
        assert_eq!(of(mean, deviation).fault(), None);
        let sampler = TimestepSampler::new(TimestepSampling::LogitNormal { mean, deviation }, 1000);
        let quartile = |sign: f64| {
            let logit: f64 = mean + sign * 0.674_49 * deviation;
            (1000.0 / (1.0 + (-logit).exp())) as usize
        };
        let (low, high) = (quartile(-1.0), quartile(1.0));
        let (mut below, mut above, mut count) = (0.0, 0.0, 0.0);
        for step in 0..2000 {
            let (timesteps, weights) = sampler.draw(1, step, 16);
            assert!(weights.iter().all(|&w| w == 1.0));
            for t in timesteps {
                below += f64::from(u8::from(t < low));
                above += f64::from(u8::from(t >= high));
                count += 1.0;
            }
        }
        // A quarter of nine tenths, and the uniform tenth's share.
        let expected = |uniform: f64| 0.9 * 0.25 + 0.1 * uniform;
        let (low, high) = (low as f64 / 1000.0, 1.0 - high as f64 / 1000.0);
        assert!(
            (below / count - expected(low)).abs() < 0.01,
            "{}",
            below / count
        );
        assert!(
            (above / count - expected(high)).abs() < 0.01,
            "{}",
            above / count
        );
    }
}
