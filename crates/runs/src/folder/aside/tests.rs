use super::*;
use crate::{Recipe, RunFolder, RunState};
use serde_json::json;
use std::fs::{read, write};

fn recipe(seed: u64) -> Recipe {
    Recipe::new("sample", &json!({"count": 1}), seed, None).unwrap()
}

/// Every file below a folder, with what it holds.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in disk::list(folder).unwrap() {
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.insert(path.clone(), read(&path).unwrap());
        }
    }
    found
}

/// What a folder would be if this process were killed now.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in disk::list(from).unwrap() {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A complete run in `run`, and a file of the user's beside its own.
fn earlier(home: &Path) -> PathBuf {
    let path = home.join("run");
    let mut run = RunFolder::create(&path, false, recipe(1)).unwrap();
    run.write_text("a.txt", "old").unwrap();
    run.write_text("deep/b.txt", "old").unwrap();
    run.finish(&json!({"old": true})).unwrap();
    write(path.join("mine.txt"), "mine").unwrap();
    path
}

/// A newer run over it, half done.
fn newer(path: &Path) -> RunFolder {
    let mut run = RunFolder::create(path, true, recipe(2)).unwrap();
    run.write_text("a.txt", "new").unwrap();
    run.write_text("other/c.txt", "new").unwrap();
    run
}

#[test]
fn the_earlier_run_goes_when_the_new_one_is_complete() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let run = newer(&path);
    assert_eq!(read(path.join(ASIDE).join("deep/b.txt")).unwrap(), b"old");
    assert!(RunFolder::replaced(&path).is_some());
    run.finish(&json!({})).unwrap();
    assert_eq!(read(path.join("a.txt")).unwrap(), b"new");
    assert_eq!(read(path.join("mine.txt")).unwrap(), b"mine");
    assert!(!path.join("deep/b.txt").exists() && !path.join(ASIDE).exists());
    assert_eq!(Recipe::find(&path).unwrap(), recipe(2));
}

#[test]
fn the_earlier_run_comes_back_when_the_new_one_fails() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let before = everything(&path);
    // Nothing written but the recipe.
    let run = RunFolder::create(&path, true, recipe(2)).unwrap();
    run.discard_if_empty().unwrap();
    assert_eq!(everything(&path), before);
    // Results that nothing goes on with.
    let run = newer(&path);
    RunFolder::give_way(&path);
    run.discard_if_empty().unwrap();
    assert_eq!(everything(&path), before);
    assert!(!path.join("other").exists());
    // An error that nobody handles.
    let run = newer(&path);
    RunFolder::give_way(&path);
    drop(run);
    assert_eq!(everything(&path), before);
    // A report that cannot be written.
    let run = newer(&path);
    RunFolder::give_way(&path);
    let no_json = BTreeMap::from([((1, 2), 3)]);
    assert!(run.finish(&no_json).is_err());
    assert_eq!(RunFolder::state(&path), RunState::Complete);
    assert_eq!(everything(&path), before);
}

#[test]
fn a_run_that_resumes_is_kept_beside_the_earlier_one() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let before = everything(&path);
    newer(&path).discard_if_empty().unwrap();
    assert_eq!(RunFolder::state(&path), RunState::Interrupted);
    // Neither is lost by a command that does not go on with it.
    let error = RunFolder::create(&path, false, recipe(3)).unwrap_err();
    assert!(error.what().contains(ASIDE), "{error}");
    drop(RunFolder::open(&path).unwrap());
    assert_eq!(read(path.join("a.txt")).unwrap(), b"new");
    // Started anew: the unfinished attempt goes, the complete run stays.
    let run = newer(&path);
    RunFolder::give_way(&path);
    drop(run);
    assert_eq!(everything(&path), before);
    // Resumed until it is complete.
    drop(newer(&path));
    let run = RunFolder::open(&path).unwrap();
    run.finish(&json!({})).unwrap();
    assert!(!path.join(ASIDE).exists());
    assert_eq!(read(path.join("a.txt")).unwrap(), b"new");
}

#[test]
fn a_killed_process_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let before = everything(&path);
    let restored = |folder: &Path| {
        let found = everything(folder).into_iter();
        let found: BTreeMap<PathBuf, Vec<u8>> = found
            .map(|(file, bytes)| (path.join(file.strip_prefix(folder).unwrap()), bytes))
            .collect();
        assert_eq!(found, before);
    };
    // At each file that is moved, the folder made first.
    let names = files_of_run(&path).unwrap();
    for moved in 0..=names.len() + 1 {
        let killed = home.path().join(format!("moving-{moved}"));
        copy(&path, &killed);
        if moved == 0 {
            fs::create_dir(killed.join(ASIDE)).unwrap();
        } else {
            move_aside(&killed, &names[..moved - 1]).unwrap();
        }
        let error = RunFolder::create(&killed, false, recipe(3)).unwrap_err();
        assert!(error.what().contains("earlier run"), "{error}");
        restored(&killed);
    }
    // With the recipe of the newer one alone.
    let run = RunFolder::create(&path, true, recipe(2)).unwrap();
    let killed = home.path().join("bare");
    copy(&path, &killed);
    assert!(RunFolder::open(&killed).is_ok());
    restored(&killed);
    drop(run);
    // With results: by the next that overwrites.
    let run = newer(&path);
    let killed = home.path().join("half");
    copy(&path, &killed);
    assert!(RunFolder::create(&killed, false, recipe(3)).is_err());
    assert!(killed.join(ASIDE).exists());
    RunFolder::create(&killed, true, recipe(3))
        .unwrap()
        .discard_if_empty()
        .unwrap();
    restored(&killed);
    // Complete, and what is aside not yet removed.
    let killed = home.path().join("complete");
    run.finish(&json!({})).unwrap();
    copy(&path, &killed);
    copy(&home.path().join("half"), &killed.join(ASIDE));
    drop(RunFolder::open(&killed).unwrap());
    assert!(!killed.join(ASIDE).exists());
    assert_eq!(read(killed.join("a.txt")).unwrap(), b"new");
}

#[test]
fn a_process_that_stops_brings_the_earlier_run_back() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let before = everything(&path);
    let run = newer(&path);
    // As all of them end, for this folder alone: other tests are at work.
    let gives_way = replacing().remove(&key(&path)).unwrap();
    assert_eq!(settle(&path, !gives_way).unwrap(), Fate::Kept);
    assert_eq!(settle(&path, false).unwrap(), Fate::Back);
    assert_eq!(everything(&path), before);
    // The writer itself does not end before the process does.
    std::mem::forget(run);
}

#[test]
fn what_is_aside_is_held_by_who_replaces_it() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let run = newer(&path);
    // Not even where the newer list does not exist yet.
    fs::remove_file(path.join(LIST)).unwrap();
    for overwrite in [false, true] {
        let error = RunFolder::create(&path, overwrite, recipe(3)).unwrap_err();
        assert!(error.what().contains("another process"), "{error}");
    }
    assert!(RunFolder::open(&path).is_err());
    drop(run);
}

#[test]
fn names_set_aside_are_no_names_of_a_run() {
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let mut run = newer(&path);
    for name in [ASIDE, ".alice-replaced/a.txt"] {
        assert!(run.write_text(name, "").is_err(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_when_a_run_comes_back() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let path = earlier(home.path());
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let run = newer(&path);
    RunFolder::give_way(&path);
    fs::remove_dir_all(path.join("deep")).unwrap();
    symlink(&outside, path.join("deep")).unwrap();
    drop(run);
    assert!(disk::list(&outside).unwrap().is_empty());
    assert!(path.join(ASIDE).join("deep/b.txt").exists());
    // A link in the place of what was set aside.
    let other = home.path().join("other");
    drop(RunFolder::create(&other, false, recipe(1)).unwrap());
    write(outside.join(LIST), "").unwrap();
    write(outside.join("x"), "keep").unwrap();
    symlink(&outside, other.join(ASIDE)).unwrap();
    drop(RunFolder::open(&other).unwrap());
    assert!(RunFolder::create(&other, true, recipe(2)).is_err());
    assert!(outside.join("x").exists() && outside.join(LIST).exists());
    assert_eq!(RunFolder::state(&other), RunState::Interrupted);
}
