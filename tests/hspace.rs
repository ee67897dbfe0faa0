//! `hspace` and what `edit` makes of its directions, on a tiny model.

mod common;

use alice_runs::TensorFile;
use common::{Home, write_picture, write_tensors};
use serde_json::{Value, json};
use std::fs;

const HSPACE: &str = "hspace --model model --samples 6 --rank 3 --walks 2 --steps 6 --frames 1";
const EDIT: &str = "edit a.png --model model --steps 6 --iterations 2 --frames 2 --method hspace";

fn home() -> Home {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home
}

fn ends(report: &Value) -> Vec<f64> {
    let ends = report["report"]["ends"].as_array().unwrap().iter();
    ends.map(|end| end["root_mean_square"].as_f64().unwrap())
        .collect()
}

#[test]
fn hspace_runs_replay_to_the_same_bytes() {
    let home = home();
    for by in ["pca", "jacobian"] {
        let made = home.json(&format!("{HSPACE} --by {by} --seed 3 --out {by}"));
        let report = &made["report"];
        assert_eq!((&report["by"], &report["samples"]), (&json!(by), &json!(6)));
        let walks = report["walks"].as_array().unwrap();
        assert_eq!(walks.len(), 2);
        for walk in walks {
            assert!(walk["pixel_change"].as_f64().unwrap() > 0.0, "{by}: {walk}");
            assert_eq!(walk["responses"], json!([]));
        }
        let again = home.json(&format!("replay {by} --out {by}-again"));
        assert_eq!(again["replay"]["different"], json!([]), "{by}");
        let same = again["replay"]["same"].as_array().unwrap();
        assert!(same.contains(&json!("sheet.png")) && same.contains(&json!("basis.safetensors")));
        // Rows of unit length at right angles.
        let file = TensorFile::read(home.path(by).join("basis.safetensors")).unwrap();
        let left = file.require_rank("left", 2).unwrap();
        for (i, a) in left.data.chunks(left.shape[1]).enumerate() {
            for (j, b) in left.data.chunks(left.shape[1]).enumerate() {
                let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((dot - f32::from(u8::from(i == j))).abs() < 1e-4, "{by}");
            }
        }
    }
    let text = home.alice(&format!("{HSPACE} --out text")).stdout;
    for word in [
        "6 samples",
        "pixel change",
        "direction 2 was not walked",
        "sheet.png",
    ] {
        assert!(text.contains(word), "{word:?} not in {text}");
    }
    // The truth of the puppet show is there for those who have it.
    let few = "--samples 4 --rank 2 --walks 1 --steps 5 --frames 1";
    let puppets = home.json(&format!("hspace {few} --out puppets"));
    let walk = &puppets["report"]["walks"][0];
    assert_eq!(walk["responses"].as_array().unwrap().len(), 19);
}

#[test]
fn hspace_directions_are_added_at_every_step() {
    let home = home();
    home.json(&format!("{HSPACE} --at 0.8 --out pca"));
    home.json(&format!("{HSPACE} --at 0.8 --by jacobian --out jacobian"));
    home.json("global --model model --samples 3 --rank 3 --steps 6 --out global");
    let edit = |basis: &str, more: &str, out: &str| {
        home.json(&format!("{EDIT} --basis {basis} {more} --out {out}"))
    };
    let linear = EDIT.replace("--method hspace", "--method linear");
    let plain = home.json(&format!("{linear} --out plain"));
    let strip = |run: &str| fs::read(home.path(run).join("walk.gif")).unwrap();
    for name in ["pca/basis", "jacobian/basis", "global/global"] {
        let run = name.replace('/', "-");
        let report = edit(&format!("{name}.safetensors"), "--direction 1", &run);
        assert!(
            ends(&report).iter().all(|end| *end > 0.1),
            "{name}: {report}"
        );
        let still = edit(
            &format!("{name}.safetensors"),
            "--direction 1 --strength 1e-9",
            &format!("{run}-still"),
        );
        assert!(
            ends(&still).iter().all(|end| *end < 1e-3),
            "{name}: {still}"
        );
        // Where nothing is added, h and the picture stay as they are.
        assert_eq!(report["report"]["unedited"], plain["report"]["unedited"]);
    }
    assert_ne!(strip("pca-basis"), strip("jacobian-basis"));
    // What was walked is a basis again.
    let direction = "pca-basis/direction.safetensors";
    edit(direction, "--direction 0", "again");
    assert!(strip("again") == strip("pca-basis"));
    // A mixture, and what is left of it.
    edit("pca/basis.safetensors", "--direction 0:1,1:1", "mixed");
    let without = "--direction 0:1,1:1 --disentangle 0";
    edit("pca/basis.safetensors", without, "apart");
    assert_ne!(strip("mixed"), strip("apart"));
    // Each step has a direction of its own: with the first at all steps the
    // pictures are others.
    let file = TensorFile::read(home.path("pca/basis.safetensors")).unwrap();
    let get = |name: &str| file.get(name).unwrap();
    let (left, values) = (get("left"), get("singular_values"));
    let tensors = [
        ("left", &left.shape[..], left.data.clone()),
        ("singular_values", &values.shape[..], values.data.clone()),
    ];
    write_tensors(&home.path("constant"), &tensors);
    edit("constant", "--direction 1", "constant-run");
    assert_ne!(strip("constant-run"), strip("pca-basis"));
}

#[test]
fn hspace_refuses_what_does_not_fit() {
    let home = home();
    let hspace = "hspace --model model --steps 6";
    home.refused(
        &format!("{hspace} --samples 0"),
        &["--samples", "at least 3"],
    );
    home.refused(
        &format!("{hspace} --by jacobian --samples 0"),
        &["--samples"],
    );
    home.refused(
        &format!("{hspace} --samples 6 --rank 6"),
        &["--rank", "at most 5"],
    );
    home.refused(&format!("{hspace} --rank 0"), &["--rank"]);
    home.refused(
        &format!("{hspace} --samples 300 --rank 250"),
        &["--rank", "192"],
    );
    home.refused(
        &format!("{hspace} --by jacobian --rank 193"),
        &["--rank", "192"],
    );
    home.refused(&format!("{hspace} --at 0"), &["--at"]);
    home.refused(&format!("{hspace} --walks 0"), &["--walks"]);
    home.refused(&format!("{hspace} --frames 0"), &["--frames"]);
    home.refused(&format!("{hspace} --reach 0"), &["--reach"]);
    home.refused(&format!("{hspace} --puppets"), &["--puppets"]);
    home.json(&format!("{HSPACE} --out pca"));
    let basis = "--basis pca/basis.safetensors";
    // Walked in X, they are carried there, which loses a part of them.
    let linear = EDIT.replace("--method hspace", "--method linear");
    for edit in [linear, EDIT.replace("--method hspace", "")] {
        let report = home.json(&format!("{edit} {basis} --out x --overwrite"));
        let share = report["report"]["carried"].as_f64().unwrap();
        assert!(share > 0.0 && share < 1.0, "{report}");
    }
    home.refused(
        &format!("{EDIT} {basis} --direction 3"),
        &["--direction", "0 to 2"],
    );
    home.refused(
        &format!("{EDIT} {basis} --direction 0 --disentangle 1"),
        &["--disentangle", "orthogonal"],
    );
    let values = ("singular_values", &[1][..], vec![1.0]);
    let small = [("left", &[1, 5][..], vec![1.0; 5]), values.clone()];
    write_tensors(&home.path("small"), &small);
    home.refused(
        &format!("{EDIT} --basis small"),
        &["small", "5 dimensions", "192"],
    );
    let steps = ("steps", &[2, 1, 192][..], vec![1.0; 384]);
    let left = ("left", &[1, 192][..], vec![1.0; 192]);
    write_tensors(&home.path("bad"), &[left.clone(), values.clone(), steps]);
    home.refused(&format!("{EDIT} --basis bad"), &["bad", "timesteps"]);
    write_tensors(&home.path("none"), &[values]);
    home.refused(&format!("{EDIT} --basis none"), &["none", "right"]);
}
