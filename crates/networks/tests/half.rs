//! Weights in half precision: those of a file of f16, in a quarter of the
//! memory that held and packed ones take.

use alice_calculus::{Graph, Model, Parameters, Tensor};
use alice_networks::{
    Architecture, BlockType, ClipTextConfig, ModelLocation, Network, Precision, UNet2DCondition,
    UNet2DConfig,
};
use alice_runs::TensorFile;
use half::f16;
use peak_alloc::PeakAlloc;
use std::path::{Path, PathBuf};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Writes a network of random weights, and the same with every weight rounded,
/// in files of f32.
fn write<A: Architecture>(config: A, full: &Path, rounded: &Path) {
    let network = Network::random(config, 3).unwrap();
    network.save(full).unwrap();
    network.save(rounded).unwrap();
    let path = rounded.join(A::WEIGHTS);
    let mut file = TensorFile::read(&path).unwrap();
    for value in file.tensors.values_mut().flat_map(|t| &mut t.data) {
        *value = f16::from_f32(*value).to_f32();
    }
    file.write(&path).unwrap();
}

/// A network's graph and weights.
fn open<A: Architecture>(
    folder: &Path,
    precision: Precision,
    graph: impl Fn(&A) -> Graph,
) -> (Graph, Parameters<f32>) {
    let location = ModelLocation::find(folder).unwrap();
    let network: Network<A> = location.network_in(A::FOLDER, precision).unwrap();
    (graph(&network.config), network.parameters)
}

/// An output, and the bytes that the model holds after it was evaluated.
fn run(
    (graph, parameters): (Graph, Parameters<f32>),
    inputs: &[(&str, &Tensor<f32>)],
    output: &str,
) -> (Tensor<f32>, usize) {
    let before = MEMORY.current_usage();
    let model = Model::new(graph, parameters).unwrap();
    let output = model.graph().find_output(output).unwrap();
    let value = model.evaluate(inputs, &[output]).unwrap().remove(0);
    (value, MEMORY.current_usage().saturating_sub(before))
}

/// One test, so that no other thread's memory is counted.
#[test]
fn half_precision_is_that_of_an_f16_file_in_a_quarter_of_the_memory() {
    let home = tempfile::tempdir().unwrap();
    let (full, rounded) = (home.path().join("full"), home.path().join("rounded"));

    // Wide convolutions, of which some are transformed, and strided ones.
    let config = UNet2DConfig {
        sample_size: Some((16, 16)),
        block_out_channels: vec![64, 128],
        down_block_types: vec![BlockType::Plain; 2],
        up_block_types: vec![BlockType::Plain; 2],
        ..UNet2DConfig::default()
    };
    write(config, &full, &rounded);
    let graph = |config: &UNet2DConfig| alice_networks::build_unet2d(config, (16, 16)).unwrap();
    let noise = (0..3 * 256).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0);
    let sample = Tensor::new(&[1, 16, 16, 3], noise.collect()).unwrap();
    let timestep = Tensor::new(&[1, 1], vec![500.0]).unwrap();
    let inputs = [("sample", &sample), ("timestep", &timestep)];
    let predict =
        |folder: &Path, precision| run(open(folder, precision, graph), &inputs, "prediction").0;
    let half = predict(&full, Precision::Half);
    assert_eq!(half, predict(&rounded, Precision::Stored));
    assert_eq!(half, predict(&rounded, Precision::Half));
    assert_ne!(half, predict(&full, Precision::Stored));

    // What is in half precision stays: small numbers of bfloat16 are none of
    // binary16.
    let bf16 = ModelLocation::find(fixture("bf16")).unwrap();
    let read = |precision| -> UNet2DCondition { bf16.network_in("unet", precision).unwrap() };
    let (half, stored) = (read(Precision::Half), read(Precision::Stored));
    assert_eq!(half, stored);
    let coarse = |value: &f32| value.to_bits() & 0xffff == 0;
    assert!(stored.parameters.values().iter().flatten().all(coarse));

    let config = ClipTextConfig {
        vocab_size: 64,
        hidden_size: 256,
        intermediate_size: 1024,
        num_hidden_layers: 4,
        eos_token_id: 63,
        ..ClipTextConfig::default()
    };
    write(config, &full, &rounded);
    let graph = |config: &ClipTextConfig| config.graph().unwrap();
    let tokens = (0..77).map(|i| (i % 64) as f32).collect();
    let tokens = Tensor::new(&[1, 77], tokens).unwrap();
    let read = |folder: &Path, precision| {
        let before = MEMORY.current_usage();
        let network = open(folder, precision, graph);
        let held = MEMORY.current_usage().saturating_sub(before);
        let (last, packed) = run(network, &[("tokens", &tokens)], "last");
        (last, held + packed)
    };
    // The pools of arrays fill up first.
    read(&full, Precision::Stored);
    let (stored, whole) = read(&full, Precision::Stored);
    let (half, less) = read(&full, Precision::Half);
    assert_eq!(half, read(&rounded, Precision::Stored).0);
    assert_ne!(half, stored);
    // A sixteenth is what is not packed, and what the run left in pools.
    assert!(10 * less < 4 * whole, "{less} of {whole} bytes");
}
