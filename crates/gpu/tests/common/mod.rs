//! The device under test, and how results are compared.
#![allow(dead_code, reason = "each test uses a part")]

use alice_calculus::{Cpu, Device, Graph, GraphError, Interpreter, Parameters, Tensor, Value};
use alice_gpu::Gpu;
use alice_random::Stream;
use std::sync::Arc;

/// Relative error between the device and the processor.
pub const TOLERANCE: f64 = 1e-5;

/// The graphics card, or `None`, which is told, where there is none. With
/// `ALICE_REQUIRE_GPU=1` that is a failure.
pub fn gpu() -> Option<Gpu> {
    match Gpu::open() {
        Ok(gpu) => Some(gpu),
        Err(error) if std::env::var_os("ALICE_REQUIRE_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A graph on the processor and on the card.
pub fn both(gpu: &Gpu, graph: Graph, parameters: &Parameters<f32>) -> [Box<dyn Interpreter>; 2] {
    let graph = Arc::new(graph);
    [
        Cpu.load(graph.clone(), parameters).unwrap(),
        gpu.load(graph, parameters).unwrap(),
    ]
}

pub fn random(seed: u64, dims: &[usize]) -> Tensor<f32> {
    let values = Stream::new(seed, "gpu", 0, 0).normals(dims.iter().product());
    Tensor::new(dims, values).unwrap()
}

/// Parameters that are neither zeros nor ones.
pub fn randomised(graph: &Graph) -> Parameters<f32> {
    let mut index = 0;
    Parameters::build(graph, |spec| {
        index += 1;
        let scale = 1.0 / (spec.kind.len() as f32).powf(0.25);
        let values: Vec<f32> = Stream::new(index, "parameters", 0, 0).normals(spec.kind.len());
        values.iter().map(|v| v * scale).collect()
    })
}

/// ‖a − b‖ / ‖b‖
pub fn distance(a: &Tensor<f32>, b: &Tensor<f32>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let pairs = a.data().iter().zip(b.data());
    let gap: f64 = pairs.map(|(a, b)| square(a - b)).sum();
    (gap / b.data().iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

pub fn dot(a: &Tensor<f32>, b: &Tensor<f32>) -> f64 {
    let pairs = a.data().iter().zip(b.data());
    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The value and both linear maps of `to` in `from`, at a point of two items
/// and three vectors each, on both devices; and the adjoint identity.
pub fn check_derivative(
    name: &str,
    [cpu, gpu]: &[Box<dyn Interpreter>; 2],
    inputs: &[(&str, &Tensor<f32>)],
    (from, to): (Value, Value),
    batch: usize,
    vectors: usize,
) -> Result<(), GraphError> {
    let graph = cpu.graph().clone();
    let with_batch = |value: Value| [&[batch * vectors], graph.dims(value)].concat();
    let [one, other] = [cpu, gpu].map(|on| on.linearize(inputs, from, to));
    let (one, other) = (one?, other?);
    let close = |what: &str, found: &Tensor<f32>, expected: &Tensor<f32>| {
        let error = distance(found, expected);
        assert!(error < TOLERANCE, "{name}: {what} {error:.1e}");
    };
    close("the point", other.value(), one.value());
    let tangents = random(2, &with_batch(from));
    let cotangents = random(3, &with_batch(to));
    let pushed = other.pushforward(&tangents)?;
    close("pushforward", &pushed, &one.pushforward(&tangents)?);
    let pulled = other.pullback(&cotangents)?;
    close("pullback", &pulled, &one.pullback(&cotangents)?);
    let scale = (dot(&pushed, &pushed) * dot(&cotangents, &cotangents)).sqrt();
    let gap = (dot(&pushed, &cotangents) - dot(&tangents, &pulled)).abs() / scale;
    assert!(gap < TOLERANCE, "{name}: adjoint {gap:.1e}");
    Ok(())
}
