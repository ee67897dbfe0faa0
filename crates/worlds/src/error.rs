//! Errors.

use crate::factor_table::FACTORS;

fn factor_names() -> String {
    let names: Vec<&str> = FACTORS.iter().map(|spec| spec.name).collect();
    names.join(", ")
}

/// What can go wrong when a world is asked for a picture.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The side of a picture is outside what can be drawn.
    #[error("picture size {size} is outside {low}..={high} pixels")]
    Size {
        /// The side asked for, in pixels.
        size: usize,
        /// The smallest side, in pixels.
        low: usize,
        /// The largest side, in pixels.
        high: usize,
    },
    /// The share of haunted faces is not a probability.
    #[error("haunted share {share} is not between 0 and 1")]
    HauntedShare {
        /// The share asked for.
        share: f32,
    },
    /// A factor is outside its range or not a number.
    #[error("factor `{factor}` is {value}, outside {low}..={high}")]
    FactorValue {
        /// The factor's name.
        factor: &'static str,
        /// Its value.
        value: f32,
        /// The lowest value.
        low: f32,
        /// The highest value.
        high: f32,
    },
    /// There is no factor of this name.
    #[error("no factor is called {name:?}. There are {}", factor_names())]
    FactorName {
        /// The name asked for.
        name: String,
    },
    /// There is no factor with this index.
    #[error("there is no factor number {index}; there are {count}")]
    FactorIndex {
        /// The index asked for.
        index: usize,
        /// The number of factors.
        count: usize,
    },
    /// A batch whose range is reversed or whose pictures would not fit in memory.
    #[error("a batch of pictures {start}..{end} at {size}×{size} is reversed or too large")]
    BatchRange {
        /// The first index.
        start: u64,
        /// One past the last index.
        end: u64,
        /// The side of the pictures, in pixels.
        size: usize,
    },
}
