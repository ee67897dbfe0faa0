//! The verbs of the geometry on a tiny model: every method walks, every file
//! is there, and what they share agrees.

mod common;

use alice_runs::TensorFile;
use common::{Home, write_picture, write_tensors};
use serde_json::{Value, json};
use std::fs;

fn with_picture() -> Home {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("an array").iter();
    values.map(|v| v.as_f64().expect("a number")).collect()
}

const EDIT: &str = "edit a.png --model model --steps 10 --iterations 4 --frames 2";

#[test]
fn every_method_edits_and_leaves_the_middle_alone() {
    let home = with_picture();
    let mut strips = Vec::new();
    for method in ["guidance", "linear", "geodesic", "hspace"] {
        let report = home.json(&format!("{EDIT} --method {method} --out {method}"));
        let report = &report["report"];
        let unedited = report["unedited"]["root_mean_square"].as_f64().unwrap();
        assert!(unedited < 60.0, "{method}: {unedited}");
        for end in report["ends"].as_array().unwrap() {
            let change = end["root_mean_square"].as_f64().unwrap();
            assert!(change > 0.0, "{method}");
        }
        let held = report["held"].as_f64();
        assert_eq!(held.is_some(), method == "geodesic", "{report}");
        assert!(
            held.is_none_or(|held| (0.3..1.0001).contains(&held)),
            "{report}"
        );
        assert!(report["carried"].is_null());
        strips.push(fs::read(home.path(method).join("strip.png")).unwrap());
    }
    for i in 0..strips.len() {
        for j in 0..i {
            assert_ne!(strips[i], strips[j], "methods {i} and {j}");
        }
    }
}

#[test]
fn directions_mix_and_disentangle() {
    let home = with_picture();
    home.json("sample --model model --steps 10 --count 1 --out s");
    home.json(&format!("{EDIT} --direction 0 --out zero"));
    home.json(&format!("{EDIT} --direction 1 --out one"));
    let report = home.json(&format!("{EDIT} --direction 0:1,1:-1 --out both"));
    assert_eq!(report["report"]["direction"], "0,1:-1");
    let read = |run: &str| {
        let file = TensorFile::read(home.path(run).join("direction.safetensors")).unwrap();
        file.require("direction", &[3, 8, 8]).unwrap().data.clone()
    };
    let (zero, one, both) = (read("zero"), read("one"), read("both"));
    for i in 0..zero.len() {
        // Unit vectors: the difference has length √2.
        let expected = (zero[i] - one[i]) / 2f32.sqrt();
        assert!((both[i] - expected).abs() < 1e-3, "{} {expected}", both[i]);
    }
    // Without direction 1 the mixture is direction 0 again.
    home.json(&format!(
        "{EDIT} --direction 0,1 --disentangle 1 --out apart"
    ));
    for (a, b) in read("apart").iter().zip(&zero) {
        assert!((a - b).abs() < 1e-3);
    }
    home.refused(
        &format!("{EDIT} --direction 1 --disentangle 1"),
        &["nothing is left"],
    );
    // Singular vectors are orthogonal: there is nothing to take out.
    home.refused(
        &format!("{EDIT} --direction 0 --disentangle 1,2"),
        &["--disentangle", "orthogonal", "--factor"],
    );
    home.refused(
        &format!("{EDIT} --direction 0 --disentangle 5000"),
        &["--disentangle", "5000"],
    );
}

#[test]
fn a_mask_keeps_the_change_inside() {
    let home = with_picture();
    let inside = |name: &str, bright: std::ops::Range<usize>| {
        let mut rgb = vec![0; 8 * 8 * 3];
        rgb[bright.start * 8 * 3..bright.end * 8 * 3].fill(255);
        let mask = alice_runs::picture::Picture::new(8, 8, rgb).unwrap();
        let png = alice_runs::picture::encode_png(name, &mask, &Default::default()).unwrap();
        fs::write(home.path(name), png).unwrap();
        let edit = format!("{EDIT} --mask {name} --out run-{name}");
        home.json(&edit)["report"]["inside"].as_f64().unwrap()
    };
    // Whichever half is bright changes more than when the other half is.
    let (upper, lower) = (inside("mask.png", 0..4), inside("lower.png", 4..8));
    assert!(upper > 0.5 && upper + lower > 1.05, "{upper} {lower}");
    write_picture(&home.path("small.png"), 4, 4);
    home.refused(&format!("{EDIT} --mask small.png"), &["small.png", "8 × 8"]);
    // Wrong use of options is code 2.
    let both = home.alice(&format!("{EDIT} --mask mask.png --basis b"));
    assert_eq!(both.code, Some(2), "{both:?}");
    assert!(both.stderr.contains("--mask") && both.stderr.contains("--basis"));
}

#[test]
fn frames_share_their_noise_and_can_keep_their_tones() {
    let home = with_picture();
    // A walk that hardly moves: frames differ by their noise alone, if at all.
    let still = format!("{EDIT} --strength 1e-5 --stochastic 0.5");
    let change = |report: &Value| {
        let ends = report["report"]["ends"].as_array().unwrap().iter();
        ends.map(|end| end["root_mean_square"].as_f64().unwrap())
            .fold(0.0, f64::max)
    };
    let report = home.json(&format!("{still} --out still"));
    assert!(change(&report) < 0.5, "{}", change(&report));
    // The noise is named by the seed.
    home.json(&format!("{still} --seed 1 --out other"));
    let strip = |run: &str| fs::read(home.path(run).join("walk.gif")).unwrap();
    assert_ne!(strip("still"), strip("other"));
    let plain = home.json(&format!("{EDIT} --out plain"));
    let steady = home.json(&format!("{EDIT} --steady --out steady"));
    assert!(change(&plain) > 0.0 && change(&steady) > 0.0);
    assert_ne!(strip("plain"), strip("steady"));
    for run in ["bent", "bent-steady --steady"] {
        home.json(&format!("{EDIT} --method geodesic --out {run}"));
    }
    assert_ne!(strip("bent"), strip("bent-steady"));
    home.refused(
        &format!("{EDIT} --steady --method hspace"),
        &["--steady", "guidance"],
    );
}

#[test]
fn a_concept_is_measured_along_pictures() {
    let home = with_picture();
    write_picture(&home.path("b.png"), 8, 8);
    let rgb = (0..64).flat_map(|i| [90, (i * 3) as u8, (i * 2) as u8]);
    let other = alice_runs::picture::Picture::new(8, 8, rgb.collect()).unwrap();
    let png = alice_runs::picture::encode_png("c.png", &other, &Default::default()).unwrap();
    fs::write(home.path("c.png"), png).unwrap();
    home.json("discover --model model --basis-only --rank 3 --steps 10 --out basis");
    let measure = "measure --model model --rank 4 --steps 10 --concept basis/basis.safetensors";
    let report = home.json(&format!(
        "{measure} --direction 1 --pictures a.png b.png c.png --out m"
    ));
    let report = &report["report"];
    let stops = report["stops"].as_array().unwrap();
    let at = |i: usize, name: &str| stops[i][name].as_f64().unwrap();
    for i in 0..3 {
        assert!((0.0..=1.0001).contains(&at(i, "inside")));
        assert!(at(i, "pullback_length") > 0.0);
    }
    // The second picture is the first.
    assert_eq!((at(1, "amount"), at(1, "step")), (0.0, 0.0));
    // A part of a step is no longer than the step.
    assert!(at(2, "step") > 0.0 && at(2, "amount").abs() <= at(2, "step") + 1e-5);
    assert!((report["length"].as_f64().unwrap() - at(2, "step")).abs() < 1e-9);
    home.refused(
        &format!("{measure} --direction 3 --pictures a.png b.png"),
        &["--direction", "0 to 2"],
    );
    // One picture is no path, and a file that says where it was found is
    // measured there.
    home.refused(
        &format!("{measure} --pictures a.png"),
        &["--pictures", "two"],
    );
    // Where the steps do not have that timestep, both are said.
    assert_eq!(
        (&report["timestep"], &report["found_at"]),
        (&json!(600), &json!(600))
    );
    let seven = measure.replace("--steps 10", "--steps 7");
    let near = home.json(&format!("{seven} --pictures a.png c.png --out near"));
    let at = &near["report"]["timestep"];
    assert!(at != 600 && near["report"]["found_at"] == 600, "{near}");
    let text = home.alice(&format!("{seven} --pictures a.png c.png --out near-text"));
    let both = format!("at timestep {at} (found at 600");
    assert!(text.stdout.contains(&both), "{}", text.stdout);
    // The frames of an edit are such pictures.
    home.json(&format!("{EDIT} --out walk"));
    let frames = "walk/frames/00.png walk/frames/02.png walk/frames/04.png";
    let followed = home.json(&format!("{measure} --pictures {frames} --out followed"));
    assert!(followed["report"]["length"].as_f64().unwrap() > 0.0);
    home.refused(
        &format!("{measure} --at 0.3 --pictures a.png b.png"),
        &["--at", "basis.safetensors", "timestep 600"],
    );
    write_picture(&home.path("small.png"), 4, 4);
    home.refused(
        &format!("{measure} --pictures a.png small.png"),
        &["small.png", "Crop and scale it to that size first"],
    );
    let alone = home.alice(measure);
    assert_eq!(alone.code, Some(2), "{alone:?}");
}

/// The bundled model's directions together move the light of this puppet alone,
/// and the file of sliders holds what its names say.
#[test]
fn directions_together_are_sliders() {
    let home = Home::new();
    let few = "--samples 2 --sample 1 --walks 1 --iterations 1 --frames 1 --steps 10";
    let found = home.json(&format!("discover {few} --out d"));
    let sliders = found["report"]["sliders"].as_array().unwrap();
    assert!(home.path("d/sliders.png").is_file());
    for slider in sliders {
        assert!(slider["purity"].as_f64().unwrap() >= 0.5, "{slider}");
        assert!(slider["reach"].as_f64().unwrap() <= 0.0801, "{slider}");
    }
    assert!(sliders.iter().any(|s| s["strongest"] == "light"), "{found}");

    let file = TensorFile::read(home.path("d/sliders.safetensors")).unwrap();
    let basis = TensorFile::read(home.path("d/basis.safetensors")).unwrap();
    let (count, dim) = (sliders.len(), 32 * 32 * 3);
    let right = &file.require("right", &[count, dim]).unwrap().data;
    let weights = &file.require("weights", &[count, 50]).unwrap().data;
    let stretches = &file.require("singular_values", &[count]).unwrap().data;
    let vectors = &basis.require("right", &[50, dim]).unwrap().data;
    let sigmas = &basis.require("singular_values", &[50]).unwrap().data;
    let left = file.require_rank("left", 2).unwrap();
    for i in 0..count {
        let weights = &weights[i * 50..(i + 1) * 50];
        let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((norm(&left.data[i * left.shape[1]..(i + 1) * left.shape[1]]) - 1.0).abs() < 1e-4);
        let pixel = |k: usize| {
            let both = weights.iter().enumerate();
            both.map(|(j, w)| w * vectors[j * dim + k]).sum::<f32>()
        };
        let mixed: Vec<f32> = (0..dim).map(pixel).collect();
        let both = mixed.iter().zip(&right[i * dim..]);
        let difference: Vec<f32> = both.map(|(a, b)| a - b).collect();
        assert!((norm(&mixed) - 1.0).abs() < 1e-4 && norm(&difference) < 1e-5);
        let both = weights.iter().zip(sigmas);
        let images: Vec<f32> = both.map(|(w, s)| w * s).collect();
        assert!((norm(&images) - stretches[i]).abs() < 1e-3 * stretches[i]);
    }
    let none = home.json(&format!("discover {few} --no-sliders --out none"));
    assert!(none["report"]["sliders"].is_null());
    assert!(!home.path("none/sliders.png").exists());
}

#[test]
fn a_factor_is_moved_by_its_name() {
    let home = Home::new();
    home.json("sample --count 2 --steps 20 --out s");
    let edited = home.json("edit s/0001.png --factor light --steps 20 --frames 3 --out e");
    let report = &edited["report"];
    assert_eq!(report["factor"], "light");
    let change = |response: &serde_json::Value| response["change"].as_f64().unwrap().abs();
    let factors = report["factors"].as_array().unwrap();
    let own = factors.iter().find(|r| r["factor"] == "light").unwrap();
    assert!(change(own) >= 0.5, "{own}");
    assert!(factors.iter().all(|r| change(r) <= change(own)), "{report}");
    // The mixture that it took says the same again.
    let (mixture, reach) = (report["direction"].as_str().unwrap(), &report["reach"]);
    let again = home.json(&format!(
        "edit s/0001.png --direction {mixture} --method linear --strength {reach} \
         --steps 20 --iterations 3 --frames 3 --out again"
    ));
    // A picture holds its recipe, an animation only its frames.
    let frames = |run: &str| fs::read(home.path(run).join("walk.gif")).unwrap();
    assert!(frames("e") == frames("again"));
    let text = home.alice("edit s/0001.png --factor hat --steps 10 --frames 1 --out hat");
    assert!(
        text.stdout.contains("of all change is its own"),
        "{}",
        text.stdout
    );
    assert_eq!(again["report"]["factor"], serde_json::Value::Null);
    home.refused(
        "edit s/0001.png --factor grin",
        &["--factor", "grin", "smile"],
    );
    home.tiny_model();
    home.json("sample --model model --steps 3 --out tiny");
    home.refused(
        "edit tiny/0000.png --model model --factor smile",
        &["edit --factor", "puppet"],
    );
    let both = home.alice("edit s/0001.png --factor smile --direction 3");
    assert_eq!(both.code, Some(2));
}

/// A small version of the study: the bundled model's directions, walked and read.
#[test]
fn directions_are_measured_beside_random_ones_and_aimed_at_factors() {
    let home = Home::new();
    let measure = "measure --samples 1 --at 0.4 --rank 4 --random 2 --steps 5 \
                   --iterations 1 --frames 1";
    let report = home.json(&format!("{measure} --out m"));
    let report = &report["report"];
    let walks = report["walks"].as_array().unwrap();
    let of = |family: &'static str| walks.iter().filter(move |w| w["family"] == family);
    assert_eq!((of("found").count(), of("random").count()), (4, 2));
    for family in ["aimed", "aimed_at_random"] {
        let factors: Vec<u64> = of(family).filter_map(|w| w["direction"].as_u64()).collect();
        assert!(!factors.is_empty() && factors.len() <= 19, "{factors:?}");
        assert!(factors.is_sorted_by(|a, b| a < b), "{factors:?}");
    }
    for walk in walks {
        let changes = numbers(&walk["changes"]);
        assert_eq!(changes.len(), 19);
        let correlations = numbers(&walk["correlations"]);
        assert!(
            correlations.len() == 19 && correlations.contains(&walk["spearman"].as_f64().unwrap())
        );
        let total: f64 = changes.iter().map(|c| c.abs()).sum();
        let largest = changes.iter().fold(0.0, |a: f64, c| a.max(c.abs()));
        let purity = walk["purity"].as_f64().unwrap();
        assert!((purity - largest / total.max(1e-300)).abs() < 1e-9);
        assert!((0.0..=1.0).contains(&walk["sound"].as_f64().unwrap()));
    }
    // A found direction is one in which the model reacts.
    let total = |at: usize| report["groups"][at]["total_change"].as_f64().unwrap();
    assert!(total(0) > total(1), "{} {}", total(0), total(1));
    for counts in report["counts"].as_array().unwrap() {
        let at = |name: &str| counts[name].as_u64().unwrap();
        assert!(at("factors_usually") <= at("factors") && at("factors") <= 19);
    }
    let text = fs::read_to_string(home.path("m/measure.md")).unwrap();
    assert!(text.contains("aimed, of the found"), "{text}");
    // As if interrupted: what was done is kept, and nothing else is done again.
    fs::remove_file(home.path("m/report.json")).unwrap();
    let parts: Vec<_> = fs::read_dir(home.path("m/parts")).unwrap().collect();
    assert_eq!(parts.len(), 1);
    let part = parts[0].as_ref().unwrap().path();
    let mut kept: Value = serde_json::from_slice(&fs::read(&part).unwrap()).unwrap();
    assert_eq!(&kept, &report["walks"]);
    kept[0]["sample"] = 77.into();
    fs::write(&part, kept.to_string()).unwrap();
    let again = home.json(&format!("{measure} --out m"));
    assert_eq!(again["report"]["walks"], kept);
    home.refused(&format!("{measure} --out m"), &["--overwrite"]);
    // Without random directions there is no null, and the rest is there.
    let alone = measure.replace("--random 2", "--random 0");
    let alone = home.json(&format!("{alone} --out alone"));
    let walks = alone["report"]["walks"].as_array().unwrap();
    assert!(walks.iter().all(|w| w["family"] != "random"));
}

#[test]
fn a_basis_of_another_model_is_refused() {
    let home = with_picture();
    home.json("discover --model model --basis-only --rank 3 --steps 10 --out basis");
    let basis = "--basis basis/basis.safetensors";
    home.json(&format!("{EDIT} {basis} --out fits"));
    // Its file says whose it is, wherever it lies.
    let mut file = TensorFile::read(home.path("basis/basis.safetensors")).unwrap();
    assert_eq!(file.metadata["timestep"], "600");
    file.metadata.insert("model".into(), "a-dog".into());
    file.metadata.insert("model_hash".into(), "1".repeat(64));
    fs::write(
        home.path("moved.safetensors"),
        file.to_bytes("moved").unwrap(),
    )
    .unwrap();
    home.refused(
        &format!("{EDIT} --basis moved.safetensors"),
        &["moved.safetensors", "a-dog"],
    );
    // One that does not is judged by the recipe beside it.
    file.metadata.clear();
    fs::write(
        home.path("basis/basis.safetensors"),
        file.to_bytes("moved").unwrap(),
    )
    .unwrap();
    let recipe = home.path("basis/recipe.json");
    let mut made: Value = serde_json::from_str(&fs::read_to_string(&recipe).unwrap()).unwrap();
    made["model"] = serde_json::json!({ "name": "a-cat", "hash": "0".repeat(64) });
    fs::write(&recipe, made.to_string()).unwrap();
    for verb in [EDIT, "transport --model model --rank 4 --steps 10"] {
        home.refused(&format!("{verb} {basis}"), &["basis.safetensors", "a-cat"]);
    }
    let concept = "--concept basis/basis.safetensors --pictures a.png a.png --steps 10 --rank 4";
    home.refused(&format!("measure --model model {concept}"), &["a-cat"]);
}

#[test]
fn a_basis_that_did_not_converge_is_refused_where_it_is_used() {
    let home = with_picture();
    home.json("discover --model model --basis-only --rank 3 --steps 10 --out basis");
    home.json("global --model model --samples 2 --rank 3 --steps 10 --out global");
    home.json(
        "hspace --model model --by jacobian --samples 2 --rank 2 --walks 1 --steps 4 --out h",
    );
    home.json(&format!("{EDIT} --out own"));
    let read = |name: &str| TensorFile::read(home.path(name)).unwrap();
    for name in ["basis/basis", "global/global", "h/basis", "own/direction"] {
        let about = read(&format!("{name}.safetensors")).metadata;
        let number = |key: &str| about[key].parse::<f64>().unwrap();
        assert!(
            number("residual") <= number("tolerance"),
            "{name}: {about:?}"
        );
    }
    let mut file = read("basis/basis.safetensors");
    let write = |file: &TensorFile, name: &str| {
        fs::write(home.path(name), file.to_bytes(name).unwrap()).unwrap();
    };
    file.metadata.insert("residual".into(), "3e-3".into());
    write(&file, "rough");
    let words = [
        "rough",
        "did not converge",
        "3.0e-3",
        "1e-4",
        "--tolerance 6e-3",
    ];
    for verb in [
        &format!("{EDIT} --basis rough"),
        "transport --model model --rank 4 --steps 10 --basis rough",
        "measure --model model --steps 10 --rank 4 --concept rough --pictures a.png a.png",
    ] {
        home.refused(&format!("{verb} --out none"), &words);
    }
    // It is enough for who says so, and old files say nothing.
    file.metadata.insert("tolerance".into(), "6e-3".into());
    write(&file, "accepted");
    home.json(&format!("{EDIT} --basis accepted --out accepted-run"));
    file.metadata.remove("residual");
    write(&file, "old");
    home.json(&format!("{EDIT} --basis old --out old-run"));
}

/// What global and transport make are directions of H: at a picture, they are
/// carried into its own tangent space.
#[test]
fn directions_of_the_bottleneck_are_carried_to_a_picture() {
    let home = with_picture();
    home.json("global --model model --samples 4 --rank 3 --steps 10 --out global");
    home.json(
        "transport --model model --rank 4 --steps 10 --iterations 2 --frames 1 --to 1,2 --out t",
    );
    let file = TensorFile::read(home.path("t/transported.safetensors")).unwrap();
    file.require("right", &[3, 192]).unwrap();
    file.require("left", &[3, 192]).unwrap();
    let lengths = &file.require("singular_values", &[3]).unwrap().data;
    assert!(lengths.iter().all(|length| *length > 0.0));
    for basis in ["global/global", "t/transported"] {
        let edit = format!("{EDIT} --basis {basis}.safetensors --direction 2");
        for method in ["guidance", "linear", "geodesic"] {
            let report = home.json(&format!("{edit} --method {method} --out e --overwrite"));
            let report = &report["report"];
            let share = report["carried"].as_f64().unwrap();
            assert!(share > 0.0 && share < 1.0001, "{basis} {method}: {report}");
            for end in report["ends"].as_array().unwrap() {
                assert!(end["root_mean_square"].as_f64().unwrap() > 0.0);
            }
        }
        let text = home.alice(&format!("{edit} --out e --overwrite"));
        let said = "carried into the picture's tangent space";
        assert!(text.stdout.contains(said), "{text:?}");
    }
    // The basis of a sample is walked as it is.
    home.json("discover --model model --basis-only --rank 3 --steps 10 --out basis");
    let report = home.json(&format!(
        "{EDIT} --basis basis/basis.safetensors --out as-it-is"
    ));
    assert!(report["report"]["carried"].is_null());
}

/// Latents have cells of several pixels: a mask that touches all of them is told
/// before the picture is inverted.
#[test]
fn a_mask_that_leaves_no_cell_is_refused() {
    let home = Home::new();
    write_picture(&home.path("a.png"), 16, 16);
    let rgb = (0..16 * 16).flat_map(|i| [if i % 2 == 0 { 255 } else { 0 }; 3]);
    let mask = alice_runs::picture::Picture::new(16, 16, rgb.collect()).unwrap();
    let png = alice_runs::picture::encode_png("m.png", &mask, &Default::default()).unwrap();
    fs::write(home.path("m.png"), png).unwrap();
    let sd = common::checkout("crates/pipelines/tests/fixtures/sd");
    home.refused(
        &format!(
            "edit a.png --model {} --prompt cat --size 16x16 --steps 2 --mask m.png --out none",
            sd.display()
        ),
        &["m.png", "cell of 2 × 2 pixels"],
    );
}

#[test]
fn a_direction_travels() {
    let home = with_picture();
    let global = home.json("global --model model --samples 4 --rank 3 --steps 10 --out global");
    let report = &global["report"];
    for space in ["x", "h"] {
        let at = |name: &str| report[&format!("{name}_{space}")].as_f64().unwrap();
        assert!(at("distance") <= at("largest") + 1e-9, "{space}");
    }
    assert!(
        numbers(&report["agreement"])
            .iter()
            .all(|a| (0.0..=1.0001).contains(a))
    );
    let file = TensorFile::read(home.path("global/global.safetensors")).unwrap();
    let left = file.require_rank("left", 2).unwrap();
    assert_eq!(left.shape[0], 3);
    for (i, a) in left.data.chunks(left.shape[1]).enumerate() {
        for (j, b) in left.data.chunks(left.shape[1]).enumerate() {
            let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            assert!((dot - f32::from(u8::from(i == j))).abs() < 1e-4);
        }
    }
    let walk = "--model model --rank 4 --steps 10 --iterations 2 --frames 1 --to 1,2";
    let own = home.json(&format!("transport {walk} --direction 1 --out own"));
    let arrivals = own["report"]["arrivals"].as_array().unwrap();
    assert_eq!(arrivals.len(), 3);
    let elsewhere = "--basis global/global.safetensors --at 0.3 --out elsewhere";
    let told = home.alice(&format!("transport {walk} {elsewhere}")).stdout;
    assert!(told.contains("it was found at 600"), "{told}");
    // At its own sample the direction lies wholly inside its tangent space.
    assert!((arrivals[0]["inside"].as_f64().unwrap() - 1.0).abs() < 1e-4);
    for rows in ["left", "matched"] {
        let basis = "--basis global/global.safetensors";
        let run = format!("transport {walk} {basis} --rows {rows} --out from-{rows}");
        let report = home.json(&run);
        assert_eq!(report["report"]["arrivals"].as_array().unwrap().len(), 2);
        assert!(home.path(&format!("from-{rows}/sheet.png")).is_file());
    }
    home.refused(
        "transport --model model --basis global/global.safetensors --direction 3",
        &["--direction", "0 to 2"],
    );
    write_tensors(&home.path("bad"), &[("left", &[1, 5][..], vec![1.0; 5])]);
    let bad = "transport --model model --rank 4 --basis bad --out none";
    home.refused(bad, &["bad", "5 dimensions"]);
    let told = home.alice(bad).stderr;
    assert!(!told.contains("raise --rank"), "{told}");
    // Directions of another space, and one that is none, are told at once.
    home.json("discover --model model --basis-only --space pooled --rank 2 --steps 5 --out pooled");
    let pooled = "pooled/basis.safetensors";
    let words = [
        "pooled/basis.safetensors",
        "pooled bottleneck",
        "--space full",
    ];
    home.refused(
        &format!("transport --model model --basis {pooled} --out none"),
        &words,
    );
    home.refused(
        &format!("measure --model model --concept {pooled} --pictures a.png a.png --out none"),
        &words,
    );
    let zero = vec![0.0; left.shape[1]];
    write_tensors(
        &home.path("bad"),
        &[("left", &[1, left.shape[1]][..], zero)],
    );
    home.refused(bad, &["bad", "direction 0", "zero"]);
    assert!(!home.path("none").exists());
    // The sample that a direction is of is walked at once.
    let twice = home.json(&format!("transport {walk} --from 2 --out twice"));
    let arrivals = twice["report"]["arrivals"].as_array().unwrap();
    let samples: Vec<&Value> = arrivals.iter().map(|a| &a["sample"]).collect();
    assert_eq!(samples, [2, 1]);
    home.refused("global --model model --samples 1", &["--samples"]);
}
