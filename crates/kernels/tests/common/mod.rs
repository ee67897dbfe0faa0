//! What the property tests share: numbers that f32 holds, in both precisions,
//! and how far results are apart.

use alice_kernels::Real;
use alice_random::Stream;

/// Standard normal numbers, each one that f32 holds.
pub fn normals(stream: &mut Stream, count: usize) -> Vec<f64> {
    let values: Vec<f32> = stream.normals(count);
    values.into_iter().map(f64::from).collect()
}

/// The same numbers in another precision.
pub fn of<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&v| T::from_f64(v)).collect()
}

/// Widened to f64.
pub fn wide<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.to_f64()).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// ‖a − b‖.
pub fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(x, y)| (x - y).powi(2));
    squares.sum::<f64>().sqrt()
}
