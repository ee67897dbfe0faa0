//! Ctrl-C at any moment: code 130, one line, nothing half-written.
#![cfg(unix)]

mod common;

use common::{Home, Ran, files, temporary_files};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Starts a command and interrupts it after a while, if it still runs.
fn interrupt(home: &Home, arguments: &str, after: Duration) -> Ran {
    let mut command = home.command(arguments);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    // It may have ended by itself, which is no error.
    let id = child.id().to_string();
    let _ = Command::new("kill")
        .args(["-INT", &id])
        .stderr(Stdio::null())
        .status();
    child.wait_with_output().unwrap().into()
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
    for round in 0..12 {
        let ran = interrupt(&home, arguments, Duration::from_millis(15 * round));
        // Before the handler is there, the system ends the program.
        assert!(matches!(ran.code, Some(130 | 0) | None), "{ran:?}");
        check_whole(&home.path("run"));
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
