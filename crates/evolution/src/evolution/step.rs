//! From one noise level to the next.

use crate::noise;
use crate::real::vectorized;

/// xₜ₋₁ = `denoised` x̂₀ + `state` xₜ + `noise` w.
pub(super) struct Coefficients {
    denoised: f64,
    state: f64,
    noise: f64,
}

impl Coefficients {
    /// The step from α to the larger `next`, with mutation m.
    pub fn new(alpha: f64, next: f64, mutation: f64) -> Self {
        let variance = (1.0 - next) / (1.0 - alpha) * (1.0 - alpha / next);
        let sigma = mutation * variance.max(0.0).sqrt();
        // ε̂ = (xₜ − √α x̂₀) / √(1 − α) is put in.
        let direction = (1.0 - next - sigma * sigma).max(0.0).sqrt() / (1.0 - alpha).sqrt();
        Self {
            denoised: next.sqrt() - direction * alpha.sqrt(),
            state: direction,
            noise: sigma,
        }
    }

    /// Moves every individual but the elite.
    pub fn apply(
        &self,
        draws: (u64, &str, u64),
        dimension: usize,
        denoised: &[f64],
        elite: &[usize],
        population: &mut [f64],
    ) {
        noise::for_each_row(draws, dimension, population, |i, noise, row| {
            if elite.contains(&i) {
                return;
            }
            let denoised = &denoised[i * dimension..][..dimension];
            vectorized(
                #[inline(always)]
                || {
                    for ((x, x0), w) in row.iter_mut().zip(denoised).zip(noise) {
                        *x = self.denoised * x0 + self.state * *x + self.noise * f64::from(*w);
                    }
                },
            );
        });
    }
}

/// The `count` individuals of highest fitness, the first of equals.
pub(super) fn best(fitness: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..fitness.len()).collect();
    if count == 0 {
        return Vec::new();
    }
    order.sort_by(|a, b| fitness[*b].total_cmp(&fitness[*a]));
    order.truncate(count);
    order
}
