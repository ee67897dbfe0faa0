//! Some components of the codomain.

use super::LinearMap;
use crate::{Block, GeometryError};

/// A map of which only some components of the codomain are looked at: S J
/// with a selection S, and Jᵀ Sᵀ back. With the pixels of a mask this is the
/// local Jacobian of LOCO Edit (NeurIPS 2024).
#[derive(Clone, Debug)]
pub struct Selected<M> {
    map: M,
    components: Vec<usize>,
}

impl<M: LinearMap> Selected<M> {
    /// The components of the codomain to keep, ascending.
    ///
    /// # Errors
    /// When there is none, they do not ascend, or one is beyond the codomain.
    pub fn new(map: M, components: Vec<usize>) -> Result<Self, GeometryError> {
        let ascending = components.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = components.last().is_some_and(|&c| c < map.codomain());
        if !(ascending && inside) {
            return Err(GeometryError::Parameter {
                name: "the selected components",
                value: format!("{} of {}", components.len(), map.codomain()),
                requirement: "at least one, ascending, within the codomain".into(),
            });
        }
        Ok(Self { map, components })
    }
}

impl<M: LinearMap> LinearMap for Selected<M> {
    fn domain(&self) -> usize {
        self.map.domain()
    }

    fn codomain(&self) -> usize {
        self.components.len()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        let full = self.map.pushforward(tangents)?;
        let rows = (0..full.rows()).map(|i| full.row(i));
        let kept = rows.flat_map(|row| self.components.iter().map(|&c| row[c]));
        Block::from_vec(full.rows(), self.components.len(), kept.collect())
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        GeometryError::check_extent(
            "pullback",
            "dimension",
            cotangents.dimension(),
            self.components.len(),
        )?;
        let mut full = Block::zeros(cotangents.rows(), self.map.codomain());
        for i in 0..cotangents.rows() {
            let row = full.row_mut(i);
            for (&c, &value) in self.components.iter().zip(cotangents.row(i)) {
                row[c] = value;
            }
        }
        self.map.pullback(&full)
    }
}
