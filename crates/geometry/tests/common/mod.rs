//! Maps with a known spectrum, and the measures they are judged by.
#![allow(
    dead_code,
    reason = "each test file is its own crate and uses some of these"
)]

use alice_geometry::{Block, Matrix, Span, grassmann::principal_angles};
use alice_random::Stream;
use faer::Mat;

/// An f32 matrix `[h, n]` with the given singular values and random vectors.
pub fn matrix(h: usize, n: usize, values: &[f64], seed: u64) -> Matrix {
    let mut stream = Stream::new(seed, "test matrix", 0, 0);
    let left = orthonormal(h, values.len(), &mut stream);
    let right = orthonormal(n, values.len(), &mut stream);
    let scaled = Mat::from_fn(h, values.len(), |i, j| left[(i, j)] * values[j]);
    let product = scaled * right.transpose();
    let entries = (0..h * n).map(|at| product[(at / n, at % n)] as f32);
    Matrix::from_vec(h, n, entries.collect()).unwrap()
}

fn orthonormal(n: usize, k: usize, stream: &mut Stream) -> Mat<f64> {
    let values: Vec<f64> = stream.normals(n * k);
    Mat::from_fn(n, k, |i, j| values[j * n + i])
        .qr()
        .compute_thin_Q()
}

/// Smallest principal cosine between the first `count` rows of two blocks.
pub fn smallest_cosine(a: &Block, b: &Block, count: usize) -> f64 {
    let span = |block: &Block| {
        let mut rows = block.clone();
        rows.truncate(count);
        Span::of(&rows).unwrap()
    };
    let angles = principal_angles(&span(a), &span(b)).unwrap();
    assert_eq!(angles.len(), count);
    angles.last().unwrap().cos()
}

/// Largest |V Vᵀ − I|, in f64.
pub fn orthonormality(rows: &Block) -> f64 {
    let mut worst = 0.0f64;
    for i in 0..rows.rows() {
        for j in 0..=i {
            let dot: f64 = std::iter::zip(rows.row(i), rows.row(j))
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
            worst = worst.max((dot - f64::from(u8::from(i == j))).abs());
        }
    }
    worst
}
