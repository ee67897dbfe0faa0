//! The pullback metric and the tangent basis at a point.

use crate::{
    Block, GeometryError, LinearMap, Spectrum,
    maps::Products,
    numeric::{dot, norm},
};

/// The leading directions of a map at a point: J vᵢ = σᵢ uᵢ.
#[derive(Clone, Debug)]
pub struct TangentBasis {
    singular_values: Vec<f64>,
    right: Block,
    left: Block,
}

impl TangentBasis {
    /// Takes k singular values (descending), k right vectors `[k, n]` and k
    /// left vectors `[k, h]`, rows orthonormal.
    ///
    /// # Errors
    /// When the counts differ, a value is not finite, or the singular values
    /// are negative or not descending. Orthonormality is not checked.
    pub fn new(
        singular_values: Vec<f64>,
        right: Block,
        left: Block,
    ) -> Result<Self, GeometryError> {
        const OPERATION: &str = "tangent basis";
        let rank = singular_values.len();
        GeometryError::check_extent(OPERATION, "number of right vectors", right.rows(), rank)?;
        GeometryError::check_extent(OPERATION, "number of left vectors", left.rows(), rank)?;
        right.check_finite(OPERATION)?;
        left.check_finite(OPERATION)?;
        let descending = singular_values.windows(2).all(|pair| pair[0] >= pair[1]);
        let proper = singular_values.iter().all(|&s| s.is_finite() && s >= 0.0);
        if !(descending && proper) {
            return Err(GeometryError::Degenerate {
                operation: OPERATION,
                detail: "singular values must be finite, at least 0 and descending".into(),
            });
        }
        Ok(Self {
            singular_values,
            right,
            left,
        })
    }

    /// Number k of directions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.singular_values.len()
    }

    /// σ, `[k]`, descending: how far the codomain moves per unit step.
    #[must_use]
    pub fn singular_values(&self) -> &[f64] {
        &self.singular_values
    }

    /// The directions in the domain, `[k, n]`.
    #[must_use]
    pub fn right(&self) -> &Block {
        &self.right
    }

    /// The directions in the codomain, `[k, h]`.
    #[must_use]
    pub fn left(&self) -> &Block {
        &self.left
    }

    /// √(Σ σᵢ² ⟨vᵢ, v⟩²): the pullback length of a tangent `[n]` within the
    /// span of the basis, without a product of the map. A lower bound of
    /// [`pullback_length`].
    ///
    /// # Errors
    /// When the dimension differs.
    pub fn length_within(&self, tangent: &[f32]) -> Result<f64, GeometryError> {
        GeometryError::check_extent(
            "length within a basis",
            "dimension",
            tangent.len(),
            self.right.dimension(),
        )?;
        let squares = self.singular_values.iter().enumerate();
        let squares = squares.map(|(i, s)| (s * dot(self.right.row(i), tangent)).powi(2));
        Ok(squares.sum::<f64>().sqrt())
    }
}

impl From<Spectrum> for TangentBasis {
    fn from(spectrum: Spectrum) -> Self {
        Self {
            singular_values: spectrum.singular_values,
            right: spectrum.right,
            left: spectrum.left,
        }
    }
}

/// ‖v‖_pb = √(vᵀ Jᵀ J v) = ‖J v‖ of every row of `tangents` `[r, n]`, `[r]`.
///
/// Park et al. (arXiv 2307.12868). Cost: one pushforward.
///
/// # Errors
/// When the dimension differs, or the map fails or returns a NaN or an
/// infinity.
pub fn pullback_length<M: LinearMap + ?Sized>(
    map: &M,
    tangents: &Block,
) -> Result<Vec<f64>, GeometryError> {
    GeometryError::check_extent(
        "pullback length",
        "dimension",
        tangents.dimension(),
        map.domain(),
    )?;
    let image = Products::new(map).push(tangents)?;
    Ok((0..image.rows()).map(|row| norm(image.row(row))).collect())
}
