//! Diffusion Evolution: evolution as the reversal of diffusion.
//!
//! A [`Problem`] gives fitness to points; higher is better. Points are rows:
//! a population of n individuals with d parameters is stored `[n, d]`, f64.
//!
//! | want | use |
//! |---|---|
//! | evolve a [`Problem`], or anything by ask and tell | [`Evolution`] |
//! | the estimate x̂₀ alone | [`estimate`](estimate()) |
//! | the paper's functions, or another program | [`problems`] |
//! | Gymnasium's control tasks and policies | [`control`] |
//! | other algorithms at the same interface | [`baselines`] |
//! | the paper's measures | [`metrics`] |
//!
//! The same seed gives the same bits with any number of threads.

pub mod baselines;
pub mod control;
mod error;
mod estimate;
mod evolution;
mod latent;
mod map;
pub mod metrics;
mod noise;
mod problem;
pub mod problems;
mod real;
mod schedule;

pub use error::EvolutionError;
pub use estimate::{Cloud, Guards, MOST_DIRECT, Method, estimate};
pub use evolution::{Constraint, Evolution, Options};
pub use latent::Latent;
pub use map::FitnessMap;
pub use problem::{Bounds, Draws, Problem, evaluate_each};
pub use schedule::Schedule;
