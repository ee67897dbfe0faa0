//! Files and further models that a study reads.

use crate::{DiffusionModel, StudyError};
use alice_runs::{disk, hash};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file that a study reads. The recipe keeps its content hash, so that a
/// replay notices when it is another file by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// The file, as it was given.
    pub path: PathBuf,
    /// The SHA-256 of its content; empty until [`InputFile::pin`].
    #[serde(default)]
    pub hash: String,
}

impl FromStr for InputFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("name a file".to_owned());
        }
        Ok(Self {
            path: path.into(),
            hash: String::new(),
        })
    }
}

impl InputFile {
    /// Records the content's hash, or checks the one recorded before.
    ///
    /// # Errors
    /// When the file cannot be read, or is not the one recorded.
    pub fn pin(&mut self) -> Result<(), StudyError> {
        record(&self.path, &mut self.hash, hash::file(&self.path)?)
    }

    /// The content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, StudyError> {
        Ok(disk::read(&self.path)?)
    }
}

/// A model that a study reads beside its own. The recipe keeps the hash of its
/// weights, so that a replay notices when it is another model by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputModel {
    /// The model, as it was given.
    pub name: PathBuf,
    /// The hash of its weights; empty until [`InputModel::pin`].
    #[serde(default)]
    pub hash: String,
}

impl FromStr for InputModel {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self {
            name: name.into(),
            hash: String::new(),
        })
    }
}

impl InputModel {
    /// Records the weights' hash, or checks the one recorded before.
    ///
    /// # Errors
    /// When the model cannot be read, or is not the one recorded.
    pub fn pin(&mut self) -> Result<(), StudyError> {
        let found = self.open()?.reference.hash;
        record(&self.name, &mut self.hash, found)
    }

    /// The model.
    ///
    /// # Errors
    /// Those of [`DiffusionModel::named`].
    pub fn open(&self) -> Result<DiffusionModel, StudyError> {
        DiffusionModel::named(&self.name)
    }
}

/// Records the hash that was found, or refuses another than the one recorded.
fn record(name: &Path, recorded: &mut String, found: String) -> Result<(), StudyError> {
    if recorded.is_empty() {
        *recorded = found;
    } else if *recorded != found {
        let why = format!(
            "its content is {} and was {} when the recipe was made. Restore it",
            hash::short(&found),
            hash::short(recorded)
        );
        return Err(StudyError::argument(name.display().to_string(), why));
    }
    Ok(())
}
