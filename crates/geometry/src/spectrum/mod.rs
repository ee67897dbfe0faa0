//! Singular triplets of a linear map.

mod basis;
mod bidiagonal;
mod dense;
mod golub_kahan;
mod subspace_iteration;
mod trail;
mod whole;

pub use dense::dense_spectrum;
pub use golub_kahan::GolubKahan;
pub use subspace_iteration::SubspaceIteration;
pub use trail::Trail;

use crate::{Block, GeometryError, maps::ProductCount, numeric};

/// The k leading singular triplets J vᵢ = σᵢ uᵢ of a map from n to h
/// dimensions.
///
/// The sign of each triplet is fixed: the largest component of vᵢ in absolute
/// value is positive.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// σ, `[k]`, descending, never negative.
    pub singular_values: Vec<f64>,
    /// The right vectors, in the domain: `[k, n]`, orthonormal rows.
    pub right: Block,
    /// The left vectors, in the codomain: `[k, h]`, orthonormal rows.
    pub left: Block,
    /// ‖(J vᵢ − σᵢ uᵢ, Jᵀ uᵢ − σᵢ vᵢ)‖ / σ₁, `[k]`, as the recurrence of the
    /// method has it, without further products: in f32 that is the map's down to
    /// about 1e-6, and smaller values say no more. Empty for a method that does
    /// not measure it.
    pub residuals: Vec<f64>,
    /// The products that were used.
    pub products: ProductCount,
    /// Whether the method's stopping rule was met before its product limit.
    pub converged: bool,
}

impl Spectrum {
    fn fix_signs(&mut self) {
        for i in 0..self.right.rows() {
            let largest = self
                .right
                .row(i)
                .iter()
                .fold(0.0f32, |a, &b| if b.abs() > a.abs() { b } else { a });
            if largest < 0.0 {
                numeric::scale(self.right.row_mut(i), -1.0);
                numeric::scale(self.left.row_mut(i), -1.0);
            }
        }
    }
}

/// Refuses a rank of zero or above the smaller dimension.
fn check_rank(rank: usize, domain: usize, codomain: usize) -> Result<(), GeometryError> {
    if rank == 0 {
        return Err(GeometryError::Parameter {
            name: "rank",
            value: "0".into(),
            requirement: "at least 1".into(),
        });
    }
    if rank > domain.min(codomain) {
        return Err(GeometryError::RankAboveDimension {
            rank,
            domain,
            codomain,
        });
    }
    Ok(())
}
