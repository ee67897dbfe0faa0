//! What can be wrong with a graph, its parameters or its inputs.

use thiserror::Error;

/// An error of building, feeding or differentiating a graph.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GraphError {
    /// An operation does not fit the shapes it was given.
    #[error("{node}: {why}")]
    Shape {
        /// The name of the node.
        node: String,
        /// Both shapes and the rule they break.
        why: String,
    },
    /// A name was used twice for different parameters.
    #[error("parameter {name} is declared twice, as {first} and {second}")]
    Redeclared {
        /// The parameter's name.
        name: String,
        /// Its first shape.
        first: String,
        /// Its second shape.
        second: String,
    },
    /// An array's values do not fill its extents.
    #[error("an array of extents {dims:?} needs {expected} values, not {found}")]
    Length {
        /// The extents.
        dims: Vec<usize>,
        /// Their product.
        expected: usize,
        /// The number of values given.
        found: usize,
    },
    /// No input, output or parameter has this name.
    #[error("there is no {kind} named {name}; there are {known}")]
    Unknown {
        /// "input", "output" or "parameter".
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The device that runs the graph refused or failed.
    #[error("{device}: {why}")]
    Device {
        /// The device.
        device: String,
        /// What is wrong and what helps.
        why: String,
    },
    /// Values that lie in a file could not be read.
    #[error("the weights of {name} cannot be read: {why}")]
    Read {
        /// The parameter's name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// An input was not fed.
    #[error("the input {name} was not given")]
    Missing {
        /// The input's name.
        name: String,
    },
    /// A fed array does not fit its declaration.
    #[error("{name} must be {expected}, not {found:?}")]
    Input {
        /// The input's or parameter's name.
        name: String,
        /// The declared shape.
        expected: String,
        /// The extents given.
        found: Vec<usize>,
    },
}
