//! Content hashes: which model was it, whatever its file is called.

use crate::{Error, Result, disk};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The SHA-256 of some bytes, as 64 lower-case hexadecimal digits.
#[must_use]
pub fn bytes(bytes: &[u8]) -> String {
    hexadecimal(Sha256::digest(bytes).as_slice())
}

/// The SHA-256 of a file, read piece by piece.
///
/// # Errors
/// When the file cannot be read.
pub fn file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let explained = |e| Error::disk(path, e);
    let mut file = File::open(path).map_err(explained)?;
    let mut state = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(state.finalize().as_slice())),
            Ok(count) => state.update(&buffer[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(explained(e)),
        }
    }
}

/// The hash of one file, as [`file`] gives it, or of several together: of the
/// list of their hashes.
///
/// # Errors
/// When a file cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<String> {
    if let [path] = paths {
        return file(path);
    }
    let mut state = Sha256::new();
    for path in paths {
        state.update(file(path)?);
        state.update(b"\n");
    }
    Ok(hexadecimal(state.finalize().as_slice()))
}

/// The hash of a model: of the file itself, or, for a folder, of the sorted
/// list "relative name, hash" of its `.json` and `.safetensors` files, at most
/// two folders deep (a diffusers pipeline).
///
/// # Errors
/// When something cannot be read, or a folder holds no such file.
pub fn model(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    if !path.is_dir() {
        return file(path);
    }
    let mut parts = Vec::new();
    collect(path, 2, &mut parts)?;
    parts.sort();
    if parts.is_empty() {
        return Err(Error::folder(
            path,
            "no .json or .safetensors file is here, so this is not a model",
            "Name a model file, a U-Net folder or a pipeline folder",
        ));
    }
    let mut state = Sha256::new();
    for part in parts {
        // The same text on every system: names joined by '/'.
        let relative = part.strip_prefix(path).unwrap_or(&part);
        for name in relative.components() {
            state.update(name.as_os_str().to_string_lossy().as_bytes());
            state.update(b"/");
        }
        state.update(file(&part)?);
        state.update(b"\n");
    }
    Ok(hexadecimal(state.finalize().as_slice()))
}

/// The first ten digits, as picture metadata shows a model's hash.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..10).unwrap_or(hash)
}

fn collect(folder: &Path, depth: usize, parts: &mut Vec<PathBuf>) -> Result<()> {
    for path in disk::list(folder)? {
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_dir() {
            if depth > 1 {
                collect(&path, depth - 1, parts)?;
            }
        } else if matches!(extension, Some("json" | "safetensors")) {
            parts.push(path);
        }
    }
    Ok(())
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic;

    #[test]
    fn known_hashes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(bytes(b"abc"), abc);
        assert_eq!(short(abc), "ba7816bf8f");
        assert_eq!(short("ab"), "ab");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        atomic::write(&path, b"abc").unwrap();
        assert_eq!(file(&path).unwrap(), abc);
        assert_eq!(model(&path).unwrap(), abc);
    }

    #[test]
    fn a_folder_is_known_by_the_content_of_its_model_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(model(root).unwrap_err().what().contains("not a model"));
        assert!(model(root.join("none")).is_err());
        atomic::write(root.join("model_index.json"), b"{}").unwrap();
        atomic::write(root.join("unet/config.json"), b"{}").unwrap();
        let first = model(root).unwrap();
        atomic::write(root.join("README.md"), b"words").unwrap();
        assert_eq!(model(root).unwrap(), first);
        atomic::write(root.join("unet/config.json"), b"{ }").unwrap();
        assert_ne!(model(root).unwrap(), first);
    }
}
