//! Options that would not count beside others are refused, not passed over.

mod common;

use common::{Home, write_picture};

#[test]
fn options_without_effect_are_refused() {
    let home = Home::new();
    for (command, options) in [
        ("discover --input in --at 0.5", ["--input", "--at"]),
        ("discover --input in --samples 3", ["--input", "--samples"]),
        ("discover --input in --sample 1", ["--input", "--sample"]),
        ("transport --rows matched", ["--rows", "--basis"]),
        ("transport --basis b --from 2", ["--basis", "--from"]),
        ("treat --mark 1,2 --concept 2", ["--mark", "--concept"]),
        (
            "measure --concept b --pictures a.png --samples 3",
            ["--concept", "--samples"],
        ),
        (
            "measure --concept b --pictures a.png --random 3",
            ["--concept", "--random"],
        ),
        (
            "measure --concept b --pictures a.png --reach 0.1",
            ["--concept", "--reach"],
        ),
        (
            "measure --concept b --pictures a.png --frames 2",
            ["--concept", "--frames"],
        ),
        (
            "measure --concept b --pictures a.png --iterations 2",
            ["--concept", "--iterations"],
        ),
        (
            "measure --concept b --pictures a.png --localize",
            ["--concept", "--localize"],
        ),
    ] {
        let ran = home.alice(command);
        assert_eq!(ran.code, Some(2), "{command}: {ran:?}");
        for option in options {
            assert!(ran.stderr.contains(option), "{command}: {}", ran.stderr);
        }
    }
}

/// MAP-Elites begins evenly spread in a box, whatever the scaling.
#[test]
fn a_scaling_without_effect_is_refused() {
    let home = Home::new();
    let refused = |options: &str| {
        let run = format!("evolve --method map-elites --scaling 2 --out none {options}");
        home.refused(&run, &["--scaling", "MAP-Elites"]);
    };
    refused("");
    refused("--problem beale");
    // A control task has no box: there the scaling is its half width.
    home.json(
        "evolve --method map-elites --scaling 2 --problem cart-pole --population 8 \
         --generations 2 --out run",
    );
}

#[test]
fn what_is_named_twice_is_refused() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home.refused(
        "transport --model model --to 1,1",
        &["--to", "1 is named twice"],
    );
    home.refused(
        "treat --model model --mark 1,1",
        &["--mark", "1 is named twice"],
    );
    let ran = home.alice("edit a.png --model model --direction 1:1,1:2");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("direction 1 is named twice"),
        "{}",
        ran.stderr
    );
}

/// A path that was left out where a variable is empty.
#[test]
fn a_file_without_a_name_is_refused() {
    let home = Home::new();
    let ran = home.command("img2img").arg("").output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(
        told.contains("PICTURE") && told.contains("name a file"),
        "{told}"
    );
}
