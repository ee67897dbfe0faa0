//! Geodesics of the pullback metric: shot from a point, or between two points.

mod path;
mod shooting;
#[cfg(test)]
mod surfaces;

pub use path::{Path, Relaxation};
pub use shooting::{Geodesic, Shooting};

use crate::{Block, GeometryError, LinearMap};

/// A smooth map f from a domain of dimension n to a codomain of dimension h,
/// which is linearised wherever a curve goes.
pub trait SmoothMap {
    /// Dimension n of the points.
    fn domain(&self) -> usize;

    /// Dimension h of their images.
    fn codomain(&self) -> usize;

    /// f(x) for every row x: `[r, n]` → `[r, h]`.
    ///
    /// # Errors
    /// When the block has another dimension, or the map fails.
    fn images(&self, points: &Block) -> Result<Block, GeometryError>;

    /// The derivative at a point `[n]`.
    ///
    /// # Errors
    /// When the point has another dimension, or the map fails.
    fn linearize(&self, point: &[f32]) -> Result<Box<dyn LinearMap + '_>, GeometryError>;
}
