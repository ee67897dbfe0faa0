//! Files that a study reads.

use crate::StudyError;
use alice_runs::{disk, hash};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::PathBuf;
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
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
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
        let found = hash::file(&self.path)?;
        if self.hash.is_empty() {
            self.hash = found;
        } else if self.hash != found {
            return Err(StudyError::argument(
                self.path.display().to_string(),
                format!(
                    "its content is {} and was {} when the recipe was made. Restore the file",
                    hash::short(&found),
                    hash::short(&self.hash)
                ),
            ));
        }
        Ok(())
    }

    /// The content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, StudyError> {
        Ok(disk::read(&self.path)?)
    }
}
