//! Reading a safetensors file one tensor at a time.

use super::NamedTensor;
use super::header::{self, Entry};
use super::read::{read_header, read_tensor};
use crate::error::shown;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A safetensors file whose header is known and whose tensors are read when
/// they are asked for: besides what was asked for, one mebibyte is in memory.
#[derive(Debug)]
pub struct TensorReader {
    path: PathBuf,
    file: Mutex<File>,
    /// Where the data begins.
    data: u64,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// What a header says of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The element type, as the format names it: `F32`, `F16`, `BF16`, …
    pub dtype: &'static str,
    /// Extents, outermost first.
    pub shape: &'a [usize],
    /// Size in the file.
    pub bytes: u64,
}

impl TensorReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, is not a safetensors file, or its header
    /// contradicts itself or the file's length.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let explained = |e| Error::disk(path, e);
        let mut file = File::open(path).map_err(explained)?;
        let about = file.metadata().map_err(explained)?;
        if about.is_dir() {
            return Err(explained(std::io::ErrorKind::IsADirectory.into()));
        }
        let header = read_header(path, &mut file, about.len())?;
        let data = 8 + header.len() as u64;
        let (entries, metadata) = header::parse(path, &header, about.len() - data)?;
        Ok(Self {
            path: path.to_path_buf(),
            file: Mutex::new(file),
            data,
            entries: entries.into_iter().map(|e| (e.name.clone(), e)).collect(),
            metadata,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free text by key.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, TensorInfo<'_>)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), about(entry)))
    }

    /// What the header says of a tensor.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.entries.get(name).map(about)
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// When there is none of this name, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<NamedTensor> {
        let Some(entry) = self.entries.get(name) else {
            let hint = "Check that the file belongs to this model or command";
            let what = format!("it holds no tensor {}", shown(name));
            return Err(Error::tensors(&self.path, None, what, hint));
        };
        let bytes = entry.elements * entry.dtype.size();
        let mut buffer = vec![0; bytes.min(1 << 20)];
        let mut source = At {
            file: &self.file,
            position: self.data + entry.start,
        };
        let data = read_tensor(&self.path, &mut source, entry, &mut buffer)?;
        Ok(NamedTensor {
            shape: entry.shape.clone(),
            data,
        })
    }
}

/// A file from some position on. It is locked for single reads only, so that
/// several tensors can be read at a time.
struct At<'a> {
    file: &'a Mutex<File>,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.position))?;
        let count = file.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

fn about(entry: &Entry) -> TensorInfo<'_> {
    TensorInfo {
        dtype: entry.dtype.name(),
        shape: &entry.shape,
        bytes: (entry.elements * entry.dtype.size()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;
    use crate::TensorFile;

    #[test]
    fn tensors_are_those_of_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        example().write(&path).unwrap();
        let whole = TensorFile::read(&path).unwrap();
        let reader = TensorReader::open(&path).unwrap();
        assert_eq!(reader.metadata(), &whole.metadata);
        assert_eq!(reader.tensors().count(), whole.tensors.len());
        for (name, tensor) in whole.tensors.iter().rev() {
            let info = reader.get(name).unwrap();
            assert_eq!((info.dtype, info.shape), ("F32", &tensor.shape[..]));
            assert_eq!(info.bytes, 4 * tensor.data.len() as u64);
            assert_eq!(&reader.read(name).unwrap(), tensor);
        }
        assert!(reader.get("none").is_none());
        assert!(reader.read("none").unwrap_err().what().contains("\"none\""));
    }

    #[test]
    fn files_that_shrink_or_are_folders_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        example().write(&path).unwrap();
        let reader = TensorReader::open(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(TensorReader::open(&path).is_err());
        let read = |(name, _)| reader.read(name).map(|_| ());
        let failed = reader.tensors().map(read).filter(Result::is_err).count();
        assert_eq!(failed, 1);
        assert!(TensorReader::open(folder.path()).is_err());
    }
}
