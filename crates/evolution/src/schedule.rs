//! How the noise level falls.

use crate::EvolutionError;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A noise schedule: α, the share of the signal's variance, over the time u
/// from 1 (noise) to 0 (the result).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// (cos πu + 1) / 2, pressed into 0.001..0.999.
    #[default]
    Cosine,
    /// A line from 1 − 1e-4 to 1e-8.
    Linear,
    /// exp(−βt − γt²) over steps t, from 1 − 1e-4 at the first to 1e-4 at the last.
    Ddpm,
}

impl Schedule {
    /// α at time `u` in 0..=1 of a schedule of `steps` levels. Only DDPM
    /// depends on the number of levels.
    ///
    /// Source: Zhang et al. (2025), <https://arxiv.org/abs/2410.02543>.
    #[must_use]
    pub fn alpha(self, u: f64, steps: usize) -> f64 {
        let (first, last) = (1.0 - 1e-4_f64, 1e-8_f64);
        match self {
            Self::Cosine => {
                let level = ((PI * u).cos() + 1.0) / 2.0;
                (level + 1e-3) * (1.0 - 1e-3) / (1.0 + 1e-3)
            }
            Self::Linear => first + u * (last - first),
            Self::Ddpm => {
                // β + γ = a and βT + γT² = b fix both ends.
                let count = steps.max(2) as f64;
                let (a, b) = (-first.ln(), -(1e-4_f64).ln());
                let gamma = (b - a * count) / (count * count - count);
                let beta = a - gamma;
                let t = 1.0 + u * (count - 1.0);
                (-beta * t - gamma * t * t).exp()
            }
        }
    }

    /// The levels that `steps` generations visit, noisiest first; time runs
    /// evenly from `start` to 0.
    ///
    /// # Errors
    /// When there is no step or `start` does not lie in 0..=1.
    pub fn levels(self, steps: usize, start: f64) -> Result<Vec<f64>, EvolutionError> {
        if steps == 0 {
            return Err(EvolutionError::parameter("generations", 0, "at least 1"));
        }
        if !(start > 0.0 && start <= 1.0) {
            return Err(EvolutionError::parameter(
                "the starting level",
                start,
                "above 0 and at most 1",
            ));
        }
        let last = (steps - 1).max(1) as f64;
        let time = |step: usize| start * (1.0 - step as f64 / last);
        Ok((0..steps).map(|k| self.alpha(time(k), steps)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_has_its_ends_and_rises() {
        let ends = [
            (Schedule::Cosine, 1e-3 * 0.999 / 1.001, 0.999),
            (Schedule::Linear, 1e-8, 1.0 - 1e-4),
            (Schedule::Ddpm, 1e-4, 1.0 - 1e-4),
        ];
        for (schedule, noisiest, cleanest) in ends {
            for steps in [2, 10, 25, 500] {
                let levels = schedule.levels(steps, 1.0).unwrap();
                assert!((levels[0] - noisiest).abs() < 1e-12, "{schedule:?}");
                assert!((levels[steps - 1] - cleanest).abs() < 1e-12);
                assert!(levels.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn no_generation_and_no_level_are_refused() {
        assert!(Schedule::Cosine.levels(0, 1.0).is_err());
        assert!(Schedule::Cosine.levels(5, 0.0).is_err());
        assert!(Schedule::Cosine.levels(5, f64::NAN).is_err());
        let one = Schedule::Linear.levels(1, 1.0).unwrap();
        assert!(one.len() == 1 && (one[0] - 1e-8).abs() < 1e-15);
    }
}
