//! The tasks by name.

use super::{Acrobot, CartPole, Environment, MountainCar, MountainCarContinuous, Pendulum, Policy};
use crate::EvolutionError;

/// A task of classic control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// [`CartPole`]: solved when the pole stands until the time limit.
    CartPole,
    /// [`Acrobot`]: solved when the free end reaches its height.
    Acrobot,
    /// [`MountainCar`]: solved when the car reaches the flag.
    MountainCar,
    /// [`MountainCarContinuous`]: solved when the car reaches the flag.
    MountainCarContinuous,
    /// [`Pendulum`]: only its return counts; never solved.
    Pendulum,
}

/// Runs a generic function on the environment of a task.
macro_rules! with_environment {
    ($task:expr, $environment:ident => $body:expr) => {
        match $task {
            Task::CartPole => {
                type $environment = CartPole;
                $body
            }
            Task::Acrobot => {
                type $environment = Acrobot;
                $body
            }
            Task::MountainCar => {
                type $environment = MountainCar;
                $body
            }
            Task::MountainCarContinuous => {
                type $environment = MountainCarContinuous;
                $body
            }
            Task::Pendulum => {
                type $environment = Pendulum;
                $body
            }
        }
    };
}
pub(super) use with_environment;

impl Task {
    /// Every task.
    pub const ALL: [Self; 5] = [
        Self::CartPole,
        Self::Acrobot,
        Self::MountainCar,
        Self::MountainCarContinuous,
        Self::Pendulum,
    ];

    /// The name in commands and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CartPole => "cart-pole",
            Self::Acrobot => "acrobot",
            Self::MountainCar => "mountain-car",
            Self::MountainCarContinuous => "mountain-car-continuous",
            Self::Pendulum => "pendulum",
        }
    }

    /// The task of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// The id of the task in Gymnasium.
    #[must_use]
    pub fn gymnasium_id(self) -> &'static str {
        with_environment!(self, E => E::GYMNASIUM_ID)
    }

    /// The number of steps after which an episode is cut.
    #[must_use]
    pub fn time_limit(self) -> usize {
        with_environment!(self, E => E::TIME_LIMIT)
    }

    /// A policy for this task with these hidden layers, which sees observations
    /// in [`Environment::UNITS`].
    ///
    /// The paper's cart-pole policies have hidden layers of 8 (58 parameters)
    /// and of 128 and 128 (17,410).
    ///
    /// # Errors
    /// When a hidden layer is empty.
    pub fn policy(self, hidden: &[usize]) -> Result<Policy, EvolutionError> {
        let (inputs, outputs, units) =
            with_environment!(self, E => (E::OBSERVATIONS, E::OUTPUTS, E::UNITS));
        Policy::new(&[&[inputs], hidden, &[outputs]].concat())?.with_units(units)
    }

    /// The largest return there can be, or a bound of it.
    #[must_use]
    pub fn best_return(self) -> f64 {
        match self {
            Self::CartPole => 500.0,
            Self::MountainCarContinuous => 100.0,
            Self::Acrobot | Self::MountainCar | Self::Pendulum => 0.0,
        }
    }

    /// Whether an episode that ended so was solved.
    pub(super) fn solved(self, terminated: bool) -> bool {
        match self {
            Self::CartPole => !terminated,
            Self::Acrobot | Self::MountainCar | Self::MountainCarContinuous => terminated,
            Self::Pendulum => false,
        }
    }
}
