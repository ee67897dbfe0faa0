//! What can be wrong with a tokenizer or a prompt.

use std::path::PathBuf;
use thiserror::Error;

/// An error of reading or using a tokenizer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// The folder holds no tokenizer that can be read.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A prompt has no tokens.
    #[error("the prompt {prompt:?} cannot be read: {why}")]
    Prompt {
        /// The prompt.
        prompt: String,
        /// What the tokenizer says.
        why: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] alice_runs::Error),
}
