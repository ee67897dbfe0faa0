//! Models that Hugging Face's tools downloaded before.
//!
//! Their cache holds `models--OWNER--NAME/` with `refs/REVISION`, a file that
//! names a commit, and `snapshots/COMMIT/`, the files of that commit. Nothing
//! here opens a connection; the crate `alice-hub` does.

use crate::{Error, Result, disk};
use std::env;
use std::path::{Path, PathBuf};

/// The revision that is meant when none is named.
pub const MAIN: &str = "main";

/// Whether a text can be the name of a model on the hub: `owner/name`, and
/// perhaps `@` and a revision.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let (id, revision) = split(text);
    let part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (1..=96).contains(&part.len())
            && part.chars().all(known)
            && !part.starts_with(['-', '.'])
            && !part.contains("..")
    };
    let revision = revision.is_none_or(|r| r.split('/').all(part));
    id.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name) && revision)
}

/// The folder of the cache: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or
/// `huggingface/hub` in `XDG_CACHE_HOME` or `~/.cache`; `None` where none of
/// these is known.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let folder = |name| variable(name).map(PathBuf::from);
    folder("HF_HUB_CACHE")
        .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(folder("HF_HOME")?.join("hub")))
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(env::home_dir()?.join(".cache/huggingface/hub")))
}

/// The folder in the cache with the files of a model, named as [`is_id`] says.
///
/// # Errors
/// When it was not downloaded; the error says how to.
pub fn find(id: &str) -> Result<PathBuf> {
    let none = || missing(Path::new(id), id, "no folder of a cache is known");
    find_in(&cache().ok_or_else(none)?, id)
}

/// As [`find`], in a given cache.
///
/// # Errors
/// As [`find`].
pub fn find_in(cache: &Path, id: &str) -> Result<PathBuf> {
    if !is_id(id) {
        return Err(missing(
            cache,
            id,
            "a model of the hub is named OWNER/NAME or OWNER/NAME@REVISION",
        ));
    }
    let (name, revision) = split(id);
    let model = cache.join(folder_name(name));
    if !disk::is_folder(&model) {
        return Err(missing(cache, id, "it is not in this cache"));
    }
    let wanted = revision.unwrap_or(MAIN);
    let reference = model.join("refs").join(wanted);
    let commit = if disk::is_file(&reference) {
        disk::read_text(&reference)?.trim().to_owned()
    } else {
        wanted.to_owned()
    };
    // A commit is a name of one folder, whatever the file says.
    let plain = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
    let snapshot = model.join("snapshots").join(&commit);
    if plain && disk::is_folder(&snapshot) {
        return Ok(snapshot);
    }
    Err(missing(
        &model,
        id,
        &format!("its revision {wanted} is not in this cache"),
    ))
}

/// The name of a model's folder in a cache.
#[must_use]
pub fn folder_name(name: &str) -> String {
    format!("models--{}", name.replace('/', "--"))
}

/// The name and the revision, if the id names one.
#[must_use]
pub fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (id, None),
    }
}

fn missing(path: &Path, id: &str, why: &str) -> Error {
    let (name, revision) = split(id);
    let revision = revision.map_or(String::new(), |r| format!(" --revision {r}"));
    Error::folder(
        path,
        format!("no model {id:?} here: {why}"),
        format!(
            "Check the path for a typing error, or download the model where there is a network, with: alice model {id}, or: hf download {name}{revision}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn ids_are_told_from_paths() {
        for id in [
            "google/ddpm-church-256",
            "a/b",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "a/b@fp16",
            "a/b@refs/pr/3",
        ] {
            assert!(is_id(id), "{id}");
        }
        for path in [
            "", "a", "/a/b", "a/b/c", "./a", "../a", "a/..", "a/b ", "a\\b", "a/", "/b", "~/b",
            "a/b@", "a/b@../c", "a/b@/c",
        ] {
            assert!(!is_id(path), "{path}");
        }
    }

    #[test]
    fn snapshots_are_found_through_their_reference() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--owner--name");
        let snapshot = model.join("snapshots/0123abcd");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(model.join("refs")).unwrap();
        let refused = |id: &str, word: &str| {
            let error = find_in(cache.path(), id).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused("owner/name", "revision main");
        fs::write(model.join("refs/main"), "0123abcd\n").unwrap();
        assert_eq!(find_in(cache.path(), "owner/name").unwrap(), snapshot);
        let pinned = find_in(cache.path(), "owner/name@0123abcd").unwrap();
        assert_eq!(pinned, snapshot);
        refused("owner/name@other", "--revision other");
        refused("owner/other", "hf download owner/other");
        refused("owner", "OWNER/NAME");
        for lie in ["../../x", "", ".."] {
            fs::write(model.join("refs/main"), lie).unwrap();
            refused("owner/name", "revision main");
        }
    }
}
