//! `vocab.json` and `merges.txt`, with a NUL byte between them.

#![no_main]

use alice_text::ClipTokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["vocab.json", "merges.txt"] {
        let bytes = files.next().unwrap_or_default();
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    if let Ok(tokenizer) = ClipTokenizer::open(folder.path()) {
        let _ = tokenizer.encode("a (small:1.2) cat, naïve 猫");
    }
});
