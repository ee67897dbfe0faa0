//! From shifted sums and guards to a mean.

use super::{Cloud, Guards};
use crate::real::vectorized;
use rayon::prelude::*;

/// Columns of a task that sums over the population.
const COLUMNS: usize = 1024;

/// Sums over the whole population: what the kernel's guard weighs.
pub(super) struct Totals {
    /// Σ Q.
    pub mass: f64,
    /// Σ Q (x − origin) `[d]`.
    pub moment: Vec<f64>,
}

impl Totals {
    /// Sums about zero.
    pub fn of(cloud: &Cloud<'_>) -> Self {
        let (_, moment) = sums(cloud);
        let mass = cloud.weights.iter().sum();
        Self { mass, moment }
    }

    /// The mean of the points `[d]`, and the sums about it.
    pub fn about_mean(cloud: &Cloud<'_>) -> (Vec<f64>, Self) {
        let (mut mean, mut moment) = sums(cloud);
        let (n, mass) = (cloud.len() as f64, cloud.weights.iter().sum());
        for (mean, moment) in mean.iter_mut().zip(&mut moment) {
            *mean /= n;
            *moment -= mass * *mean;
        }
        (mean, Self { mass, moment })
    }
}

/// Σ x and Σ Q x `[d]`, in one pass over the points.
fn sums(cloud: &Cloud<'_>) -> (Vec<f64>, Vec<f64>) {
    let d = cloud.dimension;
    let (mut plain, mut weighted) = (vec![0.0; d], vec![0.0; d]);
    let columns = plain
        .par_chunks_mut(COLUMNS)
        .zip(weighted.par_chunks_mut(COLUMNS));
    columns.enumerate().for_each(|(chunk, (plain, weighted))| {
        vectorized(
            #[inline(always)]
            || {
                for (row, &q) in cloud.points.chunks_exact(d).zip(cloud.weights) {
                    let row = &row[chunk * COLUMNS..][..plain.len()];
                    for ((plain, weighted), x) in plain.iter_mut().zip(weighted.iter_mut()).zip(row)
                    {
                        *plain += x;
                        *weighted += q * x;
                    }
                }
            },
        );
    });
    (plain, weighted)
}

/// The shares of the kernel's sums, of the totals and of the normaliser's
/// guard in a mean.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    kernel: f64,
    guard: f64,
    normaliser: f64,
}

impl Shares {
    /// For kernel values that are e^`log_scale` times those whose sum is
    /// `mass`. None where everything weighs zero.
    pub fn new(log_scale: f64, mass: f64, totals: &Totals, guards: Guards) -> Option<Self> {
        let logs = [log_scale, guards.kernel.ln(), guards.normaliser.ln()];
        let largest = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
        // Divided by the largest, all three are finite.
        let [kernel, guard, normaliser] = logs.map(|log| (log - largest).exp());
        let z = kernel * mass + guard * totals.mass + normaliser;
        (z > 0.0).then(|| Self {
            kernel: kernel / z,
            guard: guard / z,
            normaliser: normaliser / z,
        })
    }

    /// x̂₀: a component of the moments about `origin`.
    #[inline(always)]
    pub fn mean(self, moment: f64, total_moment: f64, origin: f64) -> f64 {
        // The normaliser's guard pulls towards zero, not towards the origin.
        let pull = self.kernel * moment + self.guard * total_moment;
        origin + (pull - self.normaliser * origin)
    }
}
