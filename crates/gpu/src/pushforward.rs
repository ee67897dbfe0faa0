//! Tangents through each operation.

use crate::arrays::Array;
use crate::forward::Kept;
use crate::network::Network;
use crate::pointwise::{Extents, number};
use crate::recorder::Recorder;
use alice_calculus::{GraphError, Op};

impl Network {
    /// The block of `blocks` tangents of a node from those of its inputs, at
    /// least one of which is given. A tangent that is not given is zero.
    pub(crate) fn pushforward(
        &self,
        recorder: &mut Recorder<'_>,
        node: usize,
        kept: &Kept,
        tangents: &[Option<&Array>],
        blocks: usize,
    ) -> Result<Array, GraphError> {
        let this = &self.graph.nodes()[node];
        let missing = || self.context.refuse(format!("{} has no tangent", this.name));
        let tangent = |i: usize| tangents.get(i).copied().flatten();
        let first = || tangent(0).ok_or_else(missing);
        let shape = self.shape(node);
        let (count, extents) = (blocks * shape.item(), shape.extents());
        if let Some((weight, _, convolution)) = self.convolution(node) {
            let weight = self.parameter(weight);
            return convolution.forward(recorder, blocks, first()?, weight, None);
        }
        match (&this.op, kept) {
            (Op::GroupNorm { .. } | Op::LayerNorm { .. }, Kept::Norm(kept)) => {
                let norm = self.norm(node).ok_or_else(missing)?;
                norm.linear(recorder, kept, first()?, false)
            }
            (Op::Attention { .. }, Kept::Attention([q, k, v])) => {
                let attention = self.attention(node).ok_or_else(missing)?;
                let tangents = [0, 1, 2].map(tangent);
                attention.pushforward(recorder, [q, k, v], tangents)
            }
            (Op::Activation(function), Kept::Point(x)) => {
                let extents = Extents {
                    kind: number(*function),
                    repeat: count / x.len(),
                    ..extents
                };
                recorder.each("activation_slope", count, extents, &[first()?, x])
            }
            (Op::Geglu, Kept::Point(x)) => {
                let repeat = 2 * count / x.len();
                let extents = Extents { repeat, ..extents };
                recorder.each("geglu_push", count, extents, &[first()?, x])
            }
            (Op::Add, _) => match (tangent(0), tangent(1)) {
                (Some(a), Some(b)) => recorder.add(a, b),
                (a, b) => a.or(b).cloned().ok_or_else(missing),
            },
            (Op::AddVector, _) => match (tangent(0), tangent(1)) {
                (Some(x), Some(v)) => recorder.each("add_vector", count, extents, &[x, v]),
                (Some(x), None) => Ok(x.clone()),
                (None, v) => {
                    let v = v.ok_or_else(missing)?;
                    recorder.each("broadcast", count, extents, &[v])
                }
            },
            (Op::AddTable { .. }, _) => first().cloned(),
            (Op::ScaleShift, Kept::ScaleShift { x, v }) => {
                let repeat = count / x.len();
                let extents = Extents { repeat, ..extents };
                let from_x =
                    tangent(0).map(|dx| recorder.each("scale_shift", count, extents, &[dx, v]));
                let from_x = from_x.transpose()?;
                let from_v = tangent(1)
                    .map(|dv| recorder.each("scale_shift_vector", count, extents, &[dv, x]));
                match (from_x, from_v.transpose()?) {
                    (Some(a), Some(b)) => recorder.add(&a, &b),
                    (a, b) => a.or(b).ok_or_else(missing),
                }
            }
            (Op::Scale(factor), _) => {
                let factor = *factor;
                recorder.each("scale", count, Extents { factor, ..extents }, &[first()?])
            }
            (Op::Concat, _) => {
                let parts = [0, 1].map(|i| (tangent(i), self.input_channels(node, i)));
                recorder.concat(blocks * shape.positions, parts)
            }
            (Op::UpsampleNearest, _) => {
                recorder.each("upsample", count, self.sizes(node), &[first()?])
            }
            (Op::AveragePool, _) => {
                recorder.each("average_pool", count, self.sizes(node), &[first()?])
            }
            (Op::SumPool, _) => {
                let x = first()?;
                let positions = x.len() / (blocks * shape.channels);
                recorder.sum_positions(x, positions, shape.channels)
            }
            _ => Err(missing()),
        }
    }
}
