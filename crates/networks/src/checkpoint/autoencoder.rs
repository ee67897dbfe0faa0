//! The autoencoder of a single-file checkpoint.

use super::unet::{groups, replace_start};
use super::{Family, Shapes};
use crate::{AutoencoderKLConfig, NetworkError};

/// The layers of the attention in the middle.
const ATTENTION: [(&str, &str); 5] = [
    ("group_norm.", "norm."),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
];
/// The layers of a residual block that are named otherwise.
const RESNET: [(&str, &str); 2] = [("conv_shortcut.", "nin_shortcut."), ("", "")];

/// The original name of a parameter that diffusers calls `name`.
pub(super) fn original_name(config: &AutoencoderKLConfig, name: &str) -> Option<String> {
    if name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.") {
        return Some(name.to_owned());
    }
    let (side, rest) = name.split_once('.')?;
    let ends = [
        ("conv_in.", "conv_in."),
        ("conv_out.", "conv_out."),
        ("conv_norm_out.", "norm_out."),
    ];
    if let Some(rest) = replace_start(rest, &ends) {
        return Some(format!("{side}.{rest}"));
    }
    if let Some(rest) = rest.strip_prefix("mid_block.") {
        if let Some(rest) = rest.strip_prefix("attentions.0.") {
            let rest = replace_start(rest, &ATTENTION)?;
            return Some(format!("{side}.mid.attn_1.{rest}"));
        }
        let (layer, rest) = rest.strip_prefix("resnets.")?.split_once('.')?;
        let layer = layer.parse::<usize>().ok()? + 1;
        let rest = replace_start(rest, &RESNET)?;
        return Some(format!("{side}.mid.block_{layer}.{rest}"));
    }
    let (blocks, rest) = rest.split_once('.')?;
    let (block, rest) = rest.split_once('.')?;
    let block: usize = block.parse().ok()?;
    let level = match blocks {
        "down_blocks" => format!("{side}.down.{block}"),
        "up_blocks" => format!("{side}.up.{}", config.halvings().checked_sub(block)?),
        _ => return None,
    };
    let samplers = [
        ("downsamplers.0.", "downsample."),
        ("upsamplers.0.", "upsample."),
    ];
    if let Some(rest) = replace_start(rest, &samplers) {
        return Some(format!("{level}.{rest}"));
    }
    let (layer, rest) = rest.strip_prefix("resnets.")?.split_once('.')?;
    let rest = replace_start(rest, &RESNET)?;
    Some(format!("{level}.block.{layer}.{rest}"))
}

/// The config that the shapes and the family tell.
pub(super) fn config(shapes: Shapes, family: Family) -> Result<AutoencoderKLConfig, NetworkError> {
    let first = |level: usize| format!("encoder.down.{level}.block.0.conv1.weight");
    let channels = (0..shapes.count(first))
        .map(|level| shapes.extent(&first(level), 0))
        .collect::<Result<Vec<_>, _>>()?;
    let layer = |i| format!("encoder.down.0.block.{i}.conv1.weight");
    let config = AutoencoderKLConfig {
        sample_size: None,
        in_channels: shapes.extent("encoder.conv_in.weight", 1)?,
        out_channels: shapes.extent("decoder.conv_out.weight", 0)?,
        norm_num_groups: groups(&channels),
        block_out_channels: channels,
        layers_per_block: shapes.count(layer),
        latent_channels: shapes.extent("decoder.conv_in.weight", 1)?,
        scaling_factor: family.scaling_factor(),
        shift_factor: 0.0,
        use_quant_conv: shapes.has("quant_conv.weight"),
        use_post_quant_conv: shapes.has("post_quant_conv.weight"),
        mid_block_add_attention: shapes.has("encoder.mid.attn_1.q.weight"),
    };
    config
        .check()
        .map_err(|error| error.at(shapes.reader.path()))?;
    Ok(config)
}
