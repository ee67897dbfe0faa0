//! The geometry of a map, seen through its linearisation.
//!
//! Geometry never sees a network. It sees a [`LinearMap`]: a domain, a
//! codomain, a pushforward of blocks of tangents (J V) and a pullback of
//! blocks of cotangents (Jᵀ U). Dense matrices and closed-form surfaces test
//! it; networks use it.
//!
//! | what | where |
//! |---|---|
//! | leading singular triplets | [`GolubKahan`], and the published baseline [`SubspaceIteration`] |
//! | the same along a curve of near maps | [`Trail`] |
//! | every singular triplet of a small map | [`dense_spectrum`] |
//! | lengths under the pullback metric | [`pullback_length`] |
//! | spans: projection onto and out of | [`Span`] |
//! | a direction carried to another point | [`transport`] |
//! | rare or marked concepts of a cloud of states | [`Components`] |
//! | directions rotated until they act locally | [`varimax`] |
//! | directions that move one of several measured quantities | [`Aim`] |
//! | geodesics, from a point or between two | [`geodesic`] |
//! | angles, distance and mean of subspaces | [`grassmann`] |
//!
//! Vectors are rows: a block of r vectors of dimension n is stored `[r, n]`.
//! Numbers in and out are f32, reductions and small decompositions are f64.
//! Nothing here prints, draws from global state or uses more than one thread.

mod aim;
mod block;
mod concepts;
mod error;
pub mod geodesic;
pub mod grassmann;
mod maps;
mod metric;
mod numeric;
mod span;
mod spectrum;
mod transport;
mod varimax;

pub use aim::Aim;
pub use block::Block;
pub use concepts::{Components, Concept};
pub use error::GeometryError;
pub use maps::{Counted, LinearMap, Matrix, Pooled, ProductCount, Selected, Shifted, Stacked};
pub use metric::{TangentBasis, pullback_length};
pub use numeric::{dot, norm};
pub use span::Span;
pub use spectrum::{GolubKahan, Spectrum, SubspaceIteration, Trail, dense_spectrum};
pub use transport::transport;
pub use varimax::varimax;
