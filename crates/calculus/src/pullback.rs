//! Cotangents through each operation.

use crate::Tensor;
use crate::forward::{Residual, table_row};
use crate::model::Model;
use crate::op::Op;
use alice_kernels::activation::geglu_pullback;
use alice_kernels::convolution::Direction;
use alice_kernels::gather::Epilogue;
use alice_kernels::pointwise;
use alice_kernels::{Buffer, Real};

impl<T: Real> Model<T> {
    /// The blocks of cotangents of those inputs that `wanted` marks, from the
    /// block of cotangents of the node.
    pub(crate) fn pullback(
        &self,
        node: usize,
        residual: &Residual<T>,
        cotangent: &Tensor<T>,
        wanted: &[bool],
        gradients: Option<&mut [Vec<T>]>,
    ) -> Vec<Option<Tensor<T>>> {
        let this = &self.graph().nodes[node];
        let blocks = cotangent.batch();
        let channels = cotangent.channels();
        let u = cotangent.data();
        let positions = cotangent.item_len() / channels;
        let input_dims = |i: usize| -> Vec<usize> {
            let dims = self.graph().dims(this.inputs[i]);
            std::iter::once(blocks)
                .chain(dims.iter().copied())
                .collect()
        };
        let one = |data: Buffer<T>| vec![Some(Tensor::raw(input_dims(0), data))];
        let two = |a: Option<Buffer<T>>, b: Option<Buffer<T>>| {
            vec![
                a.map(|data| Tensor::raw(input_dims(0), data)),
                b.map(|data| Tensor::raw(input_dims(1), data)),
            ]
        };
        match (&this.op, residual) {
            (Op::Convolution { .. } | Op::Linear { .. }, residual) => {
                let (weight, bias, shape) = self.graph().convolution_at(node).expect("a product");
                if let (Some(gradients), Residual::Source(x)) = (gradients, residual) {
                    let plan = self.plan(node, &shape, Direction::Forward);
                    plan.weight_gradient(blocks, x.data(), u, &mut gradients[weight.0]);
                    if let Some(bias) = bias {
                        let sums = pointwise::sum_positions(u, None, positions, channels);
                        for sums in sums.chunks_exact(channels) {
                            pointwise::add_scaled(&mut gradients[bias.0], sums, T::ONE);
                        }
                    }
                }
                if !wanted[0] {
                    return vec![None];
                }
                let dims = input_dims(0);
                let mut out = Buffer::stale(dims.iter().product());
                let epilogue = Epilogue::Store;
                self.product(node, Direction::Adjoint, blocks, u, epilogue, &mut out);
                one(out)
            }
            (Op::GroupNorm { gain, bias, .. }, Residual::Norm(residual)) => {
                let norm = self.group_norm(node).expect("a norm");
                let Some(gradients) = gradients else {
                    return one(norm.pullback(residual, u, None));
                };
                let mut gain_gradient = std::mem::take(&mut gradients[gain.0]);
                let sums = (&mut gain_gradient[..], &mut gradients[bias.0][..]);
                let out = norm.pullback(residual, u, Some(sums));
                gradients[gain.0] = gain_gradient;
                one(out)
            }
            (Op::LayerNorm { gain, bias, .. }, Residual::LayerNorm(residual)) => {
                let norm = self.layer_norm(node).expect("a norm");
                let Some(gradients) = gradients else {
                    return one(norm.pullback(residual, u, positions, None));
                };
                let mut gain_gradient = std::mem::take(&mut gradients[gain.0]);
                let sums = (&mut gain_gradient[..], &mut gradients[bias.0][..]);
                let out = norm.pullback(residual, u, positions, Some(sums));
                gradients[gain.0] = gain_gradient;
                one(out)
            }
            (Op::Geglu, Residual::Slope(slope)) => {
                let repeat = 2 * u.len() / slope.len();
                let item = positions * channels;
                one(geglu_pullback(u, slope, channels, item, repeat))
            }
            (Op::AddTable { table }, _) => {
                if let Some(gradients) = gradients {
                    for u in u.chunks_exact(positions * channels) {
                        pointwise::add_scaled(&mut gradients[table.0], u, T::ONE);
                    }
                }
                one(u.into())
            }
            (Op::Activation(_), Residual::Slope(slope)) => {
                let item = positions * channels;
                let repeat = u.len() / slope.len();
                one(pointwise::multiply_blocks(u, slope, item, repeat))
            }
            (Op::Add, _) => two(wanted[0].then(|| u.into()), wanted[1].then(|| u.into())),
            (Op::AddVector, _) => two(
                wanted[0].then(|| u.into()),
                wanted[1].then(|| pointwise::sum_positions(u, None, positions, channels)),
            ),
            (Op::ScaleShift, Residual::ScaleShift { x, scale }) => {
                let repeat = blocks / x.batch();
                let to_x = wanted[0].then(|| {
                    let rows = scale.chunks_exact(channels);
                    let scale: Vec<T> = rows.flat_map(|c| c.repeat(repeat)).collect();
                    pointwise::scale_shift(u, positions, channels, Some(&scale), None)
                });
                let to_v = wanted[1].then(|| {
                    let items = x.data().chunks_exact(positions * channels);
                    let x: Vec<T> = items.flat_map(|c| c.repeat(repeat)).collect();
                    let scale = pointwise::sum_positions(u, Some(&x), positions, channels);
                    let shift = pointwise::sum_positions(u, None, positions, channels);
                    pointwise::concat(&scale, &shift, channels, channels)
                });
                two(to_x, to_v)
            }
            (Op::Scale(factor), _) => {
                let factor = T::from_f64(*factor);
                one(pointwise::map(
                    u,
                    #[inline(always)]
                    |v| v * factor,
                ))
            }
            (Op::Concat, _) => {
                let first = *self.graph().dims(this.inputs[0]).last().unwrap_or(&1);
                two(
                    wanted[0].then(|| pointwise::slice_channels(u, channels, 0, first)),
                    wanted[1]
                        .then(|| pointwise::slice_channels(u, channels, first, channels - first)),
                )
            }
            (Op::UpsampleNearest, _) => {
                let map = self.row_map(node).expect("an upsampling");
                one(map.adjoint(u, channels))
            }
            (Op::AveragePool, _) => {
                let [first, rest @ ..] = self.pool_maps(node);
                let mut out = first.adjoint(u, channels);
                for map in rest {
                    pointwise::add_scaled(&mut out, &map.adjoint(u, channels), T::ONE);
                }
                let quarter = T::from_f64(0.25);
                out.iter_mut().for_each(|v| *v *= quarter);
                one(out)
            }
            (Op::Attention { .. }, Residual::Attention { qkv, probabilities }) => {
                let attention = self.graph().attention_at(node).expect("an attention");
                let primal = [qkv[0].data(), qkv[1].data(), qkv[2].data()];
                let sides = attention.pullback(primal, probabilities, u);
                sides
                    .into_iter()
                    .enumerate()
                    .map(|(i, data)| wanted[i].then(|| Tensor::raw(input_dims(i), data)))
                    .collect()
            }
            (Op::SumPool, _) => {
                let positions: usize = self.graph().dims(this.inputs[0]).iter().product();
                let rows = u.chunks_exact(channels);
                let spread: Vec<T> = rows.flat_map(|u| u.repeat(positions / channels)).collect();
                one(spread.into())
            }
            (Op::Embedding { table }, residual) => {
                if let (Some(gradients), Residual::Source(indices)) = (gradients, residual) {
                    let gradient = &mut gradients[table.0];
                    for (index, u) in indices.data().iter().zip(u.chunks_exact(channels)) {
                        let row = table_row(*index, gradient.len() / channels);
                        let to = &mut gradient[row * channels..][..channels];
                        pointwise::add_scaled(to, u, T::ONE);
                    }
                }
                vec![None]
            }
            (Op::Input, _) => vec![],
            (Op::Sinusoidal(_), _) => vec![None],
            (op, residual) => unreachable!("{op:?} with the residual {residual:?}"),
        }
    }
}
