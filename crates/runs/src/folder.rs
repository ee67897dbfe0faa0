//! Run folders: everything a run leaves, with the recipe that repeats it.
//!
//! `recipe.json` is written first and `report.json` last, so a folder with the
//! first and without the second is a run that was interrupted. The hidden file
//! `.alice-run` lists what was written, one name per line, and each name is
//! there before its file is; overwriting a run replaces these files and no
//! others, and keeps them aside until the new run is complete (`aside.rs`).
//! The list is locked while a run writes: two never share a folder.

mod aside;
mod list;
mod room;

use crate::picture::{self, Metadata, Picture};
use crate::{Error, Recipe, Result, TensorFile, atomic, disk};
use aside::Replaced;
use list::{List, refuse_busy};
use room::{is_inside, listed, make_room, next_free};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where runs go that were given no folder.
pub const ROOT: &str = "runs";
/// The first file of a run.
pub(crate) const RECIPE: &str = "recipe.json";
/// The last file of a run.
const REPORT: &str = "report.json";
/// The list of what was written.
const LIST: &str = ".alice-run";

/// How far the run of a folder came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// The folder is missing, or no run was made in it.
    None,
    /// There is a recipe and no report.
    Interrupted,
    /// The report was written.
    Complete,
}

/// A folder that a run writes its results into.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    recipe: Recipe,
    written: BTreeSet<String>,
    /// Where the names are written, from the first one on.
    list: Option<List>,
    /// The run that this one replaces, until it is complete.
    replaced: Option<Replaced>,
}

impl RunFolder {
    /// Creates the folder for a run and writes its recipe.
    ///
    /// A folder that holds an earlier run is refused unless `overwrite`; then
    /// the files of that run, and only those, are kept aside. They are removed
    /// by [`RunFolder::finish`]; a run that ends otherwise gives way to them,
    /// unless it has results and [`RunFolder::give_way`] was not called.
    ///
    /// # Errors
    /// When the folder holds something that is not a run, holds a run and not
    /// `overwrite`, or cannot be written.
    pub fn create(path: &Path, overwrite: bool, recipe: Recipe) -> Result<Self> {
        refuse_busy(path)?;
        let replaced = make_room(path, overwrite)?;
        Self::begin(path.to_path_buf(), recipe, replaced)
    }

    /// As [`RunFolder::create`], in the next free `<root>/<verb>-<number>`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create_next(root: &Path, recipe: Recipe) -> Result<Self> {
        Self::begin(next_free(root, &recipe.verb)?, recipe, None)
    }

    fn begin(path: PathBuf, recipe: Recipe, replaced: Option<Replaced>) -> Result<Self> {
        let mut run = Self {
            path,
            recipe,
            written: BTreeSet::new(),
            list: None,
            replaced,
        };
        let text = run.recipe.to_json();
        run.write(RECIPE, text.as_bytes())?;
        Ok(run)
    }

    /// Opens the folder of an earlier run to go on with it.
    ///
    /// # Errors
    /// When the folder holds no run or its recipe cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let replaced = Replaced::recover(path, true)?;
        let recipe = Recipe::find(path)?;
        let list = List::open(path)?;
        atomic::sweep(path)?;
        let written = listed(path)?.into_iter().collect();
        if let Some(replaced) = &replaced {
            replaced.watch();
        }
        Ok(Self {
            path: path.to_path_buf(),
            recipe,
            written,
            list: Some(list),
            replaced,
        })
    }

    /// Opens the folder of an earlier run to take it further than its recipe
    /// said: `recipe` replaces the recipe, and the report goes.
    ///
    /// # Errors
    /// As [`RunFolder::open`], and when the folder cannot be written.
    pub fn extend(path: impl AsRef<Path>, recipe: Recipe) -> Result<Self> {
        let mut run = Self::open(path)?;
        let report = run.path.join(REPORT);
        if report.is_file() {
            fs::remove_file(&report).map_err(|e| Error::disk(&report, e))?;
        }
        if run.recipe != recipe {
            let text = recipe.to_json();
            run.write(RECIPE, text.as_bytes())?;
            run.recipe = recipe;
        }
        Ok(run)
    }

    /// Leaves nothing of a run that failed before it wrote more than its
    /// recipe; a run with results stays, as an interrupted one. A run that it
    /// was to replace comes back first of all.
    ///
    /// # Errors
    /// When a file cannot be moved or removed.
    pub fn discard_if_empty(mut self) -> Result<()> {
        if let Some(replaced) = self.replaced.take() {
            return replaced.end();
        }
        let has_results = |name: &str| name != RECIPE && self.path.join(name).exists();
        if self.written().any(has_results) {
            return Ok(());
        }
        remove_marks(&self.path)
    }

    /// Removes what is left of a run in a folder that wrote nothing but its
    /// recipe; returns whether it did. For a process that is about to end.
    #[must_use]
    pub fn remove_bare(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let bare = |entry: PathBuf| {
            let name = entry.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name == RECIPE || name == LIST)
        };
        let entries = disk::list(path).unwrap_or_default();
        !entries.is_empty() && entries.into_iter().all(bare) && remove_marks(path).is_ok()
    }

    /// Says that no later command goes on with the run that this process
    /// writes here: unless it is finished, the run that it replaces comes back.
    pub fn give_way(path: impl AsRef<Path>) {
        aside::give_way(path.as_ref());
    }

    /// Brings back the runs that unfinished ones of this process were to
    /// replace; returns their folders. For a process that is about to end,
    /// after [`atomic::shut_down`].
    #[must_use]
    pub fn put_back_all() -> Vec<PathBuf> {
        aside::end_all()
    }

    /// Where the run lies that the one in this folder replaces once it is
    /// complete.
    #[must_use]
    pub fn replaced(path: impl AsRef<Path>) -> Option<PathBuf> {
        aside::find(path.as_ref())
    }

    /// How far the run in this folder came.
    #[must_use]
    pub fn state(path: impl AsRef<Path>) -> RunState {
        let path = path.as_ref();
        if !path.join(RECIPE).is_file() {
            RunState::None
        } else if path.join(REPORT).is_file() {
            RunState::Complete
        } else {
            RunState::Interrupted
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe of the run.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The names written so far, sorted, relative to the folder.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    /// Writes bytes; `name` is relative to the folder, with `/` between folders.
    ///
    /// # Errors
    /// When the name leaves the folder, or as [`atomic::write`].
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.announce(name)?;
        atomic::write(&path, bytes)?;
        Ok(path)
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub fn write_text(&mut self, name: &str, text: &str) -> Result<PathBuf> {
        self.write(name, text.as_bytes())
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub fn write_json(&mut self, name: &str, value: &impl Serialize) -> Result<PathBuf> {
        let text = pretty(&self.path.join(name), value)?;
        self.write(name, text.as_bytes())
    }

    /// Writes tensors.
    ///
    /// # Errors
    /// As [`RunFolder::write`] and [`TensorFile::write`].
    pub fn write_tensors(&mut self, name: &str, tensors: &TensorFile) -> Result<PathBuf> {
        let path = self.announce(name)?;
        tensors.write(&path)?;
        Ok(path)
    }

    /// Writes a picture, adding the run's recipe to its metadata.
    ///
    /// # Errors
    /// As [`RunFolder::write`] and [`picture::encode_png`].
    pub fn write_png(
        &mut self,
        name: &str,
        picture: &Picture,
        metadata: &Metadata,
    ) -> Result<PathBuf> {
        let metadata = metadata.clone().with_recipe(&self.recipe);
        let bytes = picture::encode_png(self.path.join(name), picture, &metadata)?;
        self.write(name, &bytes)
    }

    /// Writes an animated PNG, adding the run's recipe to its metadata.
    ///
    /// # Errors
    /// As [`RunFolder::write`] and [`picture::encode_apng`].
    pub fn write_apng(
        &mut self,
        name: &str,
        frames: &[Picture],
        milliseconds_per_frame: u16,
        metadata: &Metadata,
    ) -> Result<PathBuf> {
        let metadata = metadata.clone().with_recipe(&self.recipe);
        let path = self.path.join(name);
        let bytes = picture::encode_apng(path, frames, milliseconds_per_frame, &metadata)?;
        self.write(name, &bytes)
    }

    /// Ends the run by writing `report.json`; a run that it replaces goes.
    ///
    /// # Errors
    /// As [`RunFolder::write_json`], and when the replaced run cannot be removed.
    pub fn finish(mut self, report: &impl Serialize) -> Result<PathBuf> {
        let text = pretty(&self.path.join(REPORT), report)?;
        let path = self.write(REPORT, text.as_bytes())?;
        if let Some(replaced) = self.replaced.take() {
            replaced.end()?;
        }
        Ok(path)
    }

    /// Checks a name and puts it on the list, for a file that is then written
    /// whole by other means than this folder's.
    ///
    /// # Errors
    /// When the name leaves the folder, or the list cannot be written.
    pub fn announce(&mut self, name: &str) -> Result<PathBuf> {
        if !is_inside(name) {
            return Err(Error::folder(
                &self.path,
                format!("{name:?} is not a name inside this folder"),
                "Use a relative name without '..'",
            ));
        }
        if !self.written.contains(name) {
            if self.list.is_none() {
                self.list = Some(List::open(&self.path)?);
            }
            if let Some(list) = &mut self.list {
                list.add(name)?;
            }
            self.written.insert(name.to_owned());
        }
        Ok(self.path.join(name))
    }
}

/// A run that ends by an error or a panic: what it was to replace is not lost.
impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Some(replaced) = self.replaced.take() {
            // What cannot be moved now is found by the next who opens the folder.
            let _ = replaced.end();
        }
    }
}

/// Removes what makes a folder a run's, and the folder if that was all.
fn remove_marks(folder: &Path) -> Result<()> {
    for name in [RECIPE, LIST] {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(|e| Error::disk(&path, e))?;
    }
    // Another's files may be here; then the folder stays.
    let _ = fs::remove_dir(folder);
    if folder.parent() == Some(Path::new(ROOT)) {
        let _ = fs::remove_dir(ROOT);
    }
    Ok(())
}

fn pretty(path: &Path, value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|e| {
            Error::text(
                path,
                format!("it cannot be written as JSON: {e}"),
                "This is a bug; please report it",
            )
        })
}

#[cfg(test)]
mod tests;
