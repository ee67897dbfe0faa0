//! `treat` on a small model of pixels and on small Stable Diffusion pipelines
//! that diffusers made.

mod common;

use alice_runs::picture;
use common::{Home, checkout};
use serde_json::{Value, json};
use std::fs;

const TREAT: &str =
    "--learn 24 --samples 12 --steps 10 --at 0.6,0.3 --components 6 --rank 3 --rare 0.4";

#[test]
fn treating_touches_only_who_needs_it() {
    let home = Home::new();
    home.tiny_model();
    let treat = format!("treat --model model {TREAT}");
    let report = home.json(&format!("{treat} --out found"));
    let report = &report["report"];
    let treated = report["treated"].as_u64().unwrap();
    assert!(treated <= 12);
    let candidates = report["learnt"]["candidates"].as_array().unwrap();
    let separation = |i: usize| candidates[i]["separation"].as_f64().unwrap();
    // What stands no further apart than noise is no concept.
    let noise = report["learnt"]["noise"].as_f64().unwrap();
    assert!((0..candidates.len()).all(|i| separation(i) > noise));
    assert!((1..candidates.len()).all(|i| separation(i - 1) >= separation(i)));
    let share = candidates[0]["share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0);
    assert!(home.path("found/learn.png").is_file());
    let beyond = candidates.len() + 1;
    home.refused(
        &format!("{treat} --concept {beyond} --out beyond"),
        &["--concept", "rare concepts were found"],
    );
    // Who is refused after samples were drawn can look at them.
    let learnt = |run: &str| picture_of(&home, &format!("{run}/learnt.png"));
    assert!(learnt("beyond") == learnt("found"));
    let report = home.json(&format!("{treat} --mark 3,7 --out marked"));
    let marked = &report["report"]["learnt"]["candidates"][0];
    assert!(marked["share"].as_f64().unwrap() > 1.9 / 24.0);
    for (arguments, words) in [
        ("--mark 24", ["--mark", "0 to 23"]),
        ("--concept 0", ["--concept", "between 1"]),
        ("--at 0.3,0.6", ["--at", "descend"]),
        ("--at 0.31,0.3", ["--at", "step of its own"]),
    ] {
        let at = arguments.starts_with("--at");
        let treat = if at {
            treat.replace("--at 0.6,0.3", "")
        } else {
            treat.clone()
        };
        home.refused(&format!("{treat} {arguments} --out none"), &words);
        assert!(!home.path("none").exists(), "{arguments}");
    }
}

/// Under a prompt the states are latents and the sheets are pictures; what no
/// instrument reads is not said, and what the model sees of it is.
#[test]
fn prompted_models_are_treated() {
    let home = Home::new();
    for name in ["sd", "sdxl"] {
        let model = checkout("crates/pipelines/tests/fixtures").join(name);
        let treat = format!(
            "treat --model {} --prompt cat --guidance 2 --size 24x16 {TREAT}",
            model.display()
        );
        let report = home.json(&format!("{treat} --mark 3,7 --out {name}"));
        let report = &report["report"];
        assert_eq!(report["model"]["options"]["prompt"], "cat");
        assert_eq!(report["learnt"]["haunted"], Value::Null);
        assert_eq!(report["learnt"]["candidates"][0]["precision"], Value::Null);
        assert_eq!(
            (&report["before"], &report["after"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(report["side_effects"], json!([]));
        let learnt = picture_of(&home, &format!("{name}/learn.png"));
        assert!(learnt.width() > 12 * 24);
        let all = picture_of(&home, &format!("{name}/learnt.png"));
        assert!(all.width() > 16 * 24 && all.height() > 2 * 16);
        let replay = home.json(&format!("replay {name} --out {name}-again"));
        assert_eq!(replay["replay"]["different"], json!([]));
        home.refused(
            &format!(
                "{} --out {name}-none",
                treat.replace("--components 6", "--components 12")
            ),
            &["pure noise", "--mark", &format!("{name}-none/learnt.png")],
        );
        assert!(home.path(&format!("{name}-none/learnt.png")).is_file());
        let ran = home.alice(&format!("{treat} --mark 3,7 --out {name}-told"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("no instrument"), "{}", ran.stdout);
        assert!(!ran.stdout.contains("haunted"), "{}", ran.stdout);
    }
}

/// What the model itself sees of a treatment is measured with and without an
/// instrument: the score of who was treated falls, and the others' are as
/// they were.
#[test]
fn treatment_is_measured_in_the_bottleneck() {
    let home = Home::new();
    home.tiny_model();
    let sd = checkout("crates/pipelines/tests/fixtures/sd");
    let mut treated = 0;
    for model in [
        "model".to_owned(),
        format!("{} --prompt cat --size 16x16", sd.display()),
    ] {
        let report = home.json(&format!(
            "treat --model {model} {TREAT} --mark 3,7,11 --out run --overwrite"
        ));
        let report = &report["report"];
        let count = report["treated"].as_u64().unwrap();
        let evidence = &report["evidence"];
        assert_eq!(count == 0, evidence.is_null());
        assert_eq!(count > 0, home.path("run/sheet.png").is_file());
        if count == 0 {
            continue;
        }
        treated += count;
        let change = |what: &str| {
            let side = |side: &str| evidence[what][side].as_f64().unwrap();
            (side("before"), side("after"))
        };
        let (before, after) = change("score");
        assert!(after < before, "{evidence}");
        assert!(evidence["showing"].as_u64().unwrap() <= count);
        for share in [change("nearest").0, change("nearest").1] {
            assert!((0.0..=1.0).contains(&share));
        }
        let showing = &evidence["renoised_showing"];
        let count_of = |side: &str| showing[side].as_u64().unwrap();
        assert!(count_of("before") <= count && count_of("after") <= count);
        let share = |end: &str| showing["share"][end].as_f64().unwrap();
        assert!((share("value") - count_of("after") as f64 / count as f64).abs() < 1e-12);
        assert!(share("low") <= share("value") && share("value") <= share("high"));
        assert!(share("high") > share("low"));
        assert!(change("renoised").0.is_finite() && change("renoised").1.is_finite());
        assert!(evidence["picture_change"].as_f64().unwrap() > 0.0);
    }
    assert!(treated > 0);
}

/// Studies that compare with the truth of the puppet show say why they cannot
/// use another model, and what can.
#[test]
fn who_needs_the_truth_says_so() {
    let home = Home::new();
    let sd = checkout("crates/pipelines/tests/fixtures/sd");
    for study in ["compare", "survey", "measure"] {
        home.refused(
            &format!("{study} --model {} --prompt cat --out none", sd.display()),
            &["truth of the puppet show", "treat"],
        );
        assert!(!home.path("none").exists());
    }
    home.tiny_model();
    home.refused("survey --model model --out none", &["--puppets"]);
    home.refused(
        &format!(
            "treat --model {} --prompt cat --puppets --out none",
            sd.display()
        ),
        &["--puppets", "32×32"],
    );
}

fn picture_of(home: &Home, name: &str) -> alice_runs::Picture {
    let path = home.path(name);
    picture::decode_png(&path, &fs::read(&path).unwrap())
        .unwrap()
        .0
}
