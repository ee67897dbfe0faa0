//! Diffusion Evolution: evolution as the reversal of diffusion.
//!
//! A [`Problem`] gives fitness to points; higher is better. Points are rows:
//! a population of n individuals with d parameters is stored `[n, d]`, f64.

pub mod baselines;
pub mod control;
mod error;
mod problem;

pub use error::EvolutionError;
pub use problem::{Bounds, Draws, Problem, evaluate_each};
