//! What can be wrong between a prompt and a picture.

use alice_calculus::GraphError;
use alice_networks::NetworkError;
use alice_text::TextError;
use thiserror::Error;

/// An error of a pipeline.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The parts of a folder do not fit each other.
    #[error("{part} does not fit: {why}")]
    Part {
        /// The folder's part, or the argument.
        part: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A network cannot be read.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A tokenizer cannot be read or used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A network cannot be run.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl PipelineError {
    pub(crate) fn part(part: &'static str, why: impl Into<String>) -> Self {
        Self::Part {
            part,
            why: why.into(),
        }
    }
}
