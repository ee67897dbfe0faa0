//! `sample --prompt` on small Stable Diffusion pipelines that diffusers made.

mod common;

use common::{Home, pipeline};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Says in a pipeline's index which scheduler it has.
fn name_scheduler(folder: &Path, class: &str) {
    let path = folder.join("model_index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["scheduler"] = json!(["diffusers", class]);
    fs::write(&path, index.to_string()).unwrap();
}

/// Schedulers of other programs: one that we do not have is named, and
/// linspace timesteps do not stand in the way of an inversion.
#[test]
fn scheduler_files_are_honoured_or_named() {
    let home = Home::new();
    let model = home.copy("crates/pipelines/tests/fixtures/sd", "sd");
    let file = model.join("scheduler/scheduler_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["_class_name"] = json!("DEISMultistepScheduler");
    config["timestep_spacing"] = json!("linspace");
    fs::write(&file, config.to_string()).unwrap();
    name_scheduler(&model, "DEISMultistepScheduler");
    let sample = "sample --model sd --prompt cat --steps 4 --size 24x16 --count 1";
    let report = home.json(&format!("{sample} --out run"));
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("DEISMultistepScheduler") && notes.contains("DDIM"),
        "{notes}"
    );
    home.json("invert run/0000.png --model sd --prompt cat --size 24x16 --steps 4 --out back");
}

#[test]
fn a_prompt_becomes_pictures_that_repeat() {
    let home = Home::new();
    for name in ["sd", "sdxl"] {
        let model = pipeline(name);
        let report = home.json(&format!(
            "sample --model {model} --prompt cat --negative horse --steps 4 --size 24x16 --count 2 --out {name}"
        ));
        assert_eq!(report["report"]["size"], json!([16, 24]));
        assert_eq!(
            report["report"]["pictures"],
            json!(["0000.png", "0001.png"])
        );
        let png = fs::read(home.path(&format!("{name}/0001.png"))).unwrap();
        let text = String::from_utf8_lossy(&png);
        assert!(text.contains("cat\nNegative prompt: horse\nSteps: 4, Sampler: DDIM, CFG scale: "));
        let replay = home.json(&format!("replay {name} --out {name}-again"));
        assert_eq!(replay["replay"]["different"], json!([]));
        let dog = home.json(&format!(
            "sample --model {model} --prompt dog --negative horse --steps 4 --size 24x16 --out {name}-dog"
        ));
        assert_eq!(dog["report"]["count"], 1);
        assert_ne!(
            fs::read(home.path(&format!("{name}-dog/0000.png"))).unwrap(),
            png
        );
    }
}

/// Guidance up to 1 is the prompt alone, as distilled models are told.
#[test]
fn little_guidance_is_the_prompt_alone() {
    let home = Home::new();
    let sample = format!(
        "sample --model {} --prompt cat --negative dog --steps 2 --size 16x16 --count 1 --overwrite --out run",
        pipeline("sd")
    );
    let draw = |guidance: &str| {
        home.json(&format!("{sample} --guidance={guidance}"));
        fs::read(home.path("run/latents.safetensors")).unwrap()
    };
    let alone = draw("1");
    assert_eq!(draw("0"), alone);
    assert_eq!(draw("0.5"), alone);
    assert_ne!(draw("1.5"), alone);
    assert_ne!(draw("-1"), alone);
}

/// Files of 2022 have schedules that diffusers' pipelines of SD 1 and 2 correct,
/// and the pipeline's index says which scheduler it is.
#[test]
fn old_schedules_are_corrected() {
    let home = Home::new();
    let folder = home.copy("crates/pipelines/tests/fixtures/sd", "model");
    let path = folder.join("scheduler/scheduler_config.json");
    let text = fs::read_to_string(&path).unwrap();
    let sample =
        "sample --model model --prompt cat --steps 3 --size 16x16 --count 1 --overwrite --out run";
    let draw = |changes: &[(&str, Value)]| {
        let mut config: Value = serde_json::from_str(&text).unwrap();
        for (name, value) in changes {
            config[*name] = value.clone();
        }
        fs::write(&path, config.to_string()).unwrap();
        home.json(sample);
        fs::read(home.path("run/latents.safetensors")).unwrap()
    };
    let ddim = ("_class_name", json!("DDIMScheduler"));
    let right = [
        ddim.clone(),
        ("clip_sample", json!(false)),
        ("steps_offset", json!(1)),
    ];
    let old = [
        ddim,
        ("clip_sample", json!(true)),
        ("steps_offset", json!(0)),
    ];
    assert_eq!(draw(&old), draw(&right));
    name_scheduler(&folder, "EulerDiscreteScheduler");
    let euler = draw(&right);
    home.json(&format!("{sample} --sampler euler"));
    assert_eq!(
        euler,
        fs::read(home.path("run/latents.safetensors")).unwrap()
    );
}

/// SDXL takes zeros for no negative prompt unless its folder says otherwise,
/// as the fixture does.
#[test]
fn no_negative_prompt_is_what_the_folder_says() {
    let home = Home::new();
    home.copy("crates/pipelines/tests/fixtures/sdxl", "empty");
    home.copy("crates/pipelines/tests/fixtures/sdxl", "zeros");
    let index = home.path("zeros/model_index.json");
    let text = fs::read_to_string(&index).unwrap();
    let flag = "\"force_zeros_for_empty_prompt\": false,";
    assert!(text.contains(flag));
    fs::write(&index, text.replace(flag, "")).unwrap();
    let draw = |model: &str, more: &str, out: &str| {
        let sample = format!("sample --model {model} --prompt cat --steps 2 --size 16x16");
        home.json(&format!("{sample} {more} --out {out}"));
        let latents = fs::read(home.path(out).join("latents.safetensors")).unwrap();
        let png = fs::read(home.path(out).join("0000.png")).unwrap();
        assert!(String::from_utf8_lossy(&png).contains("CFG scale: 5"));
        latents
    };
    let none = draw("empty", "", "a");
    assert_eq!(none, draw("empty", "--negative=", "b"));
    let zeros = draw("zeros", "", "c");
    assert_ne!(zeros, none);
    assert_eq!(draw("zeros", "--negative=", "d"), none);
}

#[test]
fn long_prompts_say_what_was_cut() {
    let home = Home::new();
    let model = pipeline("sd");
    let prompt = "cat,".repeat(20);
    let arguments =
        format!("sample --model {model} --prompt {prompt} --steps 1 --size 16x16 --out run");
    let report = home.json(&arguments);
    assert!(report["report"]["cut"].as_u64().unwrap() > 0);
    assert_eq!(report["report"]["cut_negative"], Value::Null);
    let drawn = format!("--model {model} --steps 1 --size 16x16");
    let report = home.json(&format!(
        "sample {drawn} --prompt cat --negative {prompt} --out negative"
    ));
    assert_eq!(report["report"]["cut"], Value::Null);
    assert!(report["report"]["cut_negative"].as_u64().unwrap() > 0);
    let notes = report["notes"].to_string();
    assert!(notes.contains("of the negative prompt"), "{notes}");
    // Of a grid, each text once, also where its cells are there already.
    let grid = format!(
        "grid {drawn} --x prompt=cat|{prompt}|{prompt}dog --y seed=0..2 --negative {prompt} --out grid"
    );
    let report = home.json(&grid);
    let cut = report["report"]["cut"].as_array().unwrap();
    let kinds: Vec<_> = cut.iter().map(|cut| cut["kind"].as_str()).collect();
    assert_eq!(kinds, ["negative", "prompt", "prompt"].map(Some), "{cut:?}");
    let counts = cut.iter().map(|c| c["cells"].as_array().unwrap().len());
    assert_eq!(counts.collect::<Vec<_>>(), [6, 2, 2]);
    let sentence = "2 prompts and 1 negative prompt did not fit";
    let page = fs::read_to_string(home.path("grid/report.html")).unwrap();
    assert!(page.contains(sentence));
    fs::remove_file(home.path("grid/report.json")).unwrap();
    let told = home.alice(&grid).stdout;
    assert!(told.contains(sentence), "{told}");
}

/// What was asked for and cannot count is told.
#[test]
fn what_has_no_effect_is_told() {
    let home = Home::new();
    let sample = format!(
        "sample --model {} --steps 1 --size 16x16 --guidance 1 --negative blue \
         --guidance-rescale 0.7 --prompt <lora:ink:0.8>cat --out run",
        pipeline("sd")
    );
    let report = home.json(&sample);
    let notes = report["notes"].to_string();
    for word in [
        "--negative and --guidance-rescale have no effect",
        "<lora:ink:0.8> in a prompt",
        "--lora FILE:WEIGHT",
    ] {
        assert!(notes.contains(word), "{notes}");
    }
}

/// What is missing is named with the part that it is missing from.
#[test]
fn missing_parts_are_named() {
    let home = Home::new();
    let sample = "sample --model model --prompt cat --size 16x16 --out run";
    for (file, words) in [
        (
            "vae/diffusion_pytorch_model.safetensors",
            ["model/vae", "is missing"],
        ),
        ("vae/config.json", ["model/vae", "no config.json"]),
        (
            "text_encoder/model.safetensors",
            ["model/text_encoder", "is missing"],
        ),
    ] {
        let model = home.copy("crates/pipelines/tests/fixtures/sd", "model");
        fs::remove_file(model.join(file)).unwrap();
        home.refused(sample, &words);
        assert!(
            !home.alice(sample).stderr.contains("io.safetensors"),
            "{file}"
        );
        fs::remove_dir_all(model).unwrap();
    }
    let model = home.copy("crates/pipelines/tests/fixtures/sd", "model");
    fs::remove_dir_all(model.join("vae")).unwrap();
    home.refused(sample, &["it has no vae/"]);
}

/// A field of the scheduler's file counts for the sampler that has it.
#[test]
fn a_field_of_another_sampler_does_not_count() {
    let home = Home::new();
    let model = home.copy("crates/pipelines/tests/fixtures/sd", "model");
    name_scheduler(&model, "EulerDiscreteScheduler");
    let file = model.join("scheduler/scheduler_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["interpolation_type"] = json!("log_linear");
    fs::write(&file, config.to_string()).unwrap();
    let sample = "sample --model model --prompt cat --size 16x16 --steps 2";
    home.refused(
        &format!("{sample} --out run"),
        &["interpolation_type", "Euler", "--sampler"],
    );
    home.json(&format!("{sample} --sampler ddim --out run"));
    let told = home.alice("model model").stdout;
    for word in ["scheduler: ", "interpolation_type"] {
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn what_does_not_fit_a_prompt_is_refused() {
    let home = Home::new();
    let model = pipeline("sd");
    let lora = format!("{model}/unet/diffusion_pytorch_model.safetensors");
    for (arguments, words) in [
        ("--size 25x16", ["--size", "multiples of 2"]),
        ("--size wide", ["--size", "512x512"]),
        ("--guidance nan", ["--guidance", "between"]),
        (
            "--guidance-rescale 2",
            ["--guidance-rescale", "between 0 and 1"],
        ),
        ("--count 0", ["--count", "between 1"]),
        ("--negative (blue:1e308)", ["--negative", "1e308"]),
        ("--lora none.ckpt", ["none.ckpt", "no such"]),
        ("--lora LORA:1e30", ["--lora", "between"]),
        ("--steps 0", ["steps", "0"]),
    ] {
        home.refused(
            &format!("sample --model {model} --prompt cat {arguments} --out run")
                .replace("LORA", &lora),
            &words,
        );
        assert!(!home.path("run").exists(), "{arguments}");
    }
    let ran = home.alice(&format!(
        "sample --model {model} --prompt cat --lora {lora}:abc"
    ));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("\"abc\" is no number"), "{ran:?}");
    fs::create_dir_all(home.path("half/unet")).unwrap();
    for file in ["config.json", "diffusion_pytorch_model.safetensors"] {
        let from = Path::new(&model).join("unet").join(file);
        fs::copy(from, home.path("half/unet").join(file)).unwrap();
    }
    home.refused(
        "sample --model half --prompt cat --out run",
        &["half", "scheduler"],
    );
    fs::create_dir(home.path("half/scheduler")).unwrap();
    let schedule = "scheduler/scheduler_config.json";
    fs::copy(
        Path::new(&model).join(schedule),
        home.path("half").join(schedule),
    )
    .unwrap();
    home.refused("sample --model half --prompt cat --out run", &["tokenizer"]);
}

/// A LoRA file changes the picture by its weight, is part of the recipe, and
/// says which of its names the model does not have.
#[test]
fn low_rank_changes_are_merged_and_recorded() {
    let home = Home::new();
    let model = pipeline("sd");
    let layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_q";
    let names =
        ["lora_down.weight", "lora_up.weight", "alpha"].map(|part| format!("{layer}.{part}"));
    let stranger = "lora_unet_no_such_block_to_q";
    let strange = ["lora_down.weight", "lora_up.weight"].map(|part| format!("{stranger}.{part}"));
    common::write_tensors(
        &home.path("change.safetensors"),
        &[
            (&names[0], &[2, 16], common::ramp(32)),
            (&names[1], &[16, 2], common::ramp(32)),
            (&names[2], &[], vec![2.0]),
            (&strange[0], &[2, 16], common::ramp(32)),
            (&strange[1], &[16, 2], common::ramp(32)),
        ],
    );
    let draw = |lora: &str, out: &str| {
        let report = home.json(&format!(
            "sample --model {model} --prompt cat --size 24x16 --steps 4 {lora} --out {out}"
        ));
        let latents = fs::read(home.path(&format!("{out}/latents.safetensors"))).unwrap();
        (latents, report)
    };
    let (plain, report) = draw("", "plain");
    assert_eq!(report.get("notes"), None);
    let (changed, report) = draw("--lora change.safetensors:3", "changed");
    assert_ne!(changed, plain);
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("1 of unet") && notes.contains(stranger),
        "{notes}"
    );
    let (none, _) = draw("--lora change.safetensors:0", "none");
    assert_eq!(none, plain);
    let (twice, _) = draw(
        "--lora change.safetensors:5 --lora change.safetensors:-2",
        "twice",
    );
    assert_ne!(twice, plain);
    let replay = home.json("replay changed --out again");
    assert_eq!(replay["replay"]["different"], json!([]));

    let mut bytes = fs::read(home.path("change.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(home.path("change.safetensors"), bytes).unwrap();
    home.refused(
        "replay changed --out bad",
        &["change.safetensors", "recipe"],
    );
    home.refused(
        &format!("sample --model {model} --prompt cat --lora missing.safetensors --out bad"),
        &["missing.safetensors"],
    );
}
