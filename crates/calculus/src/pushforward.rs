//! Tangents through each operation.

use crate::Tensor;
use crate::forward::Residual;
use crate::model::Model;
use crate::op::Op;
use alice_kernels::activation::geglu_pushforward;
use alice_kernels::convolution::Direction;
use alice_kernels::gather::Epilogue;
use alice_kernels::pointwise;
use alice_kernels::{Buffer, Real};

impl<T: Real> Model<T> {
    /// The block of tangents of a node from those of its inputs, at least one
    /// of which is given. A tangent that is not given is zero.
    pub(crate) fn pushforward(
        &self,
        node: usize,
        residual: &Residual<T>,
        tangents: &[Option<&Tensor<T>>],
    ) -> Tensor<T> {
        let this = &self.graph().nodes[node];
        let blocks = tangents
            .iter()
            .find_map(|t| t.map(Tensor::batch))
            .expect("a tangent");
        let dims: Vec<usize> = std::iter::once(blocks)
            .chain(this.dims.iter().copied())
            .collect();
        let channels = *dims.last().expect("a batch axis");
        let positions: usize = dims[1..dims.len() - 1].iter().product();
        let first = || tangents[0].expect("the only input's tangent").data();
        let data = match (&this.op, residual) {
            (Op::Convolution { .. } | Op::Linear { .. }, _) => {
                let mut out = Buffer::stale(dims.iter().product());
                let epilogue = Epilogue::Store;
                self.product(
                    node,
                    Direction::Forward,
                    blocks,
                    first(),
                    epilogue,
                    &mut out,
                );
                out
            }
            (Op::GroupNorm { .. }, Residual::Norm(residual)) => {
                let norm = self.group_norm(node).expect("a norm");
                norm.pushforward(residual, first())
            }
            (Op::LayerNorm { .. }, Residual::LayerNorm(residual)) => {
                let norm = self.layer_norm(node).expect("a norm");
                norm.pushforward(residual, first(), positions)
            }
            (Op::Geglu, Residual::Slope(slope)) => {
                let item = positions * channels;
                let repeat = 2 * blocks * item / slope.len();
                geglu_pushforward(first(), slope, channels, item, repeat)
            }
            (Op::AddTable { .. }, _) => first().into(),
            (Op::Activation(_), Residual::Slope(slope)) => {
                let item = positions * channels;
                let repeat = blocks * item / slope.len();
                pointwise::multiply_blocks(first(), slope, item, repeat)
            }
            (Op::Add, _) => sum(tangents[0].map(Tensor::data), tangents[1].map(Tensor::data)),
            (Op::AddVector, _) => {
                let shift = tangents[1].map(Tensor::data);
                broadcast(tangents[0], dims.iter().product(), |x| {
                    pointwise::scale_shift(x, positions, channels, None, shift)
                })
            }
            (Op::ScaleShift, Residual::ScaleShift { x, scale }) => {
                let item = positions * channels;
                let repeat = blocks / x.batch();
                let by_block = |values: &[T], len: usize| -> Vec<T> {
                    values
                        .chunks_exact(len)
                        .flat_map(|c| c.repeat(repeat))
                        .collect()
                };
                let from_x = tangents[0].map(|dx| {
                    let scale = by_block(scale, channels);
                    pointwise::scale_shift(dx.data(), positions, channels, Some(&scale), None)
                });
                let from_v = tangents[1].map(|dv| {
                    let dv = dv.data();
                    let ds = pointwise::slice_channels(dv, 2 * channels, 0, channels);
                    let db = pointwise::slice_channels(dv, 2 * channels, channels, channels);
                    let x = by_block(x.data(), item);
                    pointwise::scale_shift(&x, positions, channels, Some(&ds), Some(&db))
                });
                sum(from_x.as_deref(), from_v.as_deref())
            }
            (Op::Scale(factor), _) => {
                let factor = T::from_f64(*factor);
                pointwise::map(
                    first(),
                    #[inline(always)]
                    |v| v * factor,
                )
            }
            (Op::Concat, _) => {
                let widths =
                    [0, 1].map(|i| *self.graph().dims(this.inputs[i]).last().unwrap_or(&1));
                let side = |i: usize| {
                    broadcast(tangents[i], blocks * positions * widths[i], |values| {
                        values.into()
                    })
                };
                pointwise::concat(&side(0), &side(1), widths[0], widths[1])
            }
            (Op::UpsampleNearest, _) => {
                let map = self.row_map(node).expect("an upsampling");
                map.forward(first(), channels)
            }
            (Op::AveragePool, _) => self.average_pool(node, first()),
            (Op::Attention { .. }, Residual::Attention { qkv, probabilities }) => {
                let attention = self.graph().attention_at(node).expect("an attention");
                let primal = [qkv[0].data(), qkv[1].data(), qkv[2].data()];
                let tangents = [0, 1, 2].map(|i| tangents[i].map(Tensor::data));
                attention.pushforward(primal, probabilities, tangents)
            }
            (Op::SumPool, _) => {
                let positions = tangents[0].map_or(1, Tensor::item_len) / channels;
                pointwise::sum_positions(first(), None, positions, channels)
            }
            // Constant in their input, so never reached: see `Op::is_constant`.
            (Op::Input | Op::Sinusoidal(_) | Op::Embedding { .. }, _) => {
                Buffer::zeros(dims.iter().product())
            }
            (op, residual) => unreachable!("{op:?} with the residual {residual:?}"),
        };
        Tensor::raw(dims, data)
    }
}

/// a + b where either may be absent, not both.
fn sum<T: Real>(a: Option<&[T]>, b: Option<&[T]>) -> Buffer<T> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let mut out = Buffer::from(a);
            pointwise::add_scaled(&mut out, b, T::ONE);
            out
        }
        (a, b) => a.or(b).unwrap_or(&[]).into(),
    }
}

/// f of the tangent, or of zeros when there is none.
fn broadcast<T: Real>(
    tangent: Option<&Tensor<T>>,
    len: usize,
    f: impl FnOnce(&[T]) -> Buffer<T>,
) -> Buffer<T> {
    match tangent {
        Some(tangent) => f(tangent.data()),
        None => f(&Buffer::zeros(len)),
    }
}
