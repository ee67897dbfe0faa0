//! The extents of single operations, for what runs them.

use crate::Parameter;
use crate::graph::Graph;
use crate::op::Op;
use alice_kernels::attention::Attention;
use alice_kernels::convolution::Convolution;

impl Graph {
    /// The extents of a convolution or of a linear map, which is a
    /// convolution of one pixel's kernel, with its weight and its bias.
    #[must_use]
    pub fn convolution_at(
        &self,
        node: usize,
    ) -> Option<(Parameter, Option<Parameter>, Convolution)> {
        let this = &self.nodes[node];
        let from = self.dims(*this.inputs.first()?);
        let input = *from.last()?;
        let output = *this.dims.last()?;
        match this.op {
            Op::Convolution {
                weight,
                bias,
                kernel,
                stride,
                padding,
            } => Some((
                weight,
                bias,
                Convolution {
                    from: [from[0], from[1]],
                    to: [this.dims[0], this.dims[1]],
                    input,
                    output,
                    kernel,
                    stride,
                    before: [padding.top, padding.left],
                },
            )),
            Op::Linear { weight, bias } => {
                let rows = from.iter().rev().skip(1).product();
                Some((
                    weight,
                    bias,
                    Convolution {
                        from: [rows, 1],
                        to: [rows, 1],
                        input,
                        output,
                        kernel: 1,
                        stride: 1,
                        before: [0, 0],
                    },
                ))
            }
            _ => None,
        }
    }

    /// The extents of an attention.
    #[must_use]
    pub fn attention_at(&self, node: usize) -> Option<Attention> {
        let this = &self.nodes[node];
        let Op::Attention { heads, causal } = this.op else {
            return None;
        };
        let (&channels, queries) = this.dims.split_last()?;
        let keys = self.dims(this.inputs[1]).split_last()?.1;
        Some(Attention {
            queries: queries.iter().product(),
            keys: keys.iter().product(),
            channels,
            heads,
            causal,
        })
    }
}
