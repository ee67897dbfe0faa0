//! The kernels: which shader, which entry point, how many arrays.

use crate::product::{self, Factors, Tile};

/// A compute kernel. Each writes one array and reads some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Product(Factors, Tile),
    Norm(&'static str),
    Softmax(&'static str),
    Pointwise(&'static str),
}

impl Kernel {
    /// Its shader, in WGSL.
    pub(crate) fn source(self) -> String {
        const COMMON: &str = include_str!("shaders/common.wgsl");
        let own = match self {
            Self::Product(factors, tile) => return product::source(factors, tile),
            Self::Norm(_) => include_str!("shaders/norm.wgsl"),
            Self::Softmax(_) => include_str!("shaders/softmax.wgsl"),
            Self::Pointwise(_) => include_str!("shaders/pointwise.wgsl"),
        };
        format!("{COMMON}\n{own}")
    }

    pub(crate) fn entry(self) -> &'static str {
        match self {
            Self::Product(..) => "main",
            Self::Norm(entry) | Self::Softmax(entry) | Self::Pointwise(entry) => entry,
        }
    }

    /// Arrays that its shader reads.
    pub(crate) fn inputs(self) -> usize {
        match self {
            Self::Product(Factors::Gathered, _) => 3,
            Self::Product(Factors::Batched, _) | Self::Pointwise(_) => 2,
            Self::Norm(_) => 6,
            Self::Softmax(_) => 1,
        }
    }
}
