//! What `edit` makes of a file of directions, and of numbers out of bounds.

mod common;

use alice_runs::TensorFile;
use alice_runs::picture::read_png;
use common::{Home, write_picture};
use std::fs;

const EDIT: &str = "edit a.png --model model --steps 10 --iterations 4 --frames 2";

fn with_basis() -> (Home, TensorFile) {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home.json("discover --model model --basis-only --rank 3 --steps 10 --out basis");
    let basis = TensorFile::read(home.path("basis/basis.safetensors")).unwrap();
    (home, basis)
}

fn write(home: &Home, name: &str, file: &TensorFile) {
    fs::write(home.path(name), file.to_bytes(name).unwrap()).unwrap();
}

#[test]
fn a_file_that_says_what_cannot_be_is_refused() {
    let (home, basis) = with_basis();
    for (key, text) in [
        ("residual", "nan"),
        ("residual", "abc"),
        ("tolerance", "-1"),
        ("timestep", "-5"),
        ("timestep", "100000"),
    ] {
        let mut broken = basis.clone();
        broken.metadata.insert(key.into(), text.into());
        write(&home, "broken", &broken);
        let words = ["broken", key, text];
        home.refused(&format!("{EDIT} --basis broken --out none"), &words);
        let concept = "measure --model model --steps 10 --rank 4 --concept broken --pictures a.png";
        home.refused(&format!("{concept} a.png --out none"), &words);
    }
    let mut negative = basis.clone();
    negative.tensors.get_mut("singular_values").unwrap().data[1] = -1.0;
    write(&home, "negative", &negative);
    home.refused(
        &format!("{EDIT} --basis negative --out none"),
        &["negative", "singular value 1"],
    );
    let mut unknown = basis;
    unknown.metadata.clear();
    fs::create_dir(home.path("elsewhere")).unwrap();
    write(&home, "elsewhere/unknown", &unknown);
    let ran = home.alice(&format!("{EDIT} --basis elsewhere/unknown --out run"));
    assert!(
        ran.stdout.contains("does not say of which model"),
        "{ran:?}"
    );
}

#[test]
fn sliders_are_walked_straight_as_far_as_they_say() {
    let (home, mut sliders) = with_basis();
    sliders
        .insert("reach", &[3], vec![0.25, 0.125, 0.0625])
        .unwrap();
    write(&home, "sliders", &sliders);
    let walked = |more: &str, run: &str| {
        let report = home.json(&format!("{EDIT} --basis sliders {more} --out {run}"));
        report["report"]["reach"].as_f64().unwrap()
    };
    assert_eq!(walked("--direction 1", "own"), 0.125);
    assert_eq!(walked("--direction 0,2", "both"), 0.0625);
    assert_eq!(walked("--strength 0.2", "given"), 0.2);
    assert_eq!(walked("--method guidance", "guided"), 0.3);
    let straight = format!("{EDIT} --basis basis/basis.safetensors --method linear");
    home.json(&format!(
        "{straight} --direction 1 --strength 0.125 --out same"
    ));
    let pixels = |run: &str| read_png(home.path(run).join("strip.png")).unwrap().0;
    assert_eq!(pixels("own").rgb(), pixels("same").rgb());
    assert_ne!(pixels("own").rgb(), pixels("both").rgb());
    sliders.tensors.get_mut("reach").unwrap().data[0] = -0.25;
    write(&home, "sliders", &sliders);
    home.refused(
        &format!("{EDIT} --basis sliders --out none"),
        &["sliders", "reach 0"],
    );
}

#[test]
fn what_makes_no_edit_is_refused() {
    let (home, _) = with_basis();
    let edit = "edit a.png --model model --steps 10 --out none";
    for (arguments, words) in [
        ("--disentangle 1,1", ["--disentangle", "twice"]),
        ("--frames 3", ["--frames", "iterations"]),
        ("--strength 1e5", ["--strength", "1000"]),
    ] {
        home.refused(&format!("{edit} {arguments}"), &words);
    }
    // The first of its ten steps lies at 0.9 of the schedule.
    let far = home.alice("edit a.png --model model --steps 10 --at 1 --out far");
    assert!(far.stdout.contains("--at 1 lies beyond"), "{far:?}");
    let near = home.alice("edit a.png --model model --steps 10 --at 0.62 --out near");
    assert!(!near.stdout.contains("lies beyond"), "{near:?}");
    // What is added to the bottleneck is not iterated.
    let report =
        home.json("edit a.png --model model --steps 10 --method hspace --frames 3 --out h");
    assert_eq!(report["report"]["positions"].as_array().unwrap().len(), 7);
    // Of geodesics in the whole tangent space, all is held, and the usual walk is short.
    let report = home.json(&format!("{EDIT} --method geodesic --out g"));
    assert_eq!(report["report"]["reach"], 0.1);
    assert!(report["report"]["held"].as_f64().unwrap() > 0.75);
}
