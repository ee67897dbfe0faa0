//! The graph of a U-Net.

use super::{BlockType, ClassEmbedding, Sampler, TimeConditioning, TimeEmbedding, UNet2DConfig};
use crate::NetworkError;
use crate::blocks::{Blocks, Resample, Style, centre, two_layers};
use alice_calculus::{Graph, GraphError, Padding, SinusoidalEmbedding, Value};

/// The graph of a `UNet2DModel` for samples of `size` = (height, width).
///
/// Its parameters carry diffusers' names and come in an order that does not
/// depend on the size.
///
/// # Shapes
/// Inputs: `sample` `[H, W, in_channels]`, `timestep` `[1]` and, with a class
/// embedding, `class_label` `[1]` (for [`ClassEmbedding::Identity`] the whole
/// vector `[time_embedding_channels]`).
///
/// Outputs: `prediction` `[H, W, out_channels]`; `bottleneck`, the mid block's
/// result or, without a mid block, the last down block's; and each block's
/// result by its name: `down_blocks.0` …, `mid_block`, `up_blocks.0` ….
///
/// # Errors
/// When the config does not pass [`UNet2DConfig::check`], or the height or
/// width cannot be halved as often as the network does.
pub fn build_unet2d(config: &UNet2DConfig, size: (usize, usize)) -> Result<Graph, NetworkError> {
    config.check()?;
    check_size(config, size)?;
    let mut graph = Graph::new();
    let sample = graph.input("sample", &[size.0, size.1, config.in_channels]); // [H, W, C]
    let timestep = graph.input("timestep", &[1]); // [1]
    let time = embed(&mut graph, config, timestep)?; // [E]
    let first = config.block_out_channels[0];
    let centred = if config.center_input_sample {
        centre(&mut graph, sample, timestep)?
    } else {
        sample
    }; // [H, W, C]
    let x = graph.convolution(centred, "conv_in", first, 3, 1, Padding::all(1), true)?; // [H, W, C₀]
    let mut blocks = Blocks {
        graph: &mut graph,
        style: Style {
            norm_num_groups: config.norm_num_groups,
            norm_eps: config.norm_eps,
            time_conditioning: config.resnet_time_scale_shift,
            downsample_padding: config.downsample_padding,
        },
        time: Some(time),
    };
    let (x, skips) = go_down(&mut blocks, config, x)?; // [h, w, Cₙ]
    let bottleneck = go_through(&mut blocks, config, x)?; // [h, w, Cₙ]
    let x = go_up(&mut blocks, config, bottleneck, skips)?; // [H, W, C₀]
    let x = blocks.norm(x, "conv_norm_out", true)?; // [H, W, C₀]
    let prediction = blocks.convolution(x, "conv_out", config.out_channels)?; // [H, W, out]
    graph.output("prediction", prediction);
    graph.output("bottleneck", bottleneck);
    Ok(graph)
}

/// Doubling must undo halving: the skip connections join pictures of one size.
fn check_size(config: &UNet2DConfig, size: (usize, usize)) -> Result<(), NetworkError> {
    let halvings = config.halvings();
    let side = 1_usize << halvings;
    let fits = |extent: usize| extent > 0 && extent <= 16_384 && extent.is_multiple_of(side);
    if fits(size.0) && fits(size.1) {
        return Ok(());
    }
    Err(NetworkError::Size {
        height: size.0,
        width: size.1,
        why: format!(
            "it halves the sample {halvings} times, so both sides must be multiples of {side}, at most 16384"
        ),
    })
}

/// The activated embedding of the timestep and the class, `[E]`.
fn embed(graph: &mut Graph, config: &UNet2DConfig, timestep: Value) -> Result<Value, GraphError> {
    let channels = config.time_embedding_channels();
    let t = project(graph, config, timestep)?; // [C₀]
    let mut embedding = two_layers(graph, "time_embedding", t, channels)?; // [E]
    if let Some(class) = config.class_embedding {
        let extent = if class == ClassEmbedding::Identity {
            channels
        } else {
            1
        };
        let label = graph.input("class_label", &[extent]); // [1] or [E]
        let class = match class {
            ClassEmbedding::Table { classes } => {
                graph.embedding(label, "class_embedding", classes, channels)?
            }
            ClassEmbedding::Timestep => {
                let label = project(graph, config, label)?; // [C₀]
                two_layers(graph, "class_embedding", label, channels)?
            }
            ClassEmbedding::Identity => label,
        }; // [E]
        embedding = graph.add(embedding, class)?; // [E]
    }
    Ok(graph.silu(embedding))
}

/// The timestep as a vector, `[1] → [C₀]`.
fn project(graph: &mut Graph, config: &UNet2DConfig, step: Value) -> Result<Value, GraphError> {
    let channels = config.block_out_channels[0];
    match config.time_embedding_type {
        TimeEmbedding::Positional => graph.sinusoidal(
            step,
            SinusoidalEmbedding {
                channels,
                flip_sin_to_cos: config.flip_sin_to_cos,
                frequency_shift: config.freq_shift,
            },
        ),
        TimeEmbedding::Learned => {
            let rows = config.num_train_timesteps.unwrap_or(0);
            graph.embedding(step, "time_proj", rows, channels)
        }
    }
}

/// The down blocks; returns their result and all skip connections.
fn go_down(
    blocks: &mut Blocks,
    config: &UNet2DConfig,
    mut x: Value,
) -> Result<(Value, Vec<Value>), GraphError> {
    let mut skips = vec![x];
    for (level, &kind) in config.down_block_types.iter().enumerate() {
        let name = format!("down_blocks.{level}");
        let channels = config.block_out_channels[level];
        for layer in 0..config.layers_per_block {
            x = residual(blocks, config, x, &name, layer, channels, kind)?; // [H, W, C]
            skips.push(x);
        }
        if level < config.halvings() {
            let sampler = match kind {
                BlockType::Plain => Sampler::Conv,
                BlockType::Attention => config.downsample_type,
                BlockType::Resnet => Sampler::Resnet,
            };
            x = blocks.downsample(x, &name, sampler)?; // [H/2, W/2, C]
            skips.push(x);
        }
        blocks.graph.output(&name, x);
    }
    Ok((x, skips))
}

/// The mid block: residual, attention, residual.
fn go_through(blocks: &mut Blocks, config: &UNet2DConfig, x: Value) -> Result<Value, GraphError> {
    if !config.mid_block {
        return Ok(x);
    }
    let channels = config.block_out_channels[config.halvings()];
    let divisor = config.mid_block_scale_factor;
    let resnet = |blocks: &mut Blocks, x, name: &str| {
        blocks.resnet(x, name, channels, Resample::Keep, divisor)
    };
    let mut x = resnet(blocks, x, "mid_block.resnets.0")?; // [h, w, C]
    if config.add_attention {
        let shift = config.resnet_time_scale_shift == TimeConditioning::Shift;
        let groups = config
            .attn_norm_num_groups
            .or(shift.then_some(config.norm_num_groups));
        let name = "mid_block.attentions.0";
        x = blocks.attention(x, name, groups, config.attention_head_dim, divisor)?; // [h, w, C]
    }
    x = resnet(blocks, x, "mid_block.resnets.1")?; // [h, w, C]
    blocks.graph.output("mid_block", x);
    Ok(x)
}

/// The up blocks, which join the skip connections from the last to the first.
fn go_up(
    blocks: &mut Blocks,
    config: &UNet2DConfig,
    mut x: Value,
    mut skips: Vec<Value>,
) -> Result<Value, GraphError> {
    let channels = config.block_out_channels.iter().rev();
    for (level, (&kind, &channels)) in config.up_block_types.iter().zip(channels).enumerate() {
        let name = format!("up_blocks.{level}");
        for layer in 0..=config.layers_per_block {
            if let Some(skip) = skips.pop() {
                x = blocks.graph.concat(x, skip)?; // [H, W, C + skip]
            }
            x = residual(blocks, config, x, &name, layer, channels, kind)?; // [H, W, C]
        }
        if level < config.halvings() {
            let sampler = match kind {
                BlockType::Plain => Sampler::Conv,
                BlockType::Attention => config.upsample_type,
                BlockType::Resnet => Sampler::Resnet,
            };
            x = blocks.upsample(x, &name, sampler, None)?; // [2H, 2W, C]
        }
        blocks.graph.output(&name, x);
    }
    Ok(x)
}

/// One layer of a down or up block: a residual block, then attention if the block has it.
fn residual(
    blocks: &mut Blocks,
    config: &UNet2DConfig,
    x: Value,
    block: &str,
    layer: usize,
    channels: usize,
    kind: BlockType,
) -> Result<Value, GraphError> {
    let name = format!("{block}.resnets.{layer}");
    let x = blocks.resnet(x, &name, channels, Resample::Keep, 1.0)?; // [H, W, C]
    if kind != BlockType::Attention {
        return Ok(x);
    }
    let groups = Some(config.norm_num_groups);
    let name = format!("{block}.attentions.{layer}");
    blocks.attention(x, &name, groups, config.attention_head_dim, 1.0) // [H, W, C]
}
