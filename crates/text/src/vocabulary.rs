//! The vocabulary of CLIP, made from its merges.
//!
//! `clip/merges.txt` is the part of OpenAI's `bpe_simple_vocab_16e6.txt` that
//! CLIP uses (github.com/openai/CLIP, MIT, `clip/LICENSE`).

use crate::tokenizer::{END, START};
use tokenizers::models::bpe::{Merges, Vocab};

/// Positions of every CLIP text encoder.
pub(crate) const POSITIONS: usize = 77;

const MERGES: &str = include_str!("clip/merges.txt");

/// The tokens by their text (bytes, bytes that end a word, what the merges
/// make, start and end), and the pairs that are joined, first first.
pub(crate) fn clip() -> (Vocab, Merges) {
    let pair = |line: &str| {
        let (left, right) = line.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let merges: Merges = MERGES.lines().skip(1).filter_map(pair).collect();
    let bytes = letters();
    let words = bytes.iter().map(|letter| format!("{letter}</w>"));
    let tokens = bytes
        .iter()
        .map(char::to_string)
        .chain(words)
        .chain(merges.iter().map(|(left, right)| format!("{left}{right}")))
        .chain([START.to_owned(), END.to_owned()]);
    (tokens.zip(0..).collect(), merges)
}

/// The letters that stand for bytes, in the order of their tokens: printable
/// ones for themselves, then the others from U+0100 on.
fn letters() -> Vec<char> {
    let printable = (33..=126).chain(161..=172).chain(174..=255);
    let printable: Vec<u32> = printable.collect();
    let others = (0..256).filter(|byte| !printable.contains(byte)).count() as u32;
    let all = printable.iter().copied().chain(256..256 + others);
    all.filter_map(char::from_u32).collect()
}
