//! The header of a safetensors file, trusted in nothing.

use super::dtype::Dtype;
use crate::error::shown;
use crate::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// Where a checked tensor lies.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub elements: usize,
    /// Bytes of data before it.
    pub start: u64,
}

const DAMAGED: &str = "The file is damaged or incomplete; download or write it again";

/// The tensors of a header in the order of their bytes, which cover the
/// `data_length` bytes after the header exactly, without gap or overlap.
///
/// # Errors
/// Names the first tensor that is wrong.
pub(super) fn parse(
    path: &Path,
    header: &[u8],
    data_length: u64,
) -> Result<(Vec<Entry>, BTreeMap<String, String>)> {
    let header: Header = serde_json::from_slice(header)
        .map_err(|e| Error::tensors(path, None, format!("the header is broken: {e}"), DAMAGED))?;
    let mut tensors = header.tensors;
    tensors.sort_by_key(|(_, info)| info.data_offsets);

    let mut entries = Vec::with_capacity(tensors.len());
    let mut expected_start = 0u64;
    for (name, info) in tensors {
        let wrong = |what: String, hint: &str| Err(Error::tensors(path, Some(&name), what, hint));
        let (start, end) = info.data_offsets;
        if start > end || end > data_length {
            return wrong(
                format!("its bytes {start}..{end} lie outside the {data_length} bytes of data"),
                DAMAGED,
            );
        }
        if start != expected_start {
            let kind = if start < expected_start {
                "overlap"
            } else {
                "leave a gap after"
            };
            return wrong(
                format!("its bytes {start}..{end} {kind} those before"),
                DAMAGED,
            );
        }
        let Some(dtype) = Dtype::named(&info.dtype) else {
            let known: Vec<&str> = Dtype::ALL.iter().map(|(name, _)| *name).collect();
            return wrong(
                format!("its type {} is not supported", shown(&info.dtype)),
                &format!("Convert it to one of {}", known.join(", ")),
            );
        };
        let bytes = info
            .shape
            .iter()
            .try_fold(1u64, |product, &extent| product.checked_mul(extent))
            .and_then(|elements| elements.checked_mul(dtype.size() as u64));
        if bytes != Some(end - start) {
            let needed = bytes.map_or("more than any file".to_owned(), |n| n.to_string());
            return wrong(
                format!(
                    "shape {} of {} takes {needed} bytes, and {} are there",
                    short_shape(&info.shape),
                    info.dtype,
                    end - start
                ),
                DAMAGED,
            );
        }
        // An extent may exceed usize only beside a zero, on a 32-bit machine.
        let Ok(shape) = info
            .shape
            .iter()
            .map(|&extent| usize::try_from(extent))
            .collect()
        else {
            return wrong("its shape is too large for this machine".into(), DAMAGED);
        };
        let Ok(elements) = usize::try_from((end - start) / dtype.size() as u64) else {
            return wrong("it is too large for this machine".into(), DAMAGED);
        };
        expected_start = end;
        entries.push(Entry {
            name,
            dtype,
            shape,
            elements,
            start,
        });
    }
    if expected_start != data_length {
        let what = format!(
            "{} bytes at the end belong to no tensor",
            data_length - expected_start
        );
        return Err(Error::tensors(path, None, what, DAMAGED));
    }
    Ok((entries, header.metadata))
}

fn short_shape(shape: &[u64]) -> String {
    if shape.len() <= 8 {
        format!("{shape:?}")
    } else {
        format!("[{}, … ({} dimensions)]", shape[0], shape.len())
    }
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The JSON of a header, in which no name occurs twice.
struct Header {
    tensors: Vec<(String, Info)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map from tensor names to dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
        let mut names = BTreeSet::new();
        let mut tensors = Vec::new();
        let mut metadata = None;
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("{} occurs twice", shown(&name))));
            }
            if name == super::write::METADATA {
                metadata = map.next_value()?;
                continue;
            }
            let info = map
                .next_value()
                .map_err(|e| A::Error::custom(format!("tensor {}: {e}", shown(&name))))?;
            tensors.push((name, info));
        }
        Ok(Header {
            tensors,
            metadata: metadata.unwrap_or_default(),
        })
    }
}
