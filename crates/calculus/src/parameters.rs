//! The values of a graph's parameters.

use crate::{Graph, GraphError, Parameter, ParameterKind, ParameterSpec};
use alice_kernels::Real;
use alice_kernels::layout::permute_items;
use std::fmt::Debug;
use std::sync::Arc;

/// Where values lie that are not held in memory: a large network's matrices
/// are read when they are packed for the kernels, and are in memory once.
pub trait Source<T>: Debug + Send + Sync {
    /// The values in PyTorch's layout.
    ///
    /// # Errors
    /// When they cannot be read, in words for people.
    fn read(&self) -> Result<Vec<T>, String>;
}

/// Values of one parameter, in PyTorch's layout.
#[derive(Clone, Debug)]
pub enum Values<T> {
    /// In memory.
    Held(Vec<T>),
    /// To be read whenever they are needed.
    Later(Arc<dyn Source<T>>),
}

/// Values for every parameter of a graph, in the kernels' layout
/// ([`ParameterKind`] says which). Copies share them until one is changed.
#[derive(Clone, Debug)]
pub struct Parameters<T> {
    /// Empty where a source stands for them.
    values: Arc<Vec<Vec<T>>>,
    sources: Arc<Vec<Option<Arc<dyn Source<T>>>>>,
    count: usize,
}

/// Sources are equal when they are one and the same.
impl<T: PartialEq> PartialEq for Parameters<T> {
    fn eq(&self, other: &Self) -> bool {
        let mut sources = self.sources.iter().zip(other.sources.iter());
        let same = sources.all(|pair| match pair {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        });
        same && self.values == other.values
    }
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
        Self::held(values.collect())
    }

    fn held(values: Vec<Vec<T>>) -> Self {
        Self {
            sources: Arc::new(vec![None; values.len()]),
            count: values.iter().map(Vec::len).sum(),
            values: Arc::new(values),
        }
    }

    /// Values from files: `find` returns those of a name in PyTorch's layout.
    /// Those that come later must be matrices or kernels.
    ///
    /// # Errors
    /// What `find` returns, or a [`GraphError`] when the number of values does not fit.
    pub fn from_file_layout<E: From<GraphError>>(
        graph: &Graph,
        mut find: impl FnMut(&ParameterSpec) -> Result<Values<T>, E>,
    ) -> Result<Self, E> {
        let mut values = Vec::with_capacity(graph.parameters().len());
        let mut sources = Vec::with_capacity(graph.parameters().len());
        for spec in graph.parameters() {
            let found = match (find(spec)?, is_product(spec.kind)) {
                (Values::Later(source), true) => {
                    values.push(Vec::new());
                    sources.push(Some(source));
                    continue;
                }
                (Values::Later(source), false) => read(source.as_ref(), spec).map_err(E::from)?,
                (Values::Held(found), _) => found,
            };
            if found.len() != spec.kind.len() {
                return Err(E::from(GraphError::Input {
                    name: spec.name.clone(),
                    expected: format!("{:?}", spec.kind.file_dims()),
                    found: vec![found.len()],
                }));
            }
            values.push(spec.kind.to_kernel_layout(found));
            sources.push(None);
        }
        Ok(Self {
            values: Arc::new(values),
            sources: Arc::new(sources),
            count: graph.parameters().iter().map(|spec| spec.kind.len()).sum(),
        })
    }

    /// These values, then those of `other`: the parameters of a graph that
    /// holds both networks one after the other.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            values: Arc::new([&self.values[..], &other.values[..]].concat()),
            sources: Arc::new([&self.sources[..], &other.sources[..]].concat()),
            count: self.count + other.count,
        }
    }

    /// The values of a parameter in PyTorch's layout, as files hold them.
    ///
    /// # Errors
    /// When they lie elsewhere and cannot be read.
    pub fn to_file_layout(&self, index: usize, spec: &ParameterSpec) -> Result<Vec<T>, GraphError> {
        match &self.sources[index] {
            Some(source) => read(source.as_ref(), spec),
            None => Ok(spec.kind.to_file_layout(&self.values[index])),
        }
    }

    /// Whether a parameter's values lie elsewhere.
    pub(crate) fn is_later(&self, parameter: Parameter) -> bool {
        self.sources[parameter.0].is_some()
    }

    /// Changes the values of one parameter, in PyTorch's layout, reading them
    /// first if they lie elsewhere. They are held from then on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn change(
        &mut self,
        index: usize,
        spec: &ParameterSpec,
        change: impl FnOnce(&mut [T]),
    ) -> Result<(), GraphError> {
        let mut values = self.to_file_layout(index, spec)?;
        change(&mut values);
        Arc::make_mut(&mut self.values)[index] = spec.kind.to_kernel_layout(values);
        Arc::make_mut(&mut self.sources)[index] = None;
        Ok(())
    }

    /// The values of one parameter; none where they lie elsewhere.
    #[must_use]
    pub fn get(&self, parameter: Parameter) -> &[T] {
        &self.values[parameter.0]
    }

    /// All values, in the graph's order; none where they lie elsewhere.
    #[must_use]
    pub fn values(&self) -> &[Vec<T>] {
        &self.values
    }

    /// All values, in the graph's order, to change.
    pub fn values_mut(&mut self) -> &mut [Vec<T>] {
        Arc::make_mut(&mut self.values).as_mut_slice()
    }

    /// The number of values of all parameters, wherever they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The values that are held, in another precision.
    #[must_use]
    pub fn cast<U: Real>(&self) -> Parameters<U> {
        let cast = |v: &Vec<T>| v.iter().map(|x| U::from_f64(x.to_f64())).collect();
        Parameters::held(self.values.iter().map(cast).collect())
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
        let values = self.values.iter().zip(self.sources.iter());
        for (spec, (values, source)) in graph.parameters().iter().zip(values) {
            if source.is_none() && values.len() != spec.kind.len() {
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

/// Whether a parameter is only ever multiplied with, in the form kernels pack.
fn is_product(kind: ParameterKind) -> bool {
    matches!(
        kind,
        ParameterKind::Convolution { .. } | ParameterKind::Linear { .. }
    )
}

/// Values from elsewhere, as many as there must be.
fn read<T>(source: &dyn Source<T>, spec: &ParameterSpec) -> Result<Vec<T>, GraphError> {
    let refuse = |why: String| GraphError::Read {
        name: spec.name.clone(),
        why,
    };
    let values = source.read().map_err(refuse)?;
    if values.len() == spec.kind.len() {
        return Ok(values);
    }
    let why = format!("{} values instead of {}", values.len(), spec.kind.len());
    Err(refuse(why))
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
