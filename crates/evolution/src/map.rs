//! From fitness to weight.

use crate::EvolutionError;
use serde::{Deserialize, Serialize};

/// g, the map from fitness to weight. Better fitness never weighs less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitnessMap {
    /// The fitness itself, which must not be negative.
    #[default]
    Identity,
    /// exp((f − max f) / T): the Boltzmann weight of the energy −f.
    Energy {
        /// T > 0.
        temperature: f64,
    },
    /// (f / T)ᵖ of a fitness that must not be negative.
    Power {
        /// T > 0.
        temperature: f64,
        /// p ≥ 0.
        exponent: f64,
    },
}

impl FitnessMap {
    /// Refuses parameters that make no map.
    ///
    /// # Errors
    /// Names the parameter.
    pub fn check(self) -> Result<(), EvolutionError> {
        let (Self::Energy { temperature } | Self::Power { temperature, .. }) = self else {
            return Ok(());
        };
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(EvolutionError::parameter(
                "the temperature",
                temperature,
                "a positive number",
            ));
        }
        match self {
            Self::Power { exponent, .. } if !(exponent >= 0.0 && exponent.is_finite()) => Err(
                EvolutionError::parameter("the power", exponent, "zero or positive"),
            ),
            _ => Ok(()),
        }
    }

    /// The weights of a population `[n]`.
    ///
    /// # Errors
    /// When a fitness is NaN or infinite, or negative and the map takes none.
    pub fn weights(self, fitness: &[f64]) -> Result<Vec<f64>, EvolutionError> {
        let refuse = |individual: usize, requirement| {
            Err(EvolutionError::Fitness {
                individual,
                value: fitness[individual],
                requirement,
            })
        };
        if let Some(i) = fitness.iter().position(|f| !f.is_finite()) {
            return refuse(i, "it must be a finite number. Check the problem");
        }
        let negative = fitness.iter().position(|f| *f < 0.0);
        match (self, negative) {
            (Self::Identity | Self::Power { .. }, Some(i)) => refuse(
                i,
                "this map takes no negative fitness. Shift the fitness, or use the energy map",
            ),
            (Self::Identity, None) => Ok(fitness.to_vec()),
            (
                Self::Power {
                    temperature,
                    exponent,
                },
                None,
            ) => {
                let weights: Vec<f64> = fitness
                    .iter()
                    .map(|f| (f / temperature).powf(exponent))
                    .collect();
                match weights.iter().position(|w| !w.is_finite()) {
                    Some(i) => refuse(i, "its power is too large. Raise the temperature"),
                    None => Ok(weights),
                }
            }
            (Self::Energy { temperature }, _) => {
                let best = fitness.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weight = |f: &f64| ((f - best) / temperature).exp();
                Ok(fitness.iter().map(weight).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_keep_the_order_and_have_their_values() {
        let fitness = [0.5, 2.0, 1.0];
        let energy = FitnessMap::Energy { temperature: 0.5 };
        let weights = energy.weights(&fitness).unwrap();
        assert_eq!(weights[1], 1.0);
        assert!((weights[2] - (-2.0f64).exp()).abs() < 1e-15);
        let power = FitnessMap::Power {
            temperature: 2.0,
            exponent: 3.0,
        };
        assert_eq!(power.weights(&fitness).unwrap(), [1.0 / 64.0, 1.0, 0.125]);
        assert_eq!(FitnessMap::Identity.weights(&fitness).unwrap(), fitness);
    }

    #[test]
    fn a_fitness_that_cannot_weigh_is_named() {
        let refused = FitnessMap::Identity.weights(&[1.0, -0.5]).unwrap_err();
        assert!(refused.to_string().contains("individual 1 is -0.5"));
        let energy = FitnessMap::Energy { temperature: 1.0 };
        assert!(energy.weights(&[-3.0, -1e300]).is_ok());
        assert!(energy.weights(&[0.0, f64::NAN]).is_err());
        assert!(FitnessMap::Energy { temperature: 0.0 }.check().is_err());
    }
}
