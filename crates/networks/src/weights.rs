//! Named tensors to the values of a graph's parameters and back.

use crate::{Mismatch, NetworkError};
use alice_calculus::{Graph, ParameterKind, Parameters, Values};
use alice_runs::TensorFile;
use std::collections::btree_map::Entry;
use std::collections::{HashMap, HashSet};

/// The layers of attention as diffusers named them until 2023, with today's names.
const OLD_ATTENTION: [(&str, &str); 4] = [
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out.0"),
];

/// The values of a graph's parameters from a diffusers weights file.
///
/// Old attention names are understood, and matrices that are stored as 1×1
/// convolutions.
///
/// # Errors
/// When tensors are missing, superfluous or of another shape (one error names
/// them all), or hold NaN or infinity.
pub fn load_parameters(
    graph: &Graph,
    mut file: TensorFile,
) -> Result<Parameters<f32>, NetworkError> {
    file.require_finite()?;
    let mut mismatches = rename_old_attention(graph, &mut file);
    let specs = graph.parameters();
    for spec in specs {
        let (name, expected) = (spec.name.clone(), spec.kind.file_dims());
        match file.tensors.get_mut(&spec.name) {
            None => mismatches.push(Mismatch::Missing { name, expected }),
            Some(tensor) if fits(spec.kind, &tensor.shape) => tensor.shape = expected,
            Some(tensor) => mismatches.push(Mismatch::Shape {
                name,
                expected,
                found: tensor.shape.clone(),
            }),
        }
    }
    let known: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let extra = file
        .tensors
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()));
    mismatches.extend(extra.map(|(name, tensor)| Mismatch::Extra {
        name: name.clone(),
        found: tensor.shape.clone(),
    }));
    if !mismatches.is_empty() {
        return Err(NetworkError::Weights {
            path: file.origin().to_path_buf(),
            mismatches,
        });
    }
    Parameters::from_file_layout(graph, |spec| {
        let values = file.take(&spec.name, &spec.kind.file_dims())?;
        Ok(Values::Held(values))
    })
}

/// A diffusers weights file with the values of a graph's parameters.
///
/// # Errors
/// When the values do not belong to the graph.
pub fn store_parameters(
    graph: &Graph,
    parameters: &Parameters<f32>,
) -> Result<TensorFile, NetworkError> {
    let mut file = TensorFile::new();
    file.metadata.insert("format".into(), "pt".into());
    for (index, spec) in graph.parameters().iter().enumerate() {
        let values = parameters.to_file_layout(index, spec)?;
        file.insert(&spec.name, &spec.kind.file_dims(), values)?;
    }
    Ok(file)
}

/// Gives today's names to the layers of attention; returns the tensors whose
/// new name is taken.
fn rename_old_attention(graph: &Graph, file: &mut TensorFile) -> Vec<Mismatch> {
    let mut new_names = HashMap::new();
    for spec in graph.parameters() {
        for (old, new) in OLD_ATTENTION {
            for part in ["weight", "bias"] {
                if let Some(block) = spec.name.strip_suffix(&format!(".{new}.{part}")) {
                    new_names.insert(format!("{block}.{old}.{part}"), spec.name.clone());
                }
            }
        }
    }
    let mut doubled = Vec::new();
    for (old, new) in new_names {
        let Some(tensor) = file.tensors.remove(&old) else {
            continue;
        };
        match file.tensors.entry(new) {
            Entry::Vacant(place) => {
                place.insert(tensor);
            }
            Entry::Occupied(_) => doubled.push(Mismatch::Extra {
                name: old,
                found: tensor.shape,
            }),
        }
    }
    doubled.sort_by_cached_key(ToString::to_string);
    doubled
}

/// Whether a file's extents are a parameter's; a matrix may be stored as a
/// convolution `[output, input, 1, 1]` or `[output, input, 1]`.
fn fits(kind: ParameterKind, found: &[usize]) -> bool {
    let expected = kind.file_dims();
    let matrix = matches!(kind, ParameterKind::Linear { .. });
    found == expected
        || (matrix
            && found.len() <= 4
            && found.starts_with(&expected)
            && found[expected.len()..].iter().all(|&extent| extent == 1))
}
