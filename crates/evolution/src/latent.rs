//! A random projection, in which distances are measured.

use crate::EvolutionError;
use crate::real::vectorized;
use alice_random::Stream;
use rayon::prelude::*;

/// E `[latent, dimension]`: normal numbers, rows of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Latent {
    matrix: Vec<f64>,
    dimension: usize,
}

impl Latent {
    /// A projection from `from` to `to` dimensions, named by the seed.
    ///
    /// # Errors
    /// When `to` is 0 or above `from`.
    pub fn new(from: usize, to: usize, seed: u64) -> Result<Self, EvolutionError> {
        if to == 0 || to > from {
            return Err(EvolutionError::parameter(
                "the latent dimension",
                to,
                format!("at least 1 and at most the problem's {from}"),
            ));
        }
        let mut matrix = Vec::with_capacity(from * to);
        for row in 0..to {
            let values: Vec<f64> =
                Stream::new(seed, "latent projection", row as u64, 0).normals(from);
            let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            matrix.extend(values.iter().map(|v| v / length));
        }
        Ok(Self {
            matrix,
            dimension: to,
        })
    }

    /// Dimensions of the latent space.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// z = E x of every row of `points` `[n, d]`: `[n, latent]`.
    #[must_use]
    pub fn project(&self, points: &[f64]) -> Vec<f64> {
        let from = self.matrix.len() / self.dimension;
        let places = points
            .par_chunks_exact(from)
            .flat_map_iter(|row| self.matrix.chunks_exact(from).map(|e| dot(e, row)));
        places.collect()
    }
}

/// A sum in 8 parts, in an order that does not depend on the machine.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    vectorized(
        #[inline(always)]
        || {
            let (a, a_rest) = a.as_chunks::<8>();
            let (b, b_rest) = b.as_chunks::<8>();
            let mut parts = [0.0; 8];
            for (a, b) in a.iter().zip(b) {
                for k in 0..8 {
                    parts[k] += a[k] * b[k];
                }
            }
            for (part, (a, b)) in parts.iter_mut().zip(a_rest.iter().zip(b_rest)) {
                *part += a * b;
            }
            parts.iter().sum()
        },
    )
}
