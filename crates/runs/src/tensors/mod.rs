//! Named f32 tensors in safetensors files.
//!
//! We write F32 only and read every integer and float type up to 64 bits,
//! converted to f32. The reader is our own rather than the `safetensors`
//! crate's because it must name the tensor that is wrong and refuse a name
//! that occurs twice, and the writer because the same tensors must give the
//! same bytes; the crate is the oracle of the tests.

mod dtype;
mod header;
mod read;
mod reader;
mod write;

pub use reader::{TensorInfo, TensorReader};

use crate::error::shown;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An array of f32 in row-major order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedTensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl NamedTensor {
    /// Refuses NaN and infinity; `path` and `name` are what the error names.
    ///
    /// # Errors
    /// Names the index of the first such element.
    pub fn require_finite(&self, path: &Path, name: &str) -> Result<()> {
        let Some(flat) = self.data.iter().position(|x| !x.is_finite()) else {
            return Ok(());
        };
        Err(Error::tensors(
            path,
            Some(name),
            format!(
                "the element at {:?} is {}",
                unravel(flat, &self.shape),
                self.data[flat]
            ),
            "The file is damaged or its training diverged; use an earlier one",
        ))
    }
}

/// The content of a safetensors file.
///
/// ```
/// use alice_runs::TensorFile;
/// let mut file = TensorFile::new();
/// file.insert("sample", &[1, 2], vec![0.5, -0.5])?;
/// let bytes = file.to_bytes("memory")?;
/// let mut back = TensorFile::from_bytes("memory", &bytes)?;
/// assert_eq!(back.require("sample", &[1, 2])?.data, [0.5, -0.5]);
/// assert_eq!(back.take("sample", &[1, 2])?, [0.5, -0.5]);
/// back.require_empty()?;
/// # Ok::<(), alice_runs::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors by name.
    pub tensors: BTreeMap<String, NamedTensor>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
    /// Where it was read from, for errors.
    origin: PathBuf,
}

impl TensorFile {
    /// No tensors yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: PathBuf::from("tensors in memory"),
            ..Self::default()
        }
    }

    /// Where it was read from, or a name for tensors made in memory.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Adds or replaces a tensor.
    ///
    /// # Errors
    /// When `data` does not have as many elements as `shape` says.
    pub fn insert(&mut self, name: &str, shape: &[usize], data: Vec<f32>) -> Result<()> {
        let tensor = NamedTensor {
            shape: shape.to_vec(),
            data,
        };
        write::check(&self.origin, name, &tensor)?;
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// The tensor of this name, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.get(name)
    }

    /// The tensor of this name and shape.
    ///
    /// # Errors
    /// When it is missing (the error names the most similar one) or has
    /// another shape.
    pub fn require(&self, name: &str, shape: &[usize]) -> Result<&NamedTensor> {
        let found = self.require_any(name)?;
        if found.shape == shape {
            return Ok(found);
        }
        Err(Error::tensors(
            &self.origin,
            Some(name),
            format!("the shape is {:?} and {shape:?} is needed", found.shape),
            "Check that the file belongs to this model or command",
        ))
    }

    /// The tensor of this name, with `rank` dimensions of any extent.
    ///
    /// # Errors
    /// When it is missing or has another number of dimensions.
    pub fn require_rank(&self, name: &str, rank: usize) -> Result<&NamedTensor> {
        let found = self.require_any(name)?;
        if found.shape.len() == rank {
            return Ok(found);
        }
        Err(Error::tensors(
            &self.origin,
            Some(name),
            format!(
                "the shape is {:?} and {rank} dimensions are needed",
                found.shape
            ),
            "Reshape it where it was made",
        ))
    }

    /// As [`TensorFile::require`], taking the elements out of the file.
    ///
    /// # Errors
    /// As [`TensorFile::require`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.require(name, shape)?;
        Ok(self.tensors.remove(name).unwrap_or_default().data)
    }

    /// Refuses tensors that nobody took.
    ///
    /// # Errors
    /// When tensors are left; the error names the first few.
    pub fn require_empty(&self) -> Result<()> {
        let Some(first) = self.tensors.keys().next() else {
            return Ok(());
        };
        let names: Vec<String> = self
            .tensors
            .keys()
            .take(3)
            .map(|name| shown(name))
            .collect();
        let more = if self.tensors.len() > names.len() {
            ", …"
        } else {
            ""
        };
        Err(Error::tensors(
            &self.origin,
            Some(first),
            format!(
                "{} tensors have no place in this model: {}{more}",
                self.tensors.len(),
                names.join(", ")
            ),
            "Check that the weights and config.json belong together",
        ))
    }

    /// Refuses NaN and infinity in any tensor.
    ///
    /// # Errors
    /// Names the first tensor and the index of its first such element.
    pub fn require_finite(&self) -> Result<()> {
        self.tensors
            .iter()
            .try_for_each(|(name, tensor)| tensor.require_finite(&self.origin, name))
    }

    fn require_any(&self, name: &str) -> Result<&NamedTensor> {
        self.tensors.get(name).ok_or_else(|| {
            let what = match self.most_similar(name) {
                Some(similar) => format!("it is missing; the most similar is {}", shown(similar)),
                None => "it is missing; the file holds no tensors".to_owned(),
            };
            Error::tensors(
                &self.origin,
                Some(name),
                what,
                "Check that the file belongs to this model or command",
            )
        })
    }

    /// The name that shares the longest beginning and end with `name`.
    fn most_similar(&self, name: &str) -> Option<&str> {
        let common = |other: &&String| {
            let start = name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
            let end = name
                .bytes()
                .rev()
                .zip(other.bytes().rev())
                .take_while(|(a, b)| a == b);
            start.count() + end.count()
        };
        self.tensors.keys().max_by_key(common).map(String::as_str)
    }
}

/// The index in each dimension of an element of a row-major array.
fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &extent) in index.iter_mut().zip(shape).rev() {
        *i = flat % extent.max(1);
        flat /= extent.max(1);
    }
    index
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
