//! The run that another one replaces, kept aside until that one is complete.
//!
//! Its files lie in `.alice-replaced` inside the run folder, under their own
//! names. Its list goes there first and comes back last, so a folder that was
//! left at any moment says what to do:
//!
//! | list aside | list in the folder | report in the folder | |
//! |---|---|---|---|
//! | no | | | nothing was moved |
//! | yes | no | | files were on the way: they go back |
//! | yes | yes | no | the newer run is unfinished: it gives way or is kept |
//! | yes | yes | yes | the newer run is complete: what is aside goes |

use super::list::hold;
use super::room::{files_of_run, listed, remove_run};
use super::{LIST, RECIPE, REPORT};
use crate::{Error, Result, atomic, disk};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a run lies that is being replaced, inside its folder.
pub(super) const ASIDE: &str = ".alice-replaced";

/// The folders in which this process replaces a run, and whether the newer run
/// gives way even if it has results.
static REPLACING: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

fn replacing() -> MutexGuard<'static, BTreeMap<PathBuf, bool>> {
    // A panic elsewhere leaves the map as good as it was.
    REPLACING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder under a name that stays the same.
fn key(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf())
}

/// A run that lies aside, ours to bring back for as long as this lives.
#[derive(Debug)]
pub(super) struct Replaced {
    folder: PathBuf,
    /// Its list, locked: nobody else moves these files.
    lock: File,
}

impl Replaced {
    /// Moves the run of a folder aside; on an error it is where it was.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub(super) fn set_aside(folder: &Path) -> Result<Self> {
        let names = files_of_run(folder)?;
        let lock = hold(folder)?;
        let _whole = atomic::uninterrupted();
        replacing().insert(key(folder), false);
        let replaced = Self {
            folder: folder.to_path_buf(),
            lock,
        };
        if let Err(error) = move_aside(folder, &names) {
            replacing().remove(&key(folder));
            // The first error is the one to tell; what is aside is found again.
            let _ = settle(folder, false);
            return Err(error);
        }
        Ok(replaced)
    }

    /// Sees to what an earlier process left aside: it goes if the newer run is
    /// complete, and comes back if not. With `keep` a newer run that has
    /// results stays; then the run it was to replace is returned.
    ///
    /// # Errors
    /// When another process is at work here, or files cannot be moved.
    pub(super) fn recover(folder: &Path, keep: bool) -> Result<Option<Self>> {
        let Some(aside) = find(folder) else {
            // Made, and nothing moved; what others put there stays.
            let _ = fs::remove_dir(folder.join(ASIDE));
            return Ok(None);
        };
        let lock = hold(&aside)?;
        let _whole = atomic::uninterrupted();
        let folder = folder.to_path_buf();
        let kept = settle(&folder, keep)? == Fate::Kept;
        Ok(kept.then_some(Self { folder, lock }))
    }

    /// Has the run brought back when the process is told to stop.
    pub(super) fn watch(&self) {
        replacing().entry(key(&self.folder)).or_insert(false);
    }

    /// Ends the replacement, as [`settle`] decides.
    ///
    /// # Errors
    /// When files cannot be moved or removed.
    pub(super) fn end(self) -> Result<()> {
        let _whole = atomic::uninterrupted();
        let gives_way = replacing().remove(&key(&self.folder)).unwrap_or(false);
        // Where open files cannot be removed, this one would be in the way.
        drop(self.lock);
        settle(&self.folder, !gives_way).map(drop)
    }
}

/// Where the run lies that is aside in a folder.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    let aside = folder.join(ASIDE);
    // A link may lead anywhere: it is no folder of ours.
    let is_folder = fs::symlink_metadata(&aside).is_ok_and(|found| found.is_dir());
    (is_folder && aside.join(LIST).is_file()).then_some(aside)
}

/// Says that nothing goes on with the run in this folder: unless it is
/// finished, the run that it replaces comes back.
pub(super) fn give_way(folder: &Path) {
    if let Some(gives_way) = replacing().get_mut(&key(folder)) {
        *gives_way = true;
    }
}

/// Ends all replacements of a process that writes no more; returns the folders
/// whose earlier run is back.
pub(super) fn end_all() -> Vec<PathBuf> {
    let all = std::mem::take(&mut *replacing());
    all.into_iter()
        .filter(|(folder, gives_way)| {
            settle(folder, !gives_way).is_ok_and(|fate| fate == Fate::Back)
        })
        .map(|(folder, _)| folder)
        .collect()
}

/// What became of a run that was aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Gone,
    Back,
    Kept,
}

/// Removes what is aside if the newer run is complete, else brings it back in
/// place of the newer run. With `keep` a newer run with results stays.
fn settle(folder: &Path, keep: bool) -> Result<Fate> {
    let Some(aside) = find(folder) else {
        return Ok(Fate::Gone);
    };
    let begun = folder.join(LIST).is_file();
    if begun && folder.join(REPORT).is_file() {
        remove_aside(folder)?;
        return Ok(Fate::Gone);
    }
    let is_result = |name: &String| name != RECIPE && folder.join(name).exists();
    if begun && keep && listed(folder)?.iter().any(is_result) {
        return Ok(Fate::Kept);
    }
    if begun {
        remove_run(folder)?;
    }
    move_back(&aside, folder)?;
    rename(&aside.join(LIST), &folder.join(LIST))?;
    // Another's files may be here; then the folder stays.
    let _ = fs::remove_dir(&aside);
    Ok(Fate::Back)
}

/// Moves a run's files, the list first and the recipe last.
fn move_aside(folder: &Path, names: &[String]) -> Result<()> {
    let aside = folder.join(ASIDE);
    fs::create_dir(&aside).map_err(|e| Error::disk(&aside, e))?;
    rename(&folder.join(LIST), &aside.join(LIST))?;
    for name in names {
        let to = aside.join(name);
        let above = to.parent().unwrap_or(&aside);
        fs::create_dir_all(above).map_err(|e| Error::disk(above, e))?;
        rename(&folder.join(name), &to)?;
    }
    Ok(())
}

/// Moves everything inside `from` but a list into `to`. A link in `to` is not
/// followed: it may lead out of the run.
fn move_back(from: &Path, to: &Path) -> Result<()> {
    for path in disk::list(from)? {
        let Some(name) = path.file_name().filter(|&name| name != LIST) else {
            continue;
        };
        let target = to.join(name);
        let is_folder = |path: &Path| fs::symlink_metadata(path).map(|found| found.is_dir());
        if !is_folder(&path).map_err(|e| Error::disk(&path, e))? {
            rename(&path, &target)?;
            continue;
        }
        match is_folder(&target) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => fs::create_dir(&target).map_err(|e| Error::disk(&target, e))?,
        }
        move_back(&path, &target)?;
        // Not empty if something could not go back.
        let _ = fs::remove_dir(&path);
    }
    Ok(())
}

/// Removes what is aside, its list last: until then it is known for what it is.
fn remove_aside(folder: &Path) -> Result<()> {
    let aside = folder.join(ASIDE);
    let mut paths = disk::list(&aside)?;
    paths.retain(|path| path.file_name().is_none_or(|name| name != LIST));
    for path in paths {
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        let removed = if is_folder {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(|e| Error::disk(&path, e))?;
    }
    fs::remove_dir_all(&aside).map_err(|e| Error::disk(&aside, e))
}

/// Moves a file, if it is there.
fn rename(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::disk(to, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
