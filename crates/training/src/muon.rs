//! Muon (Jordan 2024): momentum whose singular values are all set to about one.

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use serde::{Deserialize, Serialize};

/// The constants of Muon, for the weight matrices of hidden layers.
///
/// The update is scaled to the root mean square of AdamW's (0.2, after Liu et
/// al. 2025, "Muon is scalable for LLM training"), so that both share one
/// learning rate and weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonConfig {
    /// Decay of the momentum, which is Nesterov's.
    pub momentum: f64,
    /// Steps of the Newton–Schulz iteration.
    pub iterations: usize,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            iterations: 5,
        }
    }
}

/// Root mean square of an AdamW update, in units of the learning rate.
const ROOT_MEAN_SQUARE: f32 = 0.2;

/// One update of a matrix `[rows, columns]`.
pub(crate) fn update(
    config: &MuonConfig,
    values: &mut [f32],
    gradient: &[f32],
    momentum: &mut [f32],
    (rows, columns): (usize, usize),
    learning_rate: f32,
    keep: f32,
) {
    let beta = config.momentum as f32;
    let look_ahead: Vec<f32> = momentum
        .iter_mut()
        .zip(gradient)
        .map(|(m, &g)| {
            *m = beta * *m + g;
            g + beta * *m
        })
        .collect();
    let step = orthogonalise(&look_ahead, rows, columns, config.iterations);
    let scale = learning_rate * ROOT_MEAN_SQUARE * (rows.max(columns) as f32).sqrt();
    let mut index = 0;
    for row in 0..rows {
        for column in 0..columns {
            values[index] = keep * values[index] - scale * step[(row, column)];
            index += 1;
        }
    }
}

/// The matrix with singular values moved to between about 0.7 and 1.2 by
/// Jordan's quintic Newton–Schulz iteration, which needs products only.
fn orthogonalise(values: &[f32], rows: usize, columns: usize, iterations: usize) -> Mat<f32> {
    const A: f32 = 3.4445;
    const B: f32 = -4.7750;
    const C: f32 = 2.0315;
    let whole = MatRef::from_row_major_slice(values, rows, columns);
    // The Gram matrix is formed on the shorter side.
    let tall = rows >= columns;
    let short = rows.min(columns);
    let start = if tall { whole } else { whole.transpose() };
    let norm = start.norm_l2().max(1e-7);
    let mut x = Mat::from_fn(start.nrows(), short, |r, c| start[(r, c)] / norm);
    let mut next = Mat::zeros(start.nrows(), short);
    let (mut gram, mut square) = (Mat::zeros(short, short), Mat::zeros(short, short));
    let (over, seq) = (Accum::Replace, Par::Seq);
    for _ in 0..iterations {
        matmul(&mut gram, over, x.transpose(), &x, 1.0, seq);
        matmul(&mut square, over, &gram, &gram, C, seq);
        let polynomial = Mat::from_fn(short, short, |r, c| {
            let diagonal = if r == c { A } else { 0.0 };
            diagonal + B * gram[(r, c)] + square[(r, c)]
        });
        matmul(&mut next, over, &x, &polynomial, 1.0, seq);
        std::mem::swap(&mut x, &mut next);
    }
    if tall { x } else { x.transpose().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    /// Against the singular value decomposition: same singular vectors, values near one.
    #[test]
    fn the_iteration_flattens_the_spectrum() {
        for (rows, columns) in [(40, 12), (12, 40), (16, 16)] {
            let values = Stream::new(7, "muon", 0, 0).normals::<f32>(rows * columns);
            let flat = orthogonalise(&values, rows, columns, 5);
            let svd = MatRef::from_row_major_slice(&values, rows, columns)
                .thin_svd()
                .unwrap();
            let along = svd.U().transpose() * &flat * svd.V();
            for i in 0..along.nrows() {
                for j in 0..along.ncols() {
                    let expected = if i == j { 0.6..1.3 } else { -1e-4..1e-4 };
                    assert!(expected.contains(&along[(i, j)]), "{}", along[(i, j)]);
                }
            }
        }
    }
}
