//! Surfaces whose geodesics are known.

use super::SmoothMap;
use crate::{Block, GeometryError, LinearMap, Matrix};

/// (θ, φ) → the unit sphere.
pub(crate) struct Sphere;

impl Sphere {
    pub(crate) fn point(theta: f64, phi: f64) -> [f64; 3] {
        [
            theta.sin() * phi.cos(),
            theta.sin() * phi.sin(),
            theta.cos(),
        ]
    }

    pub(crate) fn push(theta: f64, phi: f64, [a, b]: [f64; 2]) -> [f64; 3] {
        [
            a * theta.cos() * phi.cos() - b * theta.sin() * phi.sin(),
            a * theta.cos() * phi.sin() + b * theta.sin() * phi.cos(),
            -a * theta.sin(),
        ]
    }
}

/// (x, y) → (x, y, x² + y²).
pub(crate) struct Paraboloid;

fn matrix(columns: [[f64; 3]; 2]) -> Result<Box<dyn LinearMap>, GeometryError> {
    let values = (0..3).flat_map(|i| [columns[0][i] as f32, columns[1][i] as f32]);
    Ok(Box::new(Matrix::from_vec(3, 2, values.collect())?))
}

fn images(points: &Block, f: impl Fn(f64, f64) -> [f64; 3]) -> Result<Block, GeometryError> {
    let rows = (0..points.rows()).map(|i| points.row(i));
    let values = rows.flat_map(|p| f(f64::from(p[0]), f64::from(p[1])).map(|v| v as f32));
    Block::from_vec(points.rows(), 3, values.collect())
}

impl SmoothMap for Sphere {
    fn domain(&self) -> usize {
        2
    }

    fn codomain(&self) -> usize {
        3
    }

    fn images(&self, points: &Block) -> Result<Block, GeometryError> {
        images(points, Self::point)
    }

    fn linearize(&self, point: &[f32]) -> Result<Box<dyn LinearMap + '_>, GeometryError> {
        let [theta, phi] = [f64::from(point[0]), f64::from(point[1])];
        matrix([[1.0, 0.0], [0.0, 1.0]].map(|v| Self::push(theta, phi, v)))
    }
}

impl SmoothMap for Paraboloid {
    fn domain(&self) -> usize {
        2
    }

    fn codomain(&self) -> usize {
        3
    }

    fn images(&self, points: &Block) -> Result<Block, GeometryError> {
        images(points, |x, y| [x, y, x * x + y * y])
    }

    fn linearize(&self, point: &[f32]) -> Result<Box<dyn LinearMap + '_>, GeometryError> {
        let [x, y] = [f64::from(point[0]), f64::from(point[1])];
        matrix([[1.0, 0.0, 2.0 * x], [0.0, 1.0, 2.0 * y]])
    }
}
