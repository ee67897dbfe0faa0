//! Whole pipelines against diffusers. `fixtures/export.py` made the fixtures.

use alice_calculus::{Cpu, Tensor};
use alice_diffusion::{
    Ddim, Draws, Eta, Guidance, Network, Sampler, SamplerKind, ScheduleConfig, Trajectory,
};
use alice_networks::{ControlNet, UNet2DCondition};
use alice_pipelines::{Control, Latents, TextEncoders, Tiling, guided};
use alice_runs::TensorFile;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn read(file: &TensorFile, name: &str) -> Tensor<f32> {
    let found = file.get(name).unwrap();
    Tensor::new(&found.shape, found.data.clone())
        .unwrap()
        .to_channels_last()
        .unwrap()
}

/// ‖a − b‖ / ‖b‖
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let gap: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (gap / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

/// The network of a pipeline under the prompts of the fixtures.
fn prompted(
    pipeline: &Path,
    unet: &UNet2DCondition,
    controls: &[Control<'_>],
    guidance: Guidance,
) -> Network {
    let texts = TextEncoders::open(pipeline).unwrap();
    let positive = texts.encode("a small cat with a big smile").unwrap();
    let negative = texts.encode("a horse, 42 strings").unwrap();
    let (size, pixels) = ((8, 12), (16, 24));
    guided(
        &Cpu, unet, controls, size, pixels, &positive, &negative, guidance,
    )
    .unwrap()
}

/// The schedule of a pipeline.
fn schedule(pipeline: &Path) -> ScheduleConfig {
    let text = std::fs::read_to_string(pipeline.join("scheduler/scheduler_config.json"));
    ScheduleConfig::from_json(&text.unwrap()).unwrap()
}

/// Guidance that is not rescaled.
fn plain(scale: f64) -> Guidance {
    Guidance {
        scale,
        rescale: 0.0,
    }
}

/// What a sampler makes of the `first` latents of a file, which are of variance 1.
fn drawn(sampler: &dyn Sampler, network: &Network, file: &TensorFile) -> Vec<f32> {
    let first = read(file, "first");
    let deviation = sampler.initial_deviation() as f32;
    let states = first.data().iter().map(|x| deviation * x).collect();
    let mut denoiser = network.denoiser().unwrap();
    Trajectory::new(sampler, Draws::default())
        .run(&mut denoiser, states, first.batch(), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
}

#[test]
fn ten_guided_steps_agree_with_diffusers() {
    for name in ["sd", "sdxl"] {
        let folder = fixture(name);
        let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
        let unet = UNet2DCondition::open(&folder).unwrap();
        let sampler = Ddim::new(&schedule(&folder), 10, Eta::Constant(0.0)).unwrap();
        let rescaled = Guidance {
            scale: 4.0,
            rescale: 0.7,
        };
        for (key, guidance) in [
            ("last", plain(7.5)),
            ("rescaled", rescaled),
            ("unguided", plain(1.0)),
        ] {
            let network = prompted(&folder, &unet, &[], guidance);
            let last = drawn(&sampler, &network, &file);
            let error = relative(&last, read(&file, key).data());
            assert!(error < 1e-4, "{name} {key}: {error:.1e}");
        }
        let latents = Latents::open(&folder).unwrap();
        let decoded = latents
            .decode(&Cpu, &read(&file, "last"), Tiling::Auto)
            .unwrap();
        let error = relative(decoded.data(), read(&file, "decoded").data());
        assert!(error < 1e-5, "{name} decoded: {error:.1e}");
        let theirs = read(&file, "decoded");
        let clamped = theirs.data().iter().map(|v| v.clamp(-1.0, 1.0)).collect();
        let clamped = Tensor::new(theirs.dims(), clamped).unwrap();
        let encoded = latents.encode(&Cpu, &clamped, Tiling::Auto).unwrap();
        let error = relative(encoded.data(), read(&file, "encoded").data());
        assert!(error < 1e-5, "{name} encoded: {error:.1e}");
    }
}

/// The samplers that the families are published with: PNDM, and Euler's with
/// leading timesteps.
#[test]
fn each_family_s_own_sampler_agrees_with_diffusers() {
    for (name, kind) in [("sd", SamplerKind::Pndm), ("sdxl", SamplerKind::Euler)] {
        let folder = fixture("families").join(name);
        let text = std::fs::read_to_string(folder.join("scheduler_config.json")).unwrap();
        let schedule = ScheduleConfig::from_json(&text).unwrap();
        assert_eq!(SamplerKind::of(&schedule), Some(kind));
        let sampler = kind
            .build(&schedule, 10, Eta::Constant(0.0), false)
            .unwrap();
        let unet = UNet2DCondition::open(fixture(name)).unwrap();
        let network = prompted(&fixture(name), &unet, &[], plain(7.5));
        let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
        let last = drawn(sampler.as_ref(), &network, &file);
        let error = relative(&last, read(&file, "last").data());
        assert!(error < 1e-4, "{name}: {error:.1e}");
    }
}

/// A network of nine channels: the mask and what stays are told at every step.
#[test]
fn inpainting_networks_agree_with_diffusers() {
    let folder = fixture("inpainting");
    let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
    let unet = UNet2DCondition::open(&folder).unwrap();
    let sampler = Ddim::new(&schedule(&fixture("sd")), 10, Eta::Constant(0.0)).unwrap();
    let mut network = prompted(&fixture("sd"), &unet, &[], plain(7.5));
    let (picture, mask) = (read(&file, "picture"), read(&file, "mask"));
    let pixels = picture.data().chunks_exact(3).zip(mask.data());
    let rest = pixels.flat_map(|(rgb, &m)| [0, 1, 2].map(|c| if m < 0.5 { rgb[c] } else { 0.0 }));
    let rest = Tensor::new(picture.dims(), rest.collect()).unwrap();
    // A latent pixel is two of the picture wide, and so is the mask's grid here.
    let anew: Vec<bool> = (0..8)
        .flat_map(|row| (0..12).map(move |column| (row, column)))
        .map(|(row, column)| mask.data()[2 * row * 24 + 2 * column] > 0.5)
        .collect();
    let latents = Latents::open(&fixture("sd")).unwrap();
    let told = latents
        .inpainting(&Cpu, &rest, &anew, Tiling::Auto)
        .unwrap();
    network.bind("inpainting", told).unwrap();
    let theirs = read(&file, "last");
    let error = relative(&drawn(&sampler, &network, &file), theirs.data());
    assert!(error < 1e-4, "{error:.1e}");
    let all = latents.all_anew(&Cpu, (8, 12), Tiling::Auto).unwrap();
    network.bind("inpainting", all).unwrap();
    assert!(relative(&drawn(&sampler, &network, &file), theirs.data()) > 1e-3);
}

/// From a picture with noise on, with the samplers that begin where diffusers'
/// do: all but PNDM.
#[test]
fn pictures_like_another_agree_with_diffusers() {
    let unet = UNet2DCondition::open(fixture("sd")).unwrap();
    let network = prompted(&fixture("sd"), &unet, &[], plain(7.5));
    let latents = Latents::open(&fixture("sd")).unwrap();
    for (name, kind, karras) in [
        ("ddim", SamplerKind::Ddim, false),
        ("euler", SamplerKind::Euler, false),
        ("dpm", SamplerKind::DpmMultistep, true),
    ] {
        let folder = fixture("img2img").join(name);
        let text = std::fs::read_to_string(folder.join("scheduler_config.json")).unwrap();
        let schedule = ScheduleConfig::from_json(&text).unwrap();
        assert_eq!(SamplerKind::of(&schedule), Some(kind));
        let sampler = kind
            .build(&schedule, 10, Eta::Constant(0.0), karras)
            .unwrap();
        let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
        let picture = read(&file, "picture");
        let clean = latents.encode(&Cpu, &picture, Tiling::Auto).unwrap();
        let noise = read(&file, "noise");
        for (strength, steps) in [(0.6, 6), (0.25, 2)] {
            let first = sampler.index_of_strength(strength);
            let end = sampler.times().len();
            assert_eq!(end - first, steps, "{name}");
            let level = sampler.alpha_bar(first).unwrap();
            let (signal, amount) = (level.sqrt() as f32, (1.0 - level).sqrt() as f32);
            let pairs = noise.data().iter().zip(clean.data().iter().cycle());
            let states = pairs.map(|(z, x)| signal * x + amount * z).collect();
            let mut denoiser = network.denoiser().unwrap();
            let last = Trajectory::new(sampler.as_ref(), Draws::default())
                .steps(first..end)
                .run(&mut denoiser, states, 2, &mut |_| ControlFlow::Continue(()))
                .unwrap();
            let error = relative(&last, read(&file, &format!("last.{strength}")).data());
            assert!(error < 1e-4, "{name} {strength}: {error:.1e}");
            if strength == 0.6 {
                let last = Tensor::new(noise.dims(), last).unwrap();
                let decoded = latents.decode(&Cpu, &last, Tiling::Auto).unwrap();
                let error = relative(decoded.data(), read(&file, "decoded.0.6").data());
                assert!(error < 1e-4, "{name} decoded: {error:.1e}");
            }
        }
    }
}

/// Ten steps under guidance that a picture steers.
#[test]
fn steered_steps_agree_with_diffusers() {
    for name in ["sd", "sdxl"] {
        let folder = fixture(name);
        let file = TensorFile::read(folder.join("controlled.safetensors")).unwrap();
        let unet = UNet2DCondition::open(&folder).unwrap();
        let steering = ControlNet::open(&folder).unwrap();
        let sampler = Ddim::new(&schedule(&folder), 10, Eta::Constant(0.0)).unwrap();
        let control = |scale| Control {
            network: &steering,
            picture: read(&file, "control"),
            scale,
        };
        let run = |controls: &[Control<'_>]| {
            let network = prompted(&folder, &unet, controls, plain(5.0));
            drawn(&sampler, &network, &file)
        };
        let theirs = read(&file, "last");
        let error = relative(&run(&[control(0.8)]), theirs.data());
        assert!(error < 1e-4, "{name}: {error:.1e}");
        assert!(relative(&run(&[]), theirs.data()) > 1e-2);
    }
}

/// Networks that are told their guidance need one evaluation a step.
#[test]
fn embedded_guidance_agrees_with_diffusers() {
    let folder = fixture("distilled");
    let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
    let unet = UNet2DCondition::open(&folder).unwrap();
    let sampler = Ddim::new(&schedule(&fixture("sd")), 10, Eta::Constant(0.0)).unwrap();
    // What it would be guided away from does not count.
    let run = |scale: f64| {
        let network = prompted(&fixture("sd"), &unet, &[], plain(scale));
        drawn(&sampler, &network, &file)
    };
    for (scale, name) in [(1.0, "last.1.0"), (2.5, "last.2.5"), (8.0, "last.8.0")] {
        let error = relative(&run(scale), read(&file, name).data());
        assert!(error < 1e-5, "{name}: {error:.1e}");
    }
    assert!(relative(&run(2.5), &run(8.0)) > 1e-3);
}

/// Tiles of 16 pixels and their seams, on sides that are no multiples of them;
/// without tiles, or with ones that hold the picture, nothing changes.
#[test]
fn tiles_agree_with_diffusers() {
    for name in ["sd", "sdxl"] {
        let folder = fixture(name);
        let file = TensorFile::read(folder.join("tiled.safetensors")).unwrap();
        let latents = Latents::open(&folder).unwrap();
        let (latent, picture) = (read(&file, "latent"), read(&file, "decoded"));
        let tiles = Tiling::Tiles(16);
        let decoded = latents.decode(&Cpu, &latent, tiles).unwrap();
        assert_eq!(decoded.dims(), [2, 42, 22, 3]);
        let error = relative(decoded.data(), picture.data());
        assert!(error < 1e-5, "{name} decoded: {error:.1e}");
        let encoded = latents.encode(&Cpu, &picture, tiles).unwrap();
        let error = relative(encoded.data(), read(&file, "encoded").data());
        assert!(error < 1e-5, "{name} encoded: {error:.1e}");

        let whole = latents.decode(&Cpu, &latent, Tiling::Never).unwrap();
        assert!(relative(whole.data(), picture.data()) > 1e-3);
        for tiling in [Tiling::Auto, Tiling::Tiles(48)] {
            assert_eq!(latents.decode(&Cpu, &latent, tiling).unwrap(), whole);
        }
        assert!(latents.decode(&Cpu, &latent, Tiling::Tiles(12)).is_err());
    }
}

/// A weight of 1 changes nothing; others change the context, not its mean.
#[test]
fn weights_keep_the_mean() {
    let texts = TextEncoders::open(&fixture("sd")).unwrap();
    let encode = |prompt: &str| texts.encode(prompt).unwrap().context;
    let plain = encode("a small cat");
    assert_eq!(plain, encode("a (small:1) cat"));
    let weighed = encode("a (small:1.4) cat");
    assert!(relative(weighed.data(), plain.data()) > 1e-3);
    let mean = |t: &Tensor<f32>| t.data().iter().map(|&v| f64::from(v)).sum::<f64>();
    assert!((mean(&weighed) - mean(&plain)).abs() < 1e-3 * mean(&plain).abs().max(1.0));
    assert!(texts.encode(&"a cat ".repeat(30)).unwrap().cut > 0);
}
