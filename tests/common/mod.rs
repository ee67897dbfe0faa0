//! Runs the command and makes what the tests feed it.

#![allow(dead_code, reason = "each test file uses a part")]

use alice_runs::{Metadata, Picture, picture};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder that a test runs the command in.
pub struct Home {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Waits until a command that runs has written a file.
pub fn wait_for(path: &Path) {
    let clock = Instant::now();
    while !path.exists() {
        let limit = Duration::from_secs(60);
        assert!(clock.elapsed() < limit, "no {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command and kills it when it has written a file.
pub fn kill_once(command: &mut Command, path: &Path) {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(path);
    child.kill().unwrap();
    child.wait().unwrap();
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alice"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            // No test opens a connection, but to its own servers.
            .env("HF_HUB_OFFLINE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs `alice` with arguments that hold no spaces.
    pub fn alice(&self, arguments: &str) -> Ran {
        self.command(arguments)
            .output()
            .expect("alice starts")
            .into()
    }

    /// The one JSON object of a command that succeeds.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        self.json_in("", arguments)
    }

    /// The same, run in a folder of the home.
    pub fn json_in(&self, folder: &str, arguments: &str) -> serde_json::Value {
        let mut command = self.command(&format!("{arguments} --json"));
        command.current_dir(self.path(folder));
        let ran: Ran = command.output().expect("alice starts").into();
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{arguments}"
        );
        let value = serde_json::from_str(&ran.stdout).expect("one JSON value");
        assert!(matches!(value, serde_json::Value::Object(_)));
        value
    }

    /// Refused: exit code 1, one line on stderr that says all of `words`,
    /// nothing on stdout, no panic and no temporary file.
    pub fn refused(&self, arguments: &str, words: &[&str]) {
        let ran = self.alice(arguments);
        check_refusal(arguments, &ran, words);
        assert_eq!(temporary_files(self.folder.path()), Vec::<PathBuf>::new());
    }

    /// A folder of the checkout, copied to `name`.
    pub fn copy(&self, from: &str, name: &str) -> PathBuf {
        let to = self.path(name);
        copy_folder(&checkout(from), &to);
        to
    }

    /// A tiny 8×8 pipeline made by diffusers, in `model`.
    pub fn tiny_model(&self) -> PathBuf {
        self.copy("crates/networks/tests/fixtures/half", "model")
    }
}

pub fn check_refusal(what: &str, ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(1), "{what}: {ran:?}");
    assert_eq!(ran.stdout, "", "{what}");
    assert!(ran.stderr.starts_with("error: "), "{what}: {}", ran.stderr);
    assert_eq!(
        ran.stderr.trim_end().lines().count(),
        1,
        "{what}: {}",
        ran.stderr
    );
    for sign in ["panicked", "bug in Alice", "RUST_BACKTRACE"] {
        assert!(!ran.stderr.contains(sign), "{what}: {}", ran.stderr);
    }
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "{what}: {word:?} not in {}",
            ran.stderr
        );
    }
}

pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from)
        .expect("a folder of the checkout")
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// What a write that was cut off would leave.
pub fn temporary_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| path.extension().is_some_and(|e| e == "tmp"));
    found
}

/// Tensors as a safetensors file.
pub fn write_tensors(path: &Path, tensors: &[(&str, &[usize], Vec<f32>)]) {
    let mut file = alice_runs::TensorFile::new();
    for (name, shape, data) in tensors {
        file.insert(name, shape, data.clone()).expect("a tensor");
    }
    file.write(path).expect("written");
}

/// Plain numbers in −1..1.
pub fn ramp(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0)
        .collect()
}

/// A PNG of a gradient.
pub fn write_picture(path: &Path, width: u32, height: u32) {
    let rgb = (0..width * height).flat_map(|i| [(i * 5) as u8, (i * 3) as u8, 90]);
    let picture = alice_runs::Picture::new(width, height, rgb.collect()).expect("a picture");
    let bytes = alice_runs::picture::encode_png(path, &picture, &alice_runs::Metadata::new());
    fs::write(path, bytes.expect("a PNG")).expect("written");
}

/// A small pipeline that diffusers made.
pub fn pipeline(name: &str) -> String {
    let fixtures = checkout("crates/pipelines/tests/fixtures");
    fixtures.join(name).display().to_string()
}

/// The pixels of a PNG.
pub fn read(home: &Home, name: &str) -> Picture {
    let path = home.path(name);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    picture::decode_png(&path, &bytes).unwrap().0
}

/// Writes a PNG, pixel (x, y) by pixel.
pub fn write(
    home: &Home,
    name: &str,
    width: u32,
    height: u32,
    pixel: impl Fn(u32, u32) -> [u8; 3],
) {
    let at = |i: u32| pixel(i % width, i / width);
    let rgb = (0..width * height).flat_map(at).collect();
    let picture = Picture::new(width, height, rgb).unwrap();
    let bytes = picture::encode_png(name, &picture, &Metadata::new()).unwrap();
    fs::write(home.path(name), bytes).unwrap();
}

/// What cannot be meant is told before anything runs, with code 2.
pub fn misused(home: &Home, arguments: &str, word: &str) {
    let ran = home.alice(arguments);
    assert_eq!(ran.code, Some(2), "{arguments}: {ran:?}");
    assert!(ran.stderr.contains(word), "{arguments}: {}", ran.stderr);
}
