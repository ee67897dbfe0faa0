//! Cotangents through each operation.

use crate::arrays::Array;
use crate::forward::Kept;
use crate::network::Network;
use crate::pointwise::{Extents, number};
use crate::recorder::Recorder;
use alice_calculus::{GraphError, Op};

impl Network {
    /// The blocks of cotangents of those inputs that `wanted` marks, from the
    /// block of `blocks` cotangents of the node.
    pub(crate) fn pullback(
        &self,
        recorder: &mut Recorder<'_>,
        node: usize,
        kept: &Kept,
        u: &Array,
        wanted: &[bool],
        blocks: usize,
    ) -> Result<Vec<Option<Array>>, GraphError> {
        let this = &self.graph.nodes()[node];
        let unfit = || self.context.refuse(format!("{} has no adjoint", this.name));
        let shape = self.shape(node);
        let (count, extents) = (blocks * shape.item(), shape.extents());
        let one = |found: Array| Ok(vec![Some(found)]);
        if let Some((weight, _, convolution)) = self.convolution(node) {
            let weight = self.parameter(weight);
            return one(convolution.adjoint(recorder, blocks, u, weight)?);
        }
        match (&this.op, kept) {
            (Op::GroupNorm { .. } | Op::LayerNorm { .. }, Kept::Norm(kept)) => {
                let norm = self.norm(node).ok_or_else(unfit)?;
                one(norm.linear(recorder, kept, u, true)?)
            }
            (Op::Attention { .. }, Kept::Attention([q, k, v])) => {
                let attention = self.attention(node).ok_or_else(unfit)?;
                let wanted = [wanted[0], wanted[1], wanted[2]];
                let sides = attention.pullback(recorder, [q, k, v], u, wanted)?;
                Ok(sides.into_iter().collect())
            }
            (Op::Activation(function), Kept::Point(x)) => {
                let extents = Extents {
                    kind: number(*function),
                    repeat: count / x.len(),
                    ..extents
                };
                one(recorder.each("activation_slope", count, extents, &[u, x])?)
            }
            (Op::Geglu, Kept::Point(x)) => {
                let repeat = 2 * count / x.len();
                let out = recorder.array(2 * count)?;
                let extents = Extents { repeat, ..extents };
                recorder.each_into("geglu_pull", count, extents, &out, &[u, x]);
                one(out)
            }
            (Op::Add, _) => Ok(wanted.iter().map(|w| w.then(|| u.clone())).collect()),
            (Op::AddVector, _) => {
                let to_v =
                    wanted[1].then(|| recorder.sum_positions(u, shape.positions, shape.channels));
                Ok(vec![wanted[0].then(|| u.clone()), to_v.transpose()?])
            }
            (Op::AddTable { .. }, _) => one(u.clone()),
            (Op::ScaleShift, Kept::ScaleShift { x, v }) => {
                let repeat = count / x.len();
                let extents = Extents { repeat, ..extents };
                let to_x = wanted[0].then(|| recorder.each("scale_shift", count, extents, &[u, v]));
                let to_x = to_x.transpose()?;
                if !wanted[1] {
                    return Ok(vec![to_x, None]);
                }
                let product = recorder.each("multiply", count, extents, &[u, x])?;
                let (positions, channels) = (shape.positions, shape.channels);
                let scale = recorder.sum_positions(&product, positions, channels)?;
                let shift = recorder.sum_positions(u, positions, channels)?;
                let parts = [(Some(&scale), channels), (Some(&shift), channels)];
                Ok(vec![to_x, Some(recorder.concat(blocks, parts)?)])
            }
            (Op::Scale(factor), _) => {
                let factor = *factor;
                one(recorder.each("scale", count, Extents { factor, ..extents }, &[u])?)
            }
            (Op::Concat, _) => {
                let mut first = 0;
                let mut parts = Vec::with_capacity(2);
                for (i, wanted) in wanted.iter().enumerate() {
                    let part = self.input_channels(node, i);
                    let sliced =
                        wanted.then(|| recorder.slice_channels(u, shape.channels, first, part));
                    parts.push(sliced.transpose()?);
                    first += part;
                }
                Ok(parts)
            }
            (Op::UpsampleNearest | Op::AveragePool, _) => {
                let extents = self.sizes(node);
                let (h, w) = extents.from_size;
                let entry = match this.op {
                    Op::AveragePool => "average_pool_adjoint",
                    _ => "upsample_adjoint",
                };
                one(recorder.each(entry, blocks * h * w * shape.channels, extents, &[u])?)
            }
            (Op::SumPool, _) => {
                let from = self.graph.dims(this.inputs[0]).iter().product::<usize>();
                let positions = from / shape.channels;
                let extents = Extents {
                    positions,
                    ..extents
                };
                one(recorder.each("broadcast", blocks * from, extents, &[u])?)
            }
            _ => Ok(vec![None; this.inputs.len()]),
        }
    }
}
