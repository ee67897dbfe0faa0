//! Which configs of conditional U-Nets are understood, and how large they are.

use alice_networks::{Architecture, NetworkError, UNet2DConditionConfig};
use serde_json::{Value, json};

/// SD 1.5's `config.json`, SD 2.1-base's and SDXL's.
fn public() -> [(Value, usize); 3] {
    let down = "DownBlock2D";
    let [cross_down, cross_up] = ["CrossAttnDownBlock2D", "CrossAttnUpBlock2D"];
    let sd15 = json!({
        "_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": 8,
        "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
        "cross_attention_dim": 768, "down_block_types": [cross_down, cross_down, cross_down, down],
        "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4,
        "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-5,
        "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
        "up_block_types": ["UpBlock2D", cross_up, cross_up, cross_up]
    });
    let mut sd21 = sd15.clone();
    sd21["attention_head_dim"] = json!([5, 10, 20, 20]);
    sd21["cross_attention_dim"] = json!(1024);
    sd21["use_linear_projection"] = json!(true);
    sd21["dual_cross_attention"] = json!(false);
    let mut sdxl = sd21.clone();
    sdxl["attention_head_dim"] = json!([5, 10, 20]);
    sdxl["block_out_channels"] = json!([320, 640, 1280]);
    sdxl["cross_attention_dim"] = json!(2048);
    sdxl["down_block_types"] = json!([down, cross_down, cross_down]);
    sdxl["up_block_types"] = json!([cross_up, cross_up, "UpBlock2D"]);
    sdxl["transformer_layers_per_block"] = json!([1, 2, 10]);
    sdxl["addition_embed_type"] = json!("text_time");
    sdxl["addition_time_embed_dim"] = json!(256);
    sdxl["projection_class_embeddings_input_dim"] = json!(2816);
    sdxl["sample_size"] = json!(128);
    sdxl["resnet_out_scale_factor"] = json!(1.0);
    [
        (sd15, 859_520_964),
        (sd21, 865_910_724),
        (sdxl, 2_567_463_684),
    ]
}

#[test]
fn public_models_have_their_number_of_weights() {
    for (json, count) in public() {
        let config = UNet2DConditionConfig::from_json(&json.to_string()).unwrap();
        let graph = config.smallest().unwrap();
        let found: usize = graph.parameters().iter().map(|spec| spec.kind.len()).sum();
        assert_eq!(found, count);
        let again = UNet2DConditionConfig::from_json(&config.to_json()).unwrap();
        assert_eq!(again, config);
    }
}

/// The same said once for each block, or left to an old version of diffusers.
#[test]
fn equal_configs_are_understood() {
    let [(sd15, _), _, _] = public();
    let plain = UNet2DConditionConfig::from_json(&sd15.to_string()).unwrap();
    for (field, value) in [
        ("cross_attention_dim", json!([768, 768, 768, 768])),
        ("only_cross_attention", json!([false, false, false, false])),
        ("mid_block_only_cross_attention", json!(false)),
        ("mid_block_only_cross_attention", json!(null)),
    ] {
        let mut same = sd15.clone();
        same[field] = value;
        let found = UNet2DConditionConfig::from_json(&same.to_string());
        assert_eq!(found.unwrap(), plain, "{field}");
    }
    let mut old = sd15;
    old["sample_size"] = json!(32);
    for (version, side) in [("0.2.4", 64), ("0.8.1", 64), ("0.9.0", 32), ("1.0", 32)] {
        old["_diffusers_version"] = json!(version);
        let found = UNet2DConditionConfig::from_json(&old.to_string()).unwrap();
        assert_eq!(found.sample_size, Some((side, side)), "{version}");
    }
}

#[test]
fn an_empty_config_is_the_default() {
    let empty = UNet2DConditionConfig::from_json("{}").unwrap();
    assert_eq!(empty, UNet2DConditionConfig::default());
}

#[test]
fn what_is_not_supported_or_does_not_fit_is_named() {
    let cases = [
        ("_class_name", json!("UNet2DModel")),
        ("act_fn", json!("mish")),
        ("addition_embed_type", json!("image")),
        ("addition_time_embed_dim", json!(null)),
        ("attention_head_dim", json!([5, 10])),
        ("attention_head_dim", json!(7)),
        ("attention_type", json!("gated")),
        ("block_out_channels", json!([320, 640])),
        ("class_embed_type", json!("projection")),
        ("conv_in_kernel", json!(5)),
        ("cross_attention_dim", json!([768, 1024])),
        ("down_block_types", json!(["DownBlock2D"])),
        ("dual_cross_attention", json!(true)),
        ("encoder_hid_dim_type", json!("text_proj")),
        ("in_channels", json!(0)),
        ("layers_per_block", json!([2, 2])),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("norm_num_groups", json!(7)),
        ("num_attention_heads", json!(8)),
        ("only_cross_attention", json!([true, true, false])),
        ("projection_class_embeddings_input_dim", json!(100)),
        ("resnet_out_scale_factor", json!(0.7)),
        ("time_cond_proj_dim", json!(0)),
        ("time_embedding_type", json!("fourier")),
        ("transformer_layers_per_block", json!([1, [2, 2], 10])),
    ];
    let [_, _, (sdxl, _)] = public();
    for (field, value) in cases {
        let mut changed = sdxl.clone();
        changed[field] = value.clone();
        match UNet2DConditionConfig::from_json(&changed.to_string()) {
            Err(NetworkError::Field { field: found, .. }) => {
                let blocks = field == "block_out_channels";
                assert!(blocks || found == field, "{field} = {value}: {found}");
            }
            other => panic!("{field} = {value}: {other:?}"),
        }
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    let config = UNet2DConditionConfig::default();
    assert!(config.graph((0, 8), 77).is_err());
    assert!(config.graph((8, 1 << 20), 77).is_err());
    assert!(config.graph((8, 8), 0).is_err());
    let odd = config.graph((9, 13), 77).unwrap();
    let prediction = odd.find_output("prediction").unwrap();
    assert_eq!(odd.dims(prediction), [9, 13, 4]);
}
