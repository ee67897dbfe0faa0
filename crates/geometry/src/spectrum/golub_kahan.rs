//! Block Golub–Kahan bidiagonalisation with thick restart.

use alice_random::Stream;

use super::basis::Basis;
use super::bidiagonal::{Bidiagonal, Ritz};
use super::whole::{GUARD, NEAR, Near};
use super::{Spectrum, check_rank};
use crate::maps::{ProductCount, Products};
use crate::{Block, GeometryError, LinearMap};

/// The leading singular triplets of a linear map, in few products.
///
/// The span of (JᵀJ)ʲ V₀, j = 0, 1, …, for a small random block V₀ holds the
/// leading right vectors after far fewer products than subspace iteration
/// needs: Õ(1/√ε) against Õ(1/ε) (Musco & Musco 2015). A block b with
/// 1 ≪ b ≪ rank costs the least (Chen, Epperly, Meyer, Musco, Rao,
/// arXiv 2508.06486).
///
/// # Stop
/// When every wanted triplet has a residual of at most `tolerance` · σ₁, with
/// the residual ‖J v − σ u‖ or ‖Jᵀ u − σ v‖ (the other of the two is zero).
/// Each σᵢ is then within `tolerance` · σ₁ of a singular value, in practice
/// within its square over the gap. The angle between the found and the true
/// leading subspace is about residual / (σ_k − σ_{k+1}): where two values
/// beside the cut are closer than the tolerance, the map itself does not
/// determine the last direction.
///
/// A value repeated exactly more often than `block` is found at least `block`
/// times; raise `block` where a map has such symmetry.
///
/// # Cost
/// Memory: `max_basis` + `block` vectors of each side, f32. Orthogonalisation
/// against p vectors: 8·(n + h)·p·b operations per block step, as matrix
/// products. Products are in the result; the example `products` prints them
/// for several spectra, block sizes and tolerances, beside the baseline's.
///
/// ```
/// use alice_geometry::{GolubKahan, Matrix};
/// let map = Matrix::from_vec(2, 3, vec![3.0, 0.0, 0.0, 0.0, 2.0, 0.0])?;
/// let spectrum = GolubKahan::new(2).decompose(&map)?;
/// assert!((spectrum.singular_values[0] - 3.0).abs() < 1e-5);
/// # Ok::<(), alice_geometry::GeometryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GolubKahan {
    /// Number k of triplets wanted.
    pub rank: usize,
    /// Vectors per block product, b.
    pub block: usize,
    /// Largest residual of a wanted triplet, relative to σ₁; at least
    /// [`FINEST`](Self::FINEST).
    pub tolerance: f64,
    /// Largest size of each basis; at least `rank` + 2·`block`.
    pub max_basis: usize,
    /// Block products, both ways together, after which the best triplets so
    /// far are returned with `converged` false.
    pub max_block_products: usize,
    /// Seed of the random start.
    pub seed: u64,
}

impl GolubKahan {
    /// The smallest tolerance: below it products in f32 leave the residual of
    /// the recurrence falling while that of the map stays.
    pub const FINEST: f64 = 1e-6;

    /// The defaults for `rank` triplets.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        let block = 8;
        Self {
            rank,
            block,
            tolerance: 1e-4,
            max_basis: rank.saturating_mul(3).saturating_add(5 * block),
            max_block_products: 400,
            seed: 0,
        }
    }

    /// Bytes that the two bases and a block on its way take at most, for a map
    /// from `domain` to `codomain` dimensions.
    #[must_use]
    pub fn memory(&self, domain: usize, codomain: usize) -> usize {
        // A restart makes the combined basis beside the one it replaces, and
        // a block is split, copied and converted on both sides of a product.
        let vectors = 2 * self.max_basis + 6 * self.block;
        size_of::<f32>() * vectors * (domain + codomain)
    }

    /// Decomposes `map` from a random start.
    ///
    /// # Errors
    /// When the rank is zero or above the smaller dimension, a parameter is
    /// out of range, or the map fails or returns a NaN or an infinity.
    pub fn decompose<M: LinearMap + ?Sized>(&self, map: &M) -> Result<Spectrum, GeometryError> {
        Ok(self.solve(map, Block::zeros(0, map.domain()), None)?.0)
    }

    /// Decomposes `map` from the span of the rows of `start`, `[r, domain]`:
    /// the right vectors of a nearby map, such as the same network at the
    /// next timestep. More than `block` rows are mixed into `block`; `rank`
    /// rows or more that are nearly the map's leading right space are taken
    /// whole, see [`decompose_along`](Self::decompose_along).
    ///
    /// # Errors
    /// As [`decompose`](Self::decompose), and when `start` has another
    /// dimension or a non-finite value.
    pub fn decompose_from<M: LinearMap + ?Sized>(
        &self,
        map: &M,
        start: &Block,
    ) -> Result<Spectrum, GeometryError> {
        GeometryError::check_extent("start", "dimension", start.dimension(), map.domain())?;
        start.check_finite("start")?;
        let near = Near {
            space: start.clone().normalised(),
            scout: Block::zeros(0, map.domain()),
        };
        Ok(self.solve(map, self.mixture(start), Some(near))?.0)
    }

    /// A block of random combinations of more rows than a block.
    pub(super) fn mixture(&self, start: &Block) -> Block {
        if start.rows() <= self.block {
            return start.clone();
        }
        let mut stream = Stream::new(self.seed, "golub-kahan mixing", 0, 0);
        let mut mixed = Block::zeros(self.block, start.dimension());
        for row in 0..self.block {
            for from in 0..start.rows() {
                let weight = stream.normal_pair().0 as f32;
                crate::numeric::add_scaled(mixed.row_mut(row), weight, start.row(from));
            }
        }
        mixed
    }

    fn check<M: LinearMap + ?Sized>(&self, map: &M) -> Result<(), GeometryError> {
        check_rank(self.rank, map.domain(), map.codomain())?;
        let refuse = |name, value: String, requirement: String| {
            Err(GeometryError::Parameter {
                name,
                value,
                requirement,
            })
        };
        if self.block == 0 {
            return refuse("block", "0".into(), "at least 1".into());
        }
        if !(self.tolerance >= Self::FINEST && self.tolerance < 1.0) {
            let requirement = format!(
                "at least {:e}, what products in f32 can tell, and below 1",
                Self::FINEST
            );
            return refuse("tolerance", self.tolerance.to_string(), requirement);
        }
        let smallest = self.block.saturating_mul(2).saturating_add(self.rank);
        if self.max_basis < smallest {
            let requirement = format!("at least {smallest} (rank + 2 · block)");
            return refuse("max_basis", self.max_basis.to_string(), requirement);
        }
        if self.max_block_products < 2 {
            let requirement = "at least 2".into();
            return refuse(
                "max_block_products",
                self.max_block_products.to_string(),
                requirement,
            );
        }
        Ok(())
    }

    /// The triplets, from the span of `start`, and what they tell of the next
    /// map. A `near` map's space is taken whole where it is near enough.
    pub(super) fn solve<M: LinearMap + ?Sized>(
        &self,
        map: &M,
        start: Block,
        near: Option<Near>,
    ) -> Result<(Spectrum, Near), GeometryError> {
        self.check(map)?;
        let products = Products::new(map);
        let begin = |start: Block| {
            let stream = Stream::new(self.seed, "golub-kahan start", 0, 0);
            Bidiagonal::new(map.domain(), map.codomain(), start, self.block, stream)
        };
        let mut state = begin(start);
        let fits = |near: &Near| {
            let rows = near.space.rows();
            rows >= self.rank && rows + 2 * self.block < self.max_basis
        };
        let mut near = near.filter(fits);
        // σ_k when the space was last found invariant.
        let mut invariant_at: Option<f64> = None;
        // Half steps to go before the triplets are looked at again.
        let mut wait = 0usize;
        loop {
            let pushed_fresh = state.fresh_rows() > 0;
            let all_fresh = pushed_fresh && state.next_rows() == state.fresh_rows();
            let (new_left, remainder) = state.push(&products)?;
            // Nothing new on the left: it spans the codomain, or even random
            // rows outside an invariant space map into it, so that the map is
            // zero on all of the rest.
            let exhausted = new_left.rows() == 0 && (all_fresh || state.left_is_full());
            let enough = state.left_size() - new_left.rows() >= self.rank;
            wait = wait.saturating_sub(1);
            if enough && wait == 0 && !pushed_fresh {
                let ritz = state.ritz_before_push(remainder.as_ref())?;
                let excess = self.excess(&ritz);
                if excess <= 1.0 {
                    return Ok(self.finish(&mut state, ritz, true, &products));
                }
                wait = half_steps(excess);
            }
            let remainder = state.pull(&products, &new_left, self.block)?;
            if let Some(near) = near.take() {
                // The first block of it says how near it is.
                let space = Basis::of(near.space.clone());
                let outside = state.share_outside(&space, remainder.as_ref());
                if outside <= NEAR * self.tolerance {
                    let whole = state.into_whole(remainder.as_ref());
                    if let Some(found) = self.settle(whole, &near, &products)? {
                        return Ok(found);
                    }
                    state = begin(self.mixture(&near.space));
                    continue;
                }
            }
            let whole = exhausted || state.next_rows() == 0;
            let last = products.count().blocks() + 2 > self.max_block_products;
            let full = state.size() + state.next_rows() > self.max_basis;
            let enough = state.left_size() >= self.rank;
            wait = wait.saturating_sub(1);
            if !(whole || last || full || (enough && wait == 0)) {
                continue;
            }
            let ritz = state.ritz_after_pull(remainder.as_ref())?;
            let excess = self.excess(&ritz);
            if whole {
                return Ok(self.finish(&mut state, ritz, true, &products));
            }
            if excess <= 1.0 {
                // An invariant space may miss copies of a repeated value: look
                // outside once before believing it.
                let smallest = ritz.svd.values[self.rank - 1];
                let margin = self.tolerance * ritz.svd.values[0];
                let settled = invariant_at.is_some_and(|s| smallest <= s + margin);
                if settled || state.fresh_rows() == 0 {
                    return Ok(self.finish(&mut state, ritz, true, &products));
                }
                invariant_at = Some(smallest);
            }
            if last {
                return Ok(self.finish(&mut state, ritz, false, &products));
            }
            wait = half_steps(excess);
            if full {
                let most = self.max_basis - self.block;
                let keep = (self.rank + (most - self.rank) / 2).min(ritz.svd.values.len());
                state.restart(&ritz.svd, keep);
            }
        }
    }

    /// The largest wanted residual over the bound; infinite while there are
    /// fewer triplets than wanted.
    fn excess(&self, ritz: &Ritz) -> f64 {
        if ritz.residuals.len() < self.rank {
            return f64::INFINITY;
        }
        let largest = ritz.residuals[..self.rank]
            .iter()
            .fold(0.0f64, |a, &b| a.max(b));
        if largest == 0.0 {
            return 0.0;
        }
        largest / (self.tolerance * ritz.svd.values[0])
    }

    fn finish<M: LinearMap + ?Sized>(
        &self,
        state: &mut Bidiagonal,
        ritz: Ritz,
        converged: bool,
        products: &Products<'_, M>,
    ) -> (Spectrum, Near) {
        let near = Near {
            space: state.leading(&ritz.svd, self.rank + GUARD),
            scout: Block::zeros(0, state.domain()),
        };
        let (right, left) = state.vectors(&ritz.svd, self.rank);
        let (values, count) = (ritz.svd.values, products.count());
        let spectrum = self.spectrum(values, &ritz.residuals, right, left, count, converged);
        (spectrum, near)
    }

    /// Triplets with residuals in units of σ.
    pub(super) fn spectrum(
        &self,
        mut singular_values: Vec<f64>,
        residuals: &[f64],
        right: Block,
        left: Block,
        products: ProductCount,
        converged: bool,
    ) -> Spectrum {
        let largest = singular_values.first().copied().unwrap_or(0.0);
        let relative = if largest > 0.0 { 1.0 / largest } else { 0.0 };
        singular_values.resize(self.rank, 0.0);
        let mut residuals: Vec<f64> = residuals.iter().map(|r| r * relative).collect();
        residuals.resize(self.rank, 0.0);
        let mut spectrum = Spectrum {
            singular_values,
            right,
            left,
            residuals,
            products,
            converged,
        };
        spectrum.fix_signs();
        spectrum
    }
}

/// Half steps that surely do not bring an excess down to 1, plus one: no half
/// step gains more than a factor of about ten. Saves small decompositions.
fn half_steps(excess: f64) -> usize {
    if excess.is_finite() {
        1 + excess.max(1.0).log10() as usize
    } else {
        1
    }
}
