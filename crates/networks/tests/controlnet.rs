//! ControlNets against diffusers, alone and beside the U-Net that they steer.
//! `fixtures/export_condition.py` made the fixtures.

use alice_calculus::{Graph, Linearization, Model, Parameters, Tensor};
use alice_networks::{
    Architecture, ControlNet, ControlNetConfig, UNet2DCondition, controlled_graph,
};
use alice_runs::TensorFile;
use serde_json::{Value, json};
use std::path::PathBuf;

const SIZE: (usize, usize) = (8, 12);
const TOKENS: usize = 5;
const CASES: [(&str, &str); 2] = [("controlnet", "sd15"), ("controlnet_xl", "sdxl")];

fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(case)
}

struct Case {
    file: TensorFile,
    control: ControlNet,
    unet: UNet2DCondition,
}

impl Case {
    fn open((control, unet): (&str, &str)) -> Self {
        Self {
            file: TensorFile::read(fixture(control).join("io.safetensors")).unwrap(),
            control: ControlNet::open(fixture(control)).unwrap(),
            unet: UNet2DCondition::open(fixture(unet)).unwrap(),
        }
    }

    fn read(&self, name: &str) -> Tensor<f32> {
        let found = self.file.get(name).unwrap();
        match found.shape[..] {
            [count] => Tensor::new(&[count, 1], found.data.clone()).unwrap(),
            [_, _, _, _] => Tensor::new(&found.shape, found.data.clone())
                .unwrap()
                .to_channels_last()
                .unwrap(),
            _ => Tensor::new(&found.shape, found.data.clone()).unwrap(),
        }
    }

    /// The inputs of a graph, by their names in the file.
    fn inputs<'a>(&self, graph: &'a Graph) -> Vec<(&'a str, Tensor<f32>)> {
        let read = |(name, _): (&'a str, _)| {
            let stored = if name == "control" { "control.0" } else { name };
            (name, self.read(stored))
        };
        graph.inputs().map(read).collect()
    }

    fn steered(&self, scales: &[f64]) -> (Graph, Parameters<f32>) {
        let controls: Vec<_> = scales.iter().map(|s| (&self.control.config, *s)).collect();
        let graph = controlled_graph(&self.unet.config, &controls, SIZE, TOKENS).unwrap();
        let mut parameters = self.control.parameters.clone();
        for _ in 1..scales.len() {
            parameters = parameters.join(&self.control.parameters);
        }
        (graph, parameters.join(&self.unet.parameters))
    }
}

/// ‖a − b‖ / ‖b‖
fn relative(a: &Tensor<f32>, b: &Tensor<f32>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let pairs = a.data().iter().zip(b.data());
    let gap: f64 = pairs.map(|(a, b)| square(a - b)).sum();
    (gap / b.data().iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

fn evaluate(case: &Case, graph: Graph, parameters: Parameters<f32>, names: &[String]) {
    let model = Model::new(graph, parameters).unwrap();
    let graph = model.graph();
    let inputs = case.inputs(graph);
    let inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value)).collect();
    for name in names {
        let output = if name.starts_with("residual") {
            name
        } else {
            "prediction"
        };
        let output = graph.find_output(output).unwrap();
        let found = model.evaluate(&inputs, &[output]).unwrap().remove(0);
        let error = relative(&found, &case.read(name));
        assert!(error < 1e-5, "{name}: {error:.1e}");
    }
}

#[test]
fn residuals_agree_with_diffusers() {
    for names in CASES {
        let case = Case::open(names);
        let graph = case.control.config.graph(SIZE, TOKENS).unwrap();
        let residuals = graph.outputs().iter().map(|(name, _)| name.clone());
        let residuals: Vec<_> = residuals.filter(|n| n.starts_with("residual")).collect();
        assert!(residuals.len() > 4);
        evaluate(&case, graph, case.control.parameters.clone(), &residuals);
        let folder = tempfile::tempdir().unwrap();
        case.control.save(folder.path()).unwrap();
        assert_eq!(ControlNet::open(folder.path()).unwrap(), case.control);
    }
}

/// One of them, and two with scales of their own.
#[test]
fn steered_networks_agree_with_diffusers() {
    for names in CASES {
        let case = Case::open(names);
        for (scales, name) in [(&[1.0][..], "once"), (&[0.7, -0.4], "twice")] {
            let (graph, parameters) = case.steered(scales);
            evaluate(&case, graph, parameters, &[name.to_owned()]);
        }
    }
}

/// With a scale of 0 it is the U-Net alone; and what is linearised is all of
/// it: J·v is what central differences find.
#[test]
fn one_graph_is_linearised() {
    let case = Case::open(CASES[0]);
    let none = |graph: Graph, parameters| {
        let model = Model::new(graph, parameters).unwrap();
        let output = model.graph().find_output("prediction").unwrap();
        let inputs = case.inputs(model.graph());
        let inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value)).collect();
        model.evaluate(&inputs, &[output]).unwrap().remove(0)
    };
    let (graph, parameters) = case.steered(&[0.0]);
    let plain = case.unet.graph(SIZE, TOKENS).unwrap();
    let alone = none(plain, case.unet.parameters.clone());
    assert!(relative(&none(graph, parameters), &alone) < 1e-6);

    let (graph, parameters) = case.steered(&[1.0]);
    let model = Model::new(graph, parameters).unwrap().cast::<f64>();
    let graph = model.graph();
    let (from, to) = (
        graph.find_input("sample").unwrap(),
        graph.find_output("bottleneck").unwrap(),
    );
    let fed = case.inputs(graph);
    let fed: Vec<(&str, Tensor<f64>)> = fed
        .into_iter()
        .map(|(name, value)| (name, value.items(0..1).cast()))
        .collect();
    let inputs: Vec<_> = fed.iter().map(|(name, value)| (*name, value)).collect();
    let linear = Linearization::new(&model, &inputs, from, to).unwrap();
    let sample = &inputs.iter().find(|(name, _)| *name == "sample").unwrap().1;
    let direction: Vec<f64> = (0..sample.item_len()).map(|i| (i as f64).sin()).collect();
    let tangent = Tensor::new(sample.dims(), direction.clone()).unwrap();
    let pushed = linear.pushforward(&tangent).unwrap();
    let at = |step: f64| {
        let moved = sample.data().iter().zip(&direction);
        let moved = moved.map(|(x, v)| x + step * v).collect();
        let moved = Tensor::new(sample.dims(), moved).unwrap();
        let inputs: Vec<(&str, &Tensor<f64>)> = inputs
            .iter()
            .map(|(name, value)| (*name, if *name == "sample" { &moved } else { *value }))
            .collect();
        model.evaluate(&inputs, &[to]).unwrap().remove(0)
    };
    let (plus, minus) = (at(1e-5), at(-1e-5));
    let scale = pushed.data().iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for ((a, b), j) in plus.data().iter().zip(minus.data()).zip(pushed.data()) {
        assert!(((a - b) / 2e-5 - j).abs() < 1e-6 * scale, "{a} {b} {j}");
    }
}

/// The configs of public ControlNets for SD 1.5, 2.1 and SDXL have diffusers'
/// number of weights.
#[test]
fn public_configs_have_their_number_of_weights() {
    let down = "DownBlock2D";
    let cross = "CrossAttnDownBlock2D";
    let sd15 = json!({
        "_class_name": "ControlNetModel", "attention_head_dim": 8, "cross_attention_dim": 768,
        "conditioning_embedding_out_channels": [16, 32, 96, 256],
        "controlnet_conditioning_channel_order": "rgb", "only_cross_attention": false
    });
    let mut sd21 = sd15.clone();
    sd21["attention_head_dim"] = json!([5, 10, 20, 20]);
    sd21["cross_attention_dim"] = json!(1024);
    sd21["use_linear_projection"] = json!(true);
    let mut sdxl = sd21.clone();
    sdxl["attention_head_dim"] = json!([5, 10, 20]);
    sdxl["block_out_channels"] = json!([320, 640, 1280]);
    sdxl["cross_attention_dim"] = json!(2048);
    sdxl["down_block_types"] = json!([down, cross, cross]);
    sdxl["transformer_layers_per_block"] = json!([1, 2, 10]);
    sdxl["addition_embed_type"] = json!("text_time");
    sdxl["addition_time_embed_dim"] = json!(256);
    sdxl["projection_class_embeddings_input_dim"] = json!(2816);
    for (json, count) in [
        (sd15, 361_279_120),
        (sd21, 364_228_240),
        (sdxl, 1_251_014_160),
    ] {
        let config = ControlNetConfig::from_json(&json.to_string()).unwrap();
        let graph = config.smallest().unwrap();
        let found: usize = graph.parameters().iter().map(|spec| spec.kind.len()).sum();
        assert_eq!(found, count);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    for (field, value) in [
        ("_class_name", json!("UNet2DConditionModel")),
        ("controlnet_conditioning_channel_order", json!("bgr")),
        ("global_pool_conditions", json!(true)),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("mid_block_type", Value::Null),
        ("conditioning_channels", json!(0)),
        ("conditioning_embedding_out_channels", json!([])),
        ("encoder_hid_dim_type", json!("text_proj")),
        ("layers_per_block", json!([1, 2, 2, 2])),
    ] {
        let error = ControlNetConfig::from_json(&json!({ field: value }).to_string());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let [sd, xl] = CASES.map(Case::open);
    for (unet, control, field) in [
        (&sd.unet, &xl.control, "block_out_channels"),
        (&xl.unet, &sd.control, "block_out_channels"),
    ] {
        let controls = [(&control.config, 1.0)];
        let error = controlled_graph(&unet.config, &controls, SIZE, TOKENS).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
    let mut other = sd.control.config.clone();
    other.encoder.cross_attention_dim += 1;
    let error = controlled_graph(&sd.unet.config, &[(&other, 1.0)], SIZE, TOKENS).unwrap_err();
    assert!(error.to_string().contains("cross_attention_dim"), "{error}");
}
