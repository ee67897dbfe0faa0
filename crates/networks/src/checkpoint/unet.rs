//! The U-Net of a single-file checkpoint.

use super::{Shapes, unusual};
use crate::unet2d_condition::AdditionEmbedding;
use crate::{ConditionBlock, NetworkError, UNet2DConditionConfig};

/// Channels of a head where transformers begin with a linear map (SD 2, SDXL).
const HEAD: usize = 64;
/// Heads where they begin with a convolution (SD 1).
const HEADS: usize = 8;
/// Channels of each embedded size of SDXL.
const SIZE_CHANNELS: usize = 256;
/// Groups of a norm, where the channels allow it.
const GROUPS: usize = 32;

/// Names that are the same for every U-Net, diffusers' and the original.
const ENDS: [(&str, &str); 7] = [
    ("conv_in.", "input_blocks.0.0."),
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    ("add_embedding.linear_1.", "label_emb.0.0."),
    ("add_embedding.linear_2.", "label_emb.0.2."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
];

/// The layers of a residual block.
const RESNET: [(&str, &str); 6] = [
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
];

/// `name` with its beginning as the table says.
pub(super) fn replace_start(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table
        .iter()
        .find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
}

/// The original name of a parameter that diffusers calls `name`, as in
/// `conv_in.weight`; without the prefix of checkpoints.
pub(crate) fn original_name(config: &UNet2DConditionConfig, name: &str) -> Option<String> {
    if let Some(found) = replace_start(name, &ENDS) {
        return Some(found);
    }
    if let Some(rest) = name.strip_prefix("mid_block.") {
        let (kind, rest) = rest.split_once('.')?;
        let (layer, rest) = rest.split_once('.')?;
        return match (kind, layer) {
            ("resnets", "0") => Some(format!("middle_block.0.{}", replace_start(rest, &RESNET)?)),
            ("attentions", "0") => Some(format!("middle_block.1.{rest}")),
            ("resnets", "1") => Some(format!("middle_block.2.{}", replace_start(rest, &RESNET)?)),
            _ => None,
        };
    }
    let parts: Vec<_> = name.splitn(5, '.').collect();
    let &[side, block, kind, layer, rest] = &parts[..] else {
        return None;
    };
    let (block, layer): (usize, usize) = (block.parse().ok()?, layer.parse().ok()?);
    let levels = config.layers_per_block.len();
    if block >= levels {
        return None;
    }
    if side == "down_blocks" {
        let before: usize = config.layers_per_block[..block].iter().map(|n| n + 1).sum();
        let index = 1 + before + layer;
        let end = 1 + before + config.layers_per_block[block];
        return match kind {
            "resnets" => Some(format!(
                "input_blocks.{index}.0.{}",
                replace_start(rest, &RESNET)?
            )),
            "attentions" => Some(format!("input_blocks.{index}.1.{rest}")),
            "downsamplers" => Some(format!(
                "input_blocks.{end}.0.op.{}",
                rest.strip_prefix("conv.")?
            )),
            _ => None,
        };
    }
    let from_end = config.layers_per_block.iter().rev();
    let before: usize = from_end.take(block).map(|n| n + 1).sum();
    let index = before + layer;
    let end = before + config.layers_per_block[levels - 1 - block];
    let crossed = config.up_block_types.get(block) == Some(&ConditionBlock::CrossAttention);
    match (side, kind) {
        ("up_blocks", "resnets") => Some(format!(
            "output_blocks.{index}.0.{}",
            replace_start(rest, &RESNET)?
        )),
        ("up_blocks", "attentions") => Some(format!("output_blocks.{index}.1.{rest}")),
        ("up_blocks", "upsamplers") => Some(format!(
            "output_blocks.{end}.{}.{rest}",
            1 + usize::from(crossed)
        )),
        _ => None,
    }
}

/// What one level of the way down is made of.
struct Level {
    channels: usize,
    layers: usize,
    /// Transformer layers; `None` without transformers.
    depth: Option<usize>,
}

/// The config that the shapes tell, without a sample size.
pub(super) fn config(shapes: Shapes) -> Result<UNet2DConditionConfig, NetworkError> {
    let config = UNet2DConditionConfig {
        out_channels: shapes.extent("out.2.weight", 0)?,
        ..encoder(shapes)?
    };
    config
        .check()
        .map_err(|error| error.at(shapes.reader.path()))?;
    Ok(config)
}

/// What the shapes of the way down tell; the way up is taken to be its mirror,
/// and what comes out to have the channels of what goes in.
pub(super) fn encoder(shapes: Shapes) -> Result<UNet2DConditionConfig, NetworkError> {
    let wrong = |why: &str| unusual(shapes.reader.path(), why);
    let levels = levels(shapes)?;
    let depth = |block: &str| {
        let layer = |i| format!("{block}.transformer_blocks.{i}.norm1.weight");
        shapes.count(layer)
    };
    let middle = depth("middle_block.1");
    if middle == 0 {
        return Err(wrong("its U-Net has no transformer in the middle"));
    }
    let context = "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    let linear = shapes
        .get("middle_block.1.proj_in.weight")
        .map(<[usize]>::len)
        == Some(2);
    let addition = if shapes.has("label_emb.0.0.weight") {
        let input_dim = shapes.extent("label_emb.0.0.weight", 1)?;
        // Networks too narrow for SDXL's have sizes of an eighth of the input.
        let time_dim = SIZE_CHANNELS
            .min(input_dim / (AdditionEmbedding::TIME_IDS + 2))
            .max(2);
        Some(AdditionEmbedding {
            time_dim: time_dim - time_dim % 2,
            input_dim,
        })
    } else {
        None
    };
    if shapes.has("label_emb.weight") {
        return Err(wrong(
            "its U-Net needs a class (an upscaler), which is not supported",
        ));
    }
    let channels: Vec<usize> = levels.iter().map(|level| level.channels).collect();
    let types: Vec<ConditionBlock> = levels
        .iter()
        .map(|level| match level.depth {
            Some(_) => ConditionBlock::CrossAttention,
            None => ConditionBlock::Plain,
        })
        .collect();
    let heads = |&channels: &usize| {
        if linear {
            (channels / HEAD).max(1)
        } else {
            HEADS
        }
    };
    let in_channels = shapes.extent("input_blocks.0.0.weight", 1)?;
    Ok(UNet2DConditionConfig {
        in_channels,
        out_channels: in_channels,
        up_block_types: types.iter().rev().copied().collect(),
        down_block_types: types,
        layers_per_block: levels.iter().map(|level| level.layers).collect(),
        transformer_layers_per_block: levels
            .iter()
            .enumerate()
            .map(|(i, level)| match level.depth {
                Some(depth) => depth,
                None if i + 1 == levels.len() => middle,
                None => 1,
            })
            .collect(),
        attention_head_dim: channels.iter().map(heads).collect(),
        norm_num_groups: groups(&channels),
        block_out_channels: channels,
        cross_attention_dim: shapes.extent(context, 1)?,
        use_linear_projection: linear,
        addition_embedding: addition,
        ..UNet2DConditionConfig::default()
    })
}

/// The most groups up to 32 that divide the channels of every block.
pub(super) fn groups(channels: &[usize]) -> usize {
    let divides = |groups: &usize| channels.iter().all(|c| c.is_multiple_of(*groups));
    (1..=GROUPS).rev().find(divides).unwrap_or(1)
}

fn levels(shapes: Shapes) -> Result<Vec<Level>, NetworkError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut begins = true;
    for index in 1..1000 {
        let block = format!("input_blocks.{index}");
        if shapes.has(&format!("{block}.0.op.weight")) {
            begins = true;
            continue;
        }
        let convolution = format!("{block}.0.in_layers.2.weight");
        if !shapes.has(&convolution) {
            break;
        }
        let channels = shapes.extent(&convolution, 0)?;
        let layer = |i| format!("{block}.1.transformer_blocks.{i}.norm1.weight");
        let depth = Some(shapes.count(layer)).filter(|&n| n > 0);
        match levels.last_mut().filter(|_| !begins) {
            Some(level) if level.channels == channels && level.depth == depth => level.layers += 1,
            Some(_) => {
                let why = format!("the layers of {block} differ from those before on its level");
                return Err(unusual(shapes.reader.path(), &why));
            }
            None => levels.push(Level {
                channels,
                layers: 1,
                depth,
            }),
        }
        begins = false;
    }
    Ok(levels)
}
