//! Writing safetensors files: the same tensors give the same bytes.

use super::{NamedTensor, TensorFile};
use crate::{Error, Result, atomic};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// The one key of a header that names no tensor.
pub(super) const METADATA: &str = "__metadata__";

impl TensorFile {
    /// Writes the file atomically, tensors in the order of their names.
    ///
    /// # Errors
    /// When a tensor's data does not fit its shape, or as [`atomic::write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let header = self.header(path)?;
        atomic::write_with(path, |out| self.write_to(&header, out))
    }

    /// The file as bytes; `name` stands for it in errors.
    ///
    /// # Errors
    /// When a tensor's data does not fit its shape.
    pub fn to_bytes(&self, name: impl AsRef<Path>) -> Result<Vec<u8>> {
        let header = self.header(name.as_ref())?;
        let mut bytes = Vec::new();
        self.write_to(&header, &mut bytes)
            .map_err(|e| Error::disk(name.as_ref(), e))?;
        Ok(bytes)
    }

    /// The length and the JSON, padded with spaces to a multiple of eight.
    fn header(&self, path: &Path) -> Result<Vec<u8>> {
        let mut parts = Vec::with_capacity(self.tensors.len() + 1);
        if !self.metadata.is_empty() {
            parts.push(format!("\"{METADATA}\":{}", json!(self.metadata)));
        }
        let mut start = 0;
        for (name, tensor) in &self.tensors {
            check(path, name, tensor)?;
            let end = start + 4 * tensor.data.len();
            parts.push(format!(
                "{}:{{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[{start},{end}]}}",
                json!(name),
                json!(tensor.shape)
            ));
            start = end;
        }
        let mut text = format!("{{{}}}", parts.join(",")).into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut header = (text.len() as u64).to_le_bytes().to_vec();
        header.append(&mut text);
        Ok(header)
    }

    fn write_to(&self, header: &[u8], out: &mut dyn Write) -> io::Result<()> {
        out.write_all(header)?;
        let mut buffer = Vec::with_capacity(4 << 14);
        for tensor in self.tensors.values() {
            for piece in tensor.data.chunks(1 << 14) {
                buffer.clear();
                buffer.extend(piece.iter().flat_map(|x| x.to_le_bytes()));
                out.write_all(&buffer)?;
            }
        }
        Ok(())
    }
}

/// Whether a tensor can be written.
pub(super) fn check(path: &Path, name: &str, tensor: &NamedTensor) -> Result<()> {
    let wrong = |what: String| {
        Err(Error::tensors(
            path,
            Some(name),
            what,
            "This is a bug; please report it",
        ))
    };
    if name == METADATA {
        return wrong("this name is reserved".into());
    }
    let elements = tensor
        .shape
        .iter()
        .try_fold(1usize, |product, &n| product.checked_mul(n));
    if elements != Some(tensor.data.len()) {
        return wrong(format!(
            "shape {:?} does not hold {} elements",
            tensor.shape,
            tensor.data.len()
        ));
    }
    Ok(())
}
