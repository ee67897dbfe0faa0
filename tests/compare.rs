//! Against the truth of the world. `compare`: the papers' claims on a tiny
//! model, the table on the bundled one, and going on after an interruption.
//! `survey`: how true the bundled model's pictures are.

mod common;

use alice_runs::TensorFile;
use common::Home;
use serde_json::Value;
use std::fs;

const TINY: &str = "compare --model model --steps 10 --count 2 --spaces 3 --space-rank 3 \
                    --times 0.8,0.4 --pairs 2 --learn 8 --leak-samples 1";

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// An interval around a value.
fn is_estimate(value: &Value) -> bool {
    number(&value["low"]) <= number(&value["value"])
        && number(&value["value"]) <= number(&value["high"])
}

#[test]
fn claims_are_measured_without_an_instrument() {
    let home = Home::new();
    home.tiny_model();
    let report = home.json(&format!("{TINY} --out run"));
    let report = &report["report"];
    assert_eq!(report["techniques"], serde_json::json!([]));
    assert_eq!(report["leakage"], Value::Null);
    let times = report["spaces"]["times"].as_array().unwrap();
    assert_eq!(times.len(), 2);
    for time in times {
        for name in ["frequency", "distance_x", "distance_h"] {
            assert!(is_estimate(&time[name]), "{name}: {time}");
        }
        // A share of the largest distance that there is.
        assert!(number(&time["distance_x"]["high"]) <= 1.0 + 1e-9);
    }
    assert!(is_estimate(&times[0]["distance_next"]));
    assert_eq!(times[1]["distance_next"], Value::Null);
    let paths = &report["paths"];
    assert!(number(&paths["geodesic"]["value"]) <= number(&paths["slerp"]["value"]));
    for pair in paths["pairs"].as_array().unwrap() {
        assert_eq!(pair["falls"], true);
    }
    for file in ["report.html", "compare.md", "frequency.svg", "paths.svg"] {
        assert!(home.path("run").join(file).is_file(), "{file}");
    }
    let tables = fs::read_to_string(home.path("run/compare.md")).unwrap();
    assert!(tables.contains("the 3 leading directions"), "{tables}");
    assert!(!home.path("run/success.svg").exists());
}

#[test]
fn other_models_are_compared() {
    let home = Home::new();
    home.tiny_model();
    let scheduler = "twin/scheduler/scheduler_config.json";
    home.copy("crates/networks/tests/fixtures/half", "twin");
    let weights = TensorFile::read(home.path("model/unet/diffusion_pytorch_model.safetensors"));
    let mut changed = TensorFile::new();
    for (name, tensor) in &weights.unwrap().tensors {
        let values = tensor.data.iter().map(|v| 1.5 * v).collect();
        changed.insert(name, &tensor.shape, values).unwrap();
    }
    let path = home.path("twin/unet/diffusion_pytorch_model.safetensors");
    changed.write(&path).unwrap();
    let report = home.json(&format!("{TINY} --beside model,twin --out run"));
    let report = &report["report"];
    let [same, twin] = [0, 1].map(|i| report["beside"][i].clone());
    // A model beside itself is the same model.
    assert_eq!(same["spaces"], report["spaces"]);
    for i in 0..2 {
        assert!(number(&same["apart"][i]["value"]) < 1e-3, "{same}");
        let apart = number(&twin["apart"][i]["value"]);
        assert!((0.05..1.0).contains(&apart), "{twin}");
    }
    for file in ["timesteps.svg", "models.svg"] {
        assert!(home.path("run").join(file).is_file(), "{file}");
    }
    let again = home.json("replay run --out again");
    let different = again["replay"]["different"].as_array().unwrap();
    let timed = |file: &&Value| file.as_str() != Some("report.json");
    assert_eq!(different.iter().find(timed), None);
    // The twin is pinned by its weights.
    weights_of(&home, "model", "twin");
    home.refused("replay run --out third", &["twin", "recipe"]);
    let text = fs::read_to_string(home.path(scheduler)).unwrap();
    fs::write(
        home.path(scheduler),
        text.replace("linear", "squaredcos_cap_v2"),
    )
    .unwrap();
    for (models, words) in [
        ("twin", ["--beside", "noise schedule"]),
        ("puppets-32", ["--beside", "32×32"]),
        ("nowhere", ["nowhere", "no"]),
        ("model,model,model,model", ["--beside", "more than 3"]),
    ] {
        home.refused(&format!("{TINY} --beside {models} --out none"), &words);
        assert!(!home.path("none").exists(), "{models}");
    }
}

/// Gives one model the weights of another.
fn weights_of(home: &Home, from: &str, to: &str) {
    let file = "unet/diffusion_pytorch_model.safetensors";
    let [from, to] = [from, to].map(|model| home.path(model).join(file));
    fs::copy(from, to).unwrap();
}

#[test]
fn an_interrupted_comparison_goes_on() {
    let home = Home::new();
    home.tiny_model();
    let whole = home.json(&format!("{TINY} --out run"));
    // A finished run is not touched.
    home.refused(&format!("{TINY} --out run"), &["run"]);
    // As if interrupted in the second path; what was done is kept.
    fs::remove_file(home.path("run/report.json")).unwrap();
    fs::remove_file(home.path("run/parts/path-0001.json")).unwrap();
    let first = home.path("run/parts/path-0000.json");
    let text = fs::read_to_string(&first).unwrap();
    let mut pair: Value = serde_json::from_str(&text).unwrap();
    pair["steps"] = 77.into();
    fs::write(&first, pair.to_string()).unwrap();
    let again = home.json(&format!("{TINY} --out run"));
    let pairs = |report: &Value| report["report"]["paths"]["pairs"].clone();
    assert_eq!(pairs(&again)[0]["steps"], 77);
    assert_eq!(pairs(&again)[1], pairs(&whole)[1]);
    assert_eq!(again["report"]["spaces"], whole["report"]["spaces"]);
    // Another comparison does not go on with this one.
    fs::remove_file(home.path("run/report.json")).unwrap();
    home.refused(&format!("{TINY} --seed 5 --out run"), &["run"]);
}

/// A network of the instrument's size that has seen few puppets.
fn write_puppets(home: &Home) {
    let recipe = serde_json::json!({
        "name": "small",
        "world": { "haunted_share": 0.1 },
        "size": 32,
        "seed": 5,
        "network": {
            "_class_name": "UNet2DModel",
            "sample_size": 32,
            "block_out_channels": [4, 8],
            "down_block_types": ["DownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "UpBlock2D"],
            "layers_per_block": 1,
            "attention_head_dim": 4,
            "norm_num_groups": 2
        },
        "scheduler": {
            "_class_name": "DDIMScheduler",
            "num_train_timesteps": 100,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": "v_prediction",
            "timestep_spacing": "trailing",
            "clip_sample": false
        },
        "batch": 2,
        "steps": 30,
        "learning_rate": 0.01,
        "warmup": 5,
        "cooldown": 10,
        "clip_norm": 1.0,
        "average_decay": 0.5,
        "timesteps": "importance",
        "checkpoint_every": 100,
        "sheet_every": 1000
    });
    fs::write(home.path("small.json"), recipe.to_string()).unwrap();
    home.json("train --recipe small.json --out puppets");
}

#[test]
fn the_table_has_every_technique() {
    let home = Home::new();
    write_puppets(&home);
    let report = home.json(
        "compare --model puppets/model --puppets --count 3 --steps 6 --rank 2 --iterations 2 --pairs 0 --spaces 2 --times 0.6 \
         --space-rank 2 --learn 8 --leak-samples 1 --out run",
    );
    let report = &report["report"];
    let rows = report["techniques"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    for row in rows {
        for name in ["success", "inside", "outside", "ssim", "learning_seconds"] {
            assert!(is_estimate(&row[name]), "{name}: {row}");
        }
        assert!(number(&row["success"]["value"]) <= number(&row["moved"]["value"]));
        assert!(number(&row["success"]["value"]) <= number(&row["kept"]["value"]));
    }
    // What is looked for inside the region lies inside it more than chance does.
    let edits = report["edits"].as_array().unwrap();
    let share = |technique: &str| {
        let own = edits.iter().filter(|e| e["technique"] == technique);
        own.map(|e| number(&e["predicted_share"])).sum::<f64>()
    };
    assert!(share("local") > share("random"));
    let leakage = &report["leakage"];
    assert_eq!(leakage["factors"].as_array().unwrap().len(), 6);
    assert!(home.path("run/edits-0.png").is_file());
    assert!(home.path("run/success.svg").is_file());
    assert_eq!(report["paths"], Value::Null);
}

#[test]
fn what_makes_no_comparison_is_refused() {
    let home = Home::new();
    home.tiny_model();
    for (arguments, words) in [
        ("--spaces 1", ["--spaces", "at least 2"]),
        ("--iterations 3", ["--iterations", "even"]),
        ("--times 0.5,1.5", ["--times", "1.5"]),
        ("--change 0", ["--change", "positive"]),
        ("--change 1e30", ["--change", "at most 2"]),
        ("--reach 1e30", ["--reach", "at most 1000"]),
        ("--leak 1e30", ["--leak", "at most 1000"]),
        ("--rank 5000", ["--rank", "192 directions"]),
        ("--space-rank 5000", ["--space-rank", "192 directions"]),
        ("--puppets", ["--puppets", "32×32"]),
    ] {
        home.refused(
            &format!("compare --model model --out none {arguments}"),
            &words,
        );
        assert!(!home.path("none").exists(), "{arguments}");
    }
}

/// Every sampler can be surveyed, and the report says which it was.
#[test]
fn surveys_read_what_was_drawn() {
    let home = Home::new();
    let few = "survey --count 6 --steps 6";
    let report = home.json(&format!("{few} --sampler dpm++-2m-sde --out run"));
    let report = &report["report"];
    assert_eq!(report["sampler"], "DPM++ 2M SDE");
    assert_eq!((&report["count"], &report["steps"]), (&6.into(), &6.into()));
    for share in ["sound", "validity", "quick_validity"] {
        let value = number(&report[share]);
        let [low, high] = [0, 1].map(|end| number(&report[format!("{share}_interval")][end]));
        assert!(
            0.0 <= low && low <= value && value <= high && high <= 1.0,
            "{share}"
        );
        // Six samples say little.
        assert!(high - low > 0.3, "{share}: {low} to {high}");
    }
    for factor in report["factors"].as_array().unwrap() {
        let shares = factor["samples"].as_array().unwrap();
        let sum: f64 = shares.iter().map(number).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{factor}");
    }
    assert!(home.path("run/sheet.png").is_file());
    // Noise at every step makes other pictures of the same noise.
    let distances = |more: &str| home.json(&format!("{few}{more}"))["report"]["distances"].clone();
    let plain = distances("");
    assert_eq!(distances(" --sampler ddim --eta 0"), plain);
    assert_ne!(distances(" --eta 1"), plain);
    // From true pictures with little noise everything is sound.
    let near = home.json("survey --count 6 --steps 20 --from 0.1");
    assert_eq!(number(&near["report"]["sound"]), 1.0);
    assert!(number(&near["report"]["from"]) <= 100.0);
    assert!(number(&near["report"]["distances"][2]) < number(&plain[2]));
    home.refused(&format!("{few} --from 2"), &["--from", "above 0"]);
    home.refused(&format!("{few} --from 0"), &["--from", "above 0"]);
    home.refused(
        &format!("{few} --sampler unipc --eta 1"),
        &["--eta", "UniPC"],
    );
    home.refused(
        &format!("{few} --sampler ddim --karras"),
        &["--karras", "DDIM"],
    );
    home.tiny_model();
    home.refused(&format!("{few} --model model"), &["--puppets"]);
}
