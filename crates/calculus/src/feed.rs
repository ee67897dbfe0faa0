//! What a run is fed: inputs of one batch, checked.

use crate::graph::{Graph, Value};
use crate::{GraphError, Tensor};
use alice_kernels::Real;

/// Values of the inputs of a graph.
#[derive(Clone, Debug)]
pub struct Feed<'a, T> {
    /// By node; all of the batch, or of a batch of one.
    pub values: Vec<Option<&'a Tensor<T>>>,
    /// Items.
    pub batch: usize,
}

/// Inputs that are given once for all, a batch of one each.
#[derive(Clone, Debug)]
pub struct Bound<T>(Vec<(String, Tensor<T>)>);

impl<T> Default for Bound<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Real> Bound<T> {
    /// From now on gives the input `name` of `graph` this value.
    ///
    /// # Errors
    /// When there is no such input, or it has another shape.
    pub fn set(&mut self, graph: &Graph, name: &str, value: Tensor<T>) -> Result<(), GraphError> {
        let dims = graph.dims(graph.find_input(name)?);
        if value.dims().get(1..) != Some(dims) || value.batch() != 1 {
            return Err(GraphError::Input {
                name: name.to_owned(),
                expected: format!("[1, {}]", join(dims)),
                found: value.dims().to_vec(),
            });
        }
        self.0.retain(|(bound, _)| bound != name);
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// The named inputs of `graph`, and these where they are left out.
    ///
    /// # Errors
    /// When an input is unknown, of another shape or another batch, or one of
    /// the `needed` nodes is missing.
    pub fn feed<'a>(
        &'a self,
        graph: &Graph,
        inputs: &[(&str, &'a Tensor<T>)],
        needed: &[bool],
    ) -> Result<Feed<'a, T>, GraphError> {
        let mut values = vec![None; graph.nodes.len()];
        let mut batch = 1;
        let left_out = |(name, _): &&(String, Tensor<T>)| !inputs.iter().any(|(n, _)| n == name);
        let bound = self.0.iter().filter(left_out);
        let bound = bound.map(|(name, value)| (name.as_str(), value));
        for (name, tensor) in inputs.iter().copied().chain(bound) {
            let value = graph.find_input(name)?;
            let dims = graph.dims(value);
            let batch_fits = batch == 1 || tensor.batch() == batch || tensor.batch() == 1;
            if tensor.dims().get(1..) != Some(dims) || tensor.batch() == 0 || !batch_fits {
                return Err(GraphError::Input {
                    name: name.to_owned(),
                    expected: if batch_fits {
                        format!("[N, {}]", join(dims))
                    } else {
                        format!("[{batch}, {}] or [1, {}]", join(dims), join(dims))
                    },
                    found: tensor.dims().to_vec(),
                });
            }
            batch = batch.max(tensor.batch());
            values[value.0] = Some(tensor);
        }
        for (name, Value(index)) in graph.inputs() {
            if needed[index] && values[index].is_none() {
                return Err(GraphError::Missing {
                    name: name.to_owned(),
                });
            }
        }
        Ok(Feed { values, batch })
    }

    /// The same in another precision.
    pub(crate) fn cast<U: Real>(&self) -> Bound<U> {
        let cast = |(name, value): &(String, Tensor<T>)| (name.clone(), value.cast());
        Bound(self.0.iter().map(cast).collect())
    }
}

impl Graph {
    /// Refuses arrays to add to values that do not fit them.
    ///
    /// # Errors
    /// Names the value that a shift does not fit.
    pub fn check_shifts<T: Real>(
        &self,
        shifts: &[(Value, &Tensor<T>)],
        batch: usize,
    ) -> Result<(), GraphError> {
        for (value, shift) in shifts {
            let dims = self.dims(*value);
            if shift.batch() != batch || shift.dims().get(1..) != Some(dims) {
                return Err(GraphError::Input {
                    name: format!("a shift of {}", self.nodes[value.0].name),
                    expected: format!("{batch} items of {dims:?}"),
                    found: shift.dims().to_vec(),
                });
            }
        }
        Ok(())
    }
}

fn join(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
    dims.join(", ")
}
