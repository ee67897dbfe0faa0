//! Random values to train from.

use alice_calculus::{Graph, GraphError, ParameterKind, ParameterSpec, Parameters, Values};
use alice_random::Stream;
use std::collections::HashMap;

/// The values with which PyTorch's layers start: weights and biases of
/// convolutions and linear maps uniform in ±1/√(inputs of an output), norms
/// the identity, tables standard normal.
///
/// The parameter at position `i` draws from the stream (`seed`, "initial
/// weights", `i`, 0), in the order in which files hold its values.
///
/// # Errors
/// None for graphs of this crate; those of [`Parameters::from_file_layout`].
pub fn initialise(graph: &Graph, seed: u64) -> Result<Parameters<f32>, GraphError> {
    let bounds = bounds(graph.parameters());
    let mut index = 0;
    Parameters::from_file_layout(graph, |spec| {
        let mut stream = Stream::new(seed, "initial weights", index, 0);
        index += 1;
        let count = spec.kind.len();
        let values = match (spec.kind, bounds.get(layer(&spec.name))) {
            (ParameterKind::Gain { .. }, _) => vec![1.0; count],
            (ParameterKind::Table { .. }, _) => stream.normals(count),
            (_, Some(&bound)) => (0..count)
                .map(|_| stream.range(-bound, bound) as f32)
                .collect(),
            (_, None) => vec![0.0; count],
        };
        Ok(Values::Held(values))
    })
}

/// 1/√(inputs of an output) of every layer with a matrix.
fn bounds(specs: &[ParameterSpec]) -> HashMap<&str, f64> {
    let inputs = |kind| match kind {
        ParameterKind::Convolution { kernel, input, .. } => Some(kernel * kernel * input),
        ParameterKind::Linear { input, .. } => Some(input),
        _ => None,
    };
    let bound = |spec: &ParameterSpec| inputs(spec.kind).map(|count| 1.0 / (count as f64).sqrt());
    specs
        .iter()
        .filter_map(|spec| Some((layer(&spec.name), bound(spec)?)))
        .collect()
}

/// The layer that a parameter belongs to.
fn layer(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}
