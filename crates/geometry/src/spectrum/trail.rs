//! Bases along a curve of maps.

use super::whole::Near;
use super::{GolubKahan, Spectrum};
use crate::{Block, GeometryError, LinearMap, numeric::dot};

/// What bases at neighbouring maps know of the next one, such as those along a
/// path of points at equal steps. Empty at first.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The right vectors at the map before the last.
    before: Option<Block>,
    last: Option<Near>,
}

impl Trail {
    /// What the next map's right space should be: the last one, and as far
    /// again as it is from the one before.
    fn expected(&self) -> Option<Near> {
        let mut near = self.last.clone()?;
        if let Some(before) = &self.before {
            near.space = continued(before, &near.space);
        }
        Some(near)
    }
}

/// 2 V₁ − P₀ V₁ for the spans of V₀ and V₁: to first order in the step the
/// space that is as far from V₁ as V₁ from V₀.
fn continued(before: &Block, last: &Block) -> Block {
    let rows = (0..last.rows()).flat_map(|i| (0..before.rows()).map(move |j| (i, j)));
    let overlaps: Vec<f64> = rows.map(|(i, j)| dot(last.row(i), before.row(j))).collect();
    let projected = before.combined(&overlaps).expect("whole rows");
    let mut ahead = last.clone();
    for (ahead, projected) in ahead.as_mut_slice().iter_mut().zip(projected.as_slice()) {
        *ahead = 2.0 * *ahead - projected;
    }
    ahead
}

impl GolubKahan {
    /// Decomposes `map`, the next one along a curve of maps, from what `trail`
    /// knows of those before, and adds what it finds. The rule of the stop is
    /// that of [`decompose`](Self::decompose), whatever the trail knows.
    ///
    /// Where the maps change so little from step to step that most of the
    /// wanted triplets are known within some ten times the tolerance, a basis
    /// costs some more than twice `rank` products; elsewhere it is that of
    /// [`decompose_from`](Self::decompose_from).
    ///
    /// A direction that J couples to none of those before, as only a symmetry
    /// makes it, is found a few maps after it leads.
    /// The trail keeps twice `rank` + 6 vectors of the domain.
    ///
    /// # Errors
    /// As [`decompose_from`](Self::decompose_from). The trail is then as before.
    pub fn decompose_along<M: LinearMap + ?Sized>(
        &self,
        map: &M,
        trail: &mut Trail,
    ) -> Result<Spectrum, GeometryError> {
        let (spectrum, found) = match trail.expected() {
            None => self.solve(map, Block::zeros(0, map.domain()), None)?,
            Some(near) => {
                let dimension = near.space.dimension();
                GeometryError::check_extent("trail", "dimension", dimension, map.domain())?;
                self.solve(map, self.mixture(&near.space), Some(near))?
            }
        };
        let last = trail.last.replace(found);
        trail.before = last.map(|near| near.space);
        Ok(spectrum)
    }
}
