//! Files that are broken by accident or on purpose.

use super::tests::example;
use super::*;
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Result<TensorFile> {
    TensorFile::from_bytes("bad.safetensors", bytes)
}

/// A file with any header and so many bytes of zeros.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn message(header: &str, data: usize) -> String {
    let error = read(&file(header, data)).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn every_prefix_is_an_error() {
    let bytes = example().to_bytes("memory").unwrap();
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert_eq!(error.path(), Path::new("bad.safetensors"));
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(
        read(&longer)
            .unwrap_err()
            .what()
            .contains("belong to no tensor")
    );
}

/// A flipped bit gives an error, or another valid file of bounded size.
#[test]
fn every_flipped_bit_of_the_header_is_survived() {
    let bytes = example().to_bytes("memory").unwrap();
    let header_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut errors = 0;
    for bit in 0..8 * header_end {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match read(&damaged) {
            Err(_) => errors += 1,
            Ok(file) => {
                let elements: usize = file.tensors.values().map(|tensor| tensor.data.len()).sum();
                assert!(elements <= bytes.len());
            }
        }
    }
    assert!(errors > 4 * header_end, "most flips are noticed: {errors}");
}

#[test]
fn lying_lengths_are_refused_without_allocating() {
    for length in [u64::MAX, u64::MAX - 7, 1 << 62, 100_000_001, 9] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        assert!(
            read(&bytes).unwrap_err().what().contains("claims"),
            "{length}"
        );
    }
    let huge = "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}";
    assert!(message(huge, 0).contains("more than any file"));
    let far = "{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}";
    assert!(message(far, 8).contains("outside the 8 bytes"));
    let deep = "[".repeat(100_000);
    assert!(message(&format!("{{\"a\":{deep}"), 0).contains("header is broken"));
}

#[test]
fn contradictions_name_the_tensor() {
    let info = |name: &str, dtype: &str, shape: &str, start: u64, end: u64| {
        format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}"
        )
    };
    let a = info("a", "F32", "[1]", 0, 4);
    let cases = [
        (
            format!("{{{a},{}}}", info("b", "F32", "[1]", 0, 4)),
            4,
            "\"b\": its bytes 0..4 overlap",
        ),
        (
            format!("{{{a},{}}}", info("b", "F32", "[1]", 2, 6)),
            6,
            "\"b\": its bytes 2..6 overlap",
        ),
        (
            format!("{{{a},{}}}", info("b", "F32", "[1]", 8, 12)),
            12,
            "\"b\": its bytes 8..12 leave a gap",
        ),
        (
            format!("{{{}}}", info("a", "F32", "[1]", 4, 0)),
            4,
            "\"a\": its bytes 4..0 lie outside",
        ),
        (
            format!("{{{}}}", info("a", "F32", "[3]", 0, 8)),
            8,
            "\"a\": shape [3] of F32 takes 12 bytes, and 8",
        ),
        (
            format!("{{{}}}", info("a", "F8_E4M3", "[8]", 0, 8)),
            8,
            "\"a\": its type \"F8_E4M3\"",
        ),
        (format!("{{{a},{a}}}"), 4, "\"a\" occurs twice"),
        (
            format!("{{{}}}", info("a", "F32", "[-1]", 0, 8)),
            8,
            "tensor \"a\": invalid value",
        ),
        (
            format!("{{{}}}", info("a", "F32", "[1.5]", 0, 8)),
            8,
            "tensor \"a\": invalid type",
        ),
        (
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}".into(),
            0,
            "missing field `data_offsets`",
        ),
        ("{\"__metadata__\":{\"a\":1}}".into(), 0, "header is broken"),
        ("{}x".into(), 0, "header is broken"),
        ("null".into(), 0, "does not begin with"),
        (
            format!("{{{}}}", info("a\\u001b[2J", "F32", "[3]", 0, 8)),
            8,
            "a\\u{1b}[2J",
        ),
    ];
    for (header, data, expected) in cases {
        let message = message(&header, data);
        assert!(message.contains(expected), "{header}\n{message}");
        assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
    }
    assert!(read(&file("{}", 0)).unwrap().tensors.is_empty());
    assert!(read(&file("{\"__metadata__\":null}", 0)).is_ok());
}

#[test]
fn other_formats_are_recognised() {
    let cases: [(&[u8], &str); 6] = [
        (b"PK\x03\x04\x14\x00\x08\x08archive", "PyTorch checkpoint"),
        (b"\x80\x02}q\x00(X\x05\x00\x00", "pickle"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "NumPy"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html>", "web page"),
        (b"{\"a\": 1, \"b\": 2}", "header"),
    ];
    for (bytes, expected) in cases {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn folders_and_missing_files_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        TensorFile::read(folder.path())
            .unwrap_err()
            .what()
            .contains("folder")
    );
    let missing = folder.path().join("none.safetensors");
    assert!(
        TensorFile::read(&missing)
            .unwrap_err()
            .what()
            .contains("no such file")
    );
    #[cfg(unix)]
    assert!(
        TensorFile::read("/dev/null")
            .unwrap_err()
            .what()
            .contains("too short")
    );
}

proptest! {
    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn random_headers_are_survived(header in "\\{(\"[ab]\":\\{(\"(dtype|shape|data_offsets)\":(\"F32\"|\\[[0-9,]{0,3}\\]),?){0,4}\\},?){0,3}\\}", data in 0usize..64) {
        let _ = read(&file(&header, data));
    }

    #[test]
    fn several_flips_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6)) {
        let mut bytes = example().to_bytes("memory").unwrap();
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let _ = read(&bytes);
    }
}
