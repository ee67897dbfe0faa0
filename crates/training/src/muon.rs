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
    for (row, values) in values.chunks_exact_mut(columns).enumerate() {
        for (value, &step) in values.iter_mut().zip(step.col_as_slice(row)) {
            *value = keep * *value - scale * step;
        }
    }
}

/// The matrix with singular values moved to between about 0.7 and 1.2 by
/// Jordan's quintic Newton–Schulz iteration, which needs products only.
///
/// `values` is `[rows, columns]` row by row; the result is its transpose, which
/// has the same memory in faer's order.
fn orthogonalise(values: &[f32], rows: usize, columns: usize, iterations: usize) -> Mat<f32> {
    const A: f32 = 3.4445;
    const B: f32 = -4.7750;
    const C: f32 = 2.0315;
    let mut x = MatRef::from_column_major_slice(values, columns, rows).to_owned();
    let inverse_norm = 1.0 / x.norm_l2().max(1e-7);
    for column in 0..rows {
        let column = x.col_as_slice_mut(column);
        column.iter_mut().for_each(|v| *v *= inverse_norm);
    }
    // The Gram matrix is formed on the shorter side.
    let wide = columns <= rows;
    let short = rows.min(columns);
    let mut next = Mat::zeros(columns, rows);
    let (mut gram, mut polynomial) = (Mat::zeros(short, short), Mat::zeros(short, short));
    let (over, seq) = (Accum::Replace, Par::Seq);
    for _ in 0..iterations {
        let (left, right) = if wide {
            (x.as_ref(), x.transpose())
        } else {
            (x.transpose(), x.as_ref())
        };
        matmul(&mut gram, over, left, right, 1.0, seq);
        matmul(&mut polynomial, over, &gram, &gram, C, seq);
        for column in 0..short {
            let terms = polynomial.col_as_slice_mut(column);
            for (term, &gram) in terms.iter_mut().zip(gram.col_as_slice(column)) {
                *term += B * gram;
            }
            terms[column] += A;
        }
        let (left, right) = if wide {
            (&polynomial, &x)
        } else {
            (&x, &polynomial)
        };
        matmul(&mut next, over, left, right, 1.0, seq);
        std::mem::swap(&mut x, &mut next);
    }
    x
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
            let svd = MatRef::from_column_major_slice(&values, columns, rows)
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
