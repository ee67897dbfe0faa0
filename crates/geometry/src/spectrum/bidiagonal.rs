//! The block Golub–Kahan factorisation
//!
//! J V = U B,  Jᵀ U = V Bᵀ + N S,
//!
//! with V, U orthonormal bases of domain and codomain (columns here, rows in
//! storage), B a small matrix, N the next right block and S its coupling to
//! the left vectors added last. B is banded until the first restart; it is
//! kept whole, so that nothing depends on its structure.
//!
//! Golub, Luk, Overton (1981) for the block recurrence; Baglama, Reichel
//! (2005) for the restart with wanted Ritz vectors.

use alice_random::Stream;
use faer::{Mat, MatRef};

use super::basis::{Basis, Split, combine};
use super::whole::Whole;
use crate::{
    Block, GeometryError, LinearMap,
    maps::Products,
    numeric::{SmallSvd, norm, small_svd},
};

/// Part of the largest singular value below which a direction counts as
/// rounding noise of f32 products.
pub(super) const NOISE: f64 = 1e-6;

pub(super) struct Bidiagonal {
    right: Basis,
    left: Basis,
    /// B, `[left, right]`.
    coupling: Mat<f64>,
    /// N: pushed next, orthonormal to the right basis.
    next: Block,
    /// Rows of N that are random, because the space they extend is invariant.
    fresh: usize,
    /// Lower bound on σ₁, for the noise floor.
    scale: f64,
    stream: Stream,
}

/// Ritz triplets and their residuals in units of σ.
pub(super) struct Ritz {
    pub svd: SmallSvd,
    pub residuals: Vec<f64>,
}

impl Bidiagonal {
    /// Starts from the span of `start`, topped up with random rows to `block`.
    pub(super) fn new(
        domain: usize,
        codomain: usize,
        start: Block,
        block: usize,
        mut stream: Stream,
    ) -> Self {
        let right = Basis::new(domain);
        let mut next = right.split(start, 0.0).rows;
        right.top_up(&mut next, block, &mut stream);
        Self {
            right,
            left: Basis::new(codomain),
            coupling: Mat::zeros(0, 0),
            next,
            fresh: 0,
            scale: 0.0,
            stream,
        }
    }

    /// Dimension of the domain.
    pub(super) fn domain(&self) -> usize {
        self.next.dimension()
    }

    /// Rows of the next block that are random.
    pub(super) fn fresh_rows(&self) -> usize {
        self.fresh
    }

    /// Size of the left basis.
    pub(super) fn left_size(&self) -> usize {
        self.left.len()
    }

    /// Rows of the next block; zero when the right basis spans the domain.
    pub(super) fn next_rows(&self) -> usize {
        self.next.rows()
    }

    /// Whether the left basis spans the codomain.
    pub(super) fn left_is_full(&self) -> bool {
        self.left.room() == 0
    }

    /// Size of the right basis.
    pub(super) fn size(&self) -> usize {
        self.right.len()
    }

    fn absorb_scale(&mut self, image: &Block) -> f64 {
        for row in 0..image.rows() {
            self.scale = self.scale.max(norm(image.row(row)));
        }
        NOISE * self.scale
    }

    /// Pushes the next block forward and extends both bases. Returns the new
    /// left rows and R `[new left, new right]`, the residual of the triplets
    /// of the coupling's first rows.
    pub(super) fn push<M: LinearMap + ?Sized>(
        &mut self,
        products: &Products<'_, M>,
    ) -> Result<(Block, Mat<f64>), GeometryError> {
        let image = products.push(&self.next)?;
        let floor = self.absorb_scale(&image);
        let split = self.left.split(image, floor);
        self.coupling = grown(&self.coupling, &split);
        self.right.extend(&self.next);
        self.left.extend(&split.rows);
        Ok((split.rows, split.remainder))
    }

    /// Pulls the new left rows back and finds the next right block, topped up
    /// with random rows to `block`. Returns S `[next without fresh, new left]`.
    pub(super) fn pull<M: LinearMap + ?Sized>(
        &mut self,
        products: &Products<'_, M>,
        new_left: &Block,
        block: usize,
    ) -> Result<Mat<f64>, GeometryError> {
        let split = if new_left.rows() > 0 {
            let coimage = products.pull(new_left)?;
            let floor = self.absorb_scale(&coimage);
            self.right.split(coimage, floor)
        } else {
            self.right
                .split(Block::zeros(0, self.next.dimension()), 0.0)
        };
        self.next = split.rows;
        let coupled = self.next.rows();
        self.right.top_up(&mut self.next, block, &mut self.stream);
        self.fresh = self.next.rows() - coupled;
        Ok(split.remainder)
    }

    /// Triplets with Jᵀ u = σ v before the last push; their residual is
    /// J v − σ u = R (last rows of Q).
    pub(super) fn ritz_before_push(
        &self,
        residual: MatRef<'_, f64>,
    ) -> Result<Ritz, GeometryError> {
        let p = self.left.len() - residual.nrows();
        let svd = small_svd(self.coupling.subrows(0, p))?;
        let residuals = tail_norms(residual, svd.right.as_ref());
        Ok(Ritz { svd, residuals })
    }

    /// Triplets with J v = σ u after a pull; their residual is
    /// Jᵀ u − σ v = S (last rows of P).
    pub(super) fn ritz_after_pull(&self, residual: MatRef<'_, f64>) -> Result<Ritz, GeometryError> {
        let svd = small_svd(self.coupling.as_ref())?;
        let residuals = tail_norms(residual, svd.left.as_ref());
        Ok(Ritz { svd, residuals })
    }

    /// Keeps the leading `keep` Ritz triplets of [`ritz_after_pull`](Self::ritz_after_pull).
    pub(super) fn restart(&mut self, svd: &SmallSvd, keep: usize) {
        self.right.compress(svd.right.subcols(0, keep));
        self.left.compress(svd.left.subcols(0, keep));
        self.coupling = Mat::from_fn(keep, keep, |i, j| if i == j { svd.values[i] } else { 0.0 });
    }

    /// After the first pull: how long, in the root mean square and relative to
    /// the longest image so far, what Jᵀ U has outside the span of `space` is.
    pub(super) fn share_outside(&self, space: &Basis, residual: MatRef<'_, f64>) -> f64 {
        let mut rows = self.outside(residual);
        space.project_out(&mut rows);
        let count = rows.rows().max(1) as f64;
        (norm(rows.as_slice()) / count.sqrt()) / self.scale.max(f64::MIN_POSITIVE)
    }

    /// N S as rows, after the first pull.
    fn outside(&self, residual: MatRef<'_, f64>) -> Block {
        let mut coupled = self.next.clone();
        coupled.truncate(residual.nrows());
        combine(&coupled, residual)
    }

    /// The same after the first pull without a block structure.
    pub(super) fn into_whole(self, residual: MatRef<'_, f64>) -> Whole {
        Whole {
            outside: self.outside(residual),
            right: self.right,
            left: self.left,
            coupling: self.coupling,
            scale: self.scale,
        }
    }

    /// The leading Ritz vectors of the domain, at most `count`.
    pub(super) fn leading(&self, svd: &SmallSvd, count: usize) -> Block {
        let count = count.min(svd.values.len());
        self.right.combine(svd.right.subcols(0, count))
    }

    /// The leading `rank` right and left vectors of a Ritz decomposition,
    /// completed with random orthonormal rows where it has fewer.
    pub(super) fn vectors(&mut self, svd: &SmallSvd, rank: usize) -> (Block, Block) {
        let count = rank.min(svd.values.len());
        let complete = |basis: &Basis, weights: MatRef<'_, f64>, stream: &mut Stream| {
            let mut rows = basis.combine(weights.subcols(0, count));
            if count < rank {
                Basis::new(rows.dimension()).top_up(&mut rows, rank, stream);
            }
            rows
        };
        let right = complete(&self.right, svd.right.as_ref(), &mut self.stream);
        let left = complete(&self.left, svd.left.as_ref(), &mut self.stream);
        (right, left)
    }
}

/// B with the columns of right rows whose image was split by the left basis.
pub(super) fn grown(coupling: &Mat<f64>, split: &Split) -> Mat<f64> {
    let (p, q) = (coupling.nrows(), coupling.ncols());
    let (new_left, new_right) = (split.rows.rows(), split.remainder.ncols());
    Mat::from_fn(p + new_left, q + new_right, |i, j| match (i < p, j < q) {
        (true, true) => coupling[(i, j)],
        (true, false) => split.coefficients[(i, j - q)],
        (false, false) => split.remainder[(i - p, j - q)],
        (false, true) => 0.0,
    })
}

/// ‖residual · (last rows of vectors)‖ for every column of `vectors`.
fn tail_norms(residual: MatRef<'_, f64>, vectors: MatRef<'_, f64>) -> Vec<f64> {
    let tail = residual.ncols();
    let tail_rows = vectors.subrows(vectors.nrows() - tail, tail);
    let product = residual * tail_rows;
    (0..product.ncols())
        .map(|j| {
            let column = product.col(j);
            column.iter().map(|x| x * x).sum::<f64>().sqrt()
        })
        .collect()
}
