//! A multiple of the identity added to a map.

use super::LinearMap;
use crate::{Block, GeometryError};

/// α I + β J for a map of a space into itself. The predicted clean sample
/// x̂₀ = √ᾱ x − √(1 − ᾱ) v(x), for example, has this derivative.
#[derive(Clone, Debug)]
pub struct Shifted<M> {
    map: M,
    identity: f64,
    factor: f64,
}

impl<M: LinearMap> Shifted<M> {
    /// `identity` · I + `factor` · J.
    ///
    /// # Errors
    /// When domain and codomain differ in dimension.
    pub fn new(map: M, identity: f64, factor: f64) -> Result<Self, GeometryError> {
        let (operation, quantity) = ("a multiple of the identity", "dimension of the codomain");
        GeometryError::check_extent(operation, quantity, map.codomain(), map.domain())?;
        Ok(Self {
            map,
            identity,
            factor,
        })
    }

    fn combine(&self, input: &Block, mut product: Block) -> Block {
        let (identity, factor) = (self.identity as f32, self.factor as f32);
        let both = product.as_mut_slice().iter_mut().zip(input.as_slice());
        both.for_each(|(p, &x)| *p = factor * *p + identity * x);
        product
    }
}

impl<M: LinearMap> LinearMap for Shifted<M> {
    fn domain(&self) -> usize {
        self.map.domain()
    }

    fn codomain(&self) -> usize {
        self.map.codomain()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        Ok(self.combine(tangents, self.map.pushforward(tangents)?))
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        Ok(self.combine(cotangents, self.map.pullback(cotangents)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Matrix, Selected};
    use super::*;

    #[test]
    fn adapters_are_the_matrices_they_stand_for() {
        let entries = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let map = Matrix::from_vec(3, 3, entries).unwrap();
        let map = Shifted::new(map, 10.0, 2.0).unwrap();
        let map = Selected::new(map, vec![0, 2]).unwrap();
        // Rows 0 and 2 of 10 I + 2 J.
        let v = Block::from_vec(1, 3, vec![1.0, 0.5, -1.0]).unwrap();
        let image = map.pushforward(&v).unwrap();
        assert_eq!(image.row(0), [12.0 + 2.0 - 6.0, 14.0 + 8.0 - 28.0]);
        let u = Block::from_vec(1, 2, vec![1.0, -2.0]).unwrap();
        let back = map.pullback(&u).unwrap();
        assert_eq!(back.row(0), [12.0 - 28.0, 4.0 - 32.0, 6.0 - 56.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let map = Matrix::from_vec(1, 2, vec![1.0, 2.0]).unwrap();
        assert!(Shifted::new(map.clone(), 1.0, 1.0).is_err());
        for components in [vec![], vec![1], vec![0, 0]] {
            assert!(Selected::new(map.clone(), components).is_err());
        }
    }
}
