//! The whole spectrum of a map that is small on one side.

use faer::Mat;

use super::{Spectrum, check_rank};
use crate::{Block, GeometryError, LinearMap, maps::Products, numeric::small_svd};

/// Vectors per product while the matrix is formed.
const BLOCK: usize = 16;

/// The leading `rank` singular triplets from the explicit matrix of the map.
///
/// Forms J by products with the unit vectors of its smaller side and takes a
/// dense SVD in f64. The exact method for a sum-pooled bottleneck
/// ([`Pooled`](crate::Pooled)), and the oracle of the iterative ones.
///
/// Cost: min(n, h) vector products and O(n·h·min(n, h)) operations; memory
/// n·h in f64.
///
/// # Errors
/// When the rank is zero or above the smaller dimension, or the map fails or
/// returns a NaN or an infinity.
pub fn dense_spectrum<M: LinearMap + ?Sized>(
    map: &M,
    rank: usize,
) -> Result<Spectrum, GeometryError> {
    let (domain, codomain) = (map.domain(), map.codomain());
    check_rank(rank, domain, codomain)?;
    let products = Products::new(map);
    let mut jacobian = Mat::<f64>::zeros(codomain, domain);
    let smaller = domain.min(codomain);
    for first in (0..smaller).step_by(BLOCK) {
        let rows = BLOCK.min(smaller - first);
        let mut units = Block::zeros(rows, smaller);
        for row in 0..rows {
            units.row_mut(row)[first + row] = 1.0;
        }
        if domain < codomain {
            let image = products.push(&units)?;
            for row in 0..rows {
                for (i, &value) in image.row(row).iter().enumerate() {
                    jacobian[(i, first + row)] = f64::from(value);
                }
            }
        } else {
            let image = products.pull(&units)?;
            for row in 0..rows {
                for (j, &value) in image.row(row).iter().enumerate() {
                    jacobian[(first + row, j)] = f64::from(value);
                }
            }
        }
    }
    let svd = small_svd(jacobian.as_ref())?;
    let mut spectrum = Spectrum {
        singular_values: svd.values[..rank].to_vec(),
        right: Block::from_columns_f64(svd.right.subcols(0, rank)),
        left: Block::from_columns_f64(svd.left.subcols(0, rank)),
        residuals: vec![0.0; rank],
        products: products.count(),
        converged: true,
    };
    spectrum.fix_signs();
    Ok(spectrum)
}
