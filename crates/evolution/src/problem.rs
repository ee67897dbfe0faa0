//! What an algorithm knows of a problem.

use crate::EvolutionError;
use alice_random::Stream;
use rayon::prelude::*;

/// A box that holds every point of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The lowest value of each parameter `[d]`.
    pub lower: Vec<f64>,
    /// The highest value of each parameter `[d]`.
    pub upper: Vec<f64>,
}

impl Bounds {
    /// The cube ±`half_width` in `dimension` dimensions.
    #[must_use]
    pub fn cube(dimension: usize, half_width: f64) -> Self {
        Self {
            lower: vec![-half_width; dimension],
            upper: vec![half_width; dimension],
        }
    }

    /// Refuses what is no box in `dimension` dimensions.
    ///
    /// # Errors
    /// When there is not one finite interval for each parameter, its lower end
    /// below its upper.
    pub fn check(&self, dimension: usize) -> Result<(), EvolutionError> {
        for limits in [&self.lower, &self.upper] {
            EvolutionError::check_extent("bounds", "dimension", limits.len(), dimension)?;
        }
        for (low, high) in self.lower.iter().zip(&self.upper) {
            // An interval wider than numbers go has no middle either.
            if !(low < high && (high - low).is_finite()) {
                let found = format!("[{low}, {high}]");
                let requirement = "an interval whose lower end is below its upper end";
                return Err(EvolutionError::parameter("bounds", found, requirement));
            }
        }
        Ok(())
    }

    /// Whether a point `[d]` lies in the box, its sides included.
    #[must_use]
    pub fn contains(&self, point: &[f64]) -> bool {
        let sides = self.lower.iter().zip(&self.upper);
        point
            .iter()
            .zip(sides)
            .all(|(x, (low, high))| (low..=high).contains(&x))
    }

    /// The share of points `[n, d]` that lie outside of the box.
    #[must_use]
    pub fn share_outside(&self, points: &[f64]) -> f64 {
        let rows = points.chunks_exact(self.lower.len().max(1));
        let count = rows.len().max(1);
        rows.filter(|point| !self.contains(point)).count() as f64 / count as f64
    }

    /// Mirrors a point at the sides of the box, as often as it takes.
    pub(crate) fn reflect(&self, point: &mut [f64]) {
        for (x, (&low, &high)) in point.iter_mut().zip(self.lower.iter().zip(&self.upper)) {
            *x = reflect(*x, low, high);
        }
    }
}

/// Mirrors x at the ends of an interval.
pub(crate) fn reflect(x: f64, low: f64, high: f64) -> f64 {
    if (low..=high).contains(&x) {
        return x;
    }
    let width = high - low;
    if width <= 0.0 {
        return low;
    }
    let phase = (x - low).rem_euclid(2.0 * width);
    let inside = if phase > width {
        high - (phase - width)
    } else {
        low + phase
    };
    // Sums round.
    inside.clamp(low, high)
}

/// Names the random draws of an evaluation, so that the fitness of an
/// individual does not depend on the batch or the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// The seed of the run.
    pub seed: u64,
    /// The batch, counted from 0.
    pub generation: u64,
}

impl Draws {
    /// The stream of one individual, for `purpose`.
    #[must_use]
    pub fn stream(&self, purpose: &str, individual: usize) -> Stream {
        Stream::new(self.seed, purpose, individual as u64, self.generation)
    }
}

/// Points in, fitness out; higher is better.
pub trait Problem: Sync {
    /// Parameters of a point, d ≥ 1.
    fn dimension(&self) -> usize;

    /// The box of the search, where the problem has one.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Writes the fitness of each of n points.
    ///
    /// `points` is `[n, d]` in rows, `fitness` is `[n]`. An implementation
    /// uses as many threads as it likes; [`evaluate_each`] does it for a
    /// function of one point.
    ///
    /// # Errors
    /// When the points cannot be evaluated.
    fn evaluate(
        &self,
        points: &[f64],
        draws: Draws,
        fitness: &mut [f64],
    ) -> Result<(), EvolutionError>;
}

/// Evaluates a function of (individual, point) on every row, in parallel.
///
/// # Errors
/// When `points` is not `[fitness.len(), dimension]`.
pub fn evaluate_each(
    points: &[f64],
    dimension: usize,
    fitness: &mut [f64],
    function: impl Fn(usize, &[f64]) -> f64 + Sync,
) -> Result<(), EvolutionError> {
    let expected = fitness.len() * dimension;
    EvolutionError::check_extent("evaluate", "number of values", points.len(), expected)?;
    if dimension == 0 {
        return Err(EvolutionError::parameter("dimension", 0, "at least 1"));
    }
    let rows = points.par_chunks_exact(dimension).zip(fitness);
    rows.enumerate()
        .with_min_len(16)
        .for_each(|(i, (point, fitness))| *fitness = function(i, point));
    Ok(())
}
