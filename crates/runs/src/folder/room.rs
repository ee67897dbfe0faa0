//! Which folder a run gets, and what of an earlier run is there.

use super::aside::{ASIDE, Replaced};
use super::{LIST, RECIPE, REPORT, RunFolder, RunState};
use crate::{Error, Result, atomic, disk};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// A relative name of plain parts, one line, not the list itself nor what was
/// set aside.
pub(super) fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !name.contains(['\n', '\r', '\0', '\\'])
        && name != LIST
        && !Path::new(name).starts_with(ASIDE)
}

/// The complete lines of a folder's list; a line cut by a crash is no name.
pub(super) fn listed(folder: &Path) -> Result<Vec<String>> {
    let list = folder.join(LIST);
    if !list.is_file() {
        return Ok(Vec::new());
    }
    let bytes = disk::read(&list)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole
        .lines()
        .filter(|name| is_inside(name))
        .map(str::to_owned)
        .collect())
}

/// Leaves `path` missing, or holding nothing of an earlier run; returns the
/// run that is to be replaced.
pub(super) fn make_room(path: &Path, overwrite: bool) -> Result<Option<Replaced>> {
    if !path.exists() {
        return Ok(None);
    }
    if Replaced::recover(path, !overwrite)?.is_some() {
        return Err(Error::folder(
            path,
            format!(
                "this folder holds an unfinished run; the earlier run that it was to replace is \
                 in {ASIDE}"
            ),
            "Choose a new folder, or start anew with --overwrite; the earlier run is kept until \
             a new one is complete",
        ));
    }
    if RunFolder::state(path) != RunState::None {
        if !overwrite {
            return Err(Error::folder(
                path,
                "this folder holds an earlier run",
                "Choose a new folder, or overwrite the run with --overwrite",
            ));
        }
        return Replaced::set_aside(path).map(Some);
    }
    // Killed before its recipe was written: nothing of anyone else's is here.
    // Folders inside hold nothing.
    let ours = |entry: &PathBuf| {
        let name = entry.file_name().and_then(|n| n.to_str());
        name.is_some_and(|n| n == LIST || atomic::is_temporary(n))
            || (entry.is_dir() && disk::list(entry).is_ok_and(|inside| inside.is_empty()))
    };
    if !disk::list(path)?.iter().all(ours) {
        return Err(Error::folder(
            path,
            "this folder is not empty and holds no run",
            "Choose a new folder; Alice overwrites only its own runs",
        ));
    }
    remove_run(path)?;
    Ok(None)
}

/// The files of a run but its list, its report first and its recipe last, so
/// that it is an interrupted run until it is none. Temporary files beside them
/// are removed.
pub(super) fn files_of_run(folder: &Path) -> Result<Vec<String>> {
    let home = fs::canonicalize(folder).map_err(|e| Error::disk(folder, e))?;
    // A link inside the folder may lead elsewhere; what is there stays.
    let inside = |path: &Path| fs::canonicalize(path).is_ok_and(|real| real.starts_with(&home));
    let mut names = listed(folder)?;
    names.retain(|name| name != RECIPE && name != REPORT);
    names.insert(0, REPORT.to_owned());
    names.push(RECIPE.to_owned());
    let mut swept = BTreeSet::new();
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let Some(parent) = path.parent().filter(|parent| inside(parent)) else {
            continue;
        };
        if swept.insert(parent.to_path_buf()) {
            atomic::sweep(parent)?;
        }
        if !path.is_dir() {
            files.push(name);
        }
    }
    Ok(files)
}

/// Removes the files of a run, its list last, and the folders that held only
/// them.
pub(super) fn remove_run(folder: &Path) -> Result<()> {
    let files = files_of_run(folder)?;
    for name in files.iter().map(String::as_str).chain([LIST]) {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::disk(&path, e)),
            _ => {}
        }
        let above = Path::new(name).ancestors().skip(1);
        for above in above.filter(|above| !above.as_os_str().is_empty()) {
            // Not empty, or gone with the file before.
            let _ = fs::remove_dir(folder.join(above));
        }
    }
    Ok(())
}

/// Creates the next free `<root>/<verb>-<number>`; two processes get two.
pub(super) fn next_free(root: &Path, verb: &str) -> Result<PathBuf> {
    if verb.is_empty() || !verb.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Error::folder(
            root,
            format!(
                "the verb {} gives no folder name",
                crate::error::shown(verb)
            ),
            "Name the folder of the run",
        ));
    }
    fs::create_dir_all(root).map_err(|e| Error::disk(root, e))?;
    let number_of = |path: PathBuf| -> Option<u32> {
        path.file_name()?
            .to_str()?
            .strip_prefix(verb)?
            .strip_prefix('-')?
            .parse()
            .ok()
    };
    let last = disk::list(root)?
        .into_iter()
        .filter_map(number_of)
        .max()
        .unwrap_or(0);
    for number in last.saturating_add(1).. {
        let path = root.join(format!("{verb}-{number:03}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::disk(&path, e)),
        }
    }
    Err(Error::folder(
        root,
        "there is no free number left",
        "Remove old runs",
    ))
}
