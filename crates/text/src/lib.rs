//! Prompts to the tokens of text encoders.

mod error;
mod prompt;
mod tokenizer;
mod vocabulary;

pub use error::TextError;
pub use prompt::{Piece, parse};
pub use tokenizer::{ClipTokenizer, Tokens};
