//! Agreement with diffusers, block by block. `fixtures/export.py` made the fixtures.

use alice_calculus::{Model, Tensor};
use alice_networks::UNet2D;
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

/// The relative error of every output of a case.
fn errors(case: &str) -> Vec<(String, f64)> {
    let folder = fixture(case);
    let network = UNet2D::open(&folder).unwrap();
    let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
    let inputs: Vec<_> = ["sample", "timestep", "class_label"]
        .into_iter()
        .filter_map(|name| Some((name, read(&file, name)?)))
        .collect();
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let size = inputs[0].1.dims();
    let graph = network.graph((size[1], size[2])).unwrap();
    let outputs = graph.outputs().to_vec();
    let values: Vec<_> = outputs.iter().map(|(_, value)| *value).collect();
    let model = Model::new(graph, network.parameters).unwrap();
    let found = model.evaluate(&inputs, &values).unwrap();
    assert_eq!(
        outputs.len() + inputs.len(),
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

#[test]
fn every_block_agrees_with_diffusers() {
    let mut worst = Vec::new();
    for case in CASES {
        for (output, error) in errors(case) {
            if error.is_nan() || error > TOLERANCE {
                worst.push(format!("{case} {output}: {error:.1e}"));
            }
        }
    }
    assert!(worst.is_empty(), "{}", worst.join("\n"));
}
