//! `img2img`, `inpaint` and variations, on the bundled model and on
//! small Stable Diffusion pipelines that diffusers made.

mod common;

use alice_runs::TensorFile;
use common::{Home, misused, pipeline, ramp, read, write};
use serde_json::{Value, json};
use std::fs;

/// Stable Diffusion made for inpainting, in `model`: its first layer takes a
/// mask and the masked picture's latents too.
fn inpainting_model(home: &Home) -> &'static str {
    let folder = home.copy("crates/pipelines/tests/fixtures/sd", "model");
    let path = folder.join("unet/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["in_channels"] = json!(9);
    fs::write(&path, config.to_string()).unwrap();
    let path = folder.join("unet/diffusion_pytorch_model.safetensors");
    let mut file = TensorFile::read(&path).unwrap();
    let narrow = file.take("conv_in.weight", &[8, 4, 3, 3]).unwrap();
    let (old, new) = (narrow.chunks(4 * 9), ramp(8 * 5 * 9));
    let wide = old.zip(new.chunks(5 * 9));
    let wide = wide.flat_map(|(old, new)| [old, new].concat()).collect();
    file.insert("conv_in.weight", &[8, 9, 3, 3], wide).unwrap();
    file.write(&path).unwrap();
    "model"
}

fn changes(report: &Value) -> Vec<f64> {
    let all = report["report"]["changes"].as_array().unwrap();
    all.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// More strength, more change; none leaves the picture, and equal noise gives
/// equal pictures.
#[test]
fn strength_decides_how_much_becomes_new() {
    let home = Home::new();
    home.json("sample --count 1 --steps 5 --out start");
    let mean = |strength: &str| {
        let report = home.json(&format!(
            "img2img start/0000.png --strength {strength} --steps 10 --count 3 --out s{strength}"
        ));
        let changes = changes(&report);
        assert_eq!(changes.len(), 3);
        changes.iter().sum::<f64>() / 3.0
    };
    let (none, little, much) = (mean("0"), mean("0.2"), mean("0.9"));
    assert!(none < 1e-6, "{none}");
    assert!(little > 0.01 && much > 2.0 * little, "{little} {much}");
    assert_ne!(read(&home, "s0.9/0000.png"), read(&home, "s0.9/0001.png"));
    let replay = home.json("replay s0.9 --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
    // A seed does not lead back to the picture that it drew.
    let all = home.json("img2img start/0000.png --strength 1 --steps 5 --count 3 --out all");
    let change = |i: usize| all["report"]["changes"][i].as_f64().unwrap();
    assert!(
        change(0) > 0.5 * change(1) && change(0) > 0.5 * change(2),
        "{all}"
    );
    home.refused(
        "img2img start/0000.png --strength 1.5 --out bad",
        &["--strength", "between"],
    );
    home.refused("img2img missing.png --out bad", &["missing.png"]);
}

/// Pixels outside the mask are those of the picture, bit by bit, with every
/// kind of model: of pixels, of latents, and made for inpainting.
#[test]
fn what_is_not_masked_stays() {
    let home = Home::new();
    home.json("sample --count 1 --steps 5 --out start");
    write(&home, "mask32.png", 32, 32, |x, y| {
        if x > 12 && y < 9 { [255; 3] } else { [0; 3] }
    });
    write(&home, "cat.png", 24, 16, |x, y| {
        [(9 * x) as u8, (15 * y) as u8, 90]
    });
    write(&home, "mask24.png", 24, 16, |x, y| {
        if x == 7 && y > 2 { [255; 3] } else { [0; 3] }
    });
    let sd = pipeline("sd");
    let nine = inpainting_model(&home);
    for (picture, mask, options) in [
        ("start/0000.png", "mask32.png", "--sampler ddim".to_owned()),
        (
            "start/0000.png",
            "mask32.png",
            "--sampler heun --strength 0.7".to_owned(),
        ),
        (
            "cat.png",
            "mask24.png",
            format!("--model {sd} --prompt cat --size 24x16"),
        ),
        (
            "cat.png",
            "mask24.png",
            format!("--model {nine} --prompt cat --size 24x16"),
        ),
        (
            "cat.png",
            "mask24.png",
            format!("--model {nine} --prompt cat --size 24x16 --strength 0.5"),
        ),
    ] {
        let report = home.json(&format!(
            "inpaint {picture} --mask {mask} --steps 6 --count 2 --out run --overwrite {options}"
        ));
        let made_for_it = options.contains(&format!("--model {nine} "));
        assert_eq!(report["report"]["told"], json!(made_for_it), "{options}");
        let (before, mask) = (read(&home, picture), read(&home, mask));
        let mut new = 0;
        for name in ["run/0000.png", "run/0001.png"] {
            let after = read(&home, name);
            let pixels = before.rgb().chunks(3).zip(after.rgb().chunks(3));
            for ((before, after), mask) in pixels.zip(mask.rgb().chunks(3)) {
                if mask == [0; 3] {
                    assert_eq!(before, after, "{name} {options}");
                } else {
                    new += usize::from(before != after);
                }
            }
        }
        assert!(new > 0, "{options}");
    }
    // What was there before leaves no trace.
    let painted = read(&home, "start/0000.png");
    write(&home, "blot.png", 32, 32, |x, y| {
        let at = 3 * (32 * y + x) as usize;
        if x > 12 && y < 9 {
            [250, 0, 0]
        } else {
            painted.rgb()[at..][..3].try_into().unwrap()
        }
    });
    for (picture, out) in [("start/0000.png", "one"), ("blot.png", "other")] {
        home.json(&format!(
            "inpaint {picture} --mask mask32.png --steps 6 --count 1 --out {out}"
        ));
    }
    let rgb = |run: &str| read(&home, &format!("{run}/0000.png")).rgb().to_vec();
    assert_eq!(rgb("one"), rgb("other"));
    // Half of the way is half of the steps, and none is said to be none.
    for (strength, words) in [
        (
            "0.5",
            ["in 5 of 10 DDIM steps", "of the pixels were drawn anew"],
        ),
        ("0", ["in 0 of 10 DDIM steps", "nothing was drawn anew"]),
    ] {
        let ran = home.alice(&format!(
            "inpaint start/0000.png --mask mask32.png --steps 10 --count 1 --strength {strength}"
        ));
        for word in words {
            assert!(ran.stdout.contains(word), "{strength}: {}", ran.stdout);
        }
    }
    for model in [&sd, nine] {
        home.json(&format!(
            "inpaint cat.png --mask mask24.png --model {model} --size 24x16 --strength 0 --count 2 \
             --out nothing --overwrite"
        ));
        for name in ["nothing/0000.png", "nothing/0001.png"] {
            assert_eq!(read(&home, name), read(&home, "cat.png"), "{name} {model}");
        }
    }
    home.refused(
        "inpaint start/0000.png --mask mask24.png --out bad",
        &["mask24.png", "32 × 32"],
    );
}

/// What an inpainting network is told counts, and what it draws is its own
/// from noise to picture: what lies under the mask leaves no trace.
#[test]
fn inpainting_networks_are_told() {
    let home = Home::new();
    let nine = inpainting_model(&home);
    let cat = |x: u32, y: u32| [(9 * x) as u8, (15 * y) as u8, 90];
    let masked = |x: u32, y: u32| x < 10 && y > 2;
    write(&home, "cat.png", 24, 16, cat);
    write(&home, "blot.png", 24, 16, |x, y| match masked(x, y) {
        true => [250, 0, 0],
        false => cat(x, y),
    });
    write(&home, "other.png", 24, 16, |x, y| match masked(x, y) {
        true => cat(x, y),
        false => [0, 200, 250],
    });
    write(&home, "mask.png", 24, 16, |x, y| {
        if masked(x, y) { [255; 3] } else { [0; 3] }
    });
    let inside = |run: &str| -> Vec<u8> {
        let found = read(&home, &format!("{run}/0000.png"));
        let pixels = found.rgb().chunks(3).enumerate();
        let chosen = pixels.filter(|(i, _)| masked(*i as u32 % 24, *i as u32 / 24));
        chosen.flat_map(|(_, rgb)| rgb.to_vec()).collect()
    };
    let model = format!("--model {nine} --prompt cat --size 24x16 --steps 4");
    for name in ["cat", "blot", "other"] {
        home.json(&format!(
            "inpaint {name}.png --mask mask.png {model} --count 1 --out {name}"
        ));
    }
    assert_eq!(inside("cat"), inside("blot"));
    assert_ne!(inside("cat"), inside("other"));
    let replay = home.json("replay cat --out again");
    assert_eq!(replay["replay"]["different"], json!([]));

    // In all other verbs the whole picture is drawn anew.
    home.json(&format!("sample {model} --count 2 --out sample"));
    home.json(&format!("img2img cat.png {model} --count 1 --out like"));
    home.json(&format!("edit cat.png {model} --direction 1 --out edit"));
    home.json(&format!("invert cat.png {model} --out invert"));
    home.json(&format!(
        "discover {model} --rank 3 --walks 1 --samples 1 --out found"
    ));
    home.json(&format!(
        "grid {model} --x seed=0..2 --y guidance=1,5 --out grid"
    ));
    for run in ["sample", "found"] {
        let replay = home.json(&format!("replay {run} --out {run}-again"));
        assert_eq!(replay["replay"]["different"], json!([]), "{run}");
    }
    let drawn = read(&home, "sample/0000.png");
    assert_ne!(drawn, read(&home, "sample/0001.png"));
    let cell = format!("sample {model} --guidance 5 --seed 1 --count 1 --out cell");
    home.json(&cell);
    assert_eq!(
        read(&home, "grid/cells/00003.png"),
        read(&home, "cell/0000.png")
    );
}

/// Greys blend what was drawn with the picture; a picture with a hole is a mask
/// of the hole; white beside transparency may mean two things.
#[test]
fn masks_of_other_programs_are_understood() {
    let home = Home::new();
    home.json("sample --count 1 --steps 5 --out start");
    let half = |x: u32| x >= 16;
    for (name, edge) in [("hard", [255; 3]), ("soft", [64; 3])] {
        write(&home, &format!("{name}.png"), 32, 32, |x, _| match x {
            0..16 => [0; 3],
            16..20 => edge,
            _ => [255; 3],
        });
    }
    let layers = |name: &str, pixel: &dyn Fn(u32) -> [u8; 4]| {
        let file = fs::File::create(home.path(name)).unwrap();
        let mut encoder = png::Encoder::new(file, 32, 32);
        encoder.set_color(png::ColorType::Rgba);
        let rgba: Vec<u8> = (0..32 * 32).flat_map(|i| pixel(i % 32)).collect();
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&rgba)
            .unwrap();
    };
    layers("hole.png", &|x| match half(x) {
        true => [9, 200, 30, 0],
        false => [(40 + 13 * x) as u8, 220, 90, 255],
    });
    layers("strokes.png", &|x| match half(x) {
        true => [255; 4],
        false => [0; 4],
    });
    let draw = |mask: &str| {
        home.json(&format!(
            "inpaint start/0000.png --mask {mask}.png --steps 4 --count 1 --out {mask}"
        ));
        read(&home, &format!("{mask}/0000.png")).rgb().to_vec()
    };
    let (hard, soft) = (draw("hard"), draw("soft"));
    assert_eq!(draw("hole"), hard);
    let before = read(&home, "start/0000.png").rgb().to_vec();
    for (i, ((own, new), blend)) in before.iter().zip(&hard).zip(&soft).enumerate() {
        let share = match i / 3 % 32 {
            0..16 => 0.0,
            16..20 => 64.0 / 255.0,
            _ => 1.0,
        };
        let expected = f64::from(*own) + share * (f64::from(*new) - f64::from(*own));
        assert!((expected - f64::from(*blend)).abs() <= 1.0, "{i}");
    }
    assert_ne!(hard, soft);
    home.refused(
        "inpaint start/0000.png --mask strokes.png --out bad",
        &["strokes.png", "either may mean", "with black"],
    );
}

/// A mask of the picture that is cropped and scaled is cropped and scaled with
/// it, and what is kept is told truly.
#[test]
fn a_mask_is_scaled_with_its_picture() {
    let home = Home::new();
    let at = |x: u32, y: u32| [(2 * x) as u8, (3 * y) as u8, 90];
    write(&home, "wide.png", 128, 64, at);
    let left = |edge: u32| move |x: u32, _: u32| if x < edge { [255; 3] } else { [0; 3] };
    write(&home, "mask.png", 128, 64, left(64));
    write(&home, "small.png", 32, 32, left(16));
    write(&home, "strange.png", 64, 64, left(32));
    for mask in ["mask", "small"] {
        let ran = home.alice(&format!(
            "inpaint wide.png --mask {mask}.png --resize --steps 3 --count 1 --out {mask}"
        ));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let said = "50 % of the pixels were drawn anew; the others are those of the scaled picture, bit by bit";
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
    assert_eq!(read(&home, "mask/0000.png"), read(&home, "small/0000.png"));
    home.refused(
        "inpaint wide.png --mask strange.png --resize --out bad",
        &["strange.png", "32 × 32"],
    );
    home.refused(
        "inpaint wide.png --mask mask.png --out bad",
        &["wide.png", "--resize"],
    );
}

#[test]
fn variations_turn_the_noise() {
    let home = Home::new();
    home.json("sample --count 1 --steps 4 --seed 1 --out one");
    home.json("sample --count 1 --steps 4 --seed 2 --out two");
    for (amount, like) in [("0", "one"), ("1", "two")] {
        home.json(&format!(
            "sample --count 1 --steps 4 --seed 1 --variation-seed 2 --variation {amount} --out v{amount}"
        ));
        let (found, wanted) = (
            read(&home, &format!("v{amount}/0000.png")),
            read(&home, &format!("{like}/0000.png")),
        );
        let pairs = found.rgb().iter().zip(wanted.rgb());
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= 1, "{amount}: {most}");
    }
    misused(
        &home,
        "sample --variation 0.5 --out bad",
        "--variation-seed",
    );
}

/// Every sampler draws, and says what does not fit it.
#[test]
fn every_sampler_draws() {
    let home = Home::new();
    for sampler in [
        "ddim",
        "ddpm",
        "pndm",
        "euler",
        "euler-a",
        "heun",
        "dpm++-2m",
        "dpm++-2m-sde",
        "unipc",
        "lcm",
    ] {
        let report = home.json(&format!(
            "sample --count 1 --steps 6 --sampler {sampler} --out run --overwrite"
        ));
        let picture = read(&home, "run/0000.png");
        let distinct: std::collections::BTreeSet<_> = picture.rgb().iter().collect();
        assert!(distinct.len() > 16, "{sampler}: {report}");
    }
    home.json("sample --count 1 --steps 6 --sampler dpm++-2m --karras --out karras");
    home.refused(
        "sample --sampler pndm --karras --out bad",
        &["--karras", "noise levels"],
    );
    home.refused(
        "sample --sampler heun --eta 1 --out bad",
        &["--eta", "ddim"],
    );
}

/// Directions of a conditional U-Net, and a walk of a picture along one.
#[test]
fn prompted_models_are_discovered_and_edited() {
    let home = Home::new();
    for name in ["sd", "sdxl"] {
        let model = format!("--model {} --prompt cat --size 24x16", pipeline(name));
        let report = home.json(&format!(
            "discover {model} --rank 5 --walks 2 --samples 2 --steps 5 --out {name}"
        ));
        let values = report["report"]["singular_values"].as_array().unwrap();
        assert_eq!(values.len(), 5);
        assert!(values[0].as_f64().unwrap() > 0.0);
        assert!(home.path(&format!("{name}/sheet.png")).is_file());
        let replay = home.json(&format!("replay {name} --out {name}-again"));
        assert_eq!(replay["replay"]["different"], json!([]));
        write(&home, "cat.png", 24, 16, |x, y| {
            [(9 * x) as u8, (15 * y) as u8, 90]
        });
        home.json(&format!(
            "edit cat.png {model} --direction 1 --steps 5 --out {name}-edit"
        ));
        assert!(home.path(&format!("{name}-edit/strip.png")).is_file());
        home.json(&format!(
            "invert cat.png {model} --steps 5 --out {name}-invert"
        ));
        let strip = read(&home, &format!("{name}-invert/reconstruction.png"));
        assert_eq!((strip.width(), strip.height()), (24, 16));
    }
    home.refused("discover --prompt cat --out bad", &["--prompt", "--model"]);
}
