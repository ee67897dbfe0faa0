//! From shifted sums and guards to a mean.

use super::{Cloud, Guards};
use crate::real::vectorized;
use rayon::prelude::*;

/// Columns of a task that sums over the population.
pub(super) const COLUMNS: usize = 1024;

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
        let moment = Sums::of(cloud).weighted;
        let mass = cloud.weights.iter().sum();
        Self { mass, moment }
    }
}

/// A population about its mean.
pub(super) struct Centre {
    /// μ `[d]`.
    pub mean: Vec<f64>,
    /// Sums about the mean.
    pub totals: Totals,
    /// ‖x‖² of each [`COLUMNS`] columns `[chunks][n]`.
    pub squares: Vec<Vec<f64>>,
}

impl Centre {
    /// One pass over the points.
    pub fn of(cloud: &Cloud<'_>) -> Self {
        let (n, mass) = (cloud.len() as f64, cloud.weights.iter().sum());
        let sums = Sums::of(cloud);
        let mean: Vec<f64> = sums.plain.iter().map(|sum| sum / n).collect();
        let pairs = sums.weighted.iter().zip(&mean);
        let moment = pairs.map(|(sum, mean)| sum - mass * mean).collect();
        Self {
            mean,
            totals: Totals { mass, moment },
            squares: sums.squares,
        }
    }
}

/// Σ x and Σ Q x `[d]`, and ‖x‖² of each [`COLUMNS`] columns `[chunks][n]`.
struct Sums {
    plain: Vec<f64>,
    weighted: Vec<f64>,
    squares: Vec<Vec<f64>>,
}

impl Sums {
    fn of(cloud: &Cloud<'_>) -> Self {
        let d = cloud.dimension;
        let (mut plain, mut weighted) = (vec![0.0; d], vec![0.0; d]);
        let columns = plain
            .par_chunks_mut(COLUMNS)
            .zip(weighted.par_chunks_mut(COLUMNS));
        let squares = columns.enumerate().map(|(chunk, (plain, weighted))| {
            let rows = cloud.points.chunks_exact(d).zip(cloud.weights);
            let squares = rows.map(|(row, &q)| {
                let row = &row[chunk * COLUMNS..][..plain.len()];
                vectorized(
                    #[inline(always)]
                    || add_row(row, q, plain, weighted),
                )
            });
            squares.collect()
        });
        let squares = squares.collect();
        Self {
            plain,
            weighted,
            squares,
        }
    }
}

/// Adds x and Q x; gives ‖x‖².
#[inline(always)]
fn add_row(row: &[f64], q: f64, plain: &mut [f64], weighted: &mut [f64]) -> f64 {
    const L: usize = 8;
    let mut squares = [0.0; L];
    let (row, row_rest) = row.as_chunks::<L>();
    let (plain, plain_rest) = plain.as_chunks_mut::<L>();
    let (weighted, weighted_rest) = weighted.as_chunks_mut::<L>();
    for (x, (plain, weighted)) in row.iter().zip(plain.iter_mut().zip(weighted)) {
        for k in 0..L {
            plain[k] += x[k];
            weighted[k] += q * x[k];
            squares[k] += x[k] * x[k];
        }
    }
    let rests = plain_rest.iter_mut().zip(weighted_rest);
    for (x, (plain, weighted)) in row_rest.iter().zip(rests) {
        *plain += x;
        *weighted += q * x;
        squares[0] += x * x;
    }
    squares.iter().sum()
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
