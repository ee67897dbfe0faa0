//! Agreement of autoencoders and text encoders with diffusers and
//! transformers. `fixtures/export_latent.py` made the fixtures.

use alice_calculus::{Graph, Model, Parameters, Tensor};
use alice_networks::{Architecture, AutoencoderKL, ClipText, Network};
use alice_runs::TensorFile;
use std::path::PathBuf;

fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(case)
}

fn read(file: &TensorFile, name: &str) -> Tensor<f32> {
    let found = file.get(name).unwrap();
    let tensor = Tensor::new(&found.shape, found.data.clone()).unwrap();
    if found.shape.len() == 4 {
        return tensor.to_channels_last().unwrap();
    }
    tensor
}

/// ‖a − b‖ / ‖b‖
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let gap: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (gap / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

fn evaluate(
    graph: Graph,
    parameters: Parameters<f32>,
    inputs: &[(&str, &Tensor<f32>)],
    output: &str,
) -> Tensor<f32> {
    let output = graph.find_output(output).unwrap();
    let model = Model::new(graph, parameters).unwrap();
    model.evaluate(inputs, &[output]).unwrap().remove(0)
}

/// What is written is read back equal.
fn survives_writing<A: Architecture + PartialEq + std::fmt::Debug>(network: &Network<A>) {
    let folder = tempfile::tempdir().unwrap();
    network.save(folder.path()).unwrap();
    assert_eq!(&Network::<A>::open(folder.path()).unwrap(), network);
}

#[test]
fn autoencoders_agree_with_diffusers() {
    for case in ["vae", "vae_plain"] {
        let network = AutoencoderKL::open(fixture(case)).unwrap();
        let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
        for (input, output) in [("picture", "moments"), ("latent", "decoded")] {
            let graph = network.config.graph((5, 3)).unwrap();
            let fed = read(&file, input);
            let found = evaluate(graph, network.parameters.clone(), &[(input, &fed)], output);
            let error = relative(found.data(), read(&file, output).data());
            assert!(error < 1e-5, "{case} {output}: {error:.1e}");
        }
        survives_writing(&network);
    }
    let config = AutoencoderKL::open(fixture("vae_plain")).unwrap().config;
    assert_eq!(
        (config.scaling_factor, config.shift_factor),
        (0.3611, 0.1159)
    );
}

#[test]
fn text_encoders_agree_with_transformers() {
    for case in ["clip", "clip_projected"] {
        let network = ClipText::open(fixture(case)).unwrap();
        let file = TensorFile::read(fixture(case).join("io.safetensors")).unwrap();
        let tokens = read(&file, "tokens");
        let output = |name: &str| {
            let graph = network.config.graph().unwrap();
            evaluate(
                graph,
                network.parameters.clone(),
                &[("tokens", &tokens)],
                name,
            )
        };
        for name in ["hidden.0", "hidden.1", "hidden.2", "hidden.3", "last"] {
            let error = relative(output(name).data(), read(&file, name).data());
            assert!(error < 1e-5, "{case} {name}: {error:.1e}");
        }
        let projected = network.config.projection_dim.is_some();
        let states = output(if projected { "projected" } else { "last" });
        let channels = states.channels();
        let mut pooled = Vec::new();
        for (row, states) in tokens
            .data()
            .chunks(9)
            .zip(states.data().chunks(9 * channels))
        {
            let row: Vec<u32> = row.iter().map(|&token| token as u32).collect();
            let end = network.config.end_position(&row);
            pooled.extend_from_slice(&states[end * channels..][..channels]);
        }
        let error = relative(&pooled, read(&file, "pooled").data());
        assert!(error < 1e-5, "{case} pooled: {error:.1e}");
        survives_writing(&network);
    }
}
