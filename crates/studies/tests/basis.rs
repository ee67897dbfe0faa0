//! The directions of a small U-Net against the dense SVD of its explicit
//! Jacobian in f64, and the whole network's derivative against central
//! differences.

use alice_calculus::{Linearization, Model, Tensor};
use alice_networks::{BlockType, UNet2D, UNet2DConfig};
use alice_random::Stream;
use alice_studies::discover::{DiscoverArguments, Space, find_basis};
use faer::Mat;

fn network() -> UNet2D {
    let config = UNet2DConfig {
        sample_size: Some((12, 12)),
        block_out_channels: vec![8, 16],
        layers_per_block: 1,
        down_block_types: vec![BlockType::Plain, BlockType::Attention],
        up_block_types: vec![BlockType::Attention, BlockType::Plain],
        norm_num_groups: 4,
        ..UNet2DConfig::default()
    };
    UNet2D::random(config, 3).unwrap()
}

struct Setting {
    model: Model<f32>,
    sample: Tensor<f32>,
    timestep: Tensor<f32>,
}

fn setting() -> Setting {
    let network = network();
    let graph = network.graph((12, 12)).unwrap();
    let noise = Stream::new(1, "point", 0, 0).normals(12 * 12 * 3);
    Setting {
        model: Model::new(graph, network.parameters).unwrap(),
        sample: Tensor::new(&[1, 12, 12, 3], noise).unwrap(),
        timestep: Tensor::new(&[1, 1], vec![600.0]).unwrap(),
    }
}

/// Rows J eᵢ of the Jacobian in f64, in PyTorch's order on both sides.
fn dense_jacobian(setting: &Setting, pooled: bool) -> Mat<f64> {
    let model = setting.model.cast::<f64>();
    let (sample, timestep) = (setting.sample.cast(), setting.timestep.cast());
    let graph = model.graph();
    let x = graph.find_input("sample").unwrap();
    let h = graph.find_output("bottleneck").unwrap();
    let inputs = [("sample", &sample), ("timestep", &timestep)];
    let linear = Linearization::new(&model, &inputs, x, h).unwrap();
    let n = 12 * 12 * 3;
    let mut identity = vec![0.0; n * n];
    (0..n).for_each(|i| identity[i * n + i] = 1.0);
    let identity = Tensor::new(&[n, 3, 12, 12], identity).unwrap();
    let pushed = linear
        .pushforward(&identity.to_channels_last().unwrap())
        .unwrap();
    let rows = pushed.to_channels_first().unwrap();
    let (channels, positions) = (rows.dims()[1], rows.dims()[2] * rows.dims()[3]);
    let outputs = if pooled {
        channels
    } else {
        channels * positions
    };
    Mat::from_fn(outputs, n, |output, input| {
        let row = &rows.data()[input * channels * positions..][..channels * positions];
        if pooled {
            row[output * positions..(output + 1) * positions]
                .iter()
                .sum()
        } else {
            row[output]
        }
    })
}

fn check(space: Space, rank: usize) {
    let setting = setting();
    let inputs = [("sample", &setting.sample), ("timestep", &setting.timestep)];
    let arguments = DiscoverArguments {
        rank,
        space,
        ..DiscoverArguments::default()
    };
    let basis = find_basis(&setting.model, &inputs, &arguments, 0).unwrap();
    let jacobian = dense_jacobian(&setting, space == Space::Pooled);
    let svd = jacobian.thin_svd().unwrap();
    let found = &basis.spectrum;
    for (i, &sigma) in found.singular_values.iter().enumerate() {
        let exact = svd.S().column_vector()[i];
        assert!(
            (sigma - exact).abs() <= 1e-4 * exact,
            "σ{i}: {sigma} {exact}"
        );
    }
    for (name, block, exact) in [
        ("right", &found.right, svd.V()),
        ("left", &found.left, svd.U()),
    ] {
        let vectors = Mat::from_fn(rank, block.dimension(), |i, j| f64::from(block.row(i)[j]));
        let gram = &vectors * vectors.transpose();
        for i in 0..rank {
            for j in 0..rank {
                let expected = f64::from(u8::from(i == j));
                assert!((gram[(i, j)] - expected).abs() <= 1e-5, "{name} {i} {j}");
            }
        }
        let cosines = &vectors * exact.subcols(0, rank);
        let smallest = cosines
            .singular_values()
            .unwrap()
            .into_iter()
            .fold(1.0, f64::min);
        assert!(
            smallest >= 0.999,
            "{name}: smallest principal cosine {smallest}"
        );
    }
}

#[test]
fn fifty_directions_are_those_of_the_dense_svd() {
    check(Space::Full, 50);
}

#[test]
fn pooled_directions_are_those_of_the_dense_svd() {
    check(Space::Pooled, 16);
}

#[test]
fn a_rank_above_the_dimension_is_an_error() {
    let setting = setting();
    let inputs = [("sample", &setting.sample), ("timestep", &setting.timestep)];
    for (space, rank) in [(Space::Pooled, 17), (Space::Full, 433), (Space::Full, 0)] {
        let arguments = DiscoverArguments {
            rank,
            space,
            ..DiscoverArguments::default()
        };
        let error = find_basis(&setting.model, &inputs, &arguments, 0).unwrap_err();
        assert!(error.to_string().contains("--rank"), "{error}");
    }
}

#[test]
fn a_memory_bound_changes_the_chunks_and_not_the_result() {
    let setting = setting();
    let inputs = [("sample", &setting.sample), ("timestep", &setting.timestep)];
    let graph = setting.model.graph();
    let x = graph.find_input("sample").unwrap();
    let h = graph.find_output("bottleneck").unwrap();
    let linear = Linearization::new(&setting.model, &inputs, x, h).unwrap();
    let free = linear.vectors_at_once();
    let per_vector = linear.memory().per_vector;
    assert_eq!(linear.clone().within(usize::MAX).vectors_at_once(), free);
    for vectors in [1, 2, 3] {
        let bounded = linear.clone().within(vectors * per_vector);
        assert!(bounded.vectors_at_once() <= vectors);
    }

    let within = |memory| {
        let arguments = DiscoverArguments {
            rank: 10,
            memory,
            ..DiscoverArguments::default()
        };
        find_basis(&setting.model, &inputs, &arguments, 0)
    };
    let unbounded = within(None).unwrap().spectrum;
    let least = (1..).find(|&mebibytes| within(Some(mebibytes)).is_ok());
    let bounded = within(least).unwrap().spectrum;
    assert_eq!(unbounded.right.as_slice(), bounded.right.as_slice());
    assert_eq!(unbounded.left.as_slice(), bounded.left.as_slice());
    let error = within(Some(0)).unwrap_err().to_string();
    assert!(
        error.contains("--memory") && error.contains("MiB"),
        "{error}"
    );
}

/// The whole network, to its prediction and to its bottleneck.
#[test]
fn the_networks_derivative_is_that_of_central_differences() {
    let setting = setting();
    let model = setting.model.cast::<f64>();
    let (sample, timestep) = (setting.sample.cast::<f64>(), setting.timestep.cast());
    let graph = model.graph();
    let x = graph.find_input("sample").unwrap();
    let v: Vec<f64> = Stream::new(2, "tangent", 0, 0).normals(sample.data().len());
    let v = Tensor::new(sample.dims(), v).unwrap();
    let step = 1e-4;
    let moved = |sign: f64| {
        let values = sample
            .data()
            .iter()
            .zip(v.data())
            .map(|(x, v)| x + sign * step * v);
        Tensor::new(sample.dims(), values.collect()).unwrap()
    };
    for output in ["prediction", "bottleneck"] {
        let to = graph.find_output(output).unwrap();
        let inputs = [("sample", &sample), ("timestep", &timestep)];
        let linear = Linearization::new(&model, &inputs, x, to).unwrap();
        let pushed = linear.pushforward(&v).unwrap();
        let value = |x: &Tensor<f64>| {
            let inputs = [("sample", x), ("timestep", &timestep)];
            model.evaluate(&inputs, &[to]).unwrap().pop().unwrap()
        };
        let (ahead, behind) = (value(&moved(1.0)), value(&moved(-1.0)));
        let mut error = 0.0;
        let mut size = 0.0;
        for ((p, a), b) in pushed.data().iter().zip(ahead.data()).zip(behind.data()) {
            let slope = (a - b) / (2.0 * step);
            error += (p - slope).powi(2);
            size += slope.powi(2);
        }
        assert!(
            (error / size).sqrt() < 1e-6,
            "{output}: {}",
            (error / size).sqrt()
        );
    }
}
