//! Whole pipelines against diffusers. `fixtures/export.py` made the fixtures.

use alice_calculus::{Cpu, Tensor};
use alice_diffusion::{Ddim, Draws, Eta, Guidance, ScheduleConfig, Trajectory};
use alice_networks::UNet2DCondition;
use alice_pipelines::{Latents, TextEncoders, guided};
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
        let decoded = latents.decode(&Cpu, &read(&file, "last")).unwrap();
        let error = relative(decoded.data(), read(&file, "decoded").data());
        assert!(error < 1e-5, "{name} decoded: {error:.1e}");
        let theirs = read(&file, "decoded");
        let clamped = theirs.data().iter().map(|v| v.clamp(-1.0, 1.0)).collect();
        let clamped = Tensor::new(theirs.dims(), clamped).unwrap();
        let encoded = latents.encode(&Cpu, &clamped).unwrap();
        let error = relative(encoded.data(), read(&file, "encoded").data());
        assert!(error < 1e-5, "{name} encoded: {error:.1e}");
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
