//! What can be chosen.

use crate::estimate::{Guards, Method};
use crate::problem::reflect;
use crate::{Bounds, EvolutionError, FitnessMap, Schedule};
use serde::{Deserialize, Serialize};

/// What happens to points outside the problem's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// They move to the nearest point of the box.
    Clamp,
    /// They are mirrored at its sides.
    Reflect,
}

impl Constraint {
    pub(super) fn apply(self, bounds: &Bounds, scaling: f64, population: &mut [f64]) {
        for row in population.chunks_exact_mut(bounds.lower.len()) {
            for ((x, low), high) in row.iter_mut().zip(&bounds.lower).zip(&bounds.upper) {
                let (low, high) = (low / scaling, high / scaling);
                *x = match self {
                    Self::Clamp => x.clamp(low, high),
                    Self::Reflect => reflect(*x, low, high),
                };
            }
        }
    }
}

/// The options of Diffusion Evolution. The defaults are the paper's for its
/// benchmarks, with scaling 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Individuals N, at least 2.
    pub population: usize,
    /// Generations T: T − 1 updates, T evaluations of everyone.
    pub generations: usize,
    /// The seed of every draw.
    pub seed: u64,
    /// How the noise falls.
    pub schedule: Schedule,
    /// m in 0..=1, the share of the noise that is drawn anew: 0.1 for the
    /// paper's benchmarks, 1 for its control tasks.
    pub mutation: f64,
    /// Points are the population times this.
    pub scaling: f64,
    /// From fitness to weight.
    pub map: FitnessMap,
    /// Dimensions of a random projection in which distances are measured.
    pub latent: Option<usize>,
    /// What keeps sums from zero.
    pub guards: Guards,
    /// How x̂₀ is computed.
    pub method: Method,
    /// The best individuals that stay as they are. The paper has none.
    pub elite: usize,
    /// What keeps points inside the bounds. The paper has none.
    pub constraint: Option<Constraint>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            population: 512,
            generations: 25,
            seed: 0,
            schedule: Schedule::Cosine,
            mutation: 0.1,
            scaling: 1.0,
            map: FitnessMap::Identity,
            latent: None,
            guards: Guards::default(),
            method: Method::Auto,
            elite: 0,
            constraint: None,
        }
    }
}

impl Options {
    pub(super) fn check(
        &self,
        dimension: usize,
        bounds: Option<&Bounds>,
    ) -> Result<(), EvolutionError> {
        let refuse = |name, value: &dyn std::fmt::Display, requirement: &str| {
            Err(EvolutionError::parameter(name, value, requirement))
        };
        if self.population < 2 {
            return refuse("the population", &self.population, "at least 2");
        }
        if u32::try_from(self.population).is_err() {
            return refuse("the population", &self.population, "below 2³²");
        }
        if dimension == 0 {
            return refuse("the dimension", &0, "at least 1");
        }
        // 2⁶⁰ bytes lie beyond any machine; this keeps products exact.
        if self
            .population
            .checked_mul(dimension)
            .is_none_or(|n| n >= 1 << 57)
        {
            return refuse("the dimension", &dimension, "small enough for memory");
        }
        if !(0.0..=1.0).contains(&self.mutation) {
            return refuse("the mutation", &self.mutation, "in 0..=1");
        }
        if !(self.scaling > 0.0 && self.scaling.is_finite()) {
            return refuse("the scaling", &self.scaling, "a positive number");
        }
        if self.elite >= self.population {
            return refuse("the elite", &self.elite, "smaller than the population");
        }
        let Guards {
            fitness,
            kernel,
            normaliser,
        } = self.guards;
        if let Some(guard) = [fitness, kernel, normaliser]
            .iter()
            .find(|g| !(**g >= 0.0 && g.is_finite()))
        {
            return refuse("a guard", guard, "zero or positive");
        }
        if self.constraint.is_some() {
            let Some(bounds) = bounds else {
                return refuse(
                    "the constraint",
                    &"set",
                    "left out: the problem has no bounds",
                );
            };
            for extent in [bounds.lower.len(), bounds.upper.len()] {
                EvolutionError::check_extent("bounds", "dimension", extent, dimension)?;
            }
            let ordered = |(low, high): (&f64, &f64)| low <= high;
            if !bounds.lower.iter().zip(&bounds.upper).all(ordered) {
                return refuse("the bounds", &"crossed", "lower before upper");
            }
        }
        self.map.check()
    }
}
