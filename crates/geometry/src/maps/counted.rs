//! Counting the products of a map.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::LinearMap;
use crate::{Block, GeometryError};

/// How often a map was used. A block of r vectors is one block product and r
/// vector products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProductCount {
    /// Blocks pushed forward.
    pub pushforward_blocks: usize,
    /// Blocks pulled back.
    pub pullback_blocks: usize,
    /// Vectors pushed forward.
    pub pushforward_vectors: usize,
    /// Vectors pulled back.
    pub pullback_vectors: usize,
}

impl ProductCount {
    /// Block products, both ways.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.pushforward_blocks + self.pullback_blocks
    }

    /// Vector products, both ways.
    #[must_use]
    pub fn vectors(&self) -> usize {
        self.pushforward_vectors + self.pullback_vectors
    }
}

/// A map that counts its products.
#[derive(Debug, Default)]
pub struct Counted<M> {
    map: M,
    pushforward_blocks: AtomicUsize,
    pullback_blocks: AtomicUsize,
    pushforward_vectors: AtomicUsize,
    pullback_vectors: AtomicUsize,
}

impl<M: LinearMap> Counted<M> {
    /// Counts the products of `map` from zero.
    pub fn new(map: M) -> Self {
        Self {
            map,
            pushforward_blocks: AtomicUsize::new(0),
            pullback_blocks: AtomicUsize::new(0),
            pushforward_vectors: AtomicUsize::new(0),
            pullback_vectors: AtomicUsize::new(0),
        }
    }

    /// The products so far, failed ones included.
    pub fn count(&self) -> ProductCount {
        ProductCount {
            pushforward_blocks: self.pushforward_blocks.load(Ordering::Relaxed),
            pullback_blocks: self.pullback_blocks.load(Ordering::Relaxed),
            pushforward_vectors: self.pushforward_vectors.load(Ordering::Relaxed),
            pullback_vectors: self.pullback_vectors.load(Ordering::Relaxed),
        }
    }
}

impl<M: LinearMap> LinearMap for Counted<M> {
    fn domain(&self) -> usize {
        self.map.domain()
    }

    fn codomain(&self) -> usize {
        self.map.codomain()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        self.pushforward_blocks.fetch_add(1, Ordering::Relaxed);
        self.pushforward_vectors
            .fetch_add(tangents.rows(), Ordering::Relaxed);
        self.map.pushforward(tangents)
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        self.pullback_blocks.fetch_add(1, Ordering::Relaxed);
        self.pullback_vectors
            .fetch_add(cotangents.rows(), Ordering::Relaxed);
        self.map.pullback(cotangents)
    }
}

/// The products of a map as the solvers use them: counted, and each result
/// checked for its shape and for non-finite values.
pub(crate) struct Products<'a, M: ?Sized> {
    map: Counted<&'a M>,
}

impl<'a, M: LinearMap + ?Sized> Products<'a, M> {
    pub(crate) fn new(map: &'a M) -> Self {
        Self {
            map: Counted::new(map),
        }
    }

    pub(crate) fn count(&self) -> ProductCount {
        self.map.count()
    }

    pub(crate) fn push(&self, tangents: &Block) -> Result<Block, GeometryError> {
        let image = self.map.pushforward(tangents)?;
        check(&image, "pushforward", tangents.rows(), self.map.codomain())?;
        Ok(image)
    }

    pub(crate) fn pull(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        let image = self.map.pullback(cotangents)?;
        check(&image, "pullback", cotangents.rows(), self.map.domain())?;
        Ok(image)
    }
}

fn check(
    image: &Block,
    operation: &'static str,
    rows: usize,
    dimension: usize,
) -> Result<(), GeometryError> {
    GeometryError::check_extent(operation, "number of rows returned", image.rows(), rows)?;
    GeometryError::check_extent(
        operation,
        "dimension returned",
        image.dimension(),
        dimension,
    )?;
    image.check_finite(operation)
}
