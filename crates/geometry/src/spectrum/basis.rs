//! A growing orthonormal basis.
//!
//! Blocks are orthogonalised by block classical Gram–Schmidt, at least twice:
//! matrix products against the basis, and modified Gram–Schmidt inside the
//! block. Cost per block of c vectors against p: about 8·n·p·c operations.

use alice_random::Stream;
use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};

use crate::{
    Block,
    numeric::{add_scaled, dot, norm, scale},
};

/// A vector that keeps less than this share of its length in a repeated
/// round was rounding noise.
const NOISE: f64 = 1e-3;
const ROUNDS: usize = 6;

/// Orthonormal rows, f32.
pub(super) struct Basis {
    rows: Block,
}

/// A block W split by a basis B: W = coefficientsᵀ B + remainderᵀ rows.
pub(super) struct Split {
    /// `[p, c]`: column j belongs to row j of the block.
    pub coefficients: Mat<f64>,
    /// `[d, c]`, upper trapezoidal.
    pub remainder: Mat<f64>,
    /// d ≤ c new orthonormal rows, orthogonal to the basis.
    pub rows: Block,
}

impl Basis {
    pub(super) fn new(dimension: usize) -> Self {
        Self {
            rows: Block::zeros(0, dimension),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.rows()
    }

    /// The span of some rows.
    pub(super) fn of(rows: Block) -> Self {
        let mut basis = Self::new(rows.dimension());
        let split = basis.split(rows, 0.0);
        basis.extend(&split.rows);
        basis
    }

    /// Dimensions that the basis does not span.
    pub(super) fn room(&self) -> usize {
        self.rows.dimension() - self.len()
    }

    /// Appends rows that a [`split`](Self::split) by this basis returned.
    pub(super) fn extend(&mut self, rows: &Block) {
        self.rows
            .append(rows)
            .expect("a split keeps the basis's dimension");
    }

    /// The combinations of the basis given by the columns of `weights`
    /// `[p, k]`, as k rows. A basis longer than p uses its first p rows.
    pub(super) fn combine(&self, weights: MatRef<'_, f64>) -> Block {
        combine(&self.rows, weights)
    }

    /// Replaces the basis by combinations of its rows with the orthonormal
    /// columns of `weights` `[p, k]`.
    pub(super) fn compress(&mut self, weights: MatRef<'_, f64>) {
        self.rows = self.combine(weights);
    }

    /// Splits a block by this basis. A row whose part outside the basis and
    /// the rows before it is at most `floor` long adds no new row.
    pub(super) fn split(&self, mut block: Block, floor: f64) -> Split {
        let mut coefficients = Mat::zeros(self.len(), block.rows());
        let mut remainder = Mat::identity(block.rows(), block.rows());
        for round in 0..ROUNDS {
            let against_basis = self.project_out(&mut block);
            coefficients += &against_basis * &remainder;
            let round_floor = if round == 0 { floor } else { NOISE };
            let (factor, smallest) = orthonormalise(&mut block, round_floor, self.room());
            remainder = factor * remainder;
            if block.rows() == 0 || (round > 0 && smallest > 0.5) {
                break;
            }
        }
        Split {
            coefficients,
            remainder,
            rows: block,
        }
    }

    /// Appends random rows to `rows`, orthonormal to them and to the basis,
    /// until there are `count` or no dimension is left.
    pub(super) fn top_up(&self, rows: &mut Block, count: usize, stream: &mut Stream) {
        let count = count.min(self.room());
        // A random vector may fall within rounding of a nearly full basis.
        for _ in 0..ROUNDS {
            let missing = count.saturating_sub(rows.rows());
            if missing == 0 {
                return;
            }
            let mut random = Block::normals(missing, rows.dimension(), stream);
            for row in 0..missing {
                let length = norm(random.row(row));
                scale(random.row_mut(row), 1.0 / length);
            }
            let mut candidate = rows.clone();
            candidate.append(&random).expect("same dimension");
            *rows = self.split(candidate, 1e-6).rows;
        }
    }

    /// block ← block − (block Bᵀ) B; returns B blockᵀ, `[p, c]`.
    pub(super) fn project_out(&self, block: &mut Block) -> Mat<f64> {
        let mut overlaps = Mat::<f32>::zeros(self.len(), block.rows());
        if self.len() > 0 && block.rows() > 0 {
            let basis = self.rows.columns(); // [n, p]
            let columns = block.columns();
            matmul(
                &mut overlaps,
                Accum::Replace,
                basis.transpose(),
                columns,
                1.0,
                Par::Seq,
            );
            matmul(
                block.columns_mut(),
                Accum::Add,
                basis,
                &overlaps,
                -1.0,
                Par::Seq,
            );
        }
        Mat::from_fn(self.len(), block.rows(), |i, j| f64::from(overlaps[(i, j)]))
    }
}

/// The combinations of rows given by the columns of `weights` `[p, k]`, as k
/// rows. A block longer than p gives its first p rows.
pub(super) fn combine(rows: &Block, weights: MatRef<'_, f64>) -> Block {
    let weights_f32 = Mat::from_fn(weights.nrows(), weights.ncols(), |i, j| {
        weights[(i, j)] as f32
    });
    let mut image = Block::zeros(weights.ncols(), rows.dimension());
    matmul(
        image.columns_mut(),
        Accum::Replace,
        rows.columns().subcols(0, weights.nrows()),
        &weights_f32,
        1.0,
        Par::Seq,
    );
    image
}

/// Modified Gram–Schmidt on the rows of a block, in place. Rows left with at
/// most `floor` of length are dropped, and so are rows beyond `room`. Returns
/// R `[kept, rows]` with blockᵀ = keptᵀ R, and the smallest share of its
/// length that a kept row kept.
fn orthonormalise(block: &mut Block, floor: f64, room: usize) -> (Mat<f64>, f64) {
    let count = block.rows();
    let dimension = block.dimension();
    let mut factor = Mat::zeros(count, count);
    let mut kept = 0;
    let mut smallest = 1.0f64;
    for i in 0..count {
        let (done, rest) = block.as_mut_slice().split_at_mut(i * dimension);
        let row = &mut rest[..dimension];
        let before = norm(row);
        for j in 0..kept {
            let unit = &done[j * dimension..][..dimension];
            let overlap = dot(unit, row);
            add_scaled(row, -(overlap as f32), unit);
            factor[(j, i)] = overlap;
        }
        let length = norm(row);
        if length <= floor || kept == room {
            continue;
        }
        smallest = smallest.min(length / before);
        scale(row, 1.0 / length);
        factor[(kept, i)] = length;
        if kept < i {
            done[kept * dimension..][..dimension].copy_from_slice(row);
        }
        kept += 1;
    }
    block.truncate(kept);
    (factor.subrows(0, kept).to_owned(), smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_overlap(rows: &Block) -> f64 {
        let mut worst = 0.0f64;
        for i in 0..rows.rows() {
            for j in 0..=i {
                let wanted = f64::from(u8::from(i == j));
                worst = worst.max((dot(rows.row(i), rows.row(j)) - wanted).abs());
            }
        }
        worst
    }

    #[test]
    fn nearly_dependent_rows_become_orthonormal() {
        let mut stream = Stream::new(1, "test", 0, 0);
        let mut basis = Basis::new(200);
        let mut first = Block::zeros(0, 200);
        basis.top_up(&mut first, 20, &mut stream);
        basis.extend(&first);
        // Rows that differ from a basis vector, and from each other, by 1e-4.
        let mut block = Block::normals(6, 200, &mut stream);
        for row in 0..6 {
            let row = block.row_mut(row);
            scale(row, 1e-5);
            add_scaled(row, 1.0, first.row(3));
        }
        let split = basis.split(block.clone(), 1e-6);
        assert_eq!(split.rows.rows(), 6);
        let mut all = first.clone();
        all.append(&split.rows).unwrap();
        assert!(worst_overlap(&all) < 1e-6, "{}", worst_overlap(&all));
        // The split adds up to the block.
        let mut whole = basis.combine(split.coefficients.as_ref());
        basis.extend(&split.rows);
        let weights = Mat::from_fn(26, 6, |i, j| {
            if i < 20 {
                0.0
            } else {
                split.remainder[(i - 20, j)]
            }
        });
        let rest = basis.combine(weights.as_ref());
        add_scaled(whole.as_mut_slice(), 1.0, rest.as_slice());
        for (a, b) in whole.as_slice().iter().zip(block.as_slice()) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn a_full_basis_leaves_nothing() {
        let mut stream = Stream::new(2, "test", 0, 0);
        let mut basis = Basis::new(7);
        let mut rows = Block::zeros(0, 7);
        basis.top_up(&mut rows, 10, &mut stream);
        assert_eq!(rows.rows(), 7);
        basis.extend(&rows);
        let split = basis.split(Block::normals(3, 7, &mut stream), 0.0);
        assert_eq!((split.rows.rows(), split.remainder.nrows()), (0, 0));
    }

    #[test]
    fn zero_and_repeated_rows_add_nothing() {
        let basis = Basis::new(4);
        let values = vec![0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, -2.0, -4.0, 0.0, 0.0];
        let split = basis.split(Block::from_vec(3, 4, values).unwrap(), 1e-6);
        assert_eq!(split.rows.rows(), 1);
        let root = 5f64.sqrt();
        let expected = [0.0, root, -2.0 * root];
        for j in 0..3 {
            assert!((split.remainder[(0, j)] - expected[j]).abs() < 1e-6);
        }
    }
}
