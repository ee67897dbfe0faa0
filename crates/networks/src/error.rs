//! What can be wrong with a config, a checkpoint or a size.

use alice_calculus::GraphError;
use std::path::PathBuf;
use thiserror::Error;

/// An error of reading or building a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The config is not a JSON object.
    #[error("the config is not a JSON object: {why}")]
    Json {
        /// What the parser says.
        why: String,
    },
    /// A field of the config has a value that cannot be used.
    #[error("the config's {field} is {value}; {wanted}")]
    Field {
        /// The field's name, as diffusers writes it.
        field: &'static str,
        /// Its value, as JSON.
        value: String,
        /// What would be accepted.
        wanted: String,
    },
    /// The network cannot take samples of this size.
    #[error("the network cannot take a {height}×{width} sample: {why}")]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The rule that it breaks.
        why: String,
    },
    /// An input's values are not ones that the network knows.
    #[error("the input {name} does not fit: {why}")]
    Input {
        /// The input's name.
        name: &'static str,
        /// The value and what it must be.
        why: String,
    },
    /// The weights do not fit the network.
    #[error("{}: {}. Check that the weights and config.json belong together", path.display(), summary(mismatches))]
    Weights {
        /// The file of the weights.
        path: PathBuf,
        /// Every tensor that does not fit.
        mismatches: Vec<Mismatch>,
    },
    /// A file in a model's folder, and what is wrong with it.
    #[error("{}: {source}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<NetworkError>,
    },
    /// The folder holds no model that can be read.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is missing, and what to do.
        why: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] alice_runs::Error),
    /// The operations do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl NetworkError {
    /// The same error, of a file.
    pub(crate) fn at(self, path: impl Into<PathBuf>) -> Self {
        Self::At {
            path: path.into(),
            source: Box::new(self),
        }
    }
}

/// A tensor that does not fit a network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Mismatch {
    /// The network needs it and the file lacks it.
    #[error("{name} {expected:?} is missing")]
    Missing {
        /// The tensor's name.
        name: String,
        /// The extents it must have.
        expected: Vec<usize>,
    },
    /// The file holds it and the network has no place for it.
    #[error("{} {found:?} has no place in the network", shown(name))]
    Extra {
        /// The tensor's name.
        name: String,
        /// The extents it has.
        found: Vec<usize>,
    },
    /// Its extents are wrong.
    #[error("{name} has the shape {found:?} and needs {expected:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The extents it must have.
        expected: Vec<usize>,
        /// The extents it has.
        found: Vec<usize>,
    },
}

/// The first few mismatches and how many more there are.
fn summary(mismatches: &[Mismatch]) -> String {
    const SHOWN: usize = 6;
    let mut parts: Vec<_> = mismatches
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    if mismatches.len() > SHOWN {
        parts.push(format!("and {} more", mismatches.len() - SHOWN));
    }
    parts.join("; ")
}

/// A name from a file, safe to show: escaped, and cut when it is long.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 96;
    let cut: String = name.chars().take(LONGEST).collect();
    let more = if cut.len() < name.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}
