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

#[test]
fn ten_guided_steps_agree_with_diffusers() {
    for name in ["sd", "sdxl"] {
        let folder = fixture(name);
        let file = TensorFile::read(folder.join("io.safetensors")).unwrap();
        let texts = TextEncoders::open(&folder).unwrap();
        let positive = texts.encode("a small cat with a big smile").unwrap();
        let negative = texts.encode("a horse, 42 strings").unwrap();
        let unet = UNet2DCondition::open(&folder).unwrap();
        let text = std::fs::read_to_string(folder.join("scheduler/scheduler_config.json")).unwrap();
        let schedule = ScheduleConfig::from_json(&text).unwrap();
        let sampler = Ddim::new(&schedule, 10, Eta::Constant(0.0)).unwrap();
        for (key, scale, rescale) in [
            ("last", 7.5, 0.0),
            ("rescaled", 4.0, 0.7),
            ("unguided", 1.0, 0.0),
        ] {
            let guidance = Guidance { scale, rescale };
            let network = guided(
                &Cpu,
                &unet,
                &[],
                (8, 12),
                (16, 24),
                &positive,
                &negative,
                guidance,
            )
            .unwrap();
            let mut denoiser = network.denoiser().unwrap();
            let first = read(&file, "first").into_data();
            let last = Trajectory::new(&sampler, Draws::default())
                .run(&mut denoiser, first, 2, &mut |_| ControlFlow::Continue(()))
                .unwrap();
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

/// The network of a pipeline under the prompts of the fixtures.
fn prompted(pipeline: &Path, unet: &UNet2DCondition, scale: f64) -> Network {
    let texts = TextEncoders::open(pipeline).unwrap();
    let positive = texts.encode("a small cat with a big smile").unwrap();
    let negative = texts.encode("a horse, 42 strings").unwrap();
    let guidance = Guidance {
        scale,
        rescale: 0.0,
    };
    let (size, pixels) = ((8, 12), (16, 24));
    guided(
        &Cpu,
        unet,
        &[],
        size,
        pixels,
        &positive,
        &negative,
        guidance,
    )
    .unwrap()
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
        let network = prompted(&fixture(name), &unet, 7.5);
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
    let text = fixture("sd").join("scheduler/scheduler_config.json");
    let schedule = ScheduleConfig::from_json(&std::fs::read_to_string(text).unwrap()).unwrap();
    let sampler = Ddim::new(&schedule, 10, Eta::Constant(0.0)).unwrap();
    let mut network = prompted(&fixture("sd"), &unet, 7.5);
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

/// Ten steps under guidance that a picture steers.
#[test]
fn steered_steps_agree_with_diffusers() {
    for name in ["sd", "sdxl"] {
        let folder = fixture(name);
        let file = TensorFile::read(folder.join("controlled.safetensors")).unwrap();
        let texts = TextEncoders::open(&folder).unwrap();
        let positive = texts.encode("a small cat with a big smile").unwrap();
        let negative = texts.encode("a horse, 42 strings").unwrap();
        let unet = UNet2DCondition::open(&folder).unwrap();
        let steering = ControlNet::open(&folder).unwrap();
        let text = std::fs::read_to_string(folder.join("scheduler/scheduler_config.json")).unwrap();
        let schedule = ScheduleConfig::from_json(&text).unwrap();
        let sampler = Ddim::new(&schedule, 10, Eta::Constant(0.0)).unwrap();
        let control = |scale| Control {
            network: &steering,
            picture: read(&file, "control"),
            scale,
        };
        let run = |controls: &[Control<'_>]| {
            let guidance = Guidance {
                scale: 5.0,
                rescale: 0.0,
            };
            let (size, pixels) = ((8, 12), (16, 24));
            let network = guided(
                &Cpu, &unet, controls, size, pixels, &positive, &negative, guidance,
            );
            let network = network.unwrap();
            let first = read(&file, "first").into_data();
            Trajectory::new(&sampler, Draws::default())
                .run(&mut network.denoiser().unwrap(), first, 2, &mut |_| {
                    ControlFlow::Continue(())
                })
                .unwrap()
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
    let texts = TextEncoders::open(&fixture("sd")).unwrap();
    let positive = texts.encode("a small cat with a big smile").unwrap();
    let negative = texts.encode("").unwrap();
    let unet = UNet2DCondition::open(&folder).unwrap();
    let text = fixture("sd").join("scheduler/scheduler_config.json");
    let schedule = ScheduleConfig::from_json(&std::fs::read_to_string(text).unwrap()).unwrap();
    let sampler = Ddim::new(&schedule, 10, Eta::Constant(0.0)).unwrap();
    let run = |scale: f64| {
        let guidance = Guidance {
            scale,
            rescale: 0.0,
        };
        let (size, pixels) = ((8, 12), (16, 24));
        let network = guided(
            &Cpu,
            &unet,
            &[],
            size,
            pixels,
            &positive,
            &negative,
            guidance,
        )
        .unwrap();
        let first = read(&file, "first").into_data();
        Trajectory::new(&sampler, Draws::default())
            .run(&mut network.denoiser().unwrap(), first, 2, &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap()
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
