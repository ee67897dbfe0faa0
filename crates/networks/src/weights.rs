//! Named tensors to the values of a graph's parameters and back.

use crate::{Mismatch, NetworkError};
use alice_calculus::{Graph, ParameterKind, Parameters, Source, Values};
use alice_kernels::round_to_half;
use alice_runs::{NamedTensor, TensorFile, TensorReader};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The layers of attention as diffusers named them until 2023, with today's names.
const OLD_ATTENTION: [(&str, &str); 4] = [
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out.0"),
];

/// Parameters from which on a network's large matrices stay in their files
/// until they are packed: smaller networks fit into memory twice.
const LARGE_NETWORK: usize = 200_000_000;
/// Values from which on a matrix is large.
const LARGE_MATRIX: usize = 1 << 16;

/// Tensors by name, in memory or in files; those in files are read one at a
/// time, when they are taken.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    origin: PathBuf,
    tensors: BTreeMap<String, Stored>,
    precision: Precision,
}

/// In which precision weights are taken from their files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In that of the file.
    #[default]
    Stored,
    /// In half precision: what a file holds in more is rounded to binary16, a
    /// tensor with a value beyond 65,504 to bfloat16, so that matrices take
    /// half the memory where kernels read them as they are. What the file holds
    /// in either half precision stays as it is, so a network is the one of the
    /// same weights in a file of binary16.
    Half,
}

#[derive(Debug)]
struct Stored {
    shape: Vec<usize>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<f32>),
    /// A tensor of a file, by its name there.
    File(Arc<TensorReader>, String, View),
}

/// A tensor of a file, for parameters that are read when they are packed.
#[derive(Debug)]
struct InFile {
    reader: Arc<TensorReader>,
    name: String,
    view: View,
    precision: Precision,
}

impl InFile {
    fn values(&self) -> Result<Vec<f32>, alice_runs::Error> {
        let tensor = self.reader.read(&self.name)?;
        tensor.require_finite(self.reader.path(), &self.name)?;
        let mut values = self.view.apply(tensor);
        if self.precision == Precision::Half && !self.is_half() {
            round_to_half(&mut values);
        }
        Ok(values)
    }

    /// Whether the file holds it in half precision: to round bfloat16 to
    /// binary16 would lose small values and no memory.
    fn is_half(&self) -> bool {
        let stored = self.reader.get(&self.name).map(|info| info.dtype);
        matches!(stored, Some("F16" | "BF16"))
    }
}

impl Source<f32> for InFile {
    fn read(&self) -> Result<Vec<f32>, String> {
        self.values().map_err(|error| error.to_string())
    }
}

/// The part of a file's tensor that is a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Whole,
    /// A third of the rows: 0, 1 or 2.
    Third(usize),
    /// Rows as columns.
    Transposed,
}

impl View {
    /// The extents of the part, if the tensor has such a part.
    fn of(self, shape: &[usize]) -> Option<Vec<usize>> {
        match (self, shape) {
            (Self::Whole, _) => Some(shape.to_vec()),
            (Self::Third(_), [rows, rest @ ..]) if rows.is_multiple_of(3) => {
                Some([&[rows / 3], rest].concat())
            }
            (Self::Transposed, &[rows, columns]) => Some(vec![columns, rows]),
            _ => None,
        }
    }

    fn apply(self, tensor: NamedTensor) -> Vec<f32> {
        match self {
            Self::Whole => tensor.data,
            Self::Third(index) => {
                let len = tensor.data.len() / 3;
                tensor.data[index * len..][..len].to_vec()
            }
            Self::Transposed => {
                let columns = tensor.shape.last().copied().unwrap_or(1).max(1);
                let column = |j| tensor.data.iter().skip(j).step_by(columns);
                (0..columns).flat_map(column).copied().collect()
            }
        }
    }
}

impl From<TensorFile> for Weights {
    fn from(file: TensorFile) -> Self {
        let origin = file.origin().to_path_buf();
        let store = |(name, tensor): (String, NamedTensor)| {
            let (shape, place) = (tensor.shape, Place::Memory(tensor.data));
            (name, Stored { shape, place })
        };
        Self {
            origin,
            tensors: file.tensors.into_iter().map(store).collect(),
            precision: Precision::Stored,
        }
    }
}

impl Weights {
    /// No tensors yet; `origin` names them in errors.
    pub(crate) fn new(origin: &Path) -> Self {
        Self {
            origin: origin.to_path_buf(),
            ..Self::default()
        }
    }

    /// The tensors of one file, or of the shards that together are one.
    ///
    /// # Errors
    /// When a file cannot be read, or a tensor is in two of them.
    pub(crate) fn open(files: &[PathBuf]) -> Result<Self, NetworkError> {
        let mut weights = Self::new(files.first().map_or(Path::new(""), |file| file));
        for path in files {
            let reader = Arc::new(TensorReader::open(path)?);
            for (name, _) in reader.tensors() {
                if !weights.insert(name, &reader, name, View::Whole) {
                    let why = format!("the tensor {name:?} is in two of its files");
                    return Err(NetworkError::Folder {
                        path: path.clone(),
                        why,
                    });
                }
            }
        }
        Ok(weights)
    }

    /// The same tensors, taken in this precision.
    pub(crate) fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Adds a tensor of a file under a name; false if the name is taken or
    /// the file has no such part.
    pub(crate) fn insert(
        &mut self,
        name: &str,
        reader: &Arc<TensorReader>,
        inside: &str,
        view: View,
    ) -> bool {
        let shape = reader.get(inside).and_then(|info| view.of(info.shape));
        let Some(shape) = shape.filter(|_| !self.tensors.contains_key(name)) else {
            return false;
        };
        let place = Place::File(reader.clone(), inside.to_owned(), view);
        self.tensors
            .insert(name.to_owned(), Stored { shape, place });
        true
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Gives a tensor another name, if there is one and the name is free;
    /// its extents if the name is taken.
    fn rename(&mut self, old: &str, new: &str) -> Option<Vec<usize>> {
        let tensor = self.tensors.remove(old)?;
        if self.tensors.contains_key(new) {
            return Some(tensor.shape);
        }
        self.tensors.insert(new.to_owned(), tensor);
        None
    }

    /// Gives tensors the names that `rename` knows for them, where those are free.
    pub(crate) fn rename_all(&mut self, rename: impl Fn(&str) -> Option<String>) {
        let names: Vec<_> = self.tensors.keys().cloned().collect();
        for name in names {
            if let Some(new) = rename(&name).filter(|new| !self.tensors.contains_key(new)) {
                self.rename(&name, &new);
            }
        }
    }

    /// The values of a tensor, which must be finite; those in files may come
    /// later.
    fn take(&mut self, name: &str, later: bool) -> Result<Values<f32>, NetworkError> {
        let Some(Stored { shape, place }) = self.tensors.remove(name) else {
            return Ok(Values::Held(Vec::new()));
        };
        match place {
            Place::Memory(data) => {
                let tensor = NamedTensor { shape, data };
                tensor.require_finite(&self.origin, name)?;
                Ok(Values::Held(tensor.data))
            }
            Place::File(reader, name, view) => {
                let tensor = InFile {
                    reader,
                    name,
                    view,
                    precision: self.precision,
                };
                if later {
                    return Ok(Values::Later(Arc::new(tensor)));
                }
                Ok(Values::Held(tensor.values()?))
            }
        }
    }

    /// The values of a graph's parameters; files are read one tensor at a
    /// time, so that memory holds the result and one tensor. Large matrices of
    /// large networks, or in half precision, stay in their files until they are
    /// packed.
    ///
    /// # Errors
    /// Those of [`load_parameters`].
    pub(crate) fn load(mut self, graph: &Graph) -> Result<Parameters<f32>, NetworkError> {
        let mut mismatches = self.rename_old_attention(graph);
        let specs = graph.parameters();
        for spec in specs {
            let (name, expected) = (spec.name.clone(), spec.kind.file_dims());
            match self.tensors.get(&spec.name) {
                None => mismatches.push(Mismatch::Missing { name, expected }),
                Some(tensor) if fits(spec.kind, &tensor.shape) => {}
                Some(tensor) => mismatches.push(Mismatch::Shape {
                    name,
                    expected,
                    found: tensor.shape.clone(),
                }),
            }
        }
        let known: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let extra = self
            .tensors
            .iter()
            .filter(|(name, _)| !known.contains(name.as_str()));
        mismatches.extend(extra.map(|(name, tensor)| Mismatch::Extra {
            name: name.clone(),
            found: tensor.shape.clone(),
        }));
        if !mismatches.is_empty() {
            return Err(NetworkError::Weights {
                path: self.origin,
                mismatches,
            });
        }
        let count: usize = specs.iter().map(|spec| spec.kind.len()).sum();
        Parameters::from_file_layout(graph, |spec| {
            // Held values are f32, so half precision comes with packing alone.
            let pays = count >= LARGE_NETWORK || self.precision == Precision::Half;
            let later = pays && spec.kind.len() >= LARGE_MATRIX;
            self.take(&spec.name, later)
        })
    }

    /// Gives today's names to the layers of attention; returns the tensors
    /// whose new name is taken.
    fn rename_old_attention(&mut self, graph: &Graph) -> Vec<Mismatch> {
        let mut new_names = HashMap::new();
        for spec in graph.parameters() {
            for (old, new) in OLD_ATTENTION {
                for part in ["weight", "bias"] {
                    if let Some(block) = spec.name.strip_suffix(&format!(".{new}.{part}")) {
                        new_names.insert(format!("{block}.{old}.{part}"), spec.name.as_str());
                    }
                }
            }
        }
        let mut doubled = Vec::new();
        for (name, new) in new_names {
            let found = self.rename(&name, new);
            doubled.extend(found.map(|found| Mismatch::Extra { name, found }));
        }
        doubled.sort_by_cached_key(ToString::to_string);
        doubled
    }
}

/// The values of a graph's parameters from a diffusers weights file.
///
/// Old attention names are understood, and matrices that are stored as 1×1
/// convolutions.
///
/// # Errors
/// When tensors are missing, superfluous or of another shape (one error names
/// them all), or hold NaN or infinity.
pub fn load_parameters(graph: &Graph, file: TensorFile) -> Result<Parameters<f32>, NetworkError> {
    Weights::from(file).load(graph)
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
