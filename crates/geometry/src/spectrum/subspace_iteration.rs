//! The published subspace iteration, as the named baseline.

use alice_random::Stream;
use faer::MatRef;

use super::{Spectrum, check_rank};
use crate::{
    Block, GeometryError, LinearMap,
    maps::Products,
    numeric::{norm, scale},
};

/// The power method of Park et al. (NeurIPS 2023, arXiv 2307.12868), kept to
/// compare with. Use [`GolubKahan`](crate::GolubKahan) for results.
///
/// V₀ = QR(randn); each iteration U = J V, W = Uᵀ J, W = P S Vᵀ gives the new
/// V and σ = √S. It stops when no element of V moved by `threshold` since the
/// last iteration, and never before `patience` iterations have passed. That
/// rule sees a rotation within a cluster as movement. An SVD leaves the signs
/// open; here each vector takes the sign of its predecessor, which can only
/// help the method.
///
/// Cost: `rank` vectors forward and `rank` back per iteration.
#[derive(Clone, Debug)]
pub struct SubspaceIteration {
    /// Number k of triplets wanted.
    pub rank: usize,
    /// Largest movement of an element of V at the stop.
    pub threshold: f32,
    /// The stop is tested after more than this many iterations.
    pub patience: usize,
    /// Largest number of iterations.
    pub max_iterations: usize,
    /// Seed of the random start.
    pub seed: u64,
}

impl SubspaceIteration {
    /// The published parameters.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        Self {
            rank,
            threshold: 1e-4,
            patience: 11,
            max_iterations: 50,
            seed: 0,
        }
    }

    /// Decomposes `map`. The left vectors are those of the last iteration's
    /// U P, normalised; no residual is measured.
    ///
    /// # Errors
    /// When the rank is zero or above the smaller dimension, no iteration is
    /// allowed, or the map fails or returns a NaN or an infinity.
    pub fn decompose<M: LinearMap + ?Sized>(&self, map: &M) -> Result<Spectrum, GeometryError> {
        check_rank(self.rank, map.domain(), map.codomain())?;
        if self.max_iterations == 0 {
            return Err(GeometryError::Parameter {
                name: "max_iterations",
                value: "0".into(),
                requirement: "at least 1".into(),
            });
        }
        let products = Products::new(map);
        let mut stream = Stream::new(self.seed, "subspace iteration start", 0, 0);
        let start = Block::normals(self.rank, map.domain(), &mut stream);
        let mut right = row_block(start.columns().qr().compute_thin_Q().as_ref());
        for iteration in 1.. {
            let image = products.push(&right)?; // U: [k, h]
            let weights = products.pull(&image)?; // W: [k, n]
            let failure = GeometryError::Decomposition {
                rows: map.domain(),
                columns: self.rank,
            };
            let svd = weights.columns().thin_svd().map_err(|_| failure)?; // Wᵀ = V S Pᵀ
            let kept_sign: Vec<f64> = (0..self.rank)
                .map(|i| if svd.V()[(i, i)] < 0.0 { -1.0 } else { 1.0 })
                .collect();
            let mut found = row_block(svd.U());
            for row in 0..self.rank {
                scale(found.row_mut(row), kept_sign[row]);
            }
            let moved = std::iter::zip(found.as_slice(), right.as_slice())
                .fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            right = found;
            let converged = moved < self.threshold && iteration > self.patience;
            if converged || iteration >= self.max_iterations {
                let mut left = row_block((image.columns() * svd.V()).as_ref());
                for row in 0..self.rank {
                    let length = norm(left.row(row));
                    if length > 0.0 {
                        scale(left.row_mut(row), kept_sign[row] / length);
                    }
                }
                let squares = (0..self.rank).map(|i| f64::from(svd.S()[i]));
                let mut spectrum = Spectrum {
                    singular_values: squares.map(|s| s.max(0.0).sqrt()).collect(),
                    right,
                    left,
                    residuals: Vec::new(),
                    products: products.count(),
                    converged,
                };
                spectrum.fix_signs();
                return Ok(spectrum);
            }
        }
        unreachable!("the loop ends at max_iterations")
    }
}

/// The columns of a matrix as the rows of a block.
fn row_block(columns: MatRef<'_, f32>) -> Block {
    let mut block = Block::zeros(columns.ncols(), columns.nrows());
    block.columns_mut().copy_from(columns);
    block
}
