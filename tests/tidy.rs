//! The house rules that a program can check: layers, licences, silence of the
//! libraries, length of files.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers, lowest first. A crate may depend on crates of lower layers only.
const LAYERS: &[&[&str]] = &[
    &["alice-random", "alice-runs"],
    &[
        "alice-kernels",
        "alice-geometry",
        "alice-worlds",
        "alice-evolution",
        "alice-text",
    ],
    &["alice-calculus"],
    &["alice-networks", "alice-gpu"],
    &["alice-diffusion", "alice-hub"],
    &["alice-training", "alice-pipelines"],
    &["alice-instruments"],
    &["alice-studies"],
    &["alice"],
];

/// Crates that stand alone by design: geometry never sees a network, a world
/// never sees a model.
const APART: &[(&str, &[&str])] = &[
    ("alice-evolution", &["alice-random"]),
    ("alice-geometry", &["alice-random"]),
    ("alice-worlds", &["alice-random"]),
    ("alice-gpu", &["alice-calculus"]),
    ("alice-hub", &["alice-networks", "alice-runs"]),
    ("alice-kernels", &[]),
    ("alice-runs", &[]),
    ("alice-text", &["alice-runs"]),
];

/// Licences that go with MIT OR Apache-2.0.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    // The certificates of the authorities that a connection to the hub is checked with.
    "CDLA-Permissive-2.0",
    "CC0-1.0",
    "ISC",
    "MIT-0",
    // By file, and no file of it is changed or copied here.
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    // Crates for other systems need not be here.
    let about = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let about = String::from_utf8_lossy(&about.stdout).into_owned();
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// Our crates with the crates of ours that they use, tests aside.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = packages.iter().filter(|p| p["source"].is_null());
    ours.map(|package| {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let used = dependencies
            .iter()
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().expect("a name").to_owned())
            .filter(|name| name.starts_with("alice"));
        (
            package["name"].as_str().expect("a name").to_owned(),
            used.collect(),
        )
    })
    .collect()
}

#[test]
fn no_crate_depends_on_a_higher_layer() {
    let layer = |name: &str| {
        let found = LAYERS.iter().position(|layer| layer.contains(&name));
        found.unwrap_or_else(|| panic!("{name} has no layer in tests/tidy.rs"))
    };
    let edges = edges(&metadata());
    for (name, used) in &edges {
        for other in used {
            assert!(layer(other) < layer(name), "{name} must not use {other}");
        }
    }
    for (name, allowed) in APART {
        for other in &edges[*name] {
            assert!(
                allowed.contains(&other.as_str()),
                "{name} must not use {other}"
            );
        }
    }
}

#[test]
fn every_licence_is_compatible() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = &package["name"];
        let expression = package["license"].as_str().unwrap_or("");
        // "A OR B" needs one, "A AND B" both; old manifests write "/" for OR.
        let compatible = expression.replace('/', " OR ").split(" AND ").all(|part| {
            part.trim_matches(['(', ')', ' '])
                .split(" OR ")
                .any(|licence| LICENCES.contains(&licence.trim_matches(['(', ')', ' '])))
        });
        assert!(compatible, "{name}: licence {expression:?}");
    }
}

/// Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder)
        .expect("a folder of the checkout")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with(".git") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    for folder in ["src", "crates", "tests", "benches"] {
        if root().join(folder).is_dir() {
            sources(&root().join(folder), &mut paths);
        }
    }
    assert!(paths.len() > 50, "found {} files", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            (path, text)
        })
        .collect()
}

#[test]
fn libraries_never_print() {
    for (path, text) in all_sources() {
        let in_library = path.starts_with(root().join("crates"))
            && path.components().any(|c| c.as_os_str() == "src");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code.filter(|_| in_library) {
            for call in ["println!", "eprintln!", "print!(", "eprint!(", "dbg!("] {
                assert!(!line.contains(call), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn files_stay_short_and_finished() {
    // In two parts, so that this file does not find itself.
    let marks = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
        for mark in &marks {
            assert!(
                !text.contains(mark.as_str()),
                "{} holds {mark}",
                path.display()
            );
        }
    }
}

/// `unsafe` is the kernels' alone: the microkernels, and who calls them.
#[test]
fn unsafe_code_stays_in_its_reviewed_places() {
    let allowed = [
        "kernels/src/microkernel.rs",
        "kernels/src/outer.rs",
        "kernels/src/gather/mod.rs",
        "kernels/src/gather/packed.rs",
        "kernels/src/winograd/mod.rs",
    ];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    for (path, text) in all_sources() {
        let shown = path.display().to_string().replace('\\', "/");
        if shown.ends_with("tests/tidy.rs") || allowed.iter().any(|a| shown.ends_with(a)) {
            continue;
        }
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            // A policy's source 'unsafe-inline' is text.
            let line = line.replace("'unsafe-", "");
            let mut words = line.split(|c| !word(c));
            assert!(!words.any(|w| w == "unsafe"), "{shown}: {line}");
        }
    }
}
