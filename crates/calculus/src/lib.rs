//! Computation graphs, their linearisation and their gradients.
//!
//! A network is a function that adds nodes to a [`Graph`]. A [`Model`] joins
//! the graph with its [`Parameters`]; [`Model::evaluate`] runs it,
//! [`Linearization`] gives its derivative at a point as a linear map, and
//! [`gradient`] gives the gradient of a loss in the parameters. Each operation
//! has one rule, which all three share. What runs a graph in single precision
//! is an [`Interpreter`], here or on another [`Device`].

mod error;
mod extents;
mod feed;
mod forward;
mod graph;
mod interpreter;
mod liveness;
mod model;
mod op;
mod parameters;
mod pullback;
mod pushforward;
mod spec;
mod tape;
mod tensor;

pub use alice_kernels::activation::Activation;
pub use alice_kernels::attention::Attention;
pub use alice_kernels::convolution::Convolution;
pub use error::GraphError;
pub use feed::{Bound, Feed};
pub use graph::{Graph, Node, Value};
pub use interpreter::{Cpu, Derivative, Device, Interpreter};
pub use model::Model;
pub use op::{Op, SinusoidalEmbedding};
pub use parameters::{Parameters, Source, Values};
pub use spec::{Padding, Parameter, ParameterKind, ParameterSpec};
pub use tape::{Linearization, Memory, gradient};
pub use tensor::Tensor;
