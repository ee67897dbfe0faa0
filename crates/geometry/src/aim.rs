//! Which combination of directions moves measured quantities as wanted.

use faer::Mat;
use faer::linalg::solvers::Solve;

use crate::{Block, GeometryError};

/// What k directions were measured to do to q quantities, ready to be asked
/// which combination of them does what is wanted.
#[derive(Clone, Debug)]
pub struct Aim {
    /// R (RᵀR + λ)⁻¹ `[k, q]`, R being the responses.
    inverse: Mat<f64>,
}

impl Aim {
    /// `responses` `[k, q]`: what a unit of each direction changes in each
    /// quantity. λ is `ridge` times the mean square length of its columns, and
    /// keeps what is only noise in them from being undone.
    ///
    /// Cost: k·q² + q³ operations.
    ///
    /// # Errors
    /// When a response is not finite or `ridge` is not a positive number.
    pub fn new(responses: &Block, ridge: f64) -> Result<Self, GeometryError> {
        responses.check_finite("aim")?;
        if !(ridge > 0.0 && ridge.is_finite()) {
            return Err(GeometryError::Parameter {
                name: "ridge",
                value: ridge.to_string(),
                requirement: "a positive number".to_owned(),
            });
        }
        let q = responses.dimension();
        let columns = responses.to_columns_f64(); // Rᵀ: [q, k]
        let mut normal = &columns * columns.transpose();
        let mean = (0..q).map(|j| normal[(j, j)]).sum::<f64>() / q.max(1) as f64;
        for j in 0..q {
            // Quantities that nothing moves leave the matrix invertible.
            normal[(j, j)] += ridge * mean.max(f64::MIN_POSITIVE.sqrt());
        }
        let solved = normal.partial_piv_lu().solve(&columns); // [q, k]
        Ok(Self {
            inverse: solved.transpose().to_owned(),
        })
    }

    /// The weights c `[k]` that change the quantities by `wanted` `[q]`, as far
    /// as they can: the least of ‖Rᵀc − wanted‖² + λ‖c‖².
    ///
    /// # Errors
    /// When there are not q numbers.
    pub fn at(&self, wanted: &[f64]) -> Result<Vec<f64>, GeometryError> {
        let (k, q) = (self.inverse.nrows(), self.inverse.ncols());
        GeometryError::check_extent("aim", "number of quantities", wanted.len(), q)?;
        let weight = |i| (0..q).map(|j| self.inverse[(i, j)] * wanted[j]).sum();
        Ok((0..k).map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    /// With more directions than quantities each quantity can be moved alone.
    #[test]
    fn each_quantity_is_moved_alone() {
        let (k, q) = (12, 5);
        let mut stream = Stream::new(4, "aim", 0, 0);
        let mut responses = Block::normals(k, q, &mut stream);
        // The last quantity stays whatever is done.
        for i in 0..k {
            responses.row_mut(i)[q - 1] = 0.0;
        }
        let aim = Aim::new(&responses, 1e-9).unwrap();
        for j in 0..q {
            let mut wanted = vec![0.0; q];
            wanted[j] = 2.0;
            let weights = aim.at(&wanted).unwrap();
            for other in 0..q {
                let both = weights.iter().enumerate();
                let change: f64 = both
                    .map(|(i, w)| w * f64::from(responses.row(i)[other]))
                    .sum();
                let expected = if other == j && j < q - 1 { 2.0 } else { 0.0 };
                assert!((change - expected).abs() < 1e-6, "{j} {other}: {change}");
            }
        }
    }

    #[test]
    fn a_ridge_prefers_what_moves_much() {
        // The first direction moves the quantity, the second hardly.
        let responses = Block::from_vec(2, 1, vec![1.0, 0.01]).unwrap();
        let weights = Aim::new(&responses, 1e-2).unwrap().at(&[1.0]).unwrap();
        assert!(weights[0] > 0.98 && weights[0] < 1.0, "{weights:?}");
        assert!(weights[1] < 0.02, "{weights:?}");
        assert!(Aim::new(&responses, 0.0).is_err());
        let broken = Block::from_vec(1, 1, vec![f32::NAN]).unwrap();
        assert!(Aim::new(&broken, 1.0).is_err());
    }
}
