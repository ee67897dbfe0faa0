//! The value of each operation, and what its linear map needs.

use crate::arrays::Array;
use crate::network::Network;
use crate::norm;
use crate::pointwise::{Extents, number};
use crate::recorder::Recorder;
use alice_calculus::{GraphError, Op};

/// What the linear map of an operation needs from the primal pass.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// The operation is linear or constant.
    Nothing,
    /// Where a function of each value was taken.
    Point(Array),
    Norm(norm::Kept),
    Attention([Array; 3]),
    ScaleShift {
        x: Array,
        v: Array,
    },
}

impl Kept {
    /// Memory that it holds, arrays that it shares with others included.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Point(x) => x.bytes(),
            Self::Norm(norm) => norm.x.bytes() + norm.statistics.bytes(),
            Self::Attention(qkv) => qkv.iter().map(Array::bytes).sum(),
            Self::ScaleShift { x, v } => x.bytes() + v.bytes(),
        }
    }
}

/// Extents of a node's value.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) channels: usize,
    pub(crate) positions: usize,
}

impl Shape {
    pub(crate) fn item(self) -> usize {
        self.channels * self.positions
    }

    pub(crate) fn extents(self) -> Extents {
        Extents {
            channels: self.channels,
            positions: self.positions,
            repeat: 1,
            ..Extents::default()
        }
    }
}

impl Network {
    pub(crate) fn shape(&self, node: usize) -> Shape {
        let dims = &self.graph.nodes()[node].dims;
        let (channels, positions) = dims.split_last().unwrap_or((&1, &[]));
        Shape {
            channels: *channels,
            positions: positions.iter().product(),
        }
    }

    /// Channels of an input of a node.
    pub(crate) fn input_channels(&self, node: usize, input: usize) -> usize {
        self.shape(self.graph.nodes()[node].inputs[input].index())
            .channels
    }

    /// Extents of pictures before and after a change of size.
    pub(crate) fn sizes(&self, node: usize) -> Extents {
        let this = &self.graph.nodes()[node];
        let from = self.graph.dims(this.inputs[0]);
        let side = |dims: &[usize]| (dims[0], dims[1]);
        Extents {
            from_size: side(from),
            to_size: side(&this.dims),
            ..self.shape(node).extents()
        }
    }

    /// The value of a node for `n` items.
    pub(crate) fn forward(
        &self,
        recorder: &mut Recorder<'_>,
        node: usize,
        inputs: &[Array],
        n: usize,
    ) -> Result<(Array, Kept), GraphError> {
        let this = &self.graph.nodes()[node];
        let missing = || {
            self.context
                .refuse(format!("{} was fed too little", this.name))
        };
        let first = inputs.first().ok_or_else(missing)?;
        let second = || inputs.get(1).ok_or_else(missing);
        let shape = self.shape(node);
        let (count, extents) = (n * shape.item(), shape.extents());
        let mut kept = Kept::Nothing;
        if let Some((weight, bias, convolution)) = self.convolution(node) {
            let weight = self.parameter(weight);
            let bias = bias.map(|bias| self.parameter(bias));
            let out = convolution.forward(recorder, n, first, weight, bias)?;
            return Ok((out, kept));
        }
        if let Some(norm) = self.norm(node) {
            let (out, kept) = norm.forward(recorder, first)?;
            return Ok((out, Kept::Norm(kept)));
        }
        if let Some(attention) = self.attention(node) {
            let [q, k, v] = inputs else {
                return Err(missing());
            };
            let out = attention.forward(recorder, [q, k, v])?;
            return Ok((out, Kept::Attention([q.clone(), k.clone(), v.clone()])));
        }
        let out = match &this.op {
            Op::Activation(function) => {
                kept = Kept::Point(first.clone());
                let kind = number(*function);
                recorder.each("activation", count, Extents { kind, ..extents }, &[first])
            }
            Op::Geglu => {
                kept = Kept::Point(first.clone());
                recorder.each("geglu", count, extents, &[first])
            }
            Op::Add => recorder.add(first, second()?),
            Op::AddVector => recorder.each("add_vector", count, extents, &[first, second()?]),
            Op::AddTable { table } => {
                let table = self.parameter(*table);
                recorder.each("add_table", count, extents, &[first, table])
            }
            Op::ScaleShift => {
                let v = second()?;
                kept = Kept::ScaleShift {
                    x: first.clone(),
                    v: v.clone(),
                };
                let extents = Extents { kind: 1, ..extents };
                recorder.each("scale_shift", count, extents, &[first, v])
            }
            Op::Scale(factor) => {
                let factor = *factor;
                recorder.each("scale", count, Extents { factor, ..extents }, &[first])
            }
            Op::Concat => {
                let widths = [0, 1].map(|i| self.input_channels(node, i));
                let parts = [(Some(first), widths[0]), (Some(second()?), widths[1])];
                recorder.concat(n * shape.positions, parts)
            }
            Op::UpsampleNearest => recorder.each("upsample", count, self.sizes(node), &[first]),
            Op::AveragePool => recorder.each("average_pool", count, self.sizes(node), &[first]),
            Op::Sinusoidal(embedding) => {
                // Angles of some hundred need more digits than the device has.
                let timesteps = recorder.download(&[first])?.swap_remove(0);
                recorder.upload(&embedding.values(&timesteps))
            }
            Op::Embedding { table } => {
                let table = self.parameter(*table);
                let kind = table.len() / shape.channels;
                let extents = Extents { kind, ..extents };
                recorder.each("embedding", count, extents, &[first, table])
            }
            Op::SumPool => {
                let positions = first.len() / (n * shape.channels);
                recorder.sum_positions(first, positions, shape.channels)
            }
            _ => Err(missing()),
        };
        Ok((out?, kept))
    }
}
