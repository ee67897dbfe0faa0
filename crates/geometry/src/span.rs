//! The span of a few vectors, and projections onto and out of it.

use faer::{Mat, MatRef};

use crate::{
    Block, GeometryError,
    numeric::{SmallSvd, small_svd},
};

/// Relative size below which a direction of the span is rounding noise.
const NOISE: f64 = 1e-6;

/// The linear span of the rows of a block, kept as an orthonormal f64 basis.
///
/// The rows need not be orthogonal or independent. Removing a span from a
/// direction is the disentangling of Haas et al. (FG 2024):
/// v = (I − V(VᵀV)⁻¹Vᵀ) v₀, and with the leading directions of the rest of the
/// picture the null-space projection of LOCO Edit (NeurIPS 2024).
///
/// ```
/// use alice_geometry::{Block, Span};
/// let span = Span::of(&Block::from_vec(1, 2, vec![1.0, 1.0])?)?;
/// let mut v = Block::from_vec(1, 2, vec![1.0, 0.0])?;
/// span.remove(&mut v)?;
/// assert!((v.row(0)[0] - 0.5).abs() < 1e-6 && (v.row(0)[1] + 0.5).abs() < 1e-6);
/// # Ok::<(), alice_geometry::GeometryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Span {
    /// `[n, rank]`, orthonormal columns.
    basis: Mat<f64>,
}

impl Span {
    /// The span of the rows of `vectors` `[r, n]`. A direction shorter than
    /// 1e-6 of the longest counts as dependent.
    ///
    /// Cost: O(n r²).
    ///
    /// # Errors
    /// When a component is not finite.
    pub fn of(vectors: &Block) -> Result<Self, GeometryError> {
        vectors.check_finite("span")?;
        Self::from_columns(vectors.to_columns_f64().as_ref())
    }

    /// The span of the columns of a matrix `[n, r]`.
    pub(crate) fn from_columns(columns: MatRef<'_, f64>) -> Result<Self, GeometryError> {
        let SmallSvd { left, values, .. } = small_svd(columns)?;
        let largest = values.first().copied().unwrap_or(0.0);
        let rank = values
            .iter()
            .take_while(|&&value| value > NOISE * largest)
            .count();
        Ok(Self {
            basis: left.subcols(0, rank).to_owned(),
        })
    }

    /// Number of independent directions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.basis.ncols()
    }

    /// Dimension n of the space around.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.basis.nrows()
    }

    /// An orthonormal basis, `[rank, n]`.
    #[must_use]
    pub fn orthonormal(&self) -> Block {
        Block::from_columns_f64(self.basis.as_ref())
    }

    /// Replaces every row of `vectors` `[r, n]` by its part in the span.
    ///
    /// # Errors
    /// When the dimensions differ.
    pub fn project(&self, vectors: &mut Block) -> Result<(), GeometryError> {
        let inside = self.inside(vectors, "project onto a span")?;
        *vectors = Block::from_columns_f64(inside.as_ref());
        Ok(())
    }

    /// Removes from every row of `vectors` `[r, n]` its part in the span. The
    /// rows are not renormalised.
    ///
    /// # Errors
    /// When the dimensions differ.
    pub fn remove(&self, vectors: &mut Block) -> Result<(), GeometryError> {
        let inside = self.inside(vectors, "remove a span")?;
        let outside = vectors.to_columns_f64() - inside;
        *vectors = Block::from_columns_f64(outside.as_ref());
        Ok(())
    }

    fn inside(&self, vectors: &Block, operation: &'static str) -> Result<Mat<f64>, GeometryError> {
        GeometryError::check_extent(
            operation,
            "dimension",
            vectors.dimension(),
            self.dimension(),
        )?;
        let weights = self.basis.transpose() * vectors.to_columns_f64(); // [rank, r]
        Ok(&self.basis * weights)
    }

    pub(crate) fn basis(&self) -> &Mat<f64> {
        &self.basis
    }
}
