//! Directions of H of a tiny model: principal components against the dense
//! eigenvectors of the covariance, singular vectors against the explicit
//! Jacobian in f64 and central differences.

use alice_calculus::{Interpreter, Linearization, Model, Tensor};
use alice_diffusion::{Ddim, Draws, Eta, initial_noise};
use alice_runs::{Recipe, RunFolder, TensorFile};
use alice_studies::hspace::{By, HspaceArguments, HspaceReport, run};
use alice_studies::sampling::run_steps;
use alice_studies::{DiffusionModel, ModelOptions, Silent};
use faer::{Mat, Side};
use std::path::Path;

const SEED: u64 = 5;
const STEPS: usize = 6;
const DIM: usize = 8 * 8 * 3;

fn model() -> DiffusionModel {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../networks/tests/fixtures/half"
    );
    DiffusionModel::open(Some(Path::new(folder)), &ModelOptions::default()).unwrap()
}

fn arguments(by: By, samples: usize, at: f64) -> HspaceArguments {
    HspaceArguments {
        by,
        samples: Some(samples),
        sample: 2,
        rank: 4,
        at,
        steps: STEPS,
        walks: 1,
        reach: 0.5,
        frames: 1,
        puppets: false,
    }
}

fn found(model: &DiffusionModel, arguments: &HspaceArguments) -> (HspaceReport, TensorFile) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let recipe = Recipe::new("hspace", arguments, SEED, None).unwrap();
    let mut folder = RunFolder::create(&path, false, recipe).unwrap();
    let report = run(arguments, model, SEED, &mut folder, &mut Silent).unwrap();
    (
        report,
        TensorFile::read(path.join("basis.safetensors")).unwrap(),
    )
}

fn sampler(model: &DiffusionModel) -> Ddim {
    Ddim::new(&model.schedule, STEPS, Eta::Constant(0.0)).unwrap()
}

/// The samples before a step, `[N, dim]`.
fn states(model: &DiffusionModel, count: usize, step: usize) -> Vec<f32> {
    let network = model.at((8, 8)).unwrap();
    let draws = Draws {
        seed: SEED,
        first_item: 2,
    };
    let noise = initial_noise(draws, count, DIM);
    let (mut denoiser, sampler) = (network.denoiser().unwrap(), sampler(model));
    run_steps(
        &mut denoiser,
        &sampler,
        draws,
        noise,
        count,
        0..step,
        &mut Silent,
    )
    .unwrap()
}

/// Variances and directions of the covariance of h, descending.
fn dense(model: &DiffusionModel, states: Vec<f32>, timestep: usize) -> (Vec<f64>, Mat<f64>) {
    let network = model.at((8, 8)).unwrap();
    let graph = network.graph();
    let count = states.len() / DIM;
    let sample = Tensor::new(&[count, 8, 8, 3], states).unwrap();
    let time = Tensor::new(&[1, 1], vec![timestep as f32]).unwrap();
    let inputs = [("sample", &sample), ("timestep", &time)];
    let outputs = [graph.find_output("bottleneck").unwrap()];
    let h = network.evaluate(&inputs, &outputs).unwrap();
    let h = h[0].to_channels_first().unwrap();
    let value = |i: usize, j: usize| f64::from(h.data()[i * h.item_len() + j]);
    let n = h.item_len();
    let means: Vec<f64> = (0..n)
        .map(|j| (0..count).map(|i| value(i, j)).sum::<f64>() / count as f64)
        .collect();
    let centred = Mat::from_fn(count, n, |i, j| value(i, j) - means[j]);
    let covariance = centred.transpose() * &centred * faer::Scale(1.0 / count as f64);
    let eigen = covariance.self_adjoint_eigen(Side::Lower).unwrap();
    let order: Vec<usize> = (0..n).rev().collect();
    let values = order.iter().map(|&k| eigen.S()[k]).collect();
    let vectors = Mat::from_fn(n, n, |i, k| eigen.U()[(i, order[k])]);
    (values, vectors)
}

fn cosine(row: &[f32], vectors: &Mat<f64>, k: usize) -> f64 {
    let dot = |f: &dyn Fn(usize) -> f64| (0..row.len()).map(f).sum::<f64>();
    let length = dot(&|i| f64::from(row[i]).powi(2)).sqrt();
    dot(&|i| f64::from(row[i]) * vectors[(i, k)]).abs() / length
}

#[test]
fn principal_components_are_those_of_the_dense_covariance() {
    let model = model();
    let (count, rank) = (7, 4);
    let (report, file) = found(&model, &arguments(By::Pca, count, 0.7));
    let grid = sampler(&model).timesteps().to_vec();
    let first = grid.iter().position(|&t| t == report.timestep).unwrap();
    assert!(first > 0 && report.steps == STEPS - first);
    let left = file.require("left", &[rank, report.dimension]).unwrap();
    let all = [report.steps, rank, report.dimension];
    let steps = &file.require("steps", &all).unwrap().data;
    let timesteps = &file.require("timesteps", &[report.steps]).unwrap().data;
    assert_eq!(left.data[..], steps[..left.data.len()]);
    for (s, set) in steps.chunks(left.data.len()).enumerate() {
        let timestep = grid[first + s];
        assert_eq!(timesteps[s], timestep as f32);
        let (variances, vectors) = dense(&model, states(&model, count, first + s), timestep);
        for (k, row) in set.chunks(report.dimension).enumerate() {
            let deviation = variances[k].sqrt();
            let length = row
                .iter()
                .map(|v| f64::from(*v).powi(2))
                .sum::<f64>()
                .sqrt();
            let found = length * report.singular_values[k];
            let error = (found - deviation).abs() / deviation;
            assert!(error < 1e-4, "step {s}, {k}: {found} {deviation}");
            let cosine = cosine(row, &vectors, k);
            assert!(cosine > 0.9999, "step {s}, {k}: cosine {cosine}");
        }
    }
    let (variances, _) = dense(&model, states(&model, count, first), report.timestep);
    let share = variances[..rank].iter().sum::<f64>() / variances.iter().sum::<f64>();
    assert!((report.explained.unwrap() - share).abs() < 1e-4);
}

#[test]
fn what_is_found_at_one_step_has_no_steadiness() {
    let (report, _) = found(&model(), &arguments(By::Pca, 7, 0.01));
    assert_eq!((report.steps, report.steadiness.len()), (1, 0));
    let (report, _) = found(&model(), &arguments(By::Pca, 7, 0.7));
    assert_eq!(report.steadiness.len(), 4);
}

/// ∂ε/∂h of each sample in f64, one below the other, divided by √N.
fn explicit(model: &DiffusionModel, states: &[f32], timestep: usize) -> Mat<f64> {
    let network = model.pixel_network().unwrap();
    let graph = network.graph((8, 8)).unwrap();
    let wide = Model::new(graph, network.parameters.clone())
        .unwrap()
        .cast::<f64>();
    let graph = wide.graph();
    let h = graph.find_output("bottleneck").unwrap();
    let output = graph.find_output("prediction").unwrap();
    let dims = graph.dims(h).to_vec();
    let n: usize = dims.iter().product();
    let count = states.len() / DIM;
    let alpha_bar = model
        .schedule
        .schedule()
        .unwrap()
        .alpha_bar(timestep)
        .unwrap();
    let factor = model.schedule.prediction_type.epsilon(alpha_bar, 0.0, 1.0);
    let mut jacobian = Mat::zeros(count * DIM, n);
    for (i, state) in states.chunks(DIM).enumerate() {
        let values = state.iter().map(|&v| f64::from(v)).collect();
        let sample = Tensor::new(&[1, 8, 8, 3], values).unwrap();
        let time = Tensor::new(&[1, 1], vec![timestep as f64]).unwrap();
        let inputs = [("sample", &sample), ("timestep", &time)];
        let linear = Linearization::new(&wide, &inputs, h, output).unwrap();
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|j| identity[j * n + j] = 1.0);
        let identity = Tensor::new(&[n, dims[2], dims[0], dims[1]], identity).unwrap();
        let pushed = linear
            .pushforward(&identity.to_channels_last().unwrap())
            .unwrap();
        for j in 0..n {
            for k in 0..DIM {
                jacobian[(i * DIM + k, j)] =
                    factor * pushed.data()[j * DIM + k] / (count as f64).sqrt();
            }
        }
    }
    jacobian
}

#[test]
fn singular_vectors_are_those_of_the_explicit_jacobian() {
    let model = model();
    for count in [1, 3] {
        let (report, file) = found(&model, &arguments(By::Jacobian, count, 0.7));
        assert!(file.get("steps").is_none() && report.steadiness.is_empty());
        let first = STEPS - report.steps;
        let jacobian = explicit(&model, &states(&model, count, first), report.timestep);
        let svd = jacobian.thin_svd().unwrap();
        let vectors = svd.V().to_owned();
        let left = file.require("left", &[4, report.dimension]).unwrap();
        for (k, row) in left.data.chunks(report.dimension).enumerate() {
            let (found, exact) = (report.singular_values[k], svd.S()[k]);
            let error = (found - exact).abs() / exact;
            assert!(error < 1e-4, "{count} samples, σ{k}: {found} {exact}");
            let cosine = cosine(row, &vectors, k);
            assert!(cosine > 0.999, "{count} samples, {k}: cosine {cosine}");
        }
    }
}

/// σ is what a small step along its direction changes in ε, the skip
/// connections held.
#[test]
fn singular_values_are_those_of_central_differences() {
    let model = model();
    let (report, file) = found(&model, &arguments(By::Jacobian, 1, 0.7));
    let network = model.pixel_network().unwrap();
    let graph = network.graph((8, 8)).unwrap();
    let wide = Model::new(graph, network.parameters.clone())
        .unwrap()
        .cast::<f64>();
    let graph = wide.graph();
    let h = graph.find_output("bottleneck").unwrap();
    let output = graph.find_output("prediction").unwrap();
    let dims = graph.dims(h);
    let state = states(&model, 1, STEPS - report.steps);
    let state = state.iter().map(|&v| f64::from(v)).collect();
    let sample = Tensor::new(&[1, 8, 8, 3], state).unwrap();
    let time = Tensor::new(&[1, 1], vec![report.timestep as f64]).unwrap();
    let inputs = [("sample", &sample), ("timestep", &time)];
    let alpha_bar = model.schedule.schedule().unwrap();
    let alpha_bar = alpha_bar.alpha_bar(report.timestep).unwrap();
    let factor = model.schedule.prediction_type.epsilon(alpha_bar, 0.0, 1.0);
    let left = file.require("left", &[4, report.dimension]).unwrap();
    for (k, row) in left.data.chunks(report.dimension).enumerate() {
        let step = 1e-4;
        let moved = |sign: f64| {
            let shift = row.iter().map(|&v| sign * step * f64::from(v)).collect();
            let shift = Tensor::new(&[1, dims[2], dims[0], dims[1]], shift).unwrap();
            let shift = shift.to_channels_last().unwrap();
            wide.evaluate_shifted(&inputs, &[(h, &shift)], &[output])
                .unwrap()
                .remove(0)
        };
        let (ahead, behind) = (moved(1.0), moved(-1.0));
        let both = ahead.data().iter().zip(behind.data());
        let squares: f64 = both.map(|(a, b)| ((a - b) / (2.0 * step)).powi(2)).sum();
        let (found, expected) = (report.singular_values[k], factor.abs() * squares.sqrt());
        assert!(
            (found - expected).abs() < 1e-4 * expected,
            "σ{k}: {found} {expected}"
        );
    }
}
