//! A dense matrix as a linear map.

use faer::{MatRef, Par, linalg::matmul::matmul};

use super::LinearMap;
use crate::{Block, GeometryError};

/// A dense matrix `[codomain, domain]`, f32, row-major.
///
/// ```
/// use alice_geometry::{Block, LinearMap, Matrix};
/// let map = Matrix::from_vec(2, 2, vec![4.0, 1.0, 1.0, 1.0])?;
/// let image = map.pushforward(&Block::from_vec(1, 2, vec![1.0, 2.0])?)?;
/// assert_eq!(image.row(0), [6.0, 3.0]);
/// # Ok::<(), alice_geometry::GeometryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Matrix {
    /// One row per component of the codomain.
    rows: Block,
}

impl Matrix {
    /// Takes `values` as a matrix `[codomain, domain]`.
    ///
    /// # Errors
    /// When there are not `codomain · domain` values.
    pub fn from_vec(
        codomain: usize,
        domain: usize,
        values: Vec<f32>,
    ) -> Result<Self, GeometryError> {
        Ok(Self {
            rows: Block::from_vec(codomain, domain, values)?,
        })
    }

    /// The entries `[codomain, domain]`, row-major.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        self.rows.as_slice()
    }

    /// J, as faer sees it.
    fn entries(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(self.as_slice(), self.codomain(), self.domain())
    }
}

impl LinearMap for Matrix {
    fn domain(&self) -> usize {
        self.rows.dimension()
    }

    fn codomain(&self) -> usize {
        self.rows.rows()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        GeometryError::check_extent(
            "pushforward",
            "dimension",
            tangents.dimension(),
            self.domain(),
        )?;
        Ok(product(self.entries(), tangents))
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        GeometryError::check_extent(
            "pullback",
            "dimension",
            cotangents.dimension(),
            self.codomain(),
        )?;
        Ok(product(self.entries().transpose(), cotangents))
    }
}

fn product(matrix: MatRef<'_, f32>, block: &Block) -> Block {
    let mut image = Block::zeros(block.rows(), matrix.nrows());
    matmul(
        image.columns_mut(),
        faer::Accum::Replace,
        matrix,
        block.columns(),
        1.0,
        Par::Seq,
    );
    image
}
