//! `--control` and `--tile` on small Stable Diffusion pipelines that diffusers
//! made.

mod common;

use common::{Home, check_refusal, checkout, pipeline, write_picture};
use serde_json::json;
use std::fs;

fn latents(home: &Home, run: &str) -> Vec<u8> {
    fs::read(home.path(&format!("{run}/latents.safetensors"))).expect("latents")
}

/// What steers is part of the model and of the recipe.
#[test]
fn a_picture_steers_and_is_recorded() {
    let home = Home::new();
    write_picture(&home.path("lines.png"), 24, 16);
    write_picture(&home.path("large.png"), 60, 40);
    for name in ["sd", "sdxl"] {
        let model = pipeline(name);
        let draw = |control: &str, out: &str| {
            let report = home.json(&format!(
                "sample --model {model} --prompt cat --size 24x16 --steps 4 {control} --out {out} --overwrite"
            ));
            (latents(&home, out), report)
        };
        let (plain, _) = draw("", "plain");
        let (none, _) = draw(&format!("--control {model}=lines.png:0"), "none");
        assert_eq!(none, plain);
        let (steered, report) = draw(&format!("--control {model}/controlnet=lines.png"), "run");
        assert_ne!(steered, plain);
        assert!(report["notes"][0].as_str().unwrap().contains("lines.png"));
        let (less, _) = draw(&format!("--control {model}=lines.png:0.4"), "less");
        assert_ne!(less, steered);
        let both = format!("--control {model}=lines.png:0.4 --control {model}=lines.png:0.6");
        assert_ne!(draw(&both, "both").0, less);
        let (_, report) = draw(&format!("--control {model}=large.png"), "scaled");
        let note = report["notes"][0].as_str().unwrap();
        assert!(note.contains("60×40") && note.contains("24×16"), "{note}");
        let replay = home.json("replay run --out again --overwrite");
        assert_eq!(replay["replay"]["different"], json!([]));
    }
    write_picture(&home.path("lines.png"), 16, 24);
    home.refused("replay run --out bad", &["lines.png", "recipe"]);
}

#[test]
fn every_verb_takes_what_steers() {
    let home = Home::new();
    write_picture(&home.path("lines.png"), 24, 16);
    let model = pipeline("sd");
    let steered =
        format!("--model {model} --prompt cat --size 24x16 --control {model}=lines.png:0.9");
    home.json(&format!(
        "img2img lines.png {steered} --steps 4 --out img2img"
    ));
    home.json(&format!(
        "inpaint lines.png --mask lines.png {steered} --steps 4 --out inpaint"
    ));
    let grid = home.json(&format!(
        "grid {steered} --steps 2 --x guidance=1,5 --y prompt=cat|dog --out grid"
    ));
    assert_eq!(grid["report"]["distinct"], 4);
    // The network that is told other prompts is as good as a new one.
    let dog = steered.replace("cat", "dog");
    home.json(&format!(
        "sample {dog} --guidance 5 --steps 2 --count 1 --out one"
    ));
    let read = |name: &str| {
        let path = home.path(name);
        alice_runs::picture::decode_png(&path, &fs::read(&path).expect("a picture"))
            .expect("a PNG")
            .0
    };
    assert_eq!(read("grid/cells/00003.png"), read("one/0000.png"));
    let report = home.json(&format!(
        "discover {steered} --rank 4 --walks 1 --samples 1 --steps 4 --out discover"
    ));
    let plain = home.json(&format!(
        "discover --model {model} --prompt cat --size 24x16 --rank 4 --walks 1 --samples 1 --steps 4 --out plain"
    ));
    let values = |report: &serde_json::Value| report["report"]["singular_values"].clone();
    assert_ne!(values(&report), values(&plain));
    home.json(&format!(
        "edit lines.png {steered} --direction 1 --steps 4 --out edit"
    ));
    home.json(&format!(
        "treat {steered} --learn 20 --samples 4 --steps 4 --at 0.6 --components 4 --rank 2 --rare 0.3 --mark 5,19 --out treat"
    ));
}

#[test]
fn what_does_not_steer_is_refused() {
    let home = Home::new();
    write_picture(&home.path("lines.png"), 24, 16);
    let [sd, sdxl] = ["sd", "sdxl"].map(pipeline);
    let sample = format!("sample --model {sd} --size 24x16");
    for (control, words) in [
        ("nowhere=lines.png".to_owned(), ["nowhere", "no such"]),
        (format!("{sd}=missing.png"), ["missing.png", ""]),
        (format!("{sd}=lines.png:nan"), ["--control", "between"]),
        (
            format!("{sdxl}=lines.png"),
            ["--control", "cross_attention_dim"],
        ),
        (
            format!("{sd}/unet=lines.png"),
            ["_class_name", "ControlNetModel"],
        ),
    ] {
        home.refused(&format!("{sample} --control {control} --out bad"), &words);
        assert!(!home.path("bad").exists(), "{control}");
    }
    let ran = home.alice(&format!("{sample} --control lines.png --out bad"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("MODEL=PICTURE"), "{}", ran.stderr);
    home.tiny_model();
    let ran = home.alice(&format!(
        "sample --model model --control {sd}=lines.png --out bad"
    ));
    check_refusal("a model of pixels", &ran, &["--control", "read text"]);
}

/// One file with a ControlNet steers, and is no model.
#[test]
fn a_controlnet_may_be_a_file() {
    let home = Home::new();
    write_picture(&home.path("lines.png"), 24, 16);
    let file = |name: &str| {
        let single = checkout("crates/networks/tests/fixtures/single");
        single.join(name).display().to_string()
    };
    let control = file("controlnet_sd1.safetensors");
    let found = home.json(&format!("model {control}"))["model"].clone();
    assert_eq!(found["kind"], "controlnet");
    assert_eq!(found["parts"][0]["class"], "ControlNetModel");
    assert!(found["parts"][0]["supported"].as_bool().unwrap());
    let sample = |model: &str, control: &str| {
        format!(
            "sample --prompt cat --size 24x16 --out bad --model {model} --control {control}=lines.png"
        )
    };
    // The model's autoencoder is a small one.
    let words = ["8 times as large", "2 times"];
    home.refused(&sample(&pipeline("sd"), &control), &words);
    let words = ["holds a ControlNet", "--control"];
    home.refused(&sample(&control, &control), &words);
    let lora = checkout("crates/networks/tests/fixtures/lora/kohya_xl.safetensors");
    let words = ["LoRA", "kohya_xl"];
    home.refused(
        &sample(&pipeline("sd"), &lora.display().to_string()),
        &words,
    );
}

/// Tiles change large pictures, and only those.
#[test]
fn tiles_are_part_of_the_recipe() {
    let home = Home::new();
    let model = pipeline("sd");
    let draw = |tile: &str, out: &str| {
        home.json(&format!(
            "sample --model {model} --prompt cat --size 40x24 --steps 3 --count 1 {tile} --out {out}"
        ));
        alice_runs::picture::decode_png(
            out,
            &fs::read(home.path(&format!("{out}/0000.png"))).expect("a picture"),
        )
        .expect("a PNG")
        .0
    };
    let plain = draw("", "plain");
    assert_eq!(draw("--tile 0", "whole"), plain);
    assert_eq!(draw("--tile 40", "held"), plain);
    assert_ne!(draw("--tile 16", "tiled"), plain);
    let replay = home.json("replay tiled --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
    home.refused(
        &format!("sample --model {model} --tile 12 --out bad"),
        &["--tile", "multiple of 8"],
    );
    home.tiny_model();
    home.refused("sample --model model --tile 16 --out bad", &["--tile"]);
}
