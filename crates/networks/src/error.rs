//! What can be wrong with a config, a checkpoint or a size.

use alice_calculus::GraphError;
use thiserror::Error;

/// An error of reading or building a network.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum NetworkError {
    /// The config is not a JSON object.
    #[error("the config is not a JSON object: {why}")]
    Json {
        /// What the parser says.
        why: String,
    },
    /// A field of the config has a value that cannot be used.
    #[error("the config's {field} is {value}; {wanted}")]
    Field {
        /// The field's name, as diffusers writes it.
        field: &'static str,
        /// Its value, as JSON.
        value: String,
        /// What would be accepted.
        wanted: String,
    },
    /// The network cannot take samples of this size.
    #[error("the network cannot take a {height}×{width} sample: {why}")]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The rule that it breaks.
        why: String,
    },
    /// The operations do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
