//! The graph of a conditional U-Net.

use super::transformer::Transformer;
use super::{AdditionEmbedding, ConditionBlock, UNet2DConditionConfig};
use crate::NetworkError;
use crate::blocks::{Blocks, Resample, Style, centre, two_layers};
use crate::unet2d::{ClassEmbedding, Sampler};
use alice_calculus::{Graph, GraphError, Padding, SinusoidalEmbedding, Value};

impl UNet2DConditionConfig {
    /// The graph of a `UNet2DConditionModel` for samples of `size` = (height,
    /// width), which need not be halvable, and a context of `tokens`.
    ///
    /// # Shapes
    /// Inputs: `sample` `[H, W, out_channels]` for inpainting networks and
    /// `[H, W, in_channels]` for all others, `timestep` `[1]`, `context`
    /// `[tokens, cross_attention_dim]`; for inpainting networks `inpainting`
    /// `[H, W, in_channels − out_channels]`, the mask and the masked latents;
    /// where the config asks for them,
    /// `class_label` `[1]` or `[E]`, `timestep_cond` `[time_cond_proj_dim]`,
    /// `text_embeds` `[text_dim]` and `time_ids` `[6]`.
    ///
    /// Outputs: those of [`crate::build_unet2d`].
    ///
    /// # Errors
    /// When the config does not pass [`Self::check`], or the size or the
    /// number of tokens is out of range.
    pub fn graph(&self, size: (usize, usize), tokens: usize) -> Result<Graph, NetworkError> {
        self.check()?;
        let fits = |extent: usize| (1..=16_384).contains(&extent);
        if !fits(size.0) || !fits(size.1) || !fits(tokens) {
            return Err(NetworkError::Size {
                height: size.0,
                width: size.1,
                why: format!("sides and the {tokens} tokens must lie between 1 and 16384"),
            });
        }
        let mut graph = Graph::new();
        let extra = self.inpainting_channels();
        let sample = graph.input("sample", &[size.0, size.1, self.in_channels - extra]); // [H, W, C]
        let timestep = graph.input("timestep", &[1]); // [1]
        let context = graph.input("context", &[tokens, self.cross_attention_dim]); // [T, D]
        let time = self.embed(&mut graph, timestep)?; // [E]
        let first = self.block_out_channels[0];
        let given = if extra > 0 {
            let inpainting = graph.input("inpainting", &[size.0, size.1, extra]);
            graph.concat(sample, inpainting)?
        } else {
            sample
        }; // [H, W, in]
        let centred = if self.center_input_sample {
            centre(&mut graph, given, timestep)?
        } else {
            given
        }; // [H, W, in]
        let x = graph.convolution(centred, "conv_in", first, 3, 1, Padding::all(1), true)?; // [H, W, C₀]
        let mut blocks = Blocks {
            graph: &mut graph,
            style: Style {
                norm_num_groups: self.norm_num_groups,
                norm_eps: self.norm_eps,
                time_conditioning: self.resnet_time_scale_shift,
                downsample_padding: self.downsample_padding,
            },
            time: Some(time),
        };
        let (x, skips) = self.go_down(&mut blocks, x, context)?; // [h, w, Cₙ]
        let bottleneck = self.go_through(&mut blocks, x, context)?; // [h, w, Cₙ]
        let x = self.go_up(&mut blocks, bottleneck, skips, context)?; // [H, W, C₀]
        let x = blocks.norm(x, "conv_norm_out", true)?; // [H, W, C₀]
        let prediction = blocks.convolution(x, "conv_out", self.out_channels)?; // [H, W, out]
        graph.output("prediction", prediction);
        graph.output("bottleneck", bottleneck);
        Ok(graph)
    }

    fn sinusoidal(&self, channels: usize) -> SinusoidalEmbedding {
        SinusoidalEmbedding {
            channels,
            flip_sin_to_cos: self.flip_sin_to_cos,
            frequency_shift: self.freq_shift,
        }
    }

    /// The activated embedding of all that conditions residual blocks, `[E]`.
    fn embed(&self, graph: &mut Graph, timestep: Value) -> Result<Value, GraphError> {
        let channels = self.time_embedding_channels();
        let first = self.block_out_channels[0];
        let mut t = graph.sinusoidal(timestep, self.sinusoidal(first))?; // [C₀]
        if let Some(dim) = self.time_cond_proj_dim {
            let condition = graph.input("timestep_cond", &[dim]); // [dim]
            let condition = graph.linear(condition, "time_embedding.cond_proj", first, false)?;
            t = graph.add(t, condition)?; // [C₀]
        }
        let mut embedding = two_layers(graph, "time_embedding", t, channels)?; // [E]
        if let Some(class) = self.class_embedding {
            let class = match class {
                ClassEmbedding::Table { classes } => {
                    let label = graph.input("class_label", &[1]);
                    graph.embedding(label, "class_embedding", classes, channels)?
                }
                ClassEmbedding::Timestep => {
                    let label = graph.input("class_label", &[1]);
                    let label = graph.sinusoidal(label, self.sinusoidal(first))?; // [C₀]
                    two_layers(graph, "class_embedding", label, channels)?
                }
                ClassEmbedding::Identity => graph.input("class_label", &[channels]),
            }; // [E]
            embedding = graph.add(embedding, class)?; // [E]
        }
        if let Some(addition) = self.addition_embedding {
            let text = graph.input("text_embeds", &[addition.text_dim()]); // [P]
            let sizes = graph.input("time_ids", &[AdditionEmbedding::TIME_IDS]); // [6]
            let sizes = graph.sinusoidal(sizes, self.sinusoidal(addition.time_dim))?; // [6·D]
            let both = graph.concat(text, sizes)?; // [P + 6·D]
            let both = two_layers(graph, "add_embedding", both, channels)?; // [E]
            embedding = graph.add(embedding, both)?; // [E]
        }
        Ok(graph.silu(embedding))
    }

    fn transformer(&self, level: usize, context: Value) -> Transformer {
        Transformer {
            context,
            heads: self.attention_head_dim[level],
            layers: self.transformer_layers_per_block[level],
            use_linear_projection: self.use_linear_projection,
        }
    }

    /// A residual block of `level`, then its transformer if the block has one.
    fn layer(
        &self,
        blocks: &mut Blocks,
        x: Value,
        name: [&str; 2],
        level: usize,
        transformer: Option<Transformer>,
    ) -> Result<Value, GraphError> {
        let [block, layer] = name;
        let channels = self.block_out_channels[level];
        let resnet = format!("{block}.resnets.{layer}");
        let x = blocks.resnet(x, &resnet, channels, Resample::Keep, 1.0)?; // [H, W, C]
        match transformer {
            None => Ok(x),
            Some(transformer) => {
                transformer.build(blocks, x, &format!("{block}.attentions.{layer}"))
            }
        }
    }

    /// The down blocks; returns their result and all skip connections.
    fn go_down(
        &self,
        blocks: &mut Blocks,
        mut x: Value,
        context: Value,
    ) -> Result<(Value, Vec<Value>), GraphError> {
        let mut skips = vec![x];
        for (level, &kind) in self.down_block_types.iter().enumerate() {
            let name = format!("down_blocks.{level}");
            let transformer =
                (kind == ConditionBlock::CrossAttention).then(|| self.transformer(level, context));
            for layer in 0..self.layers_per_block[level] {
                let layer = layer.to_string();
                x = self.layer(blocks, x, [&name, &layer], level, transformer)?; // [H, W, C]
                skips.push(x);
            }
            if level < self.halvings() {
                x = blocks.downsample(x, &name, Sampler::Conv)?; // [H/2, W/2, C]
                skips.push(x);
            }
            blocks.graph.output(&name, x);
        }
        Ok((x, skips))
    }

    /// The mid block: residual, transformer, residual.
    fn go_through(
        &self,
        blocks: &mut Blocks,
        x: Value,
        context: Value,
    ) -> Result<Value, GraphError> {
        if !self.mid_block {
            return Ok(x);
        }
        let last = self.halvings();
        let (channels, divisor) = (self.block_out_channels[last], self.mid_block_scale_factor);
        let resnet = |blocks: &mut Blocks, x, name: &str| {
            blocks.resnet(x, name, channels, Resample::Keep, divisor)
        };
        let x = resnet(blocks, x, "mid_block.resnets.0")?; // [h, w, C]
        let transformer = self.transformer(last, context);
        let x = transformer.build(blocks, x, "mid_block.attentions.0")?; // [h, w, C]
        let x = resnet(blocks, x, "mid_block.resnets.1")?; // [h, w, C]
        blocks.graph.output("mid_block", x);
        Ok(x)
    }

    /// The up blocks, which join the skip connections from the last to the first.
    fn go_up(
        &self,
        blocks: &mut Blocks,
        mut x: Value,
        mut skips: Vec<Value>,
        context: Value,
    ) -> Result<Value, GraphError> {
        for (block, &kind) in self.up_block_types.iter().enumerate() {
            let level = self.halvings() - block;
            let name = format!("up_blocks.{block}");
            let transformer =
                (kind == ConditionBlock::CrossAttention).then(|| self.transformer(level, context));
            for layer in 0..=self.layers_per_block[level] {
                if let Some(skip) = skips.pop() {
                    x = blocks.graph.concat(x, skip)?; // [H, W, C + skip]
                }
                let layer = layer.to_string();
                x = self.layer(blocks, x, [&name, &layer], level, transformer)?; // [H, W, C]
            }
            if level > 0 {
                // A side that was odd is one less than doubled.
                let size = skips
                    .last()
                    .and_then(|&skip| match *blocks.graph.dims(skip) {
                        [h, w, _] => Some((h, w)),
                        _ => None,
                    });
                x = blocks.upsample(x, &name, Sampler::Conv, size)?; // [2H, 2W, C]
            }
            blocks.graph.output(&name, x);
        }
        Ok(x)
    }
}
