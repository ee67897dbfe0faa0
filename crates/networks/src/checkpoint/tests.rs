//! The names and configs of the public models, against diffusers.

use super::*;
use crate::ControlNetConfig;
use alice_runs::hash;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

const SD1: &str = r#"{"attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 768, "sample_size": 64}"#;
const SD2: &str = r#"{"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024,
    "block_out_channels": [320, 640, 1280, 1280], "use_linear_projection": true, "sample_size": 96}"#;
const SDXL: &str = r#"{"attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
    "block_out_channels": [320, 640, 1280], "use_linear_projection": true, "sample_size": 128,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}"#;

fn unet(text: &str) -> UNet2DConditionConfig {
    UNet2DConditionConfig::from_json(text).unwrap()
}

/// The ControlNet of a public U-Net, as its shapes tell it.
fn controlnet(text: &str) -> ControlNetConfig {
    let encoder = unet(text);
    ControlNetConfig {
        conditioning_channels: 3,
        conditioning_embedding_out_channels: vec![16, 32, 96, 256],
        encoder: UNet2DConditionConfig {
            out_channels: encoder.in_channels,
            sample_size: None,
            ..encoder
        },
    }
}

fn vae(scaling_factor: f64) -> AutoencoderKLConfig {
    AutoencoderKLConfig {
        sample_size: None,
        block_out_channels: vec![128, 256, 512, 512],
        layers_per_block: 2,
        scaling_factor,
        ..AutoencoderKLConfig::default()
    }
}

/// `fixtures/export_single.py` wrote what diffusers' converters confirm.
#[test]
fn names_are_those_of_diffusers_converters() {
    let text = include_str!("../../tests/fixtures/single/names.json");
    let expected: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let check = |what: &str, graph: Graph, rename: &dyn Fn(&str) -> Option<String>| {
        let names = graph.parameters().iter().map(|spec| spec.name.as_str());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let line = |name: &&str| format!("{name}\t{}\n", rename(name).unwrap());
        let lines: String = names.iter().map(line).collect();
        assert_eq!(names.len(), expected[what]["tensors"], "{what}");
        assert_eq!(
            hash::bytes(lines.as_bytes()),
            expected[what]["sha256"],
            "{what}"
        );
    };
    for (name, text) in [("sd1", SD1), ("sd2", SD2), ("sdxl", SDXL)] {
        let config = unet(text);
        let rename = |name: &str| unet::original_name(&config, name);
        check(&format!("{name} unet"), config.smallest().unwrap(), &rename);
    }
    for (name, text) in [("sd1", SD1), ("sd2", SD2), ("sdxl", SDXL)] {
        let config = controlnet(text);
        let rename = |name: &str| controlnet::original_name(&config.encoder, name);
        let graph = config.smallest().unwrap();
        check(&format!("{name} controlnet"), graph, &rename);
    }
    let config = vae(0.18215);
    let rename = |name: &str| autoencoder::original_name(&config, name);
    check("sd1 vae", config.smallest().unwrap(), &rename);
}

/// A file with a header and nothing but holes for the weights.
fn write_hollow(path: &Path, tensors: &BTreeMap<String, Vec<usize>>) {
    let mut end = 0;
    let parts = tensors.iter().map(|(name, shape)| {
        let start = end;
        end += shape.iter().product::<usize>();
        format!(
            "\"{name}\":{{\"dtype\":\"U8\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        )
    });
    let header = format!("{{{}}}", parts.collect::<Vec<_>>().join(","));
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

/// Under the original names with and without their prefix, and under diffusers'.
#[test]
fn controlnets_are_told_from_the_shapes_of_public_ones() {
    let folder = tempfile::tempdir().unwrap();
    for text in [SD1, SD2, SDXL] {
        let config = controlnet(text);
        for prefix in [Some("control_model."), Some(""), None] {
            let name = |name: &str| match prefix {
                Some(prefix) => {
                    let name = controlnet::original_name(&config.encoder, name);
                    format!("{prefix}{}", name.unwrap())
                }
                None => name.to_owned(),
            };
            let graph = config.smallest().unwrap();
            let tensors = graph.parameters().iter();
            let tensors = tensors.map(|spec| (name(&spec.name), spec.kind.file_dims()));
            let path = folder.path().join("hollow.safetensors");
            write_hollow(&path, &tensors.collect());
            let found = ControlFile::open(&path).unwrap().unwrap();
            assert_eq!(found.config(), &config, "{prefix:?}");
        }
    }
}

/// From the shapes of a public model back to its config.
#[test]
fn configs_are_told_from_the_shapes_of_public_models() {
    let folder = tempfile::tempdir().unwrap();
    for (family, text) in [
        (Family::StableDiffusion1, SD1),
        (Family::StableDiffusion2, SD2),
        (Family::StableDiffusionXl, SDXL),
    ] {
        let config = unet(text);
        let vae = vae(family.scaling_factor());
        let mut tensors = BTreeMap::new();
        let mut put = |prefix: &str, graph: Graph, rename: &dyn Fn(&str) -> Option<String>| {
            for spec in graph.parameters() {
                let name = format!("{prefix}{}", rename(&spec.name).unwrap());
                tensors.insert(name, spec.kind.file_dims());
            }
        };
        let rename = |name: &str| unet::original_name(&config, name);
        put(UNET, config.smallest().unwrap(), &rename);
        let rename = |name: &str| autoencoder::original_name(&vae, name);
        put(AUTOENCODER, vae.smallest().unwrap(), &rename);
        let path = folder.path().join("hollow.safetensors");
        write_hollow(&path, &tensors);
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.family(), family);
        assert_eq!(checkpoint.unet, config);
        assert_eq!(checkpoint.parts(), ["unet", "vae"]);
        let (found, _) = checkpoint.part("vae").unwrap();
        assert_eq!(AutoencoderKLConfig::from_json(&found).unwrap(), vae);
    }
}
