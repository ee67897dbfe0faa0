//! What a run is fed: inputs of one batch, checked.

use crate::arrays::Array;
use crate::recorder::Recorder;
use alice_calculus::{Graph, GraphError, Tensor, Value};
use std::ops::Range;

/// Values of the inputs of a graph, all of one batch or of a batch of one.
pub(crate) struct Feed<'a> {
    /// By node.
    values: Vec<Option<&'a Tensor<f32>>>,
    batch: usize,
}

impl<'a> Feed<'a> {
    /// The named inputs, and the bound ones that are left out.
    pub(crate) fn new(
        graph: &Graph,
        inputs: &[(&str, &'a Tensor<f32>)],
        bound: &'a [(String, Tensor<f32>)],
        needed: &[bool],
    ) -> Result<Self, GraphError> {
        let mut values = vec![None; graph.nodes().len()];
        let left_out = |(name, _): &&(String, Tensor<f32>)| !inputs.iter().any(|(n, _)| n == name);
        let bound = bound.iter().filter(left_out);
        let bound = bound.map(|(name, value)| (name.as_str(), value));
        let mut batch = 1;
        for (name, tensor) in inputs.iter().copied().chain(bound) {
            let value = graph.find_input(name)?;
            let dims = graph.dims(value);
            let fits = batch == 1 || tensor.batch() == batch || tensor.batch() == 1;
            if tensor.dims().get(1..) != Some(dims) || tensor.batch() == 0 || !fits {
                let most = if fits {
                    "N".to_owned()
                } else {
                    batch.to_string()
                };
                return Err(wrong(name, &format!("[{most}, {}]", join(dims)), tensor));
            }
            batch = batch.max(tensor.batch());
            values[value.index()] = Some(tensor);
        }
        for (name, value) in graph.inputs() {
            if needed[value.index()] && values[value.index()].is_none() {
                return Err(GraphError::Missing {
                    name: name.to_owned(),
                });
            }
        }
        for (index, value) in values.iter_mut().enumerate() {
            if !needed[index] {
                *value = None;
            }
        }
        Ok(Self { values, batch })
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// The values of some items on the device, by node; one item of another
    /// batch is repeated.
    pub(crate) fn upload(
        &self,
        recorder: &mut Recorder<'_>,
        items: Range<usize>,
    ) -> Result<Vec<Option<Array>>, GraphError> {
        let mut arrays = vec![None; self.values.len()];
        for (array, value) in arrays.iter_mut().zip(&self.values) {
            if let Some(tensor) = value {
                *array = Some(if tensor.batch() == self.batch {
                    recorder.upload(part(tensor, &items))?
                } else {
                    recorder.upload(&tensor.data().repeat(items.len()))?
                });
            }
        }
        Ok(arrays)
    }
}

/// The values of some items.
pub(crate) fn part<'a>(tensor: &'a Tensor<f32>, items: &Range<usize>) -> &'a [f32] {
    let len = tensor.item_len();
    &tensor.data()[items.start * len..items.end * len]
}

/// Refuses a value for an input that does not fit it.
pub(crate) fn check_bound(
    graph: &Graph,
    name: &str,
    value: &Tensor<f32>,
) -> Result<(), GraphError> {
    let dims = graph.dims(graph.find_input(name)?);
    if value.dims().get(1..) == Some(dims) && value.batch() == 1 {
        return Ok(());
    }
    Err(wrong(name, &format!("[1, {}]", join(dims)), value))
}

/// Refuses shifts that do not fit their values.
pub(crate) fn check_shifts(
    graph: &Graph,
    shifts: &[(Value, &Tensor<f32>)],
    batch: usize,
) -> Result<(), GraphError> {
    for (value, shift) in shifts {
        let dims = graph.dims(*value);
        if shift.batch() != batch || shift.dims().get(1..) != Some(dims) {
            let name = format!("a shift of {}", graph.nodes()[value.index()].name);
            return Err(wrong(&name, &format!("{batch} items of {dims:?}"), shift));
        }
    }
    Ok(())
}

fn wrong(name: &str, expected: &str, found: &Tensor<f32>) -> GraphError {
    GraphError::Input {
        name: name.to_owned(),
        expected: expected.to_owned(),
        found: found.dims().to_vec(),
    }
}

fn join(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
    dims.join(", ")
}
