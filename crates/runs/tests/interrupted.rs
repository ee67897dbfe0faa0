//! A process that is stopped in the middle of a write.

use alice_runs::{atomic, disk};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TARGET: &str = "ALICE_TEST_TARGET";
const HALFWAY: &str = "halfway";

/// Not a test of its own: what the other tests start and stop.
#[test]
fn writer() {
    let Some(target) = env::var_os(TARGET) else {
        return;
    };
    let (halfway, is_halfway) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        atomic::write_with(target, |out| {
            out.write_all(&[0; 1 << 20])?;
            halfway.send(()).ok();
            std::thread::sleep(std::time::Duration::from_secs(60));
            Ok(())
        })
    });
    is_halfway.recv().unwrap();
    println!("{HALFWAY}");
    // Until the parent says stop, as Ctrl-C would; or until it kills us.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    atomic::shut_down();
    std::process::exit(130);
}

/// This test binary running `writer`, half of its file written.
fn halfway(target: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(TARGET, target)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(HALFWAY)));
    child
}

#[test]
fn stopping_removes_the_half_written_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    fs::write(&path, "old").unwrap();
    let mut child = halfway(&path);
    assert_eq!(
        disk::list(folder.path()).unwrap().len(),
        2,
        "one is unfinished"
    );
    writeln!(child.stdin.take().unwrap(), "stop").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(disk::list(folder.path()).unwrap(), vec![path.clone()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn killing_keeps_the_old_file_and_sweeping_removes_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    fs::write(&path, "old").unwrap();
    let mut child = halfway(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(disk::list(folder.path()).unwrap().len(), 2);
    atomic::sweep(folder.path()).unwrap();
    assert_eq!(disk::list(folder.path()).unwrap(), [path]);
}
