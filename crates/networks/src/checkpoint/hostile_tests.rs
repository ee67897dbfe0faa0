//! A checkpoint so small that every bit of its header can be flipped: an error
//! or a model, never a panic.

use super::*;
use crate::{ClipTextConfig, ModelLocation, Network};
use alice_runs::TensorFile;
use std::fs;
use std::io::{Seek, Write};

const UNET_CONFIG: &str = r#"{"block_out_channels": [2], "in_channels": 1, "out_channels": 1,
    "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "layers_per_block": 1,
    "cross_attention_dim": 2, "attention_head_dim": [1], "use_linear_projection": true,
    "norm_num_groups": 2}"#;
const TEXT: &str = "cond_stage_model.transformer.";

/// Adds a network's random weights under the names of a checkpoint.
fn add<A: Architecture>(
    file: &mut TensorFile,
    config: A,
    prefix: &str,
    rename: impl Fn(&str) -> Option<String>,
) {
    let weights = Network::random(config, 5).unwrap().weights().unwrap();
    for (name, tensor) in weights.tensors {
        let name = format!("{prefix}{}", rename(&name).unwrap());
        file.insert(&name, &tensor.shape, tensor.data).unwrap();
    }
}

fn smallest() -> Vec<u8> {
    let mut file = TensorFile::new();
    let unet = UNet2DConditionConfig::from_json(UNET_CONFIG).unwrap();
    let rename = |name: &str| unet::original_name(&unet, name);
    add(&mut file, unet.clone(), UNET, rename);
    let vae = AutoencoderKLConfig {
        in_channels: 1,
        out_channels: 1,
        latent_channels: 1,
        block_out_channels: vec![2],
        norm_num_groups: 2,
        use_quant_conv: false,
        use_post_quant_conv: false,
        mid_block_add_attention: false,
        ..AutoencoderKLConfig::default()
    };
    let rename = |name: &str| autoencoder::original_name(&vae, name);
    add(&mut file, vae.clone(), AUTOENCODER, rename);
    let text = ClipTextConfig {
        vocab_size: 2,
        hidden_size: 2,
        intermediate_size: 2,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        max_position_embeddings: 2,
        ..ClipTextConfig::default()
    };
    add(&mut file, text, TEXT, |name| Some(name.to_owned()));
    file.to_bytes("memory").unwrap()
}

/// Opens a part of a checkpoint; all of them without one.
fn open(path: &Path, part: Option<&str>) -> Result<(), NetworkError> {
    let location = ModelLocation::find(path)?;
    let wanted = |name| part.is_none_or(|part| part == name);
    if wanted(UNET) {
        location.network::<UNet2DConditionConfig>("unet")?;
    }
    if wanted(AUTOENCODER) {
        location.network::<AutoencoderKLConfig>("vae")?;
    }
    if wanted(TEXT) {
        location.network::<ClipTextConfig>("text_encoder")?;
    }
    Ok(())
}

#[test]
fn every_damaged_header_is_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let bytes = smallest();
    fs::write(&path, &bytes).unwrap();
    open(&path, None).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8_lossy(&bytes[8..header]);
    // The part whose tensor a byte of the header is about: it alone can be
    // read otherwise then, but for what all parts are told from.
    let mut parts = Vec::new();
    for prefix in [UNET, AUTOENCODER, TEXT] {
        let quoted = format!("\"{prefix}");
        let starts = text.match_indices(&quoted);
        parts.extend(starts.map(|(at, _)| (8 + at, prefix)));
    }
    parts.sort_unstable();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(std::io::SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    let mut refused = 0;
    for bit in 0..8 * header {
        let at = bit / 8;
        put(at, bytes[at] ^ (1 << (bit % 8)));
        let known = parts.partition_point(|(start, _)| *start <= at);
        let part = known.checked_sub(1).map(|i| parts[i].1);
        // One of thirteen, which meets every bit of a byte, as a whole.
        let part = part.filter(|_| bit % 13 != 0);
        refused += usize::from(open(&path, part).is_err());
        put(at, bytes[at]);
    }
    assert!(refused > 4 * header, "{refused} of {}", 8 * header);
    open(&path, None).unwrap();
}
