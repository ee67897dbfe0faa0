//! Models by any name: folders, single files, the Hugging Face cache; and what
//! `alice model` says of them.

mod common;

use common::{Home, check_refusal, checkout};
use serde_json::{Value, json};
use std::fs;

/// A home with the small checkpoints and the tokenizer that theirs is.
fn with_checkpoints() -> Home {
    let home = Home::new();
    for name in ["sd1", "sd2", "sdxl"] {
        let file = format!("{name}.safetensors");
        let from = checkout("crates/networks/tests/fixtures/single").join(&file);
        fs::copy(from, home.path(&file)).unwrap();
    }
    home.copy("crates/text/tests/fixtures/clip", "tokenizer");
    home
}

fn describe(home: &Home, arguments: &str) -> Value {
    home.json(&format!("model {arguments}"))["model"].clone()
}

#[test]
fn single_files_draw_and_replay() {
    let home = with_checkpoints();
    for name in ["sd1", "sdxl"] {
        let report = home.json(&format!(
            "sample --model {name}.safetensors --prompt cat --steps 2 --size 16x24 --out {name}"
        ));
        assert_eq!(report["report"]["size"], json!([24, 16]));
        let replay = home.json(&format!("replay {name} --out {name}-again"));
        assert_eq!(replay["replay"]["different"], json!([]));
    }
    // What it predicts is part of the recipe.
    let sample = "sample --model sd1.safetensors --prompt cat --steps 2 --size 16x24";
    home.json(&format!("{sample} --prediction v --out velocity"));
    let latents = |run: &str| fs::read(home.path(&format!("{run}/latents.safetensors"))).unwrap();
    assert_ne!(latents("velocity"), latents("sd1"));
    let replay = home.json("replay velocity --out velocity-again");
    assert_eq!(replay["replay"]["different"], json!([]));
    let recipe = fs::read_to_string(home.path("velocity/recipe.json")).unwrap();
    assert!(recipe.contains("v_prediction"), "{recipe}");
    // A replay that is told so draws the same, and its recipe says so too.
    home.alice("replay sd1 --model sd1.safetensors --prediction v --out told");
    assert_eq!(latents("told"), latents("velocity"));
    let replay = home.json("replay told --out told-again");
    assert_eq!(replay["replay"]["different"], json!([]));

    fs::remove_dir_all(home.path("tokenizer")).unwrap();
    home.refused(
        "sample --model sd1.safetensors --prompt cat",
        &["text_encoder", "653 tokens", "tokenizer/"],
    );
}

#[test]
fn descriptions_tell_what_a_model_holds() {
    let home = with_checkpoints();
    let bundled = describe(&home, "");
    assert_eq!(bundled["name"], "puppets-32");
    assert_eq!(bundled["parts"][0]["class"], "UNet2DModel");
    assert!(bundled["parts"][0]["parameters"].as_u64().unwrap() > 1_000_000);

    for (name, family, prediction) in [
        ("sd1", "Stable Diffusion 1", "epsilon"),
        ("sd2", "Stable Diffusion 2", "epsilon"),
        ("sdxl", "Stable Diffusion XL", "v_prediction"),
    ] {
        let found = describe(&home, &format!("{name}.safetensors"));
        assert_eq!(
            (&found["kind"], &found["class"]),
            (&json!("checkpoint"), &json!(family))
        );
        assert_eq!(found["scheduler"]["prediction"], prediction);
        assert_eq!(found["scheduler"]["from_file"], false);
        assert_eq!(found["hash"], Value::Null);
        let parts = found["parts"].as_array().unwrap();
        assert_eq!(parts.len(), if name == "sdxl" { 4 } else { 3 });
        for part in parts {
            assert_eq!(part["supported"], true, "{part}");
            assert!(part["types"]["F16"].as_u64().unwrap() > 0);
        }
    }
    let hashed = describe(&home, "sd1.safetensors --hash");
    let run =
        home.json("sample --model sd1.safetensors --prompt cat --steps 1 --size 16x16 --out run");
    assert_eq!(hashed["hash"], run["report"]["model"]["hash"]);

    let folder = home.copy("crates/pipelines/tests/fixtures/sdxl", "sdxl-folder");
    fs::write(folder.join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    let found = describe(&home, "sdxl-folder");
    assert_eq!(found["class"], "StableDiffusionXLPipeline");
    assert_eq!(found["licence"]["name"], "mit");
    let names: Vec<_> = found["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["part"])
        .collect();
    let parts = [
        "controlnet",
        "text_encoder",
        "text_encoder_2",
        "unet",
        "vae",
    ];
    assert_eq!(names, parts);
    let found = describe(&home, "sdxl-folder/controlnet");
    assert_eq!(found["parts"][0]["part"], "controlnet");
    assert_eq!(found["parts"][0]["supported"], true);
    let text = home.alice("model sdxl-folder");
    assert!(text.stdout.contains("\n  hash: not computed (--hash)\n"));
    assert!(
        text.stdout
            .contains("unet: UNet2DConditionModel, channels 4 → 8 16"),
        "{}",
        text.stdout
    );

    for (name, layout, methods) in [
        ("kohya.safetensors", "kohya", json!(["LoRA"])),
        ("locon.safetensors", "kohya", json!(["LoCon", "LoRA"])),
        ("loha", "peft", json!(["LoHa"])),
        ("diffusers_peft", "peft", json!(["LoRA"])),
    ] {
        let path = checkout("crates/networks/tests/fixtures/lora").join(name);
        let found = describe(&home, &path.display().to_string());
        assert_eq!(
            (&found["kind"], &found["class"]),
            (&json!("lora"), &json!(layout)),
            "{name}"
        );
        assert_eq!(found["lora"]["methods"], methods, "{name}");
        assert!(found["lora"]["layers"]["unet"].as_u64().unwrap() > 0);
    }
}

/// The layout of google/ddpm-*: everything at the top. It is described and
/// hashed as it is drawn, and says that its scheduler is not what draws.
#[test]
fn a_network_at_the_top_of_its_pipeline_is_described() {
    let home = Home::new();
    let from = home.copy("crates/networks/tests/fixtures/half", "pipeline");
    fs::create_dir(home.path("flat")).unwrap();
    for (name, part) in [
        ("model_index.json", ""),
        ("config.json", "unet"),
        ("diffusion_pytorch_model.safetensors", "unet"),
        ("scheduler_config.json", "scheduler"),
    ] {
        fs::copy(from.join(part).join(name), home.path("flat").join(name)).unwrap();
    }
    let found = describe(&home, "flat --hash");
    assert_eq!(found["kind"], "pipeline");
    assert_eq!(found["class"], "DDPMPipeline");
    let parts = found["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 1, "{found}");
    assert_eq!(
        (&parts[0]["part"], &parts[0]["class"]),
        (&json!("unet"), &json!("UNet2DModel"))
    );
    assert_eq!(parts[0]["supported"], true);
    assert!(parts[0]["parameters"].as_u64().unwrap() > 0);
    let files = json!(["diffusion_pytorch_model.safetensors"]);
    assert_eq!(parts[0]["files"], files);
    assert_eq!(found["scheduler"]["class"], "DDPMScheduler");
    assert_eq!(found["notes"], json!([]));
    let run = home.json("sample --model flat --steps 1 --count 1 --out run");
    assert_eq!(found["hash"], run["report"]["model"]["hash"]);
    assert_eq!(found["hash"], describe(&home, "pipeline --hash")["hash"]);

    let notes = run["notes"].to_string();
    for word in ["DDPMScheduler", "DDIM", "--sampler ddpm --steps 1000"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    let path = home.path("flat/scheduler_config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("DDPMScheduler", "DDIMScheduler")).unwrap();
    fs::remove_file(home.path("flat/model_index.json")).unwrap();
    let run = home.json("sample --model flat --steps 1 --count 1 --out ddim");
    assert_eq!(run.get("notes"), None);
    assert_eq!(describe(&home, "flat")["kind"], "network");
}

#[test]
fn the_cache_is_searched_and_its_absence_explained() {
    let home = Home::new();
    let snapshot = "cache/models--owner--name/snapshots/0123abcd";
    home.copy("crates/networks/tests/fixtures/half", snapshot);
    fs::create_dir_all(home.path("cache/models--owner--name/refs")).unwrap();
    fs::write(home.path("cache/models--owner--name/refs/main"), "0123abcd").unwrap();
    let run = |arguments: &str, variable: &str, value: &str| {
        let mut command = home.command(arguments);
        for name in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HOME",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        common::Ran::from(command.env(variable, home.path(value)).output().unwrap())
    };
    let sample = "sample --model owner/name --steps 2 --count 1 --out run --overwrite";
    assert_eq!(run(sample, "HF_HUB_CACHE", "cache").code, Some(0));
    fs::create_dir(home.path("home")).unwrap();
    fs::rename(home.path("cache"), home.path("home/hub")).unwrap();
    assert_eq!(run(sample, "HF_HOME", "home").code, Some(0));
    let described = run("model owner/name", "HF_HOME", "home");
    assert!(described.stdout.contains("snapshots"), "{described:?}");
    let absent = run("sample --model owner/other --steps 2", "HF_HOME", "home");
    check_refusal(
        "absent",
        &absent,
        &["owner/other", "hf download owner/other"],
    );
}

#[test]
fn pickles_and_loras_are_no_models() {
    let home = Home::new();
    fs::write(home.path("model.ckpt"), "x").unwrap();
    home.refused(
        "sample --model model.ckpt",
        &["model.ckpt", "can run code", "save_file"],
    );
    home.refused("model model.ckpt", &["can run code"]);
    let lora = checkout("crates/networks/tests/fixtures/lora/kohya.safetensors");
    let sample = format!("sample --model {} --prompt cat", lora.display());
    home.refused(&sample, &["this is a LoRA file"]);
}
