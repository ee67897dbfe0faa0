//! Ctrl-C at any moment: code 130, one line, nothing half-written, and the run
//! that was to be replaced is there.
#![cfg(unix)]

mod common;

use alice_runs::{RunFolder, RunState};
use common::{Home, Ran, files, kill_once, temporary_files, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Starts a command and interrupts it after a while, if it still runs.
fn interrupt(home: &Home, arguments: &str, after: Duration) -> Ran {
    interrupt_when(&mut home.command(arguments), || std::thread::sleep(after))
}

/// Starts a command and interrupts it when `ready` returns.
fn interrupt_when(command: &mut Command, ready: impl FnOnce()) -> Ran {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ready();
    // It may have ended by itself, which is no error.
    let id = child.id().to_string();
    let _ = Command::new("kill")
        .args(["-INT", &id])
        .stderr(Stdio::null())
        .status();
    child.wait_with_output().unwrap().into()
}

/// Every file of a folder, hidden ones too, with what it holds.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    files(folder).into_iter().map(read).collect()
}

/// Every file is whole.
fn check_whole(folder: &Path) {
    assert!(temporary_files(folder).is_empty());
    for path in files(folder) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("png") => drop(alice_runs::picture::read_png(&path).unwrap()),
            Some("safetensors") => drop(alice_runs::TensorFile::read(&path).unwrap()),
            Some("json") => {
                let text = fs::read_to_string(&path).unwrap();
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn a_long_run_stops_at_once() {
    let home = Home::new();
    home.tiny_model();
    let arguments = "sample --model model --steps 1000 --count 100000 --out run";
    let ran = interrupt(&home, arguments, Duration::from_millis(700));
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("interrupted"), "{}", ran.stderr);
    // The folder is free again.
    home.json("sample --model model --steps 2 --count 1 --out run");
}

#[test]
fn any_moment_will_do() {
    let home = Home::new();
    let arguments = "world --size 32 --count 16 --singles 200 --out run --overwrite";
    home.json(arguments);
    let before = files(&home.path("run"));
    for round in 0..12 {
        let ran = interrupt(&home, arguments, Duration::from_millis(15 * round));
        // Before the handler is there, the system ends the program.
        assert!(matches!(ran.code, Some(130 | 0) | None), "{ran:?}");
        check_whole(&home.path("run"));
        // The earlier run or the new one.
        assert_eq!(files(&home.path("run")), before, "{}", ran.stderr);
    }
    home.json(arguments);
}

#[test]
fn what_wrote_nothing_leaves_nothing() {
    let home = Home::new();
    home.tiny_model();
    let arguments = "sample --model model --steps 1000 --count 100000 --out run";
    let ran = interrupt(&home, arguments, Duration::from_millis(700));
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(!home.path("run").exists(), "{}", ran.stderr);
    assert!(!ran.stderr.contains("run"), "{}", ran.stderr);
}

#[test]
fn discover_stops_at_any_moment() {
    let home = Home::new();
    home.tiny_model();
    let arguments = "discover --model model --samples 2 --steps 1000 --rank 3 --walks 2 --out run";
    for round in 0..5 {
        let ran = interrupt(&home, arguments, Duration::from_millis(100 + 200 * round));
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.starts_with("interrupted"), "{}", ran.stderr);
        assert_ne!(RunFolder::state(home.path("run")), RunState::Complete);
        check_whole(&home.path("run"));
        let _ = fs::remove_dir_all(home.path("run"));
    }
}

#[test]
fn the_run_that_was_to_be_replaced_is_back() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 2 --count 2 --out run");
    fs::write(home.path("run/mine.txt"), "mine").unwrap();
    let before = contents(&home.path("run"));
    let long = "sample --model model --steps 1000 --count 100000 --out run --overwrite";
    let set_aside = home.path("run/.alice-replaced/.alice-run");
    let recipe = home.path("run/recipe.json");
    let begun = || {
        wait_for(&set_aside);
        wait_for(&recipe);
    };
    let ran = interrupt_when(&mut home.command(long), begun);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let words = "The earlier run is in run again";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert_eq!(contents(&home.path("run")), before);
    // Killed: the next command of the folder finds it.
    kill_once(&mut home.command(long), &set_aside);
    home.refused(
        "sample --model model --steps 2 --count 1 --out run",
        &["earlier run"],
    );
    assert_eq!(contents(&home.path("run")), before);
    home.json("sample --model model --steps 2 --count 1 --out run --overwrite");
    assert!(!home.path("run/.alice-replaced").exists());
    assert!(!home.path("run/0001.png").exists());
    assert_eq!(fs::read(home.path("run/mine.txt")).unwrap(), b"mine");
}

/// A run that goes on another time stays, and the earlier one beside it.
#[test]
fn what_resumes_is_not_lost_either() {
    const PROGRAM: &str = r#"
while read -r line; do
  [ -e slow ] && sleep 0.2
  echo '{"fitness": [2, 2.5, 3, 1, 0.5, 4]}'
done
"#;
    let home = Home::new();
    fs::write(home.path("fitness.sh"), PROGRAM).unwrap();
    let command = |arguments: &str| {
        let all = "evolve --population 6 --generations 9 --out run";
        let mut command = home.command(&format!("{all} {arguments} --problem"));
        command.arg("cmd sh fitness.sh");
        command
    };
    let finish = |arguments: &str| -> Ran { command(arguments).output().unwrap().into() };
    assert_eq!(finish("").code, Some(0));
    let before = contents(&home.path("run"));
    fs::write(home.path("slow"), "").unwrap();
    let begun = || wait_for(&home.path("run/fitness.history"));
    let aside = home.path("run/.alice-replaced");
    let ran = interrupt_when(&mut command("--seed 2 --overwrite"), || {
        wait_for(&aside.join(".alice-run"));
        wait_for(&aside.join("recipe.json"));
        begun();
    });
    assert_eq!(ran.code, Some(130), "{ran:?}");
    for words in ["without --overwrite goes on", "run/.alice-replaced"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    // Another run takes the place of neither.
    let other = finish("--seed 3");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains(".alice-replaced"), "{}", other.stderr);
    let kept: Vec<Vec<u8>> = files(&aside).iter().map(|p| fs::read(p).unwrap()).collect();
    let old: Vec<Vec<u8>> = before.into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(kept, old);
    fs::remove_file(home.path("slow")).unwrap();
    assert_eq!(finish("--seed 2").code, Some(0));
    assert_eq!(RunFolder::state(home.path("run")), RunState::Complete);
    assert!(!aside.exists());
}
