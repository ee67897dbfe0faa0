//! What other programs rely on: files in, files out, JSON, exit codes.

mod common;

use alice_runs::picture::{PARAMETERS_KEYWORD, read_png};
use alice_runs::{Recipe, TensorFile};
use common::{Home, checkout, ramp, write_picture, write_tensors};
use std::fs;

/// ‖a − b‖ / ‖b‖.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut b.iter().map(|&b| f64::from(b)))
}

#[test]
fn predict_agrees_with_diffusers() {
    let home = Home::new();
    for name in ["ddpm", "half"] {
        let folder = checkout(&format!("crates/networks/tests/fixtures/{name}"));
        let oracle = TensorFile::read(folder.join("io.safetensors")).unwrap();
        let inputs = ["sample", "timestep"].map(|name| {
            let found = oracle.get(name).unwrap();
            (name, &found.shape[..], found.data.clone())
        });
        write_tensors(&home.path("in.safetensors"), &inputs);
        let folder = folder.display();
        let report = home.json(&format!(
            "predict --model {folder} --input in.safetensors --output out.safetensors"
        ));
        assert_eq!(report["verb"], "predict");
        let out = TensorFile::read(home.path("out.safetensors")).unwrap();
        for part in ["prediction", "bottleneck"] {
            let expected = oracle.get(part).unwrap();
            let found = out.require(part, &expected.shape).unwrap();
            assert!(
                distance(&found.data, &expected.data) < 1e-5,
                "{name} {part}"
            );
        }
    }
}

#[test]
fn one_timestep_serves_all_samples() {
    let home = Home::new();
    home.tiny_model();
    let sample = ("sample", &[3, 3, 8, 8][..], ramp(3 * 3 * 64));
    for (file, shape) in [("one", &[1][..]), ("scalar", &[]), ("each", &[3])] {
        let timestep = ("timestep", shape, vec![500.0; shape.iter().product()]);
        write_tensors(&home.path(file), &[sample.clone(), timestep]);
        home.json(&format!(
            "predict --model model --input {file} --output {file}.out"
        ));
    }
    let read = |name: &str| fs::read(home.path(name)).unwrap();
    assert_eq!(read("one.out"), read("each.out"));
    assert_eq!(read("scalar.out"), read("each.out"));
}

#[test]
fn predict_takes_only_what_the_network_takes() {
    let home = Home::new();
    home.tiny_model();
    let sample = ("sample", &[1, 3, 8, 8][..], ramp(192));
    let timestep = ("timestep", &[1][..], vec![3.0]);
    for (extra, words) in [
        (
            "encoder_hidden_states",
            ["encoder_hidden_states", "no text"],
        ),
        ("time_ids", ["time_ids", "no text"]),
        ("class_labels", ["class_label", "no classes"]),
        ("noise", ["noise", "not an input"]),
    ] {
        let tensors = [sample.clone(), timestep.clone(), (extra, &[1], vec![0.0])];
        write_tensors(&home.path("in"), &tensors);
        home.refused("predict --model model --input in --output out", &words);
        assert!(!home.path("out").exists());
    }
}

#[test]
fn sample_writes_pictures_and_latents() {
    let home = Home::new();
    home.tiny_model();
    let report =
        home.json("sample --model model --sampler ddim --steps 5 --seed 3 --count 4 --out run");
    assert_eq!(report["run"], "run");
    assert_eq!(report["report"]["count"], 4);
    let latents = TensorFile::read(home.path("run/latents.safetensors")).unwrap();
    let latents = latents.require("latents", &[4, 3, 8, 8]).unwrap();
    for item in 0..4 {
        let (picture, metadata) = read_png(home.path(&format!("run/000{item}.png"))).unwrap();
        let values = &latents.data[item * 192..(item + 1) * 192];
        for (pixel, rgb) in picture.rgb().chunks_exact(3).enumerate() {
            for (channel, &byte) in rgb.iter().enumerate() {
                let value = f64::from(values[channel * 64 + pixel]).clamp(-1.0, 1.0);
                assert!((f64::from(byte) - 127.5 * (value + 1.0)).abs() <= 0.501);
            }
        }
        let parameters = &metadata.texts[PARAMETERS_KEYWORD];
        assert!(
            parameters.contains("Steps: 5, Sampler: DDIM, Seed: 3, Size: 8x8"),
            "{parameters}"
        );
    }
    assert!(home.path("run/sheet.png").is_file());
    let recipe = Recipe::find(home.path("run/0002.png")).unwrap();
    assert_eq!(recipe, Recipe::find(home.path("run")).unwrap());
    assert_eq!((recipe.verb.as_str(), recipe.seed), ("sample", 3));
}

#[test]
fn a_sample_does_not_depend_on_how_many_are_drawn() {
    let home = Home::new();
    home.tiny_model();
    for (count, sampler) in [
        (1, "ddim --eta 0.5"),
        (7, "ddim --eta 0.5"),
        (1, "ddpm"),
        (7, "ddpm"),
    ] {
        let out = format!("{}-{count}", &sampler[..4]);
        home.json(&format!(
            "sample --model model --steps 4 --count {count} --sampler {sampler} --out {out}"
        ));
    }
    for sampler in ["ddim", "ddpm"] {
        let latents = |count: usize| {
            let file =
                TensorFile::read(home.path(&format!("{sampler}-{count}/latents.safetensors")));
            file.unwrap().take("latents", &[count, 3, 8, 8]).unwrap()
        };
        assert_eq!(latents(1), latents(7)[..192]);
    }
}

#[test]
fn sampling_starts_from_given_noise() {
    let home = Home::new();
    home.tiny_model();
    write_tensors(
        &home.path("noise"),
        &[("latents", &[2, 3, 8, 8], ramp(384))],
    );
    home.json("sample --model model --input noise --steps 3 --out a");
    home.json("sample --model model --input noise --steps 3 --seed 9 --out b");
    let read = |name: &str| fs::read(home.path(name)).unwrap();
    assert_eq!(read("a/latents.safetensors"), read("b/latents.safetensors"));
    home.refused(
        "sample --model model --input noise --count 3",
        &["--count", "holds 2"],
    );
}

#[test]
fn invert_gives_the_way_to_noise_and_back() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    let report = home.json("invert a.png --model model --steps 20 --refine 3 --out run");
    let file = TensorFile::read(home.path("run/trajectory.safetensors")).unwrap();
    file.require("latents", &[21, 3, 8, 8]).unwrap();
    let timesteps = &file.require("timesteps", &[20]).unwrap().data;
    assert!(timesteps.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(
        report["report"]["error"]["root_mean_square"]
            .as_f64()
            .unwrap()
            < 20.0
    );
    write_picture(&home.path("wide.png"), 40, 20);
    home.json("invert wide.png --model model --steps 4 --resize");
    assert!(home.path("runs/invert-001/strip.png").is_file());
}

#[test]
fn discover_writes_an_orthonormal_basis() {
    let home = Home::new();
    home.tiny_model();
    let input = [
        ("sample", &[1, 3, 8, 8][..], ramp(192)),
        ("timestep", &[1], vec![500.0]),
    ];
    write_tensors(&home.path("in"), &input);
    let report = home.json("discover --model model --input in --rank 6 --basis-only --out run");
    for key in ["seconds", "block_products", "residual"] {
        assert!(report["report"][key].is_number(), "{key}");
    }
    let file = TensorFile::read(home.path("run/basis.safetensors")).unwrap();
    let values = &file.require("singular_values", &[6]).unwrap().data;
    assert!(values.windows(2).all(|pair| pair[0] >= pair[1]) && values[5] > 0.0);
    for (name, dim) in [("right", 192), ("left", 12 * 16)] {
        let rows = &file.require(name, &[6, dim]).unwrap().data;
        for i in 0..6 {
            for j in 0..6 {
                let pairs = rows[i * dim..(i + 1) * dim].iter().zip(&rows[j * dim..]);
                let dot: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!(
                    (dot - f64::from(u8::from(i == j))).abs() < 1e-5,
                    "{name} {i} {j}"
                );
            }
        }
    }
    let pooled =
        "discover --model model --input in --rank 3 --space pooled --basis-only --out pooled";
    home.json(pooled);
    let file = TensorFile::read(home.path("pooled/basis.safetensors")).unwrap();
    file.require("left", &[3, 12]).unwrap();
}

#[test]
fn edit_walks_both_ways() {
    let home = Home::new();
    home.tiny_model();
    write_picture(&home.path("a.png"), 8, 8);
    let report = home.json(
        "edit a.png --model model --steps 10 --iterations 4 --frames 2 --direction 1 --out run",
    );
    assert_eq!(report["report"]["positions"].as_array().unwrap().len(), 5);
    for name in [
        "strip.png",
        "walk.png",
        "walk.gif",
        "direction.safetensors",
        "frames/00.png",
        "frames/04.png",
    ] {
        assert!(home.path("run").join(name).is_file(), "{name}");
    }
    let direction = TensorFile::read(home.path("run/direction.safetensors")).unwrap();
    let direction = &direction.require("direction", &[3, 8, 8]).unwrap().data;
    let basis = [
        ("singular_values", &[2][..], vec![2.0, 1.0]),
        (
            "right",
            &[2, 192][..],
            [ramp(192), direction.clone()].concat(),
        ),
    ];
    write_tensors(&home.path("basis"), &basis);
    // The same direction, now from a basis: the same pictures.
    home.json(
        "edit a.png --model model --steps 10 --iterations 4 --frames 2 --direction 1 --basis basis --out again",
    );
    let gif = |run: &str| fs::read(home.path(run).join("walk.gif")).unwrap();
    assert_eq!(gif("run"), gif("again"));
    home.refused(
        "edit a.png --model model --direction 2 --basis basis",
        &["--direction", "0 to 1"],
    );
    home.refused(
        "edit a.png --model model --direction 9999",
        &["--direction", "there are"],
    );
}

#[test]
fn world_tells_the_truth() {
    let home = Home::new();
    home.json("world --size 16 --count 9 --haunted-share 0.5 --singles 2 --traverse hat --out w");
    for name in [
        "sheet.png",
        "depth.png",
        "parts.png",
        "traverse-hat.png",
        "pictures/0001.png",
    ] {
        assert!(home.path("w").join(name).is_file(), "{name}");
    }
    let truth = fs::read_to_string(home.path("w/pictures/0001.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
    assert!(truth["factors"]["smile"].is_number());
    assert!(truth["caption_zh"].as_str().unwrap().contains('，'));
    let captions = fs::read_to_string(home.path("w/captions.json")).unwrap();
    assert_eq!(captions.matches("\"en\"").count(), 9);
}

#[test]
fn help_shows_examples_and_wrong_use_is_code_two() {
    let home = Home::new();
    for verb in [
        "discover", "edit", "sample", "invert", "predict", "train", "world", "replay",
    ] {
        let ran = home.alice(&format!("{verb} --help"));
        assert_eq!(ran.code, Some(0));
        assert!(
            ran.stdout.contains(&format!("  alice {verb}")),
            "{}",
            ran.stdout
        );
    }
    for wrong in [
        "",
        "dream",
        "sample --steps many",
        "predict",
        "sample --colour",
    ] {
        let ran = home.alice(wrong);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{wrong}");
    }
}

#[test]
fn text_for_people_names_the_folder() {
    let home = Home::new();
    let ran = home.alice("world --size 8 --count 4");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains("runs/world-001"), "{}", ran.stdout);
    let again = home.alice("world --size 8 --count 4");
    assert!(again.stdout.contains("runs/world-002"), "{}", again.stdout);
    home.tiny_model();
    let found = home.alice("discover --model model --rank 2 --steps 4 --basis-only --sample 1");
    for word in [
        "directions of sample 1 at timestep ",
        "\nbasis.safetensors, ",
    ] {
        assert!(found.stdout.contains(word), "{word}: {}", found.stdout);
    }
    let one = home.alice("sample --model model --count 1 --steps 1");
    assert!(one.stdout.contains("in 1 DDIM step,"), "{}", one.stdout);
    let one = home.alice("grid --model model --x steps=1");
    assert!(one.stdout.contains("1 cell by model, "), "{}", one.stdout);
}
