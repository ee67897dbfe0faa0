//! Safetensors files.

#![no_main]

use alice_runs::{TensorFile, TensorReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = TensorFile::from_bytes("fuzzed", bytes);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    match (whole, TensorReader::open(file.path())) {
        (Ok(whole), Ok(reader)) => {
            for (name, tensor) in &whole.tensors {
                let found = reader.read(name).expect("both readers agree");
                assert_eq!(found.shape, tensor.shape);
            }
            whole
                .to_bytes("written")
                .expect("what was read can be written");
        }
        (Err(_), Err(_)) => {}
        (whole, reader) => panic!("{whole:?} and {reader:?}"),
    }
});
