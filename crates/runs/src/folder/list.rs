//! The list of what a run wrote, held open and locked by whoever writes.

use super::LIST;
use crate::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A folder's list, ours to write for as long as this lives.
#[derive(Debug)]
pub(super) struct List {
    path: PathBuf,
    file: File,
}

impl List {
    /// Opens the list of a folder, which is made if it is missing.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(LIST);
        let disk = |e| Error::disk(&path, e);
        fs::create_dir_all(folder).map_err(disk)?;
        let mut file = hold(folder)?;
        // A line cut by a crash is no name, and must not become part of one.
        let mut last = [b'\n'];
        if file.metadata().map_err(disk)?.len() > 0 {
            file.seek(SeekFrom::End(-1)).map_err(disk)?;
            file.read_exact(&mut last).map_err(disk)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(disk)?;
        }
        Ok(Self { path, file })
    }

    /// Adds a name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn add(&mut self, name: &str) -> Result<()> {
        let line = format!("{name}\n");
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| Error::disk(&self.path, e))
    }
}

/// Opens and locks the list of a folder, which is made if it is missing.
///
/// # Errors
/// When another process holds it, or the folder cannot be written.
pub(super) fn hold(folder: &Path) -> Result<File> {
    let path = folder.join(LIST);
    let mut options = File::options();
    let options = options.create(true).read(true).append(true);
    let file = options.open(&path).map_err(|e| Error::disk(&path, e))?;
    lock(folder, &file)?;
    Ok(file)
}

/// Refuses a folder that another process writes a run into.
///
/// # Errors
/// When one does.
pub(super) fn refuse_busy(folder: &Path) -> Result<()> {
    match File::open(folder.join(LIST)) {
        Ok(file) => lock(folder, &file),
        Err(_) => Ok(()),
    }
}

/// Where the file system knows no locks, runs go without.
fn lock(folder: &Path, file: &File) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::folder(
            folder,
            "another process is writing a run into this folder",
            "Wait until it ends, or choose another folder",
        )),
        _ => Ok(()),
    }
}
