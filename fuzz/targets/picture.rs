//! PNG files and the recipe in their text.

#![no_main]

use alice_runs::Recipe;
use alice_runs::picture::decode_png;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if decode_png("fuzzed", bytes).is_ok() {
        let file = tempfile::Builder::new().suffix(".png").tempfile();
        let file = file.expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        let _ = Recipe::find(file.path());
    }
});
