//! `treat` on a small model of pixels and on small Stable Diffusion pipelines
//! that diffusers made.

mod common;

use alice_runs::{TensorFile, picture};
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
    for (arguments, words) in [
        ("--mark 24", ["--mark", "0 to 23"]),
        ("--rare 0.05", ["--learn", "at least 40"]),
        ("--rare 0", ["--rare", "above 0"]),
        ("--concept 0", ["--concept", "between 1"]),
        ("--at 0.3,0.6", ["--at", "descend"]),
        ("--at 0.31,0.3", ["--at", "step of its own"]),
    ] {
        let mut treat = treat.clone();
        for option in ["--at 0.6,0.3", "--rare 0.4"] {
            if arguments.starts_with(&option[..5]) {
                treat = treat.replace(option, "");
            }
        }
        home.refused(&format!("{treat} {arguments} --out none"), &words);
        assert!(!home.path("none").exists(), "{arguments}");
    }
}

/// Numbers of the samples that show the concept of an earlier run most.
fn marks(report: &Value, count: usize) -> Vec<String> {
    let samples = &report["learnt"]["candidates"][0]["samples"];
    let samples = samples.as_array().unwrap().iter().take(count);
    let numbers: Vec<String> = samples.map(|s| s["sample"].to_string()).collect();
    assert_eq!(numbers.len(), count);
    numbers
}

/// Marked samples that share something stand apart further than chance, and
/// bring the others that show it; those that share nothing are refused.
#[test]
fn marks_are_compared_with_chance() {
    let home = Home::new();
    home.tiny_model();
    let treat = format!("treat --model model {TREAT}");
    let found = &home.json(&format!("{treat} --out found"))["report"];
    let three = marks(found, 3);
    let told = three.join(",");
    let report = &home.json(&format!("{treat} --mark {told} --out marked"))["report"];
    let marked = &report["learnt"]["marked"];
    let number = |name: &str| marked[name].as_f64().unwrap();
    assert_eq!(marked["samples"], 3);
    assert!(number("separation") > number("chance") && number("chance") > 1.0);
    // What was marked is in the group, and what the group is, is said.
    let candidate = &report["learnt"]["candidates"][0];
    let samples = candidate["samples"].as_array().unwrap();
    let numbers: Vec<String> = samples.iter().map(|s| s["sample"].to_string()).collect();
    assert!(three.iter().all(|mark| numbers.contains(mark)));
    assert_eq!(marked["growth"] == "grown", samples.len() > 3, "{marked}");
    let share = candidate["share"].as_f64().unwrap();
    assert!((share - samples.len() as f64 / 24.0).abs() < 1e-12);
    // Two of the group and one that is not of it.
    home.refused(
        &format!("{treat} --mark 3,7,11 --out chance"),
        &["--mark", "at random", "chance/learnt.png", "--components"],
    );
    assert!(!home.path("chance/report.json").exists());
    // More marks than count as rare cannot grow.
    let some = marks(found, 3).join(",");
    let few = treat.replace("--rare 0.4", "--rare 0.09");
    let ran = home.alice(&format!("{few} --mark {some} --out many"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said = "more samples are marked than count as rare";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
}

/// What a treatment leaves can be used: the pictures and latents of the treated
/// samples, the items that draw them again, and the concept as a direction.
#[test]
fn what_was_made_is_handed_over() {
    let home = Home::new();
    home.tiny_model();
    let treat = format!("treat --model model {TREAT} --samples 24");
    let treat = treat.replace("--samples 12 ", "");
    let report = &home.json(&format!("{treat} --out run"))["report"];
    assert_eq!(report["first_item"], 24);
    let showing = report["showing"].as_array().unwrap();
    assert!(!showing.is_empty());
    assert_eq!(report["treated"], showing.len());
    let latents = TensorFile::read(home.path("run/treated/latents.safetensors")).unwrap();
    for side in ["before", "after"] {
        let shape = &latents.require_rank(side, 4).unwrap().shape;
        assert_eq!(shape[0], showing.len());
    }
    home.json("sample --model model --sampler ddim --steps 10 --count 48 --out drawn");
    let drawn = TensorFile::read(home.path("drawn/latents.safetensors")).unwrap();
    let drawn = &drawn.get("latents").unwrap().data;
    let before = &latents.get("before").unwrap().data;
    let length = before.len() / showing.len();
    for (row, sample) in showing.iter().enumerate() {
        let number = |name: &str| usize::try_from(sample[name].as_u64().unwrap()).unwrap();
        let (number, item) = (number("sample"), number("item"));
        assert_eq!(item, 24 + number);
        assert!(sample["score"].as_f64() > sample["score_after"].as_f64());
        let again = &drawn[item * length..][..length];
        for (a, b) in before[row * length..][..length].iter().zip(again) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        for side in ["before", "after"] {
            let name = format!("run/treated/{number:04}-{side}.png");
            let bytes = fs::read(home.path(&name)).unwrap();
            let (_, metadata) = picture::decode_png(home.path(&name), &bytes).unwrap();
            let said = &metadata.texts["parameters"];
            for part in [format!("Item: {item}"), format!("Treatment: {side}")] {
                assert!(said.contains(&part), "{said}");
            }
        }
        let side = |side: &str| picture_of(&home, &format!("run/treated/{number:04}-{side}.png"));
        assert_eq!(
            side("before"),
            picture_of(&home, &format!("drawn/{item:04}.png"))
        );
    }
    // Of no other model, and for a picture of this one.
    let picture = "drawn/0000.png";
    for method in ["hspace", "linear"] {
        home.json(&format!(
            "edit {picture} --model model --basis run/concept.safetensors --method {method} \
             --steps 10 --iterations 2 --frames 1 --out {method}"
        ));
    }
    let measured = home.json(&format!(
        "measure --model model --concept run/concept.safetensors --pictures {picture} \
         drawn/0001.png --steps 10 --rank 4 --out measured"
    ));
    assert!(measured["report"]["found_at"].is_number());
}

/// Under a prompt the states are latents and the sheets are pictures; what no
/// instrument reads is not said, and what the model sees of it is.
#[test]
fn prompted_models_are_treated() {
    let home = Home::new();
    // Marks that stand apart further than chance.
    for (name, mark) in [("sd", "6,13"), ("sdxl", "12,20")] {
        let model = checkout("crates/pipelines/tests/fixtures").join(name);
        let treat = format!(
            "treat --model {} --prompt cat --guidance 2 --size 24x16 {TREAT}",
            model.display()
        );
        let report = home.json(&format!("{treat} --mark {mark} --out {name}"));
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
        let ran = home.alice(&format!("{treat} --mark {mark} --out {name}-told"));
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
    for (model, mark) in [
        ("model".to_owned(), "1,3,10"),
        (
            format!("{} --prompt cat --size 16x16", sd.display()),
            "6,13,23",
        ),
    ] {
        let report = home.json(&format!(
            "treat --model {model} {TREAT} --mark {mark} --out run --overwrite"
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
