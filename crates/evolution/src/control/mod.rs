//! Control tasks and the policies that act in them.
//!
//! The tasks are Gymnasium's classic control, checked against trajectories of
//! Gymnasium (`tests/fixtures/control`).

mod acrobot;
mod cart_pole;
mod environment;
mod mountain_car;
mod mountain_car_continuous;
mod pendulum;
mod policy;
mod problem;
mod starts;
mod task;

pub use acrobot::Acrobot;
pub use cart_pole::CartPole;
pub use environment::{Choice, Environment, Frame, Step};
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use pendulum::Pendulum;
pub use policy::{Policy, PolicyScratch};
pub use problem::{ControlProblem, Episode, Fitness};
pub use task::Task;
