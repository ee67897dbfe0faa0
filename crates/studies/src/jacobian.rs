//! The Jacobian of the bottleneck as a linear map between flat spaces.

use alice_calculus::{Derivative, Interpreter, Tensor, Value};
use alice_geometry::{Block, GeometryError, GolubKahan, LinearMap};
use alice_kernels::layout::permute_items;

/// The derivative of one value of a network in another at a point.
///
/// Vectors are the values of one item in PyTorch's order, C·H·W.
#[derive(Debug)]
pub struct Jacobian<'a> {
    linear: Box<dyn Derivative + 'a>,
    from: Vec<usize>,
    to: Vec<usize>,
}

impl<'a> Jacobian<'a> {
    /// Linearises `to` in `from` at one point: every input has a batch of one.
    ///
    /// # Errors
    /// Those of [`Interpreter::linearize`].
    pub fn new(
        model: &'a dyn Interpreter,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Self, alice_calculus::GraphError> {
        Ok(Self {
            linear: model.linearize(inputs, from, to)?,
            from: model.graph().dims(from).to_vec(),
            to: model.graph().dims(to).to_vec(),
        })
    }

    /// Products that keep the memory of a decomposition by `method` within
    /// `bytes`, what the point keeps included, and the results as they are.
    ///
    /// # Errors
    /// When the point, the bases and a single vector need more.
    pub fn within(mut self, bytes: usize, method: &GolubKahan) -> Result<Self, crate::StudyError> {
        let memory = self.linear.memory();
        let fixed = memory.kept + method.memory(self.domain(), self.codomain());
        let least = fixed + memory.per_vector;
        if bytes < least {
            let why = format!(
                "this point needs at least {} MiB: {} MiB are kept for the derivative, the rest is for the directions",
                least.div_ceil(1 << 20),
                memory.kept.div_ceil(1 << 20)
            );
            return Err(crate::StudyError::argument("--memory", why));
        }
        self.linear.set_memory(bytes - fixed);
        Ok(self)
    }

    /// The value of `to` at the point, in PyTorch's order.
    #[must_use]
    pub fn value(&self) -> Vec<f32> {
        flatten(self.linear.value())
    }
}

/// The values of each item in PyTorch's order.
pub(crate) fn flatten(tensor: &Tensor<f32>) -> Vec<f32> {
    match tensor.to_channels_first() {
        Ok(first) => first.into_data(),
        Err(_) => tensor.data().to_vec(),
    }
}

/// A block of vectors in PyTorch's order as a channels-last tensor.
pub(crate) fn unflatten(block: &Block, dims: &[usize]) -> Result<Tensor<f32>, GeometryError> {
    let rows = block.rows();
    let data = block.as_slice().to_vec();
    let tensor = match *dims {
        [h, w, c] => Tensor::new(&[rows, c, h, w], data).and_then(|t| t.to_channels_last()),
        _ => Tensor::new(&[&[rows], dims].concat(), data),
    };
    tensor.map_err(GeometryError::map)
}

impl LinearMap for Jacobian<'_> {
    fn domain(&self) -> usize {
        self.from.iter().product()
    }

    fn codomain(&self) -> usize {
        self.to.iter().product()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        let tangents = unflatten(tangents, &self.from)?;
        let pushed = self
            .linear
            .pushforward(&tangents)
            .map_err(GeometryError::map)?;
        Block::from_vec(pushed.batch(), self.codomain(), flatten(&pushed))
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        let cotangents = unflatten(cotangents, &self.to)?;
        let pulled = self
            .linear
            .pullback(&cotangents)
            .map_err(GeometryError::map)?;
        Block::from_vec(pulled.batch(), self.domain(), flatten(&pulled))
    }
}

/// Vectors of the network's layout as PyTorch's, `[k, H·W·C]` → `[k, C·H·W]`.
pub(crate) fn to_file_layout(
    vectors: &Block,
    channels: usize,
    positions: usize,
) -> Result<Block, GeometryError> {
    let values = permute_items(vectors.as_slice(), vectors.rows(), positions, channels);
    Block::from_vec(vectors.rows(), vectors.dimension(), values)
}

/// The first `count` directions, `[k, C·H·W]` → `[count, H·W·C]`.
pub(crate) fn to_network_layout(
    directions: &Block,
    count: usize,
    channels: usize,
    positions: usize,
) -> Result<Block, GeometryError> {
    let values = &directions.as_slice()[..count * directions.dimension()];
    let values = permute_items(values, count, channels, positions);
    Block::from_vec(count, directions.dimension(), values)
}
