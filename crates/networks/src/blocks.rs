//! The blocks that U-Nets and autoencoders are made of.

use crate::unet2d::{Sampler, TimeConditioning};
use alice_calculus::{Graph, GraphError, Padding, SinusoidalEmbedding, Value};

/// What a residual block does to the picture's size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    Keep,
    Halve,
    Double,
}

/// Linear, SiLU, linear, `[C] → [channels]`.
pub(crate) fn two_layers(
    graph: &mut Graph,
    name: &str,
    x: Value,
    channels: usize,
) -> Result<Value, GraphError> {
    let x = graph.linear(x, &format!("{name}.linear_1"), channels, true)?; // [E]
    let x = graph.silu(x); // [E]
    graph.linear(x, &format!("{name}.linear_2"), channels, true) // [E]
}

/// 2x − 1. A graph has no constants, so they are the cosine and sine of 0 · timestep.
pub(crate) fn centre(graph: &mut Graph, x: Value, timestep: Value) -> Result<Value, GraphError> {
    let channels = 2 * graph.dims(x).last().copied().unwrap_or(0);
    let zero = graph.scale(timestep, 0.0); // [1]
    let [ones_first, ones_last] = [true, false].map(|flip_sin_to_cos| SinusoidalEmbedding {
        channels,
        flip_sin_to_cos,
        frequency_shift: 0.0,
    });
    let ones = graph.sinusoidal(zero, ones_first)?; // [2C]: 1 …, 0 …
    let last = graph.sinusoidal(zero, ones_last)?; // [2C]: 0 …, 1 …
    let last = graph.scale(last, -1.0); // [2C]: 0 …, -1 …
    let scale_and_shift = graph.add(ones, last)?; // [2C]: 1 …, -1 …
    graph.scale_shift(x, scale_and_shift) // [H, W, C]
}

/// What all blocks of a network share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    pub(crate) norm_num_groups: usize,
    pub(crate) norm_eps: f64,
    pub(crate) time_conditioning: TimeConditioning,
    /// 0 pads below and to the right, 1 on all sides.
    pub(crate) downsample_padding: usize,
}

/// Adds blocks to a graph.
pub(crate) struct Blocks<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) style: Style,
    /// The activated embedding of the timestep and what else conditions the
    /// network, `[E]`; `None` where residual blocks know no time.
    pub(crate) time: Option<Value>,
}

impl Blocks<'_> {
    /// Norm, SiLU, convolution, time, norm, SiLU, convolution, plus the
    /// shortcut, divided by `divisor`.
    pub(crate) fn resnet(
        &mut self,
        x: Value,
        name: &str,
        output: usize,
        resample: Resample,
        divisor: f64,
    ) -> Result<Value, GraphError> {
        let mut h = self.norm(x, &format!("{name}.norm1"), true)?; // [H, W, C]
        let mut shortcut = x; // [H, W, C]
        match resample {
            Resample::Keep => {}
            Resample::Halve => {
                h = self.graph.average_pool(h)?; // [H/2, W/2, C]
                shortcut = self.graph.average_pool(shortcut)?;
            }
            Resample::Double => {
                h = self.graph.upsample_nearest(h, None)?; // [2H, 2W, C]
                shortcut = self.graph.upsample_nearest(shortcut, None)?;
            }
        }
        h = self.convolution(h, &format!("{name}.conv1"), output)?; // [H', W', O]
        h = self.condition(h, name, output)?; // [H', W', O]
        h = self.convolution(h, &format!("{name}.conv2"), output)?; // [H', W', O]
        if self.graph.dims(shortcut).last() != Some(&output) {
            let name = format!("{name}.conv_shortcut");
            shortcut =
                self.graph
                    .convolution(shortcut, &name, output, 1, 1, Padding::all(0), true)?; // [H', W', O]
        }
        self.add_and_divide(shortcut, h, divisor)
    }

    /// The second norm with the time embedding, activated.
    fn condition(&mut self, h: Value, name: &str, output: usize) -> Result<Value, GraphError> {
        let (projection, norm) = (format!("{name}.time_emb_proj"), format!("{name}.norm2"));
        let Some(time) = self.time else {
            return self.norm(h, &norm, true);
        };
        match self.style.time_conditioning {
            TimeConditioning::Shift => {
                let t = self.graph.linear(time, &projection, output, true)?; // [O]
                let h = self.graph.add_vector(h, t)?; // [H, W, O]
                self.norm(h, &norm, true)
            }
            TimeConditioning::ScaleShift => {
                let t = self.graph.linear(time, &projection, 2 * output, true)?; // [2·O]
                let h = self.norm(h, &norm, false)?; // [H, W, O]
                let h = self.graph.scale_shift(h, t)?; // [H, W, O]
                Ok(self.graph.silu(h))
            }
        }
    }

    /// Norm (unless `groups` is `None`), self-attention over all positions
    /// with heads of `head_dim` channels (one head of all if `None`), plus x,
    /// divided by `divisor`.
    pub(crate) fn attention(
        &mut self,
        x: Value,
        name: &str,
        groups: Option<usize>,
        head_dim: Option<usize>,
        divisor: f64,
    ) -> Result<Value, GraphError> {
        let graph = &mut *self.graph;
        let channels = graph.dims(x).last().copied().unwrap_or(0);
        let head_dim = head_dim.unwrap_or(channels);
        // Channels that do not fill a head are left out, as in diffusers.
        let heads = channels / head_dim;
        let inner = heads * head_dim;
        let h = match groups {
            Some(groups) => {
                let eps = self.style.norm_eps;
                graph.group_norm(x, &format!("{name}.group_norm"), groups, eps, false)?
            }
            None => x,
        }; // [H, W, C]
        let q = graph.linear(h, &format!("{name}.to_q"), inner, true)?; // [H, W, heads·d]
        let k = graph.linear(h, &format!("{name}.to_k"), inner, true)?; // [H, W, heads·d]
        let v = graph.linear(h, &format!("{name}.to_v"), inner, true)?; // [H, W, heads·d]
        let h = graph.attention(q, k, v, heads)?; // [H, W, heads·d]
        let h = graph.linear(h, &format!("{name}.to_out.0"), channels, true)?; // [H, W, C]
        self.add_and_divide(x, h, divisor)
    }

    /// Halves a picture, `[H, W, C] → [H/2, W/2, C]`.
    pub(crate) fn downsample(
        &mut self,
        x: Value,
        name: &str,
        sampler: Sampler,
    ) -> Result<Value, GraphError> {
        let name = format!("{name}.downsamplers.0");
        let channels = self.graph.dims(x).last().copied().unwrap_or(0);
        if sampler == Sampler::Resnet {
            return self.resnet(x, &name, channels, Resample::Halve, 1.0);
        }
        let padding = match self.style.downsample_padding {
            0 => Padding {
                top: 0,
                left: 0,
                bottom: 1,
                right: 1,
            },
            pixels => Padding::all(pixels),
        };
        let name = format!("{name}.conv");
        self.graph
            .convolution(x, &name, channels, 3, 2, padding, true)
    }

    /// Doubles a picture, `[H, W, C] → [2H, 2W, C]`; a convolutional one can
    /// be brought to another `size` instead.
    pub(crate) fn upsample(
        &mut self,
        x: Value,
        name: &str,
        sampler: Sampler,
        size: Option<(usize, usize)>,
    ) -> Result<Value, GraphError> {
        let name = format!("{name}.upsamplers.0");
        let channels = self.graph.dims(x).last().copied().unwrap_or(0);
        if sampler == Sampler::Resnet {
            return self.resnet(x, &name, channels, Resample::Double, 1.0);
        }
        let h = self.graph.upsample_nearest(x, size)?; // [2H, 2W, C]
        self.convolution(h, &format!("{name}.conv"), channels)
    }

    /// A 3×3 convolution that keeps the size.
    pub(crate) fn convolution(
        &mut self,
        x: Value,
        name: &str,
        output: usize,
    ) -> Result<Value, GraphError> {
        self.graph
            .convolution(x, name, output, 3, 1, Padding::all(1), true)
    }

    /// The config's group norm, then SiLU if asked.
    pub(crate) fn norm(&mut self, x: Value, name: &str, silu: bool) -> Result<Value, GraphError> {
        let (groups, eps) = (self.style.norm_num_groups, self.style.norm_eps);
        self.graph.group_norm(x, name, groups, eps, silu)
    }

    fn add_and_divide(&mut self, x: Value, h: Value, divisor: f64) -> Result<Value, GraphError> {
        let sum = self.graph.add(x, h)?; // [H, W, C]
        if divisor == 1.0 {
            return Ok(sum);
        }
        Ok(self.graph.scale(sum, 1.0 / divisor))
    }
}
