//! Which folder a run gets, and what of an earlier run must go.

use super::{LIST, RECIPE, REPORT, RunFolder, RunState};
use crate::{Error, Result, atomic, disk};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// A relative name of plain parts, one line, not the list itself.
pub(super) fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !name.contains(['\n', '\r', '\0', '\\'])
        && name != LIST
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

/// Leaves `path` missing, empty, or holding nothing of an earlier run.
pub(super) fn make_room(path: &Path, overwrite: bool) -> Result<()> {
    if !path.exists() || (path.is_dir() && disk::list(path)?.is_empty()) {
        return Ok(());
    }
    if RunFolder::state(path) == RunState::None {
        let entries = disk::list(path)?;
        // Killed before its recipe was written, or after an earlier one was
        // removed: nothing of anyone else's is here. Folders inside hold nothing.
        let ours = |entry: &PathBuf| {
            let name = entry.file_name().and_then(|n| n.to_str());
            name.is_some_and(|n| n == LIST || atomic::is_temporary(n))
                || (entry.is_dir() && disk::list(entry).is_ok_and(|inside| inside.is_empty()))
        };
        if !entries.iter().all(ours) {
            return Err(Error::folder(
                path,
                "this folder is not empty and holds no run",
                "Choose a new folder; Alice overwrites only its own runs",
            ));
        }
    } else if !overwrite {
        return Err(Error::folder(
            path,
            "this folder holds an earlier run",
            "Choose a new folder, or overwrite the run with --overwrite",
        ));
    }
    remove_run(path)
}

/// Removes the files of a run: its report first, its recipe last, so that it
/// is an interrupted run until it is none.
fn remove_run(folder: &Path) -> Result<()> {
    let home = fs::canonicalize(folder).map_err(|e| Error::disk(folder, e))?;
    // A link inside the folder may lead elsewhere; what is there stays.
    let inside = |path: &Path| fs::canonicalize(path).is_ok_and(|real| real.starts_with(&home));
    let mut names = listed(folder)?;
    names.retain(|name| name != RECIPE && name != REPORT);
    names.insert(0, REPORT.to_owned());
    names.extend([LIST.to_owned(), RECIPE.to_owned()]);
    let mut swept = BTreeSet::new();
    for name in names {
        let path = folder.join(&name);
        let Some(parent) = path.parent().filter(|parent| inside(parent)) else {
            continue;
        };
        if swept.insert(parent.to_path_buf()) {
            atomic::sweep(parent)?;
        }
        if path.is_dir() {
            continue;
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::disk(&path, e)),
            _ => {}
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
