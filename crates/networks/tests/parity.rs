//! Agreement with diffusers, block by block. `fixtures/export.py` and
//! `fixtures/export_condition.py` made the fixtures.

use alice_calculus::{Graph, Model, Parameters, Tensor};
use alice_networks::{UNet2D, UNet2DCondition};
use alice_runs::TensorFile;
use std::path::PathBuf;

const CASES: [&str; 7] = [
    "ddpm",
    "heads",
    "scale_shift",
    "plain",
    "learned",
    "old_keys",
    "half",
];
const CONDITIONAL: [&str; 5] = ["sd15", "sd21", "sdxl", "distilled", "bf16"];
const INPUTS: [&str; 7] = [
    "sample",
    "timestep",
    "class_label",
    "context",
    "timestep_cond",
    "text_embeds",
    "time_ids",
];
const TOLERANCE: f64 = 1e-5;

fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(case)
}

/// `[N, C, H, W]` as `[N, H, W, C]`, vectors as `[N, len]`.
fn read(file: &TensorFile, name: &str) -> Option<Tensor<f32>> {
    let found = file.get(name)?;
    Some(match found.shape.len() {
        4 => Tensor::new(&found.shape, found.data.clone())
            .unwrap()
            .to_channels_last()
            .unwrap(),
        1 => Tensor::new(&[found.shape[0], 1], found.data.clone()).unwrap(),
        _ => Tensor::new(&found.shape, found.data.clone()).unwrap(),
    })
}

/// ‖a − b‖ / ‖b‖
fn relative(a: &Tensor<f32>, b: &Tensor<f32>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = a.data().iter().zip(b.data());
    norm(&mut pairs.map(|(a, b)| f64::from(a - b)))
        / norm(&mut b.data().iter().map(|&b| f64::from(b)))
}

/// The relative error of every output of a case, given its recorded values.
fn errors(case: &str, graph: Graph, parameters: Parameters<f32>) -> Vec<(String, f64)> {
    let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
    let mut inputs: Vec<_> = INPUTS
        .into_iter()
        .filter_map(|name| Some((name, read(&file, name)?)))
        .collect();
    let recorded = inputs.len();
    if let Ok(extra) = graph.find_input("inpainting") {
        let extra = *graph.dims(extra).last().unwrap();
        let (sample, inpainting) = split(&inputs[0].1, extra);
        inputs[0].1 = sample;
        inputs.push(("inpainting", inpainting));
    }
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let outputs = graph.outputs().to_vec();
    let values: Vec<_> = outputs.iter().map(|(_, value)| *value).collect();
    let model = Model::new(graph, parameters).unwrap();
    let found = model.evaluate(&inputs, &values).unwrap();
    assert_eq!(
        outputs.len() + recorded,
        file.tensors.len(),
        "{case}: every recorded block is an output"
    );
    let errors = outputs.into_iter().zip(&found).map(|((name, _), ours)| {
        let theirs = read(&file, &name).unwrap();
        let error = relative(ours, &theirs);
        (name, error)
    });
    errors.collect()
}

/// The first channels, and the `extra` last ones.
fn split(all: &Tensor<f32>, extra: usize) -> (Tensor<f32>, Tensor<f32>) {
    let first = all.channels() - extra;
    let part = |range: std::ops::Range<usize>| {
        let pixels = all.data().chunks_exact(all.channels());
        let data = pixels.flat_map(|pixel| pixel[range.clone()].to_vec());
        let dims = [&all.dims()[..3], &[range.len()]].concat();
        Tensor::new(&dims, data.collect()).unwrap()
    };
    (part(0..first), part(first..all.channels()))
}

fn dims(case: &str, input: &str) -> Vec<usize> {
    let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
    read(&file, input).unwrap().dims().to_vec()
}

fn check(case: &str, graph: Graph, parameters: Parameters<f32>) -> Vec<String> {
    let errors = errors(case, graph, parameters).into_iter();
    let wrong = errors.filter(|(_, error)| error.is_nan() || *error > TOLERANCE);
    wrong
        .map(|(output, error)| format!("{case} {output}: {error:.1e}"))
        .collect()
}

#[test]
fn every_block_agrees_with_diffusers() {
    let mut worst = Vec::new();
    for case in CASES {
        let network = UNet2D::open(fixture(case)).unwrap();
        let size = dims(case, "sample");
        let graph = network.graph((size[1], size[2])).unwrap();
        worst.extend(check(case, graph, network.parameters));
    }
    for case in CONDITIONAL {
        let network = UNet2DCondition::open(fixture(case)).unwrap();
        let (size, context) = (dims(case, "sample"), dims(case, "context"));
        let graph = network.graph((size[1], size[2]), context[1]).unwrap();
        worst.extend(check(case, graph, network.parameters));
    }
    assert!(worst.is_empty(), "{}", worst.join("\n"));
}

/// What is written is read back equal, config and weights.
#[test]
fn conditional_networks_are_saved_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for case in CONDITIONAL {
        let network = UNet2DCondition::open(fixture(case)).unwrap();
        let to = folder.path().join(case);
        std::fs::create_dir(&to).unwrap();
        network.save(&to).unwrap();
        assert_eq!(UNet2DCondition::open(&to).unwrap(), network, "{case}");
        let name = "diffusion_pytorch_model.safetensors";
        let tensors = |folder: PathBuf| TensorFile::read(folder.join(name)).unwrap().tensors;
        assert_eq!(tensors(to), tensors(fixture(case)), "{case}");
    }
}
