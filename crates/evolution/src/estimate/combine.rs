//! From shifted sums and guards to a mean.

use super::{Cloud, Guards};

/// Sums over the whole population: what the kernel's guard weighs.
pub(super) struct Totals {
    /// Σ Q.
    pub mass: f64,
    /// Σ Q (x − origin) `[d]`.
    pub moment: Vec<f64>,
}

impl Totals {
    pub fn of(cloud: &Cloud<'_>, origin: &[f64]) -> Self {
        let mut moment = vec![0.0; cloud.dimension];
        for (row, q) in cloud
            .points
            .chunks_exact(cloud.dimension)
            .zip(cloud.weights)
        {
            for ((m, x), o) in moment.iter_mut().zip(row).zip(origin) {
                *m += q * (x - o);
            }
        }
        Self {
            mass: cloud.weights.iter().sum(),
            moment,
        }
    }
}

/// The factors of the kernel's sums, of the totals and of the normaliser's
/// guard. The kernel's values are e^`log_scale` times those that were summed;
/// dividing by the largest keeps all three finite.
pub(super) fn factors(log_scale: f64, guards: Guards) -> [f64; 3] {
    let logs = [log_scale, guards.kernel.ln(), guards.normaliser.ln()];
    let largest = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
    logs.map(|log| (log - largest).exp())
}

/// x̂₀ − origin: the component of sums (`mass`, `moment`) with the guards'.
/// Zero weights everywhere give `fallback`.
pub(super) fn mean(
    [kernel, guard, normaliser]: [f64; 3],
    (mass, moment): (f64, f64),
    (total_mass, total_moment): (f64, f64),
    origin: f64,
    fallback: f64,
) -> f64 {
    let weight = kernel * mass + guard * total_mass;
    let z = weight + normaliser;
    if z > 0.0 {
        // The normaliser's guard pulls towards zero, not towards the origin.
        (kernel * moment + guard * total_moment - normaliser * origin) / z
    } else {
        fallback
    }
}
