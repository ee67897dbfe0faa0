//! Tokenizer files that are broken by accident or on purpose: an error or a
//! tokenizer, never a panic.

use alice_text::ClipTokenizer;
use std::fs;
use std::path::Path;

/// A file with one flipped bit, for `count` bits spread over it, and `count`
/// of its prefixes.
fn damaged(bytes: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    // Odd, so that every bit of a byte is met.
    let step = (8 * bytes.len() / count) | 1;
    let flips = (0..8 * bytes.len()).step_by(step).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let lengths = (0..bytes.len()).step_by((bytes.len() / count).max(1));
    flips.chain(lengths.map(|length| bytes[..length].to_vec()))
}

fn survives(fixture: &str, file: &str, count: usize) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&from).unwrap().flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let whole = fs::read(from.join(file)).unwrap();
    assert!(ClipTokenizer::open(folder.path()).is_ok());
    let mut refused = 0;
    for bytes in damaged(&whole, count) {
        fs::write(folder.path().join(file), bytes).unwrap();
        match ClipTokenizer::open(folder.path()) {
            Ok(tokenizer) => {
                let _ = tokenizer.encode("a (small:1.2) cat, naïve 猫 😀");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "{file}");
}

#[test]
fn damaged_tokenizers_are_refused_or_read() {
    survives("clip_fast", "tokenizer.json", 150);
    survives("clip", "vocab.json", 100);
    survives("clip", "merges.txt", 100);
    survives("clip_padded", "special_tokens_map.json", 100);
    survives("clip", "tokenizer_config.json", 100);
}
