//! Subspaces as points of the Grassmannian.
//!
//! A subspace is the [`Span`](crate::Span) of some vectors; which basis of it
//! is kept does not matter here.

mod angles;
mod matched;
mod mean;

pub use angles::{distance, principal_angles};
pub use matched::{MatchedMean, matched_mean};
pub use mean::{FrechetMean, frechet_mean};
