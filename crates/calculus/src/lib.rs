//! Computation graphs, their linearisation and their gradients.

mod error;
mod graph;
mod parameters;
mod tensor;

pub use error::GraphError;
pub use graph::{
    Graph, Padding, Parameter, ParameterKind, ParameterSpec, SinusoidalEmbedding, Value,
};
pub use parameters::Parameters;
pub use tensor::Tensor;
