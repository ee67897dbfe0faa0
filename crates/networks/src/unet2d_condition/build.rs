//! The graph of a conditional U-Net.

use super::transformer::Transformer;
use super::{AdditionEmbedding, ConditionBlock, UNet2DConditionConfig};
use crate::NetworkError;
use crate::blocks::{Blocks, Resample, Style, centre, two_layers};
use crate::unet2d::{ClassEmbedding, Sampler};
use alice_calculus::{Graph, GraphError, SinusoidalEmbedding, Value};

/// What conditions a network, as inputs of its graph.
pub(crate) struct Inputs {
    timestep: Value,
    /// `[T, cross_attention_dim]`.
    context: Value,
    timestep_cond: Option<Value>,
    class_label: Option<Value>,
    /// Pooled text `[P]` and sizes `[6]`.
    addition: Option<[Value; 2]>,
}

/// What is added to the values that the way down leaves for the way up.
pub(crate) struct Residuals {
    /// For every skip connection, the first one first.
    pub(crate) skips: Vec<Value>,
    /// For the result of the mid block.
    pub(crate) mid: Value,
}

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
        let (mut graph, sample, inputs) = self.begin(size, tokens)?;
        self.build(&mut graph, sample, &inputs, None)?;
        Ok(graph)
    }

    /// A graph with the inputs only.
    pub(crate) fn begin(
        &self,
        size: (usize, usize),
        tokens: usize,
    ) -> Result<(Graph, Value, Inputs), NetworkError> {
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
        let channels = self.in_channels - self.inpainting_channels();
        let sample = graph.input("sample", &[size.0, size.1, channels]); // [H, W, C]
        let inputs = Inputs {
            timestep: graph.input("timestep", &[1]),
            context: graph.input("context", &[tokens, self.cross_attention_dim]),
            timestep_cond: self
                .time_cond_proj_dim
                .map(|dim| graph.input("timestep_cond", &[dim])),
            class_label: self.class_embedding.map(|class| {
                let dim = match class {
                    ClassEmbedding::Identity => self.time_embedding_channels(),
                    ClassEmbedding::Table { .. } | ClassEmbedding::Timestep => 1,
                };
                graph.input("class_label", &[dim])
            }),
            addition: self.addition_embedding.map(|addition| {
                [
                    graph.input("text_embeds", &[addition.text_dim()]),
                    graph.input("time_ids", &[AdditionEmbedding::TIME_IDS]),
                ]
            }),
        };
        Ok((graph, sample, inputs))
    }

    /// The whole network, with residuals of others if there are any. What is
    /// called the bottleneck is what the way up sees, residual included.
    pub(crate) fn build(
        &self,
        graph: &mut Graph,
        sample: Value,
        inputs: &Inputs,
        residuals: Option<Residuals>,
    ) -> Result<(), GraphError> {
        let mut given = sample;
        let extra = self.inpainting_channels();
        if extra > 0 {
            let mut dims = graph.dims(sample).to_vec();
            dims[2] = extra;
            let inpainting = graph.input("inpainting", &dims);
            given = graph.concat(sample, inpainting)?; // [H, W, in]
        }
        if self.center_input_sample {
            given = centre(graph, given, inputs.timestep)?; // [H, W, in]
        }
        let time = self.embed(graph, inputs)?; // [E]
        let mut blocks = self.blocks(graph, time);
        let x = blocks.convolution(given, "conv_in", self.block_out_channels[0])?; // [H, W, C₀]
        let (x, mut skips) = self.go_down(&mut blocks, x, inputs.context)?; // [h, w, Cₙ]
        let mut bottleneck = self.go_through(&mut blocks, x, inputs.context)?; // [h, w, Cₙ]
        if let Some(residuals) = residuals {
            for (skip, residual) in skips.iter_mut().zip(residuals.skips) {
                *skip = blocks.graph.add(*skip, residual)?; // [H, W, C]
            }
            bottleneck = blocks.graph.add(bottleneck, residuals.mid)?; // [h, w, Cₙ]
        }
        let x = self.go_up(&mut blocks, bottleneck, skips, inputs.context)?; // [H, W, C₀]
        let x = blocks.norm(x, "conv_norm_out", true)?; // [H, W, C₀]
        let prediction = blocks.convolution(x, "conv_out", self.out_channels)?; // [H, W, out]
        graph.output("prediction", prediction);
        graph.output("bottleneck", bottleneck);
        Ok(())
    }

    /// The way down and through of a network that begins with `x` in the place
    /// of `conv_in`'s result: all skip connections and the mid block's result.
    pub(crate) fn encode(
        &self,
        graph: &mut Graph,
        x: Value,
        inputs: &Inputs,
    ) -> Result<Residuals, GraphError> {
        let time = self.embed(graph, inputs)?; // [E]
        let mut blocks = self.blocks(graph, time);
        let (x, skips) = self.go_down(&mut blocks, x, inputs.context)?; // [h, w, Cₙ]
        let mid = self.go_through(&mut blocks, x, inputs.context)?; // [h, w, Cₙ]
        Ok(Residuals { skips, mid })
    }

    fn blocks<'a>(&self, graph: &'a mut Graph, time: Value) -> Blocks<'a> {
        Blocks {
            graph,
            style: Style {
                norm_num_groups: self.norm_num_groups,
                norm_eps: self.norm_eps,
                time_conditioning: self.resnet_time_scale_shift,
                downsample_padding: self.downsample_padding,
            },
            time: Some(time),
        }
    }

    fn sinusoidal(&self, channels: usize) -> SinusoidalEmbedding {
        SinusoidalEmbedding {
            channels,
            flip_sin_to_cos: self.flip_sin_to_cos,
            frequency_shift: self.freq_shift,
        }
    }

    /// The activated embedding of all that conditions residual blocks, `[E]`.
    fn embed(&self, graph: &mut Graph, inputs: &Inputs) -> Result<Value, GraphError> {
        let channels = self.time_embedding_channels();
        let first = self.block_out_channels[0];
        let mut t = graph.sinusoidal(inputs.timestep, self.sinusoidal(first))?; // [C₀]
        if let (Some(_), Some(condition)) = (self.time_cond_proj_dim, inputs.timestep_cond) {
            let condition = graph.linear(condition, "time_embedding.cond_proj", first, false)?;
            t = graph.add(t, condition)?; // [C₀]
        }
        let mut embedding = two_layers(graph, "time_embedding", t, channels)?; // [E]
        if let (Some(class), Some(label)) = (self.class_embedding, inputs.class_label) {
            let class = match class {
                ClassEmbedding::Table { classes } => {
                    graph.embedding(label, "class_embedding", classes, channels)?
                }
                ClassEmbedding::Timestep => {
                    let label = graph.sinusoidal(label, self.sinusoidal(first))?; // [C₀]
                    two_layers(graph, "class_embedding", label, channels)?
                }
                ClassEmbedding::Identity => label,
            }; // [E]
            embedding = graph.add(embedding, class)?; // [E]
        }
        if let (Some(addition), Some([text, sizes])) = (self.addition_embedding, inputs.addition) {
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
