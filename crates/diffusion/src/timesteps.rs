//! Which training steps a sampler visits.
//!
//! Reference: Lin et al., arXiv 2305.08891, Table 2.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How n sampling steps are spread over T training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// 0, k, 2k, … with k = ⌊T/n⌋, plus an offset. Never reaches T − 1.
    Leading,
    /// From 0 to T − 1, both included, rounded.
    Linspace,
    /// T − 1, T − 1 − T/n, … rounded. Always starts at T − 1.
    Trailing,
}

impl TimestepSpacing {
    /// The name used in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leading => "leading",
            Self::Linspace => "linspace",
            Self::Trailing => "trailing",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Leading, Self::Linspace, Self::Trailing]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// The `steps` timesteps in sampling order (descending).
    ///
    /// `offset` is added to the leading spacing only, as published schedulers do.
    ///
    /// # Errors
    /// [`Error::Steps`] unless 1 ≤ `steps` ≤ `train_steps`, or as many as leave
    /// room for the offset; [`Error::Timestep`] if no number does.
    pub fn timesteps(self, train_steps: usize, steps: usize, offset: usize) -> Result<Vec<usize>> {
        if steps == 0 || steps > train_steps {
            return Err(Error::Steps {
                steps,
                most: train_steps,
            });
        }
        let last = (train_steps - 1) as f64;
        let timesteps: Vec<usize> = match self {
            Self::Leading => {
                let stride = train_steps / steps;
                (0..steps)
                    .rev()
                    .map(|i| (i * stride).saturating_add(offset))
                    .collect()
            }
            Self::Linspace => {
                let intervals = (steps - 1).max(1) as f64;
                (0..steps)
                    .rev()
                    .map(|i| (i as f64 * last / intervals).round_ties_even() as usize)
                    .collect()
            }
            Self::Trailing => {
                let stride = train_steps as f64 / steps as f64;
                (0..steps)
                    .map(|i| (train_steps as f64 - i as f64 * stride).round_ties_even())
                    .map(|t| (t as usize).saturating_sub(1))
                    .collect()
            }
        };
        match timesteps.first() {
            // Fewer steps leave room for the offset.
            Some(&timestep) if timestep >= train_steps => {
                let fits = |n: &usize| (n - 1) * (train_steps / n) < train_steps - offset;
                let fewer = (1..steps).rev().filter(|_| offset < train_steps);
                Err(match fewer.into_iter().find(fits) {
                    Some(most) => Error::Steps { steps, most },
                    None => Error::Timestep {
                        timestep,
                        train_steps,
                    },
                })
            }
            _ => Ok(timesteps),
        }
    }
}
