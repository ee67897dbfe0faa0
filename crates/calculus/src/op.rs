//! The operations that nodes of a graph are.

use crate::spec::{Padding, Parameter};
use alice_kernels::activation::Activation;

/// How a sinusoidal embedding of the timestep is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SinusoidalEmbedding {
    /// Channels of the embedding.
    pub channels: usize,
    /// Cosines before sines.
    pub flip_sin_to_cos: bool,
    /// Shift in the frequencies' denominator.
    pub frequency_shift: f64,
}

/// An operation. Shapes are per item of the batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Input,
    Convolution {
        weight: Parameter,
        bias: Option<Parameter>,
        kernel: usize,
        stride: usize,
        padding: Padding,
    },
    Linear {
        weight: Parameter,
        bias: Option<Parameter>,
    },
    GroupNorm {
        gain: Parameter,
        bias: Parameter,
        groups: usize,
        eps: f64,
        silu: bool,
    },
    LayerNorm {
        gain: Parameter,
        bias: Parameter,
        eps: f64,
    },
    Activation(Activation),
    /// a · gelu(b) with (a, b) the halves of x `[.., 2C]`.
    Geglu,
    Add,
    /// x `[.., C]` + v `[C]`.
    AddVector,
    /// x `[P, C]` + table `[P, C]`.
    AddTable {
        table: Parameter,
    },
    /// x · (1 + s) + b with (s, b) the halves of v `[2C]`.
    ScaleShift,
    Scale(f64),
    Concat,
    UpsampleNearest,
    AveragePool,
    Attention {
        heads: usize,
        causal: bool,
    },
    Sinusoidal(SinusoidalEmbedding),
    Embedding {
        table: Parameter,
    },
    SumPool,
}
