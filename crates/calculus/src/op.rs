//! The operations that nodes of a graph are.

use crate::spec::{Padding, Parameter};
use alice_kernels::Real;
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

impl SinusoidalEmbedding {
    /// sin(t ω_i) and cos(t ω_i) with ω_i = 10000^(−i / (half − shift)), one
    /// timestep after the other (Vaswani et al. 2017, as DDPM uses it).
    #[must_use]
    pub fn values<T: Real>(self, timesteps: &[T]) -> Vec<T> {
        let Self {
            channels,
            flip_sin_to_cos,
            frequency_shift,
        } = self;
        let half = channels / 2;
        let mut out = Vec::with_capacity(timesteps.len() * channels);
        for t in timesteps {
            let angle = |i: usize| {
                let exponent = -(10_000f64.ln()) * i as f64 / (half as f64 - frequency_shift);
                t.to_f64() * exponent.exp()
            };
            let sines = (0..half).map(|i| T::from_f64(angle(i).sin()));
            let cosines = (0..half).map(|i| T::from_f64(angle(i).cos()));
            if flip_sin_to_cos {
                out.extend(cosines.chain(sines));
            } else {
                out.extend(sines.chain(cosines));
            }
            out.extend(std::iter::repeat_n(T::ZERO, channels - 2 * half));
        }
        out
    }
}

/// An operation; the methods of [`crate::Graph`] that add it say what it
/// does. Shapes are per item of the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// What the caller feeds.
    Input,
    /// See [`crate::Graph::convolution`].
    Convolution {
        /// `[kernel · kernel, input, output]`.
        weight: Parameter,
        /// `[output]`.
        bias: Option<Parameter>,
        /// Side of the square kernel.
        kernel: usize,
        /// Pixels between the kernel's places.
        stride: usize,
        /// Zeros around the picture.
        padding: Padding,
    },
    /// See [`crate::Graph::linear`].
    Linear {
        /// `[input, output]`.
        weight: Parameter,
        /// `[output]`.
        bias: Option<Parameter>,
    },
    /// See [`crate::Graph::group_norm`].
    GroupNorm {
        /// `[C]`.
        gain: Parameter,
        /// `[C]`.
        bias: Parameter,
        /// Runs of neighbouring channels.
        groups: usize,
        /// Added to the variance.
        eps: f64,
        /// Whether x · sigmoid(x) follows.
        silu: bool,
    },
    /// See [`crate::Graph::layer_norm`].
    LayerNorm {
        /// `[C]`.
        gain: Parameter,
        /// `[C]`.
        bias: Parameter,
        /// Added to the variance.
        eps: f64,
    },
    /// A function of each value.
    Activation(Activation),
    /// a · gelu(b) with (a, b) the halves of x `[.., 2C]`.
    Geglu,
    /// a + b.
    Add,
    /// x `[.., C]` + v `[C]`.
    AddVector,
    /// x `[P, C]` + table `[P, C]`.
    AddTable {
        /// `[P, C]`.
        table: Parameter,
    },
    /// x · (1 + s) + b with (s, b) the halves of v `[2C]`.
    ScaleShift,
    /// x · factor.
    Scale(f64),
    /// The channels of a, then those of b.
    Concat,
    /// See [`crate::Graph::upsample_nearest`].
    UpsampleNearest,
    /// The mean of each 2×2 block.
    AveragePool,
    /// See [`crate::Graph::attention`].
    Attention {
        /// Runs of neighbouring channels.
        heads: usize,
        /// Whether position i attends to the positions 0 to i only.
        causal: bool,
    },
    /// See [`crate::Graph::sinusoidal`].
    Sinusoidal(SinusoidalEmbedding),
    /// See [`crate::Graph::embedding`].
    Embedding {
        /// `[rows, channels]`.
        table: Parameter,
    },
    /// The sum over all positions.
    SumPool,
}

impl Op {
    /// Whether the result counts as constant in its inputs: timesteps and
    /// class labels are not differentiated.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Sinusoidal(_) | Self::Embedding { .. })
    }

    pub(crate) fn has_parameters(&self) -> bool {
        matches!(
            self,
            Self::Convolution { .. }
                | Self::Linear { .. }
                | Self::GroupNorm { .. }
                | Self::LayerNorm { .. }
                | Self::AddTable { .. }
                | Self::Embedding { .. }
        )
    }
}
