//! Whole networks against the processor: the bundled model, small ones of the
//! fixtures that diffusers made.

mod common;

use alice_calculus::{Graph, Parameters, Tensor, Value};
use alice_networks::{AutoencoderKL, ClipText, UNet2D, UNet2DCondition};
use alice_runs::TensorFile;
use common::{TOLERANCE, both, check_derivative, distance, gpu, random};
use std::path::{Path, PathBuf};

fn fixture(case: &str) -> PathBuf {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../networks");
    networks.join("tests/fixtures").join(case)
}

const INPUTS: [&str; 5] = ["sample", "timestep", "context", "text_embeds", "time_ids"];

/// `[N, C, H, W]` as `[N, H, W, C]`, vectors as `[N, len]`.
fn read(file: &TensorFile, name: &str) -> Option<Tensor<f32>> {
    let found = file.get(name)?;
    let tensor = Tensor::new(&found.shape, found.data.clone()).unwrap();
    Some(match found.shape.len() {
        4 => tensor.to_channels_last().unwrap(),
        1 => Tensor::new(&[found.shape[0], 1], found.data.clone()).unwrap(),
        _ => tensor,
    })
}

/// Every output of a graph on both devices.
fn check(name: &str, graph: Graph, parameters: &Parameters<f32>, inputs: &[(&str, &Tensor<f32>)]) {
    let Some(gpu) = gpu() else { return };
    let outputs: Vec<(String, Value)> = graph.outputs().to_vec();
    let needed = |value: Value| {
        let needed = graph.needed(&[value]);
        let given = |name: &str| inputs.iter().any(|(n, _)| *n == name);
        graph.inputs().all(|(n, v)| !needed[v.index()] || given(n))
    };
    let outputs: Vec<(String, Value)> = outputs.into_iter().filter(|(_, v)| needed(*v)).collect();
    assert!(!outputs.is_empty());
    let values: Vec<Value> = outputs.iter().map(|(_, value)| *value).collect();
    let models = both(&gpu, graph, parameters);
    let [expected, found] = models
        .each_ref()
        .map(|model| model.evaluate(inputs, &values).unwrap());
    for (((output, _), found), expected) in outputs.iter().zip(&found).zip(&expected) {
        let error = distance(found, expected);
        assert!(error < TOLERANCE, "{name} {output}: {error:.1e}");
    }
    let graph = models[0].graph();
    if let (Ok(from), Ok(to)) = (graph.find_input("sample"), graph.find_output("bottleneck")) {
        let one: Vec<(&str, Tensor<f32>)> =
            inputs.iter().map(|(n, t)| (*n, t.items(0..1))).collect();
        let one: Vec<(&str, &Tensor<f32>)> = one.iter().map(|(n, t)| (*n, t)).collect();
        check_derivative(name, &models, &one, (from, to), 1, 5).unwrap();
        let to = graph.find_output("prediction").unwrap();
        check_derivative(name, &models, &one, (from, to), 1, 2).unwrap();
    }
}

#[test]
fn the_bundled_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/puppets-32/unet");
    let network = UNet2D::open(folder).unwrap();
    let sample = random(1, &[3, 32, 32, 3]);
    let time = Tensor::new(&[1, 1], vec![600.0]).unwrap();
    let time = Tensor::new(&[3, 1], time.data().repeat(3)).unwrap();
    let graph = network.graph((32, 32)).unwrap();
    let inputs = [("sample", &sample), ("timestep", &time)];
    check("puppets-32", graph, &network.parameters, &inputs);
}

#[test]
fn unconditional_networks() {
    for case in ["ddpm", "heads", "scale_shift"] {
        let network = UNet2D::open(fixture(case)).unwrap();
        let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
        let inputs: Vec<_> = ["sample", "timestep", "class_label"]
            .into_iter()
            .filter_map(|name| Some((name, read(&file, name)?)))
            .collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, t)| (*name, t)).collect();
        let dims = inputs[0].1.dims();
        let graph = network.graph((dims[1], dims[2])).unwrap();
        check(case, graph, &network.parameters, &inputs);
    }
}

#[test]
fn conditional_networks() {
    for case in ["sd15", "sdxl"] {
        let network = UNet2DCondition::open(fixture(case)).unwrap();
        let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
        let inputs: Vec<_> = INPUTS
            .into_iter()
            .filter_map(|name| Some((name, read(&file, name)?)))
            .collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, t)| (*name, t)).collect();
        let dims = inputs[0].1.dims();
        let tokens = inputs[2].1.dims()[1];
        let graph = network.graph((dims[1], dims[2]), tokens).unwrap();
        check(case, graph, &network.parameters, &inputs);
    }
}

#[test]
fn autoencoders_and_text_encoders() {
    let network = AutoencoderKL::open(fixture("vae")).unwrap();
    let file = TensorFile::read(fixture("vae").join("io.safetensors")).unwrap();
    for input in ["picture", "latent"] {
        let graph = network.config.graph((5, 3)).unwrap();
        let fed = read(&file, input).unwrap();
        check("vae", graph, &network.parameters, &[(input, &fed)]);
    }
    let network = ClipText::open(fixture("clip")).unwrap();
    let file = TensorFile::read(fixture("clip").join("io.safetensors")).unwrap();
    let tokens = read(&file, "tokens").unwrap();
    let graph = network.config.graph().unwrap();
    check("clip", graph, &network.parameters, &[("tokens", &tokens)]);
}
