//! The transformer of a block, diffusers' `Transformer2DModel`.

use crate::blocks::Blocks;
use alice_calculus::{GraphError, Padding, Value};

/// The group norm's, whatever the U-Net's is.
const NORM_EPS: f64 = 1e-6;
const LAYER_NORM_EPS: f64 = 1e-5;

/// What the transformers of a block share.
#[derive(Clone, Copy)]
pub(super) struct Transformer {
    /// `[T, cross_attention_dim]`.
    pub(super) context: Value,
    pub(super) heads: usize,
    pub(super) layers: usize,
    pub(super) use_linear_projection: bool,
}

impl Transformer {
    /// Norm, projection, layers, projection, plus x, `[H, W, C]`.
    pub(super) fn build(
        self,
        blocks: &mut Blocks,
        x: Value,
        name: &str,
    ) -> Result<Value, GraphError> {
        let groups = blocks.style.norm_num_groups;
        let norm = format!("{name}.norm");
        let mut h = blocks.graph.group_norm(x, &norm, groups, NORM_EPS, false)?; // [H, W, C]
        h = self.project(blocks, h, &format!("{name}.proj_in"))?; // [H, W, C]
        for layer in 0..self.layers {
            h = self.layer(blocks, h, &format!("{name}.transformer_blocks.{layer}"))?;
        }
        h = self.project(blocks, h, &format!("{name}.proj_out"))?; // [H, W, C]
        blocks.graph.add(h, x)
    }

    fn project(self, blocks: &mut Blocks, x: Value, name: &str) -> Result<Value, GraphError> {
        let channels = channels(blocks, x);
        if self.use_linear_projection {
            return blocks.graph.linear(x, name, channels, true);
        }
        blocks
            .graph
            .convolution(x, name, channels, 1, 1, Padding::all(0), true)
    }

    /// Self-attention, cross-attention and a gated layer, each after a norm
    /// and around a shortcut.
    fn layer(self, blocks: &mut Blocks, x: Value, name: &str) -> Result<Value, GraphError> {
        let norm = |blocks: &mut Blocks, x, which: &str| {
            blocks
                .graph
                .layer_norm(x, &format!("{name}.{which}"), LAYER_NORM_EPS)
        };
        let h = norm(blocks, x, "norm1")?; // [H, W, C]
        let h = self.attention(blocks, h, h, &format!("{name}.attn1"))?;
        let x = blocks.graph.add(x, h)?;
        let h = norm(blocks, x, "norm2")?;
        let h = self.attention(blocks, h, self.context, &format!("{name}.attn2"))?;
        let x = blocks.graph.add(x, h)?;
        let h = norm(blocks, x, "norm3")?;
        let h = feed_forward(blocks, h, &format!("{name}.ff"))?;
        blocks.graph.add(x, h)
    }

    fn attention(
        self,
        blocks: &mut Blocks,
        x: Value,
        to: Value,
        name: &str,
    ) -> Result<Value, GraphError> {
        let channels = channels(blocks, x);
        let graph = &mut *blocks.graph;
        let q = graph.linear(x, &format!("{name}.to_q"), channels, false)?; // [H, W, C]
        let k = graph.linear(to, &format!("{name}.to_k"), channels, false)?; // [H, W, C] or [T, C]
        let v = graph.linear(to, &format!("{name}.to_v"), channels, false)?; // [H, W, C] or [T, C]
        let h = graph.attention(q, k, v, self.heads)?; // [H, W, C]
        graph.linear(h, &format!("{name}.to_out.0"), channels, true) // [H, W, C]
    }
}

/// C → 8C, gated to 4C, → C.
fn feed_forward(blocks: &mut Blocks, x: Value, name: &str) -> Result<Value, GraphError> {
    let channels = channels(blocks, x);
    let graph = &mut *blocks.graph;
    let h = graph.linear(x, &format!("{name}.net.0.proj"), 8 * channels, true)?; // [H, W, 8C]
    let h = graph.geglu(h)?; // [H, W, 4C]
    graph.linear(h, &format!("{name}.net.2"), channels, true) // [H, W, C]
}

fn channels(blocks: &Blocks, x: Value) -> usize {
    blocks.graph.dims(x).last().copied().unwrap_or(0)
}
