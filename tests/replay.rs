//! A run or a picture is enough to make the same bytes again.

mod common;

use common::{Home, files, write_picture};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

#[test]
fn runs_replay_to_the_same_bytes() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    for command in [
        "sample --model model --steps 4 --count 3 --seed 18446744073709551615 --eta 0.1",
        "sample --model model --sampler ddpm --steps 4 --count 2",
        "invert a.png --model model --steps 6",
        "edit a.png --model model --steps 5 --iterations 2 --frames 2",
        "discover --model model --rank 4 --samples 2 --walks 2 --steps 5 --iterations 2 --frames 2",
        "world --size 12 --count 5 --seed 8 --singles 2 --traverse smile --haunted-share 0.3",
    ] {
        let made = home.json(&format!("{command} --out made"));
        let again = home.json("replay made --out again");
        assert_eq!(again["verb"], made["verb"]);
        assert_eq!(
            again["replay"]["different"],
            serde_json::json!([]),
            "{command}"
        );
        let results = files(&home.path("made"));
        let results = results.iter().filter(|p| {
            p.extension()
                .is_some_and(|e| e == "png" || e == "safetensors" || e == "gif")
        });
        let mut count = 0;
        for path in results {
            let name = path.strip_prefix(home.path("made")).unwrap();
            let twin = home.path("again").join(name);
            assert!(
                fs::read(path).unwrap() == fs::read(twin).unwrap(),
                "{command}: {name:?}"
            );
            count += 1;
        }
        assert_eq!(again["replay"]["same"].as_array().unwrap().len(), count);
        fs::remove_dir_all(home.path("made")).unwrap();
        fs::remove_dir_all(home.path("again")).unwrap();
    }
}

/// A replay is compared with the original, so it cannot take its place.
#[test]
fn a_run_is_not_replayed_into_itself() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 3 --count 1 --out run");
    let before = files(&home.path("run"));
    for command in [
        "replay run --out run --overwrite",
        "replay run --out run",
        "replay run --out run/again",
        "replay run/0000.png --out run --overwrite",
        "replay run/recipe.json --out run --overwrite",
    ] {
        home.refused(command, &["--out", "folder of its own"]);
        assert_eq!(files(&home.path("run")), before, "{command}");
    }
    home.json("replay run/0000.png --out again");
    home.json("replay run --out again --overwrite");
}

/// As every page says: `alice replay .` in the folder of the run, whose inputs
/// were named from where it was made.
#[test]
fn a_run_is_replayed_from_its_own_folder() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home.json("edit a.png --model model --steps 3 --iterations 2 --frames 2 --out kept/run");
    home.json("sample --model model --steps 3 --count 2 --out kept/run/runs/sample-001");
    for (folder, made) in [
        ("kept/run", "kept/edit-001"),
        ("kept/run", "kept/edit-002"),
        ("kept", "kept/runs/edit-001"),
    ] {
        let path = if folder == "kept" { "run" } else { "." };
        let again = home.json_in(folder, &format!("replay {path}"));
        assert_eq!(again["replay"]["different"], serde_json::json!([]));
        assert_eq!(
            fs::read(home.path(made).join("strip.png")).unwrap(),
            fs::read(home.path("kept/run/strip.png")).unwrap()
        );
    }
    assert!(!home.path("kept/run/runs/edit-001").exists());
}

#[test]
fn a_picture_is_enough() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 3 --count 3 --out run");
    fs::copy(home.path("run/0001.png"), home.path("found.png")).unwrap();
    fs::remove_dir_all(home.path("run")).unwrap();
    let again = home.json("replay found.png --out again");
    assert_eq!(again["replay"]["same"], serde_json::json!(["0001.png"]));
}

#[test]
fn the_recipe_notices_another_model_and_another_input() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    home.json("invert a.png --model model --steps 3 --out run");
    write_picture(&home.path("a.png"), 9, 8);
    home.refused("replay run", &["a.png", "Restore"]);
    write_picture(&home.path("a.png"), 8, 8);
    fs::rename(home.path("model"), home.path("moved")).unwrap();
    home.refused("replay run", &["model", "no such folder"]);
    let again = home.json("replay run --model moved");
    assert_eq!(again["replay"]["different"], serde_json::json!([]));
    home.copy("crates/networks/tests/fixtures/old_keys", "other");
    home.refused("replay run --model other", &["not those of the recipe"]);
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let home = Home::new();
    fs::create_dir(home.path("empty")).unwrap();
    write_picture(&home.path("a.png"), 8, 8);
    fs::write(home.path("bad.json"), "{\"alice\":").unwrap();
    let recipe = |fields: &str| {
        let text = format!("{{\"alice\":\"0.1.0\",\"seed\":0,{fields}}}");
        fs::write(home.path("recipe.json"), text).unwrap();
    };
    home.refused("replay empty", &["not a run"]);
    home.refused("replay none", &["none", "no such"]);
    home.refused("replay a.png", &["carries no recipe"]);
    home.refused("replay bad.json", &["bad.json", "cut off"]);
    recipe("\"verb\":\"dream\",\"arguments\":{}");
    home.refused("replay recipe.json", &["dream", "discover"]);
    recipe("\"verb\":\"world\",\"arguments\":{\"size\":-1}");
    home.refused("replay recipe.json", &["arguments", "world"]);
}

#[test]
fn other_bytes_are_no_success() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 2 --count 2 --out run");
    fs::copy(home.path("run/0000.png"), home.path("run/0001.png")).unwrap();
    let ran = home.alice("replay run --out again");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("different: 0001.png"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

/// A recipe that lies in its run stands for the run, and a file that only the
/// replay has is named.
#[test]
fn the_recipe_of_a_run_is_compared_with_the_run() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 2 --count 2 --out run");
    fs::remove_file(home.path("run/0001.png")).unwrap();
    for (folder, path) in [("", "run/recipe.json"), ("run", "recipe.json")] {
        let again = home.json_in(folder, &format!("replay {path}"));
        let replay = &again["replay"];
        assert_eq!(replay["different"], serde_json::json!([]));
        assert_eq!(replay["added"], serde_json::json!(["0001.png"]));
        assert_eq!(replay["same"].as_array().unwrap().len(), 3);
    }
    assert!(!home.path("run/runs").exists());
    let text = home.alice("replay run --out again").stdout;
    assert!(text.contains("the original lacks 0001.png"), "{text}");
}

/// A model is all of its parts, however their configs are written; a grid that
/// goes on asks for the same ones.
#[test]
fn another_part_of_the_model_is_noticed() {
    let home = Home::new();
    let model = home.copy("crates/pipelines/tests/fixtures/sd", "model");
    let options = "--model model --prompt cat --size 16x16 --steps 2";
    let grid = format!("grid {options} --x seed=0..2 --out grid");
    home.json(&format!("sample {options} --out run"));
    home.json(&grid);
    fs::remove_file(home.path("grid/report.json")).unwrap();
    // Another last bit of a weight, and a line more.
    let touch = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        match path.extension().is_some_and(|e| e == "safetensors") {
            true => bytes
                .iter_mut()
                .rev()
                .nth(3)
                .into_iter()
                .for_each(|b| *b ^= 1),
            false => bytes.push(b'\n'),
        }
        fs::write(path, bytes).unwrap();
    };
    for (file, part) in [
        ("vae/diffusion_pytorch_model.safetensors", "vae"),
        ("text_encoder/model.safetensors", "text_encoder"),
        ("tokenizer/tokenizer_config.json", "tokenizer"),
    ] {
        let path = model.join(file);
        let before = fs::read(&path).unwrap();
        touch(&path);
        home.refused(
            "replay run --out again",
            &["model", &format!("its {part} ")],
        );
        home.refused(&grid, &[&format!("another {part} of"), "--overwrite"]);
        fs::write(&path, before).unwrap();
    }
    let path = model.join("scheduler/scheduler_config.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["beta_end"] = json!(0.013);
    fs::write(&path, config.to_string()).unwrap();
    home.refused("replay run --out again", &["its scheduler changed"]);
    home.refused(&grid, &["another scheduler of"]);
    // The same, written in another way.
    let config: Value = serde_json::from_str(&text).unwrap();
    fs::write(&path, config.to_string()).unwrap();
    let again = home.json("replay run --out again");
    assert_eq!(again["replay"]["different"], json!([]));
    assert_eq!(home.json(&grid)["report"]["found"], 2);
    // Where a run does not say what the parts were, they are taken as they are.
    let path = home.path("run/recipe.json");
    let mut recipe: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let parts = recipe["model"].as_object_mut().unwrap().remove("parts");
    assert!(parts.is_some(), "{recipe}");
    fs::write(home.path("old.json"), recipe.to_string()).unwrap();
    home.json("replay old.json --out old");
}
