//! A start from the whole right space of a near map.
//!
//! Of J and a space V₀ that is nearly its leading right one, 2k products give
//!
//! J V = U B,  Jᵀ U = V Bᵀ + F,
//!
//! with F, what Jᵀ U has outside V, as small as the maps are near. F has as
//! many directions as V₀, not as few as a block: a Krylov space would have to
//! hold them all and their powers, so nothing is gained unless most triplets
//! are known well enough at once. Where they are, the directions that lead F
//! among the others are appended (block Davidson; Morgan & Scott 1986 for one
//! vector) and the Ritz triplets are taken again. For a wanted triplet
//! J v = σ u holds as it is made, and Jᵀ u − σ v is its row of Pᵀ F: the stop
//! is the one of the Krylov space.
//!
//! Residuals of what V₀ holds do not see a singular vector that J does not
//! couple to it. One more vector, the *scout*, is random at first, goes through
//! JᵀJ once at each map of a sequence and loses what was found: a power
//! iteration for what a sequence of near maps would overlook. When its value
//! reaches the wanted ones, it is one of the triplets.

use alice_random::Stream;
use faer::{Mat, MatRef};

use super::basis::{Basis, combine};
use super::bidiagonal::{NOISE, grown};
use super::{GolubKahan, Spectrum};
use crate::{
    Block, GeometryError, LinearMap,
    maps::Products,
    numeric::{SmallSvd, dot, norm, small_svd},
};

/// Right vectors beyond the wanted ones that are kept for the next map: they
/// take the place of those that fall behind there.
pub(super) const GUARD: usize = 5;
/// Mean length of a row of F, relative to the longest image and in units of
/// the tolerance, up to which a whole start costs less than a mixture
/// (docs/speed.md).
pub(super) const NEAR: f64 = 16.0;
/// Part of a unit vector outside a space that it was made from.
const SAME: f64 = 1e-4;
/// Share of the residual at the stop from which a triplet is improved with
/// those above it: it may rise as they fall.
const IMPROVED: f64 = 0.3;

/// What one map leaves for the next.
#[derive(Clone, Debug)]
pub(super) struct Near {
    /// Right vectors, the leading first, `[r, n]`.
    pub space: Block,
    /// One unit vector outside, or none yet, `[0 or 1, n]`.
    pub scout: Block,
}

/// The factorisation above.
pub(super) struct Whole {
    pub right: Basis,
    pub left: Basis,
    /// B, `[left, right]`.
    pub coupling: Mat<f64>,
    /// F, a row for each left vector, `[left, n]`.
    pub outside: Block,
    /// Lower bound on σ₁, for the noise floor.
    pub scale: f64,
}

impl Whole {
    /// Takes in rows that are orthonormal to the right basis, and what is new
    /// in their image.
    fn extend<M: LinearMap + ?Sized>(
        &mut self,
        products: &Products<'_, M>,
        rows: &Block,
    ) -> Result<(), GeometryError> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let image = products.push(rows)?;
        let lengths = (0..image.rows()).map(|row| norm(image.row(row)));
        self.scale = lengths.fold(self.scale, f64::max);
        let split = self.left.split(image, NOISE * self.scale);
        self.coupling = grown(&self.coupling, &split);
        self.right.extend(rows);
        self.left.extend(&split.rows);
        if split.rows.rows() > 0 {
            let mut coimage = products.pull(&split.rows)?;
            // The second time below.
            self.right.project_out(&mut coimage);
            self.outside.append(&coimage)?;
        }
        self.right.project_out(&mut self.outside);
        Ok(())
    }

    /// The directions that lead the residuals, at most `count`, orthonormal to
    /// the right basis.
    fn leading(&self, residuals: &[&[f32]], count: usize) -> Result<Block, GeometryError> {
        let rows = residuals.len();
        let gram = Mat::from_fn(rows, rows, |i, j| dot(residuals[i], residuals[j]));
        let weights = small_svd(gram.as_ref())?.left;
        let dimension = self.outside.dimension();
        let residuals = Block::from_vec(rows, dimension, residuals.concat())?;
        let leading = combine(&residuals, weights.subcols(0, count.min(rows)));
        Ok(self.right.split(leading, NOISE * self.scale).rows)
    }

    /// JᵀJ of a row of the right basis without the leading `found` Ritz
    /// vectors, as a unit vector.
    fn scout(&self, row: usize, svd: &SmallSvd, found: usize) -> Block {
        let image: MatRef<'_, f64> = self.coupling.subcols(row, 1);
        let leading = svd.right.subcols(0, found);
        let inside = self.coupling.transpose() * image;
        let inside = &inside - leading * (leading.transpose() * &inside);
        let mut scout = self.right.combine(inside.as_ref());
        let outside = combine(&self.outside, image);
        crate::numeric::add_scaled(scout.row_mut(0), 1.0, outside.row(0));
        scout.normalised()
    }
}

impl GolubKahan {
    /// Goes on from the factorisation of the first block of a near space.
    /// Nothing where that leads to no basis within the bounds.
    pub(super) fn settle<M: LinearMap + ?Sized>(
        &self,
        mut whole: Whole,
        near: &Near,
        products: &Products<'_, M>,
    ) -> Result<Option<(Spectrum, Near)>, GeometryError> {
        let rest = whole.right.split(near.space.clone(), SAME).rows;
        let dimension = rest.dimension();
        for rows in rest.as_slice().chunks(self.block * dimension) {
            let rows = Block::from_vec(rows.len() / dimension, dimension, rows.to_vec())?;
            whole.extend(products, &rows)?;
        }
        let mut scout = whole.right.split(near.scout.clone(), SAME).rows;
        let mut stream = Stream::new(self.seed, "golub-kahan scout", 0, 0);
        whole.right.top_up(&mut scout, 1, &mut stream);
        let (sent, at) = (scout.rows() > 0, whole.right.len());
        whole.extend(products, &scout)?;
        loop {
            let svd = small_svd(whole.coupling.as_ref())?;
            if svd.values.len() < self.rank {
                return Ok(None);
            }
            let bound = self.tolerance * svd.values[0];
            let rows = combine(&whole.outside, svd.left.subcols(0, self.rank));
            let lengths: Vec<f64> = (0..self.rank).map(|row| norm(rows.row(row))).collect();
            if lengths.iter().all(|&length| length <= bound) {
                let kept = svd.values.len().min(self.rank + GUARD);
                let scout = if sent {
                    whole.scout(at, &svd, kept)
                } else {
                    Block::zeros(0, dimension)
                };
                let left = whole.left.combine(svd.left.subcols(0, self.rank));
                let space = whole.right.combine(svd.right.subcols(0, kept));
                let mut right = space.clone();
                right.truncate(self.rank);
                let count = products.count();
                let spectrum = self.spectrum(svd.values, &lengths, right, left, count, true);
                return Ok(Some((spectrum, Near { space, scout })));
            }
            let poor = (0..self.rank).filter(|&row| lengths[row] > IMPROVED * bound);
            let poor: Vec<&[f32]> = poor.map(|row| rows.row(row)).collect();
            let next = whole.leading(&poor, self.block)?;
            let over = whole.right.len() + next.rows() > self.max_basis
                || products.count().blocks() + 2 > self.max_block_products;
            if next.rows() == 0 || over {
                return Ok(None);
            }
            whole.extend(products, &next)?;
        }
    }
}
