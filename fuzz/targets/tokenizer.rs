//! `tokenizer.json`.

#![no_main]

use alice_text::ClipTokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("tokenizer.json"), bytes).expect("written");
    if let Ok(tokenizer) = ClipTokenizer::open(folder.path()) {
        let _ = tokenizer.encode("a (small:1.2) cat, naïve 猫");
    }
});
