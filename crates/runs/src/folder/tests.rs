use super::*;
use serde_json::json;
use std::fs::{read, write};

fn recipe() -> Recipe {
    Recipe::new("sample", &json!({"count": 1}), 3, None).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let paths = crate::disk::list(folder).unwrap();
    paths
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_run_leaves_its_files_its_recipe_first_and_its_report_last() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("new/run");
    assert_eq!(RunFolder::state(&path), RunState::None);
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    assert_eq!(RunFolder::state(&path), RunState::Interrupted);

    let picture = Picture::new(2, 1, vec![9; 6]).unwrap();
    let png = run
        .write_png("samples/0.png", &picture, &Metadata::new())
        .unwrap();
    let frames = [picture.clone(), picture];
    let apng = run
        .write_apng("walk.png", &frames, 80, &Metadata::new())
        .unwrap();
    assert_eq!(Recipe::find(apng).unwrap(), recipe());
    run.write_text("note.txt", "hello").unwrap();
    run.write_json("truth.json", &json!([1, 2])).unwrap();
    let mut tensors = TensorFile::new();
    tensors.insert("latents", &[1], vec![1.0]).unwrap();
    run.write_tensors("latents.safetensors", &tensors).unwrap();
    run.write_tensors("latents.safetensors", &tensors).unwrap();
    let written: Vec<&str> = run.written().collect();
    let expected = [
        "latents.safetensors",
        "note.txt",
        "recipe.json",
        "samples/0.png",
        "truth.json",
        "walk.png",
    ];
    assert_eq!(written, expected);
    assert_eq!(Recipe::find(&png).unwrap(), recipe());
    assert_eq!(Recipe::find(&path).unwrap(), *run.recipe());

    run.finish(&json!({"seconds": 1.5})).unwrap();
    assert_eq!(RunFolder::state(&path), RunState::Complete);
    assert_eq!(
        read(path.join("report.json")).unwrap(),
        b"{\n  \"seconds\": 1.5\n}\n"
    );
}

#[test]
fn only_runs_are_overwritten_and_only_their_files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.write_text("old.txt", "old").unwrap();
    run.write_text("deep/old.txt", "old").unwrap();
    run.finish(&json!({})).unwrap();
    write(path.join("mine.txt"), "keep").unwrap();
    write(path.join(".alice-half.tmp"), "").unwrap();
    write(path.join("deep/.alice-half.tmp"), "").unwrap();

    let error = RunFolder::create(&path, false, recipe()).unwrap_err();
    assert!(error.what().contains("earlier run"), "{error}");
    assert!(path.join("old.txt").is_file());

    let run = RunFolder::create(&path, true, recipe()).unwrap();
    assert_eq!(RunFolder::state(run.path()), RunState::Interrupted);
    run.finish(&json!({})).unwrap();
    let expected = [
        ".alice-run",
        "deep",
        "mine.txt",
        "recipe.json",
        "report.json",
    ];
    assert_eq!(names(&path), expected);
    assert!(names(&path.join("deep")).is_empty());
}

#[test]
fn folders_of_others_are_never_touched() {
    let home = tempfile::tempdir().unwrap();
    write(home.path().join("thesis.tex"), "years").unwrap();
    for overwrite in [false, true] {
        let error = RunFolder::create(home.path(), overwrite, recipe()).unwrap_err();
        assert!(error.what().contains("holds no run"), "{error}");
    }
    let file = home.path().join("thesis.tex");
    assert!(RunFolder::create(&file, true, recipe()).is_err());
    assert_eq!(read(&file).unwrap(), b"years");
    assert_eq!(names(home.path()), ["thesis.tex"]);

    // Empty, or left by a run that was killed at once.
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write(empty.join(LIST), "recipe.json\n").unwrap();
    write(empty.join(".alice-half.tmp"), "{").unwrap();
    RunFolder::create(&empty, false, recipe()).unwrap();
    assert_eq!(names(&empty), [".alice-run", "recipe.json"]);
}

#[test]
fn names_cannot_leave_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    for name in [
        "",
        "..",
        "../x",
        "a/../../x",
        "/etc/x",
        ".",
        "a\nb",
        ".alice-run",
        "a\\..\\b",
    ] {
        assert!(run.write_text(name, "").is_err(), "{name:?}");
    }
    assert_eq!(names(home.path()), ["run"]);

    // A list that was tampered with, and one that was cut off.
    drop(run);
    let outside = home.path().join("outside");
    write(&outside, "keep").unwrap();
    write(path.join("cut"), "keep").unwrap();
    let list = format!("../outside\n{}\ncut", outside.display());
    write(path.join(LIST), list).unwrap();
    RunFolder::create(&path, true, recipe()).unwrap();
    assert!(outside.is_file() && path.join("cut").is_file());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed_when_overwriting() {
    let home = tempfile::tempdir().unwrap();
    let (path, outside) = (home.path().join("run"), home.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    write(outside.join("x"), "keep").unwrap();
    RunFolder::create(&path, false, recipe()).unwrap();
    std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
    write(path.join(LIST), "link/x\n").unwrap();
    write(outside.join(".alice-theirs.tmp"), "").unwrap();
    RunFolder::create(&path, true, recipe()).unwrap();
    assert_eq!(names(&outside), [".alice-theirs.tmp", "x"]);
}

#[test]
fn an_interrupted_run_can_be_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    assert!(RunFolder::open(&path).is_err());
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.write_text("checkpoint", "1").unwrap();
    drop(run);
    write(path.join(".alice-half.tmp"), "").unwrap();
    let mut again = RunFolder::open(&path).unwrap();
    assert_eq!(again.recipe(), &recipe());
    again.write_text("checkpoint", "2").unwrap();
    assert_eq!(
        again.written().collect::<Vec<_>>(),
        ["checkpoint", "recipe.json"]
    );
    assert_eq!(names(&path), [".alice-run", "checkpoint", "recipe.json"]);
}

#[test]
fn a_run_can_be_taken_further() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let run = RunFolder::create(&path, false, recipe()).unwrap();
    run.finish(&1).unwrap();
    let longer = Recipe {
        seed: 99,
        ..recipe()
    };
    let run = RunFolder::extend(&path, longer.clone()).unwrap();
    assert_eq!(RunFolder::state(&path), RunState::Interrupted);
    run.finish(&2).unwrap();
    assert_eq!(Recipe::find(&path).unwrap(), longer);
    assert_eq!(RunFolder::state(&path), RunState::Complete);
}

#[test]
fn only_a_run_without_results_is_discarded() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.announce("never-written").unwrap();
    run.discard_if_empty().unwrap();
    assert!(!path.exists());
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.write_text("result", "x").unwrap();
    run.discard_if_empty().unwrap();
    assert_eq!(names(&path), [".alice-run", "recipe.json", "result"]);
}

#[test]
fn runs_are_numbered() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("runs");
    assert_eq!(
        room::next_free(&root, "edit").unwrap(),
        root.join("edit-001")
    );
    fs::create_dir(root.join("edit-041")).unwrap();
    fs::create_dir(root.join("edit-notes")).unwrap();
    assert_eq!(
        room::next_free(&root, "edit").unwrap(),
        root.join("edit-042")
    );
    assert_eq!(
        room::next_free(&root, "sample").unwrap(),
        root.join("sample-001")
    );
    assert!(room::next_free(&root, "../x").is_err());
    let many: BTreeSet<PathBuf> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| room::next_free(&root, "race").unwrap()))
            .collect();
        made.into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(many.len(), 8);
}

#[test]
fn what_cannot_be_json_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let mut run = RunFolder::create(&home.path().join("r"), false, recipe()).unwrap();
    let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(run.write_json("x.json", &keys).is_err());
    assert!(!run.path().join("x.json").exists());
}

#[test]
fn two_never_write_into_one_folder() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.write_text("a.txt", "a").unwrap();
    for overwrite in [false, true] {
        let error = RunFolder::create(&path, overwrite, recipe()).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
    }
    assert!(RunFolder::open(&path).is_err());
    run.finish(&json!({})).unwrap();
    RunFolder::open(&path).unwrap();
    let run = RunFolder::create(&path, true, recipe()).unwrap();
    run.finish(&json!({})).unwrap();
    assert!(!path.join("a.txt").exists());
}

#[test]
fn a_line_cut_by_a_crash_is_no_part_of_the_next() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    drop(RunFolder::create(&path, false, recipe()).unwrap());
    let mut list = read(path.join(LIST)).unwrap();
    list.extend(b"cut of");
    write(path.join(LIST), list).unwrap();
    let mut run = RunFolder::open(&path).unwrap();
    run.write_text("whole.txt", "a").unwrap();
    drop(run);
    let names = listed(&path).unwrap();
    assert!(names.contains(&"whole.txt".to_owned()), "{names:?}");
}

#[test]
fn a_run_that_wrote_its_recipe_alone_can_go() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run");
    drop(RunFolder::create(&path, false, recipe()).unwrap());
    assert!(RunFolder::remove_bare(&path));
    assert!(!path.exists());
    let mut run = RunFolder::create(&path, false, recipe()).unwrap();
    run.write_text("a.txt", "a").unwrap();
    assert!(!RunFolder::remove_bare(&path));
    assert!(path.join("a.txt").exists());
}
