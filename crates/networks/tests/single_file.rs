//! Single-file checkpoints against the networks that diffusers made them of.
//! `fixtures/export_single.py` made the fixtures.

use alice_calculus::{Graph, Model, Parameters, Tensor};
use alice_networks::{
    AutoencoderKL, Checkpoint, ClipText, ControlNet, Family, ModelLocation, NetworkError,
    Prediction, UNet2DCondition, UNet2DConditionConfig,
};
use alice_runs::TensorFile;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/single")
        .join(name)
}

fn read(file: &TensorFile, name: &str) -> Tensor<f32> {
    let found = file.get(name).unwrap();
    let tensor = match found.shape[..] {
        [n] => Tensor::new(&[n, 1], found.data.clone()),
        _ => Tensor::new(&found.shape, found.data.clone()),
    };
    match found.shape.len() {
        4 => tensor.unwrap().to_channels_last().unwrap(),
        _ => tensor.unwrap(),
    }
}

fn evaluate(
    graph: Graph,
    parameters: &Parameters<f32>,
    inputs: &[(&str, &Tensor<f32>)],
    output: &str,
) -> Tensor<f32> {
    let output = graph.find_output(output).unwrap();
    let model = Model::new(graph, parameters.clone()).unwrap();
    model.evaluate(inputs, &[output]).unwrap().remove(0)
}

/// ‖a − b‖ / ‖b‖ is below 1e-5.
fn agree(what: &str, a: &Tensor<f32>, b: &Tensor<f32>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let square = |v: f32| f64::from(v) * f64::from(v);
    let pairs = a.data().iter().zip(b.data());
    let gap: f64 = pairs.map(|(a, b)| square(a - b)).sum();
    let norm: f64 = b.data().iter().map(|&b| square(b)).sum();
    let error = (gap / norm).sqrt();
    assert!(error < 1e-5, "{what}: {error:.1e}");
}

#[test]
fn every_network_agrees_with_diffusers() {
    for (name, family) in [
        ("sd1", Family::StableDiffusion1),
        ("sd2", Family::StableDiffusion2),
        ("sdxl", Family::StableDiffusionXl),
    ] {
        let location = ModelLocation::find(fixture(&format!("{name}.safetensors"))).unwrap();
        let ModelLocation::File(checkpoint) = &location else {
            panic!("{location:?}");
        };
        assert_eq!(checkpoint.family(), family);
        let io = TensorFile::read(fixture(&format!("{name}.io.safetensors"))).unwrap();
        let unet: UNet2DCondition = location.network("unet").unwrap();
        let inputs = ["sample", "timestep", "context", "text_embeds", "time_ids"];
        let mut inputs: Vec<_> = inputs
            .into_iter()
            .filter(|name| io.get(name).is_some())
            .map(|name| (name, read(&io, name)))
            .collect();
        if unet.config.inpainting_channels() > 0 {
            // What the network takes beside the noisy latents is an input of its own.
            let both = inputs[0].1.clone();
            let part = |range: std::ops::Range<usize>| {
                let pixels = both.data().chunks_exact(both.channels());
                let data = pixels.flat_map(|pixel| pixel[range.clone()].to_vec());
                let dims = [&both.dims()[..3], &[range.len()]].concat();
                Tensor::new(&dims, data.collect()).unwrap()
            };
            let latents = both.channels() - unet.config.inpainting_channels();
            inputs[0].1 = part(0..latents);
            inputs.push(("inpainting", part(latents..both.channels())));
        }
        let inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value)).collect();
        let graph = unet.graph((8, 8), 5).unwrap();
        let found = evaluate(graph, &unet.parameters, &inputs, "prediction");
        agree(name, &found, &read(&io, "prediction"));

        let vae: AutoencoderKL = location.network("vae").unwrap();
        let xl = family == Family::StableDiffusionXl;
        assert_eq!(
            vae.config.scaling_factor,
            if xl { 0.13025 } else { 0.18215 }
        );
        for (input, output) in [("latent", "decoded"), ("picture", "moments")] {
            let graph = vae.config.graph((5, 3)).unwrap();
            let fed = read(&io, input);
            let found = evaluate(graph, &vae.parameters, &[(input, &fed)], output);
            agree(&format!("{name} {output}"), &found, &read(&io, output));
        }

        let tokens = read(&io, "tokens");
        let parts: &[&str] = if xl {
            &["text_encoder", "text_encoder_2"]
        } else {
            &["text_encoder"]
        };
        for (i, part) in parts.iter().enumerate() {
            let text: ClipText = location.network(part).unwrap();
            let layers = text.config.num_hidden_layers;
            for (output, theirs) in [
                ("last".to_owned(), format!("last.{i}")),
                (format!("hidden.{}", layers - 1), format!("before.{i}")),
            ] {
                let graph = text.config.graph().unwrap();
                let found = evaluate(graph, &text.parameters, &[("tokens", &tokens)], &output);
                agree(
                    &format!("{name} {part} {output}"),
                    &found,
                    &read(&io, &theirs),
                );
            }
            if i == 1 {
                let graph = text.config.graph().unwrap();
                let found = evaluate(graph, &text.parameters, &[("tokens", &tokens)], "projected");
                let channels = found.channels();
                let mut pooled = Vec::new();
                for (item, row) in tokens.data().chunks(20).enumerate() {
                    let row: Vec<u32> = row.iter().map(|&t| t as u32).collect();
                    let end = item * 20 + text.config.end_position(&row);
                    pooled.extend_from_slice(&found.data()[end * channels..][..channels]);
                }
                let pooled = Tensor::new(&[2, channels], pooled).unwrap();
                agree("pooled", &pooled, &read(&io, "pooled"));
            }
        }
        assert_eq!(location.has("text_encoder_2"), xl);
    }
}

#[test]
fn what_is_predicted_is_read_where_it_is_said() {
    let open = |path: &Path| Checkpoint::open(path).unwrap().prediction();
    assert_eq!(open(&fixture("sd1.safetensors")), Prediction::Epsilon);
    assert_eq!(open(&fixture("sdxl.safetensors")), Prediction::Velocity);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sd2.safetensors");
    fs::copy(fixture("sd2.safetensors"), &path).unwrap();
    // One that repaints, as SD 2's does by predicting the noise.
    assert_eq!(open(&path), Prediction::Epsilon);
    let yaml = "model:\n  params:\n    parameterization: \"v\"\n";
    fs::write(folder.path().join("sd2.yaml"), yaml).unwrap();
    assert_eq!(open(&path), Prediction::Velocity);
    fs::write(folder.path().join("sd2.yaml"), yaml.replace("v\"", "eps\"")).unwrap();
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.scheduler().contains("\"epsilon\""));
    checkpoint.set_prediction(Prediction::Velocity);
    assert!(checkpoint.scheduler().contains("\"v_prediction\""));
    // Without any signal at the first step PNDM cannot begin.
    let mut file = TensorFile::read(fixture("sd1.safetensors")).unwrap();
    file.insert("ztsnr", &[1], vec![1.0]).unwrap();
    file.write(&path).unwrap();
    let scheduler = Checkpoint::open(&path).unwrap().scheduler();
    assert!(scheduler.contains("DDIMScheduler") && scheduler.contains("trailing"));
}

/// A checkpoint with some tensors taken away, added or renamed.
fn changed(change: impl Fn(&mut TensorFile)) -> Result<(), NetworkError> {
    let mut file = TensorFile::read(fixture("sd1.safetensors")).unwrap();
    change(&mut file);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    file.write(&path).unwrap();
    let location = ModelLocation::find(&path)?;
    location.network::<alice_networks::UNet2DConditionConfig>("unet")?;
    location.network::<alice_networks::AutoencoderKLConfig>("vae")?;
    location.network::<alice_networks::ClipTextConfig>("text_encoder")?;
    Ok(())
}

#[test]
fn what_is_missing_or_superfluous_is_named() {
    assert!(changed(|_| {}).is_ok());
    let unet = "model.diffusion_model.";
    let refused = |word: &str, change: &dyn Fn(&mut TensorFile)| {
        let error = changed(change).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused("conv_out.bias", &|file| {
        file.tensors.remove(&format!("{unet}out.2.bias"));
    });
    refused("middle_block.7.weight", &|file| {
        let name = format!("{unet}middle_block.7.weight");
        file.insert(&name, &[1], vec![0.0]).unwrap();
    });
    refused("only unet, text_encoder", &|file| {
        file.tensors
            .retain(|name, _| !name.starts_with("first_stage_model."));
    });
    refused("no text_encoder", &|file| {
        file.tensors
            .retain(|name, _| !name.starts_with("cond_stage_model."));
    });
    refused("no U-Net under the original names", &|file| {
        file.tensors.retain(|name, _| !name.starts_with(unet));
    });
    refused("Playground", &|file| {
        file.insert("edm_mean", &[4], vec![0.0; 4]).unwrap();
    });
    refused("upscaler", &|file| {
        file.insert(&format!("{unet}label_emb.weight"), &[2, 2], vec![0.0; 4])
            .unwrap();
    });
}

#[test]
fn pickles_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.ckpt", "model.PT", "a.bin", "a.pth"] {
        let path = folder.path().join(name);
        fs::write(&path, "anything").unwrap();
        let error = ModelLocation::find(&path).unwrap_err().to_string();
        assert!(
            error.contains("can run code") && error.contains("save_file"),
            "{error}"
        );
    }
}

/// A variant or shards stand for the plain file where it is absent.
#[test]
fn variants_and_shards_are_found() {
    let half = fixture("../half/unet");
    let whole = alice_networks::UNet2D::open(&half).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str| folder.path().join(name);
    fs::copy(half.join("config.json"), put("config.json")).unwrap();
    let weights = half.join("diffusion_pytorch_model.safetensors");
    let open = || alice_networks::UNet2D::open(folder.path());
    for variant in ["non_ema", "bf16", "fp16"] {
        let name = format!("diffusion_pytorch_model.{variant}.safetensors");
        fs::copy(&weights, put(&name)).unwrap();
        let files = alice_networks::ModelFolder::find(folder.path()).unwrap();
        assert_eq!(files.weights, [put(&name)]);
        assert_eq!(open().unwrap(), whole);
    }
    for variant in ["non_ema", "bf16", "fp16"] {
        fs::remove_file(put(&format!(
            "diffusion_pytorch_model.{variant}.safetensors"
        )))
        .unwrap();
    }

    let all = TensorFile::read(&weights).unwrap();
    let (mut first, mut second) = (TensorFile::new(), TensorFile::new());
    let mut map = serde_json::Map::new();
    for (i, (name, tensor)) in all.tensors.iter().enumerate() {
        let (shard, file) = if i % 2 == 0 {
            (&mut first, "part-1.safetensors")
        } else {
            (&mut second, "part-2.safetensors")
        };
        shard
            .insert(name, &tensor.shape, tensor.data.clone())
            .unwrap();
        map.insert(name.clone(), file.into());
    }
    first.write(put("part-1.safetensors")).unwrap();
    let index = put("diffusion_pytorch_model.safetensors.index.json");
    let write = |map: &serde_json::Map<_, _>| {
        let json = serde_json::json!({ "weight_map": map });
        fs::write(&index, json.to_string()).unwrap();
    };
    write(&map);
    let refused = |word: &str| {
        let error = open().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused("part-2.safetensors is missing");
    second.write(put("part-2.safetensors")).unwrap();
    assert_eq!(open().unwrap(), whole);
    let name = all.tensors.keys().next().unwrap();
    let tensor = &all.tensors[name];
    second
        .insert(name, &tensor.shape, tensor.data.clone())
        .unwrap();
    second.write(put("part-2.safetensors")).unwrap();
    refused("in two of its files");
    map.insert("x".into(), "../elsewhere.safetensors".into());
    write(&map);
    refused("beside it");
    fs::write(&index, "{}").unwrap();
    refused("no weight_map");
}

/// Under the original names, with and without the prefix of whole checkpoints,
/// and under diffusers' without a config.
#[test]
fn a_controlnet_may_be_one_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["controlnet_sd1", "controlnet_sdxl"] {
        let location = ModelLocation::find(fixture(&format!("{name}.safetensors"))).unwrap();
        let network: ControlNet = location.network("controlnet").unwrap();
        let io = TensorFile::read(fixture(&format!("{name}.io.safetensors"))).unwrap();
        let graph = network.config.graph((8, 8), 5).unwrap();
        let inputs: Vec<_> = graph.inputs().map(|(name, _)| name.to_owned()).collect();
        let inputs: Vec<_> = inputs.iter().map(|n| (n.as_str(), read(&io, n))).collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value)).collect();
        let outputs = io
            .tensors
            .keys()
            .filter(|name| name.starts_with("residual."));
        let outputs: Vec<_> = outputs.collect();
        assert!(outputs.len() >= 5, "{name}: {}", outputs.len());
        for output in outputs {
            let found = evaluate(graph.clone(), &network.parameters, &inputs, output);
            agree(&format!("{name} {output}"), &found, &read(&io, output));
        }
        network.save(folder.path().join(name)).unwrap();
        let alone = folder.path().join(format!("{name}.safetensors"));
        fs::copy(
            folder
                .path()
                .join(name)
                .join("diffusion_pytorch_model.safetensors"),
            &alone,
        )
        .unwrap();
        let again: ControlNet = ModelLocation::find(&alone)
            .unwrap()
            .network("controlnet")
            .unwrap();
        assert_eq!(again.config, network.config);
        assert_eq!(again.parameters.count(), network.parameters.count());
        let found = evaluate(graph.clone(), &again.parameters, &inputs, "residual.mid");
        agree(name, &found, &read(&io, "residual.mid"));
        // It is no model.
        let refused = location
            .network::<UNet2DConditionConfig>("unet")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("--control"), "{refused}");
    }
}
