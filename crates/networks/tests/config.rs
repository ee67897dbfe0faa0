//! What configs are read, what they mean, and what is refused.

use alice_networks::{
    BlockType, ClassEmbedding, NetworkError, Sampler, TimeConditioning, TimeEmbedding,
    UNet2DConfig, build_unet2d,
};
use serde_json::{Value, json};

/// A small config with one field changed.
fn changed(field: &str, value: Value) -> String {
    let mut config = json!({
        "_class_name": "UNet2DModel",
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4
    });
    config[field] = value;
    config.to_string()
}

#[test]
fn an_empty_config_is_the_default() {
    assert_eq!(
        UNet2DConfig::from_json("{}").unwrap(),
        UNet2DConfig::default()
    );
}

#[test]
fn a_config_survives_writing() {
    let config = UNet2DConfig {
        sample_size: Some((16, 24)),
        in_channels: 4,
        out_channels: 2,
        center_input_sample: true,
        time_embedding_type: TimeEmbedding::Learned,
        time_embedding_dim: Some(24),
        freq_shift: 1.5,
        flip_sin_to_cos: false,
        down_block_types: vec![BlockType::Resnet, BlockType::Attention],
        mid_block: false,
        up_block_types: vec![BlockType::Plain, BlockType::Resnet],
        block_out_channels: vec![12, 24],
        layers_per_block: 3,
        mid_block_scale_factor: 1.5,
        downsample_padding: 0,
        downsample_type: Sampler::Resnet,
        upsample_type: Sampler::Resnet,
        dropout: 0.1,
        attention_head_dim: None,
        norm_num_groups: 6,
        attn_norm_num_groups: Some(3),
        norm_eps: 1e-6,
        resnet_time_scale_shift: TimeConditioning::ScaleShift,
        add_attention: false,
        class_embedding: Some(ClassEmbedding::Table { classes: 9 }),
        num_train_timesteps: Some(100),
    };
    for class_embedding in [
        None,
        Some(ClassEmbedding::Timestep),
        Some(ClassEmbedding::Identity),
        config.class_embedding,
    ] {
        let config = UNet2DConfig {
            class_embedding,
            ..config.clone()
        };
        assert_eq!(UNet2DConfig::from_json(&config.to_json()).unwrap(), config);
    }
}

#[test]
fn harmless_fields_are_ignored() {
    for (field, value) in [
        ("_diffusers_version", json!("0.6.0")),
        ("_name_or_path", json!("somewhere")),
        ("a_field_of_the_future", json!({"x": [1, null]})),
        ("dropout", json!(0.1)),
        ("act_fn", json!("swish")),
        ("downsample_type", json!(null)),
        ("num_train_timesteps", json!(1000)),
    ] {
        assert!(
            UNet2DConfig::from_json(&changed(field, value)).is_ok(),
            "{field}"
        );
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let cases = [
        ("_class_name", json!("UNet2DConditionModel")),
        ("act_fn", json!("mish")),
        ("time_embedding_type", json!("fourier")),
        ("class_embed_type", json!("projection")),
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        ("mid_block_type", json!(3)),
        (
            "down_block_types",
            json!(["DownBlock2D", "SkipDownBlock2D"]),
        ),
        ("down_block_types", json!("DownBlock2D")),
        ("up_block_types", json!(["AttnSkipUpBlock2D", "UpBlock2D"])),
        ("resnet_time_scale_shift", json!("spatial")),
        ("downsample_type", json!("fir")),
        ("upsample_type", json!(2)),
        ("downsample_padding", json!(2)),
        ("norm_num_groups", json!(null)),
    ];
    refused(&cases);
}

#[test]
fn what_does_not_fit_is_named() {
    let cases = [
        ("sample_size", json!(0)),
        ("sample_size", json!([8, 8, 8])),
        ("sample_size", json!(99_999_999)),
        ("in_channels", json!(0)),
        ("in_channels", json!(-3)),
        ("out_channels", json!("three")),
        ("out_channels", json!(1_000_000_000_000_u64)),
        ("center_input_sample", json!(1)),
        ("block_out_channels", json!([])),
        ("block_out_channels", json!([0, 16])),
        ("block_out_channels", json!([8, 1_000_000_000])),
        ("block_out_channels", json!([8.5, 16])),
        ("down_block_types", json!(["DownBlock2D"])),
        (
            "up_block_types",
            json!(["UpBlock2D", "UpBlock2D", "UpBlock2D"]),
        ),
        ("layers_per_block", json!(0)),
        ("layers_per_block", json!(4_000_000_000_u64)),
        ("mid_block_scale_factor", json!(0)),
        ("attention_head_dim", json!(0)),
        ("attention_head_dim", json!(17)),
        ("norm_num_groups", json!(0)),
        ("norm_num_groups", json!(3)),
        ("attn_norm_num_groups", json!(5)),
        ("norm_eps", json!(0)),
        ("norm_eps", json!(-1e-5)),
        ("freq_shift", json!(4)),
        ("time_embedding_dim", json!(10_000_000)),
        ("num_class_embeds", json!(0)),
    ];
    refused(&cases);
    let learned = changed("time_embedding_type", json!("learned"));
    let error = UNet2DConfig::from_json(&learned).unwrap_err();
    assert!(error.to_string().contains("num_train_timesteps"), "{error}");
}

/// Every case must be refused with an error about its field.
fn refused(cases: &[(&str, Value)]) {
    for (field, value) in cases {
        match UNet2DConfig::from_json(&changed(field, value.clone())) {
            Err(NetworkError::Field { field: found, .. }) => {
                let related = found == *field
                    || (field.contains("block") && found.contains("block"))
                    || found == "norm_num_groups";
                assert!(related, "{field} = {value}: the error is about {found}");
            }
            other => panic!("{field} = {value}: {other:?}"),
        }
    }
}

#[test]
fn text_that_is_no_object_is_refused() {
    for text in ["", "[]", "3", "{\"in_channels\": ", "{\"norm_eps\": NaN}"] {
        let error = UNet2DConfig::from_json(text).unwrap_err();
        assert!(
            matches!(error, NetworkError::Json { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn sizes_that_cannot_be_halved_are_refused() {
    let config = UNet2DConfig::from_json(&changed("layers_per_block", json!(1))).unwrap();
    assert!(build_unet2d(&config, (6, 10)).is_ok());
    for size in [(7, 8), (8, 7), (0, 8), (8, 100_000)] {
        let error = build_unet2d(&config, size).unwrap_err();
        assert!(matches!(error, NetworkError::Size { .. }), "{error}");
    }
}

#[test]
fn the_graph_of_the_public_models_has_their_size() {
    let ddpm = r#"{
        "attention_head_dim": null, "downsample_padding": 0, "flip_sin_to_cos": false,
        "freq_shift": 1, "norm_eps": 1e-6, "sample_size": 256,
        "block_out_channels": [128, 128, 256, 256, 512, 512],
        "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D",
            "AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D",
            "UpBlock2D", "UpBlock2D"]
    }"#;
    let config = UNet2DConfig::from_json(ddpm).unwrap();
    let graph = build_unet2d(&config, (256, 256)).unwrap();
    assert_eq!(
        graph.dims(graph.find_output("bottleneck").unwrap()),
        [8, 8, 512]
    );
    assert_eq!(config.parameter_count().unwrap(), 113_673_219);
}

#[test]
fn inputs_must_name_rows_of_their_tables() {
    let classes = UNet2DConfig::from_json(&changed("num_class_embeds", json!(5))).unwrap();
    assert!(
        classes
            .check_inputs(&[999.5, 0.0], Some(&[4.0, 0.0]))
            .is_ok()
    );
    for labels in [
        None,
        Some([5.0]),
        Some([-1.0]),
        Some([1.5]),
        Some([f32::NAN]),
    ] {
        let labels = labels.as_ref().map(|l| &l[..]);
        assert!(classes.check_inputs(&[1.0], labels).is_err(), "{labels:?}");
    }
    let learned = UNet2DConfig {
        time_embedding_type: TimeEmbedding::Learned,
        num_train_timesteps: Some(10),
        ..UNet2DConfig::default()
    };
    assert!(learned.check_inputs(&[9.0], None).is_ok());
    assert!(learned.check_inputs(&[10.0], None).is_err());
    assert!(learned.check_inputs(&[9.0], Some(&[0.0])).is_err());
    let plain = UNet2DConfig::default();
    assert!(plain.check_inputs(&[f32::INFINITY], None).is_err());
}
