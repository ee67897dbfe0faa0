//! `--half`: weights rounded once, as if their files were of f16.

mod common;

use alice_runs::picture::read_png;
use alice_runs::{TensorFile, TensorReader};
use common::{Home, files, ramp, write_picture, write_tensors};
use half::f16;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const TINY: &str = "crates/networks/tests/fixtures/half";

/// A folder of the checkout as `full`, and as `f16` with all weights rounded.
fn with_copies(home: &Home, from: &str) {
    home.copy(from, "full");
    let folder = home.copy(from, "f16");
    let all = files(&folder);
    let ends = |path: &&PathBuf| path.to_string_lossy().ends_with("model.safetensors");
    let weights: Vec<_> = all.iter().filter(ends).collect();
    assert!(!weights.is_empty());
    for path in weights {
        halve(path);
    }
}

/// Writes a file of weights again, in f16.
fn halve(path: &Path) {
    let file = TensorFile::read(path).unwrap();
    let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in &file.tensors {
        let start = data.len();
        data.extend(
            tensor
                .data
                .iter()
                .flat_map(|&value| f16::from_f32(value).to_le_bytes()),
        );
        let about = json!({
            "dtype": "F16", "shape": tensor.shape, "data_offsets": [start, data.len()],
        });
        entries.insert(name.clone(), about);
    }
    let header = Value::Object(entries).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
    let reader = TensorReader::open(path).unwrap();
    assert!(reader.tensors().all(|(_, info)| info.dtype == "F16"));
}

#[test]
fn pipelines_are_those_of_f16_files_to_the_last_bit() {
    for name in ["sd", "sdxl"] {
        let home = Home::new();
        with_copies(&home, &format!("crates/pipelines/tests/fixtures/{name}"));
        write_picture(&home.path("lines.png"), 16, 24);
        let draw = |model: &str, half: &str, run: &str| {
            home.json(&format!(
                "sample --model {model} {half} --control {model}/controlnet=lines.png \
                 --prompt (cat:1.3) --steps 2 --size 16x24 --out {run}"
            ));
            let latents = TensorFile::read(home.path(run).join("latents.safetensors")).unwrap();
            let (picture, _) = read_png(home.path(run).join("0000.png")).unwrap();
            (latents.tensors, picture)
        };
        let rounded = draw("full", "--half", "rounded");
        assert_eq!(rounded, draw("f16", "", "stored"));
        // Nothing is left to round.
        assert_eq!(rounded, draw("f16", "--half", "twice"));
        assert_ne!(rounded.0, draw("full", "", "full-run").0);
        // The encoder is rounded too.
        let encode = |model: &str, half: &str, run: &str| {
            home.json(&format!(
                "img2img lines.png --model {model} {half} --prompt cat --size 16x24 --steps 2 \
                 --strength 0.5 --out {run}"
            ));
            read_png(home.path(run).join("0000.png")).unwrap().0
        };
        assert_eq!(
            encode("full", "--half", "like"),
            encode("f16", "", "like-stored")
        );
    }
}

#[test]
fn recipes_keep_it_and_replays_honour_it() {
    let home = Home::new();
    with_copies(&home, "crates/pipelines/tests/fixtures/sd");
    let sample = "sample --model full --prompt cat --steps 2 --size 16x24";
    home.json(&format!("{sample} --half --out run"));
    home.json(&format!("{sample} --out whole"));
    let recipe = |run: &str| -> Value {
        let text = fs::read(home.path(run).join("recipe.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(recipe("run")["model"]["options"]["half"], true);
    assert!(recipe("whole")["model"]["options"]["half"].is_null());
    let replay = home.json("replay run --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
    // A replay that is told so draws the same as the run that was.
    home.alice("replay whole --half --model full --out told");
    assert_eq!(recipe("told")["model"]["options"]["half"], true);
    let latents = |run: &str| fs::read(home.path(run).join("latents.safetensors")).unwrap();
    assert_eq!(latents("told"), latents("run"));
    assert_ne!(latents("told"), latents("whole"));
}

/// One evaluation, and directions: the model is the one of its file, so those
/// found with and without are used for each other.
#[test]
fn models_of_pixels_are_rounded_too() {
    let home = Home::new();
    // The small pipeline is of f16: a little more of each weight is not.
    let weights = "unet/diffusion_pytorch_model.safetensors";
    for name in ["full", "f16"] {
        let path = home.copy(TINY, name).join(weights);
        let mut file = TensorFile::read(&path).unwrap();
        for tensor in file.tensors.values_mut() {
            tensor.data.iter_mut().for_each(|value| *value *= 1.0001);
        }
        file.write(&path).unwrap();
    }
    halve(&home.path("f16").join(weights));
    write_tensors(
        &home.path("in.safetensors"),
        &[
            ("sample", &[1, 3, 8, 8], ramp(3 * 8 * 8)),
            ("timestep", &[1], vec![7.0]),
        ],
    );
    let predict = |model: &str, out: &str| {
        home.json(&format!(
            "predict --model {model} --input in.safetensors --output {out}.safetensors"
        ));
        fs::read(home.path(&format!("{out}.safetensors"))).unwrap()
    };
    let rounded = predict("full --half", "rounded");
    assert_eq!(rounded, predict("f16", "stored"));
    assert_ne!(rounded, predict("full", "full-out"));

    write_picture(&home.path("a.png"), 8, 8);
    let discover = "discover --basis-only --rank 2 --steps 10";
    home.json(&format!("{discover} --model full --half --out halved"));
    home.json(&format!("{discover} --model full --out whole"));
    let edit = "edit a.png --steps 10 --iterations 2 --frames 1";
    for (basis, model) in [("halved", "full"), ("whole", "full --half")] {
        home.json(&format!(
            "{edit} --model {model} --basis {basis}/basis.safetensors --out with-{basis}"
        ));
    }
    home.refused(
        &format!("{edit} --model f16 --basis halved/basis.safetensors"),
        &["directions are of model full"],
    );
    home.refused("sample --model puppets-32 --half", &["--half", "is small"]);
}
