//! Training: what it leaves, and that interruption changes nothing.

mod common;

use alice_runs::TensorFile;
use common::{Home, files, wait_for};
use serde_json::json;
use std::fs;

/// A network and a world that train in milliseconds per step.
fn write_recipe(home: &Home, steps: u64) {
    write_cooling(home, steps, 10);
}

/// The same with another cool-down.
fn write_cooling(home: &Home, steps: u64, cooldown: u64) {
    let recipe = json!({
        "name": "tiny",
        "world": { "haunted_share": 0.1 },
        "size": 8,
        "seed": 5,
        "network": {
            "_class_name": "UNet2DModel",
            "sample_size": 8,
            "block_out_channels": [4, 8],
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
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
        "steps": steps,
        "learning_rate": 0.001,
        "warmup": 5,
        "cooldown": cooldown,
        "clip_norm": 1.0,
        "average_decay": 0.9,
        "timesteps": "importance",
        "checkpoint_every": 20,
        "sheet_every": 150
    });
    fs::write(home.path("tiny.json"), recipe.to_string()).unwrap();
}

/// Everything of a run that must not depend on its interruptions.
fn lasting(home: &Home, run: &str) -> Vec<(String, Vec<u8>)> {
    let lasting = |name: &str| name.ends_with(".png") || name.contains("safetensors");
    files(&home.path(run))
        .iter()
        .map(|path| {
            path.strip_prefix(home.path(run))
                .unwrap()
                .display()
                .to_string()
        })
        .filter(|name| lasting(name) || name.starts_with("model/"))
        .map(|name| (name.clone(), fs::read(home.path(run).join(name)).unwrap()))
        .collect()
}

#[test]
fn the_model_is_a_pipeline_that_alice_opens() {
    let home = Home::new();
    write_recipe(&home, 25);
    let report = home.json("train --recipe tiny.json --out run");
    assert_eq!(report["report"]["steps"], 25);
    let index = fs::read_to_string(home.path("run/model/model_index.json")).unwrap();
    assert!(index.contains("\"DDIMPipeline\""), "{index}");
    home.json("sample --model run/model --steps 3 --count 2 --out samples");
    assert!(home.path("run/samples.png").is_file());
    let again = home.alice("train --recipe tiny.json --out run");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("--overwrite"), "{}", again.stderr);
    let replay = home.json("replay run --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
}

#[test]
fn a_longer_run_goes_on_where_a_shorter_one_ended() {
    let home = Home::new();
    write_recipe(&home, 60);
    home.json("train --recipe tiny.json --out whole");
    write_cooling(&home, 40, 0);
    home.json("train --recipe tiny.json --out parts");
    write_recipe(&home, 60);
    let rest = home.json("train --recipe tiny.json --out parts");
    assert_eq!(rest["report"]["resumed_at"], 40);
    assert_eq!(rest["report"]["steps"], 60);
    assert_eq!(lasting(&home, "whole"), lasting(&home, "parts"));
    // What has cooled down, or is longer, is no part of another run.
    home.json("train --recipe tiny.json --steps 40 --out cooled");
    home.refused("train --recipe tiny.json --out cooled", &["learning rates"]);
    assert_eq!(
        home.json("train --recipe tiny.json --steps 40 --out again")["verb"],
        "train"
    );
    assert_eq!(lasting(&home, "cooled"), lasting(&home, "again"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_equals_an_uninterrupted_one() {
    use std::process::{Command, Stdio};
    let home = Home::new();
    write_recipe(&home, 400);
    home.json("train --recipe tiny.json --out whole");
    let mut child = home.command("train --recipe tiny.json --out parts");
    let child = child
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&home.path("parts/checkpoint.safetensors"));
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let ran: common::Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("--out parts goes on"), "{}", ran.stderr);
    assert!(common::temporary_files(&home.path("parts")).is_empty());
    let rest = home.json("train --recipe tiny.json --out parts");
    let resumed_at = rest["report"]["resumed_at"].as_u64().unwrap();
    assert!((20..400).contains(&resumed_at), "{resumed_at}");
    for ((name, whole), (other, parts)) in
        lasting(&home, "whole").iter().zip(lasting(&home, "parts"))
    {
        assert_eq!(*name, other);
        assert!(*whole == parts, "{name} differs");
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_and_kept() {
    let home = Home::new();
    write_recipe(&home, 40);
    home.json("train --recipe tiny.json --steps 20 --out run");
    let path = home.path("run/checkpoint.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    home.refused(
        "train --recipe tiny.json --out run",
        &["checkpoint.safetensors"],
    );
    assert_eq!(fs::read(&path).unwrap().len(), whole.len() - 10);
    let mut file = TensorFile::from_bytes("checkpoint", &whole).unwrap();
    file.metadata.remove("step");
    file.write(&path).unwrap();
    home.refused(
        "train --recipe tiny.json --out run",
        &["checkpoint.safetensors", "step"],
    );
}

#[test]
fn recipes_that_make_no_run_are_refused() {
    let home = Home::new();
    write_recipe(&home, 20);
    let text = fs::read_to_string(home.path("tiny.json")).unwrap();
    for (from, to, words) in [
        ("\"batch\":2", "\"batch\":0", &["batch", "between 1"][..]),
        ("\"size\":8", "\"size\":9", &["9×9"]),
        (
            "\"sample_size\":8",
            "\"sample_size\":16",
            &["sample_size", "the recipe's size"],
        ),
        ("\"size\":8", "\"size\":4", &["size 4"]),
        ("\"steps\":20", "\"steps\":-1", &["bad.json", "-1"]),
        (
            "\"learning_rate\":0.001",
            "\"learning_rate\":0.0",
            &["learning_rate"],
        ),
        (
            "\"norm_num_groups\":2",
            "\"norm_num_groups\":3",
            &["norm_num_groups"],
        ),
        (
            "squaredcos_cap_v2",
            "strange",
            &["beta_schedule", "strange"],
        ),
        (
            "\"haunted_share\":0.1",
            "\"haunted_share\":7.0",
            &["bad.json", "haunted share"],
        ),
        ("\"batch\":2", "\"bach\":2", &["bad.json", "bach"]),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(home.path("bad.json"), text.replace(from, to)).unwrap();
        home.refused("train --recipe bad.json --out run", words);
        assert!(!home.path("run").exists(), "{to}");
    }
    home.refused(
        "train --recipe tiny.json --device wgpu",
        &["wgpu", "--device cpu"],
    );
    home.refused("train --recipe none.json", &["none.json", "no such"]);
}

#[test]
fn a_model_can_be_the_start_of_another() {
    let home = Home::new();
    write_recipe(&home, 25);
    home.json("train --recipe tiny.json --out first");
    let on = home.json("train --recipe tiny.json --start first/model --out second");
    assert_eq!(on["report"]["steps"], 25);
    let weights = |run: &str| {
        let file = format!("{run}/model/unet/diffusion_pytorch_model.safetensors");
        fs::read(home.path(&file)).unwrap()
    };
    assert_ne!(weights("first"), weights("second"));
    let replay = home.json("replay second --out again");
    assert_eq!(replay["replay"]["different"], json!([]));

    // One weight decides whether the start is still the recipe's.
    home.json("train --recipe tiny.json --steps 30 --overwrite --out first");
    let changed = home.alice("replay second --out third");
    assert_eq!(changed.code, Some(1));
    assert!(changed.stderr.contains("first/model"), "{}", changed.stderr);

    let other = home.alice("train --recipe tiny.json --start puppets-32 --out fourth");
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("architecture"), "{}", other.stderr);
    assert!(!home.path("fourth").exists());
}
