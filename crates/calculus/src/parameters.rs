//! The values of a graph's parameters.

use crate::{Graph, GraphError, Parameter, ParameterKind, ParameterSpec};
use alice_kernels::Real;
use alice_kernels::layout::permute_items;
use std::sync::Arc;

/// Values for every parameter of a graph, in the kernels' layout
/// ([`ParameterKind`] says which).
///
/// Clones share the values until one of them is changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<T> {
    values: Arc<Vec<Vec<T>>>,
}

impl<T: Real> Parameters<T> {
    /// Zeros for every parameter of a graph.
    #[must_use]
    pub fn zeros(graph: &Graph) -> Self {
        Self::build(graph, |spec| vec![T::ZERO; spec.kind.len()])
    }

    /// Values made by `make` for every parameter, in the kernels' layout.
    ///
    /// # Panics
    /// When `make` returns a wrong number of values: a defect of the caller.
    #[must_use]
    pub fn build(graph: &Graph, mut make: impl FnMut(&ParameterSpec) -> Vec<T>) -> Self {
        let values = graph.parameters().iter().map(|spec| {
            let values = make(spec);
            assert_eq!(values.len(), spec.kind.len(), "{}", spec.name);
            values
        });
        Self {
            values: Arc::new(values.collect()),
        }
    }

    /// Values from files: `find` returns those of a name in PyTorch's layout.
    ///
    /// # Errors
    /// What `find` returns, or a [`GraphError`] when the number of values does not fit.
    pub fn from_file_layout<E: From<GraphError>>(
        graph: &Graph,
        mut find: impl FnMut(&ParameterSpec) -> Result<Vec<T>, E>,
    ) -> Result<Self, E> {
        let mut values = Vec::with_capacity(graph.parameters().len());
        for spec in graph.parameters() {
            let found = find(spec)?;
            if found.len() != spec.kind.len() {
                return Err(E::from(GraphError::Input {
                    name: spec.name.clone(),
                    expected: format!("{:?}", spec.kind.file_dims()),
                    found: vec![found.len()],
                }));
            }
            values.push(spec.kind.to_kernel_layout(found));
        }
        Ok(Self {
            values: Arc::new(values),
        })
    }

    /// The values of a parameter in PyTorch's layout, as files hold them.
    #[must_use]
    pub fn to_file_layout(&self, index: usize, spec: &ParameterSpec) -> Vec<T> {
        spec.kind.to_file_layout(&self.values[index])
    }

    /// The values of one parameter.
    #[must_use]
    pub fn get(&self, parameter: Parameter) -> &[T] {
        &self.values[parameter.0]
    }

    /// All values, in the graph's order.
    #[must_use]
    pub fn values(&self) -> &[Vec<T>] {
        &self.values
    }

    /// All values, in the graph's order, to change.
    pub fn values_mut(&mut self) -> &mut [Vec<T>] {
        Arc::make_mut(&mut self.values).as_mut_slice()
    }

    /// The number of values of all parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.iter().map(Vec::len).sum()
    }

    /// The same values in another precision.
    #[must_use]
    pub fn cast<U: Real>(&self) -> Parameters<U> {
        let cast = |v: &Vec<T>| v.iter().map(|x| U::from_f64(x.to_f64())).collect();
        Parameters {
            values: Arc::new(self.values.iter().map(cast).collect()),
        }
    }

    /// Whether these are values for the parameters of `graph`.
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), GraphError> {
        if self.values.len() != graph.parameters().len() {
            return Err(GraphError::Length {
                dims: vec![graph.parameters().len()],
                expected: graph.parameters().len(),
                found: self.values.len(),
            });
        }
        for (spec, values) in graph.parameters().iter().zip(self.values.iter()) {
            if values.len() != spec.kind.len() {
                return Err(GraphError::Input {
                    name: spec.name.clone(),
                    expected: format!("{:?}", spec.kind.file_dims()),
                    found: vec![values.len()],
                });
            }
        }
        Ok(())
    }
}

impl ParameterKind {
    /// Values in PyTorch's layout ([`ParameterKind::file_dims`]) in the kernels'.
    ///
    /// # Panics
    /// When there are not [`ParameterKind::len`] values: a defect of the caller.
    #[must_use]
    pub fn to_kernel_layout<T: Real>(self, values: Vec<T>) -> Vec<T> {
        match self {
            // [O, I·K·K] → [I·K·K, O] → [K·K, I, O]
            Self::Convolution {
                kernel,
                input,
                output,
            } => {
                let taps = kernel * kernel;
                let by_input = permute_items(&values, 1, output, input * taps);
                swap_blocks(&by_input, input, taps, output)
            }
            Self::Linear { input, output } => permute_items(&values, 1, output, input),
            _ => values,
        }
    }

    /// Values in the kernels' layout in PyTorch's.
    ///
    /// # Panics
    /// As [`ParameterKind::to_kernel_layout`].
    #[must_use]
    pub fn to_file_layout<T: Real>(self, values: &[T]) -> Vec<T> {
        match self {
            Self::Convolution {
                kernel,
                input,
                output,
            } => {
                let by_input = swap_blocks(values, kernel * kernel, input, output);
                permute_items(&by_input, 1, input * kernel * kernel, output)
            }
            Self::Linear { input, output } => permute_items(values, 1, input, output),
            _ => values.to_vec(),
        }
    }
}

/// `[a, b, len]` → `[b, a, len]`.
fn swap_blocks<T: Real>(values: &[T], a: usize, b: usize, len: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    for j in 0..b {
        for i in 0..a {
            out.extend_from_slice(&values[(i * b + j) * len..][..len]);
        }
    }
    out
}
