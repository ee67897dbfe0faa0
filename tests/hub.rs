//! Names of the hub at the command line: when a connection is opened, and when not.

mod common;

use common::{Home, Ran, check_refusal};
use std::fs;

/// Nobody listens at the first port.
const NOBODY: &str = "http://127.0.0.1:1";

fn online(home: &Home, arguments: &str) -> Ran {
    let mut command = home.command(arguments);
    command
        .env_remove("HF_HUB_OFFLINE")
        .env("HF_ENDPOINT", NOBODY)
        .env("HF_HOME", home.path("huggingface"));
    command.output().unwrap().into()
}

#[test]
fn what_the_cache_lacks_is_asked_for_and_a_mistyped_path_is_not() {
    let home = Home::new();
    for arguments in [
        "sample --model owner/name --steps 2",
        "model owner/name",
        "sample --model owner/name@fp16 --steps 2",
    ] {
        let words = ["owner/name", "not downloaded", NOBODY, "cannot be reached"];
        check_refusal(arguments, &online(&home, arguments), &words);
    }
    assert!(!home.path("runs").exists());
    // The first part of a path that is here is no owner, and a file no model of the hub.
    fs::create_dir(home.path("mine")).unwrap();
    for name in ["mine/modle", "other/sd.safetensors"] {
        let mistyped = online(&home, &format!("sample --model {name} --steps 2"));
        check_refusal(name, &mistyped, &[name, "typing error"]);
        assert!(!mistyped.stderr.contains(NOBODY), "{mistyped:?}");
    }
}

#[test]
fn nothing_else_opens_a_connection() {
    let home = Home::new();
    let sample = "sample --count 1 --steps 2 --out run";
    assert_eq!(online(&home, sample).code, Some(0));
    // A recipe that somebody sends must not fetch what it names.
    let recipe = fs::read_to_string(home.path("run/recipe.json")).unwrap();
    let other = recipe.replace("puppets-32", "owner/name");
    assert_ne!(other, recipe);
    fs::write(home.path("run/recipe.json"), other).unwrap();
    let replay = online(&home, "replay run --out again");
    check_refusal("replay", &replay, &["owner/name", "alice model owner/name"]);
    assert!(!replay.stderr.contains(NOBODY), "{replay:?}");
}
