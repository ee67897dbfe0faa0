//! What runs graphs in single precision, here or on another device.

use crate::{Graph, GraphError, Linearization, Memory, Model, Parameters, Tensor, Value};
use std::fmt::Debug;
use std::sync::Arc;

/// Where graphs run.
pub trait Device: Debug + Send + Sync {
    /// Its name, for people.
    fn name(&self) -> String;

    /// Joins a graph and its parameters, ready to run. Weights that lie
    /// elsewhere are read now.
    ///
    /// # Errors
    /// When the parameters are not those of the graph or cannot be read, or
    /// the device cannot hold them.
    fn load(
        &self,
        graph: Arc<Graph>,
        parameters: &Parameters<f32>,
    ) -> Result<Box<dyn Interpreter>, GraphError>;
}

/// The processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl Device for Cpu {
    fn name(&self) -> String {
        "the processor".to_owned()
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        parameters: &Parameters<f32>,
    ) -> Result<Box<dyn Interpreter>, GraphError> {
        Ok(Box::new(Model::new(graph, parameters.clone())?))
    }
}

/// A graph with its parameters on one device, ready to run.
///
/// Arrays are channels last, `[N, ..]`, and lie in the processor's memory;
/// what lies between inputs and outputs does not leave the device.
pub trait Interpreter: Debug + Send + Sync {
    /// The graph.
    fn graph(&self) -> &Arc<Graph>;

    /// As [`Model::bind`]: gives an input its value, a batch of one, wherever
    /// it is left out.
    ///
    /// # Errors
    /// When there is no such input, or it has another shape.
    fn bind(&mut self, name: &str, value: Tensor<f32>) -> Result<(), GraphError>;

    /// As [`Model::evaluate`]: the values of `outputs`, a batch of one being
    /// repeated.
    ///
    /// # Errors
    /// When an input is unknown, missing or of another shape, or the device
    /// fails.
    fn evaluate(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<f32>>, GraphError> {
        self.evaluate_shifted(inputs, &[], outputs)
    }

    /// As [`Model::evaluate_shifted`]: with an array added to some
    /// intermediate values.
    ///
    /// # Errors
    /// Those of [`Interpreter::evaluate`], or when a shift does not fit.
    fn evaluate_shifted(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        shifts: &[(Value, &Tensor<f32>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<f32>>, GraphError>;

    /// As [`Linearization::new`]: the derivative of `to` in `from` at a point.
    ///
    /// # Errors
    /// Those of [`Interpreter::evaluate`], or when `to` does not depend on
    /// `from`.
    fn linearize(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Box<dyn Derivative + '_>, GraphError>;
}

/// The derivative of one value in another at a point, see [`Linearization`].
pub trait Derivative: Debug + Send + Sync {
    /// The value at the point.
    fn value(&self) -> &Tensor<f32>;

    /// What it takes of the device's memory.
    fn memory(&self) -> Memory;

    /// As [`Linearization::within`]: bounds the memory of vectors on their way.
    fn set_memory(&mut self, bytes: usize);

    /// J v for a block of tangents `[r · N, ..]`, those of item 0 first.
    ///
    /// # Errors
    /// When the block has another shape, or the device fails.
    fn pushforward(&self, tangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError>;

    /// Jᵀ u for a block of cotangents `[r · N, ..]`, those of item 0 first.
    ///
    /// # Errors
    /// When the block has another shape, or the device fails.
    fn pullback(&self, cotangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError>;
}

impl Interpreter for Model<f32> {
    fn graph(&self) -> &Arc<Graph> {
        Self::graph(self)
    }

    fn bind(&mut self, name: &str, value: Tensor<f32>) -> Result<(), GraphError> {
        Self::bind(self, name, value)
    }

    fn evaluate_shifted(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        shifts: &[(Value, &Tensor<f32>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<f32>>, GraphError> {
        Self::evaluate_shifted(self, inputs, shifts, outputs)
    }

    fn linearize(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Box<dyn Derivative + '_>, GraphError> {
        Ok(Box::new(Linearization::new(self, inputs, from, to)?))
    }
}

impl Derivative for Linearization<'_, f32> {
    fn value(&self) -> &Tensor<f32> {
        Self::value(self)
    }

    fn memory(&self) -> Memory {
        Self::memory(self)
    }

    fn set_memory(&mut self, bytes: usize) {
        Self::set_memory(self, bytes);
    }

    fn pushforward(&self, tangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError> {
        Self::pushforward(self, tangents)
    }

    fn pullback(&self, cotangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError> {
        Self::pullback(self, cotangents)
    }
}
