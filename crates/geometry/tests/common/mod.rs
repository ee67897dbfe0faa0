//! Maps with a known spectrum, and the measures they are judged by.
#![allow(
    dead_code,
    reason = "each test file is its own crate and uses some of these"
)]

use alice_geometry::{
    Block, LinearMap, Matrix, Span, Spectrum, dense_spectrum, grassmann::principal_angles,
};
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

/// σ₁, σ₂, … of a named law.
pub fn spectrum(name: &str, count: usize) -> Vec<f64> {
    let value = |i: f64| match name {
        "1/i" => 1.0 / i,
        "1/sqrt(i)" => 1.0 / i.sqrt(),
        "0.95^i" => 0.95f64.powf(i),
        "clusters" => 1.0 / (1.0 + ((i - 1.0) / 5.0).floor() + 1e-3 * i),
        "tiny" => 1e-12 / i.sqrt(),
        "huge" => 1e12 / i.sqrt(),
        other => unreachable!("{other}"),
    };
    (1..=count).map(|i| value(i as f64)).collect()
}

/// The figures: σ ≤ 1e-4 relative, cosine ≥ 0.999, rows ≤ 1e-5.
pub fn assert_matches_dense(found: &Spectrum, map: &Matrix, context: &str) {
    let rank = found.singular_values.len();
    let exact = dense_spectrum(map, rank).unwrap();
    assert!(found.converged, "{context}: did not converge");
    for (i, (a, b)) in std::iter::zip(&found.singular_values, &exact.singular_values).enumerate() {
        assert!(
            (a / b - 1.0).abs() <= 1e-4,
            "{context}: σ{i} {a} against {b}"
        );
    }
    for (side, a, b) in [
        ("right", &found.right, &exact.right),
        ("left", &found.left, &exact.left),
    ] {
        let cosine = smallest_cosine(a, b, rank);
        assert!(cosine >= 0.999, "{context}: {side} cosine {cosine}");
        let error = orthonormality(a);
        assert!(error <= 1e-5, "{context}: {side} orthonormality {error}");
    }
    // The pairs belong together: J v = σ u within the residual.
    let image = map.pushforward(&found.right).unwrap();
    for i in 0..rank {
        let error: f64 = std::iter::zip(image.row(i), found.left.row(i))
            .map(|(&a, &u)| (f64::from(a) - found.singular_values[i] * f64::from(u)).powi(2))
            .sum();
        let relative = error.sqrt() / found.singular_values[0];
        assert!(relative <= 2e-4, "{context}: pair {i} off by {relative}");
        assert!(found.residuals[i] <= 1e-4);
    }
}
