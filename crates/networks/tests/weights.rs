//! Reading and writing weights and folders, and what is refused.

use alice_networks::{Mismatch, ModelFolder, NetworkError, UNet2D, UNet2DConfig, initialise};
use alice_runs::TensorFile;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(case)
}

/// Opens a case after `change` was made to its weights.
fn open_changed(change: impl FnOnce(&mut TensorFile)) -> Result<UNet2D, NetworkError> {
    let files = ModelFolder::find(fixture("old_keys")).unwrap();
    let mut weights = TensorFile::read(&files.weights[0]).unwrap();
    change(&mut weights);
    UNet2D::from_parts(&fs::read_to_string(files.config).unwrap(), weights)
}

fn mismatches(result: Result<UNet2D, NetworkError>) -> Vec<Mismatch> {
    match result {
        Err(NetworkError::Weights { mismatches, .. }) => mismatches,
        other => panic!("{other:?}"),
    }
}

#[test]
fn saving_and_loading_keeps_every_bit() {
    for case in [
        "ddpm",
        "heads",
        "scale_shift",
        "plain",
        "learned",
        "old_keys",
        "half",
    ] {
        let network = UNet2D::open(fixture(case)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        network.save(folder.path()).unwrap();
        let again = UNet2D::open(folder.path()).unwrap();
        assert_eq!(again, network, "{case}");
        let (files, saved) = (
            ModelFolder::find(fixture(case)).unwrap(),
            ModelFolder::find(folder.path()).unwrap(),
        );
        if case != "old_keys" && case != "half" {
            let theirs = TensorFile::read(&files.weights[0]).unwrap();
            assert_eq!(
                TensorFile::read(&saved.weights[0]).unwrap().tensors,
                theirs.tensors
            );
        }
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let found = mismatches(open_changed(|file| {
        file.tensors.remove("conv_in.bias");
        file.insert("conv_out.bias", &[4], vec![0.0; 4]).unwrap();
        file.insert("surprise\u{1b}[2J", &[1], vec![0.0]).unwrap();
    }));
    assert_eq!(
        found,
        [
            Mismatch::Missing {
                name: "conv_in.bias".into(),
                expected: vec![8],
            },
            Mismatch::Shape {
                name: "conv_out.bias".into(),
                expected: vec![3],
                found: vec![4],
            },
            Mismatch::Extra {
                name: "surprise\u{1b}[2J".into(),
                found: vec![1],
            },
        ]
    );
}

#[test]
fn many_mismatches_make_a_short_safe_message() {
    let error = open_changed(|file| {
        file.tensors.clear();
        file.insert("surprise\u{1b}[2J", &[1], vec![0.0]).unwrap();
    })
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("time_embedding.linear_1.weight [32, 8] is missing"),
        "{text}"
    );
    assert!(text.contains(" more. Check") && text.len() < 700, "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_name_given_twice_is_refused() {
    let found = mismatches(open_changed(|file| {
        let tensor = file
            .get("mid_block.attentions.0.query.bias")
            .unwrap()
            .clone();
        let name = "mid_block.attentions.0.to_q.bias";
        file.insert(name, &tensor.shape, tensor.data).unwrap();
    }));
    assert!(
        matches!(&found[..], [Mismatch::Extra { name, .. }] if name.ends_with("query.bias")),
        "{found:?}"
    );
}

#[test]
fn only_trailing_ones_may_differ() {
    let wrong = [vec![8, 1, 8, 1], vec![8, 8, 1, 1, 1], vec![64]];
    for shape in wrong {
        let found = mismatches(open_changed(|file| {
            let name = "mid_block.attentions.0.key.weight";
            file.insert(name, &shape, vec![0.0; 64]).unwrap();
        }));
        assert!(matches!(&found[..], [Mismatch::Shape { .. }]), "{found:?}");
    }
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = open_changed(|file| {
            let tensor = file.tensors.get_mut("conv_out.weight").unwrap();
            tensor.data[5] = value;
        })
        .unwrap_err();
        assert!(error.to_string().contains("conv_out.weight"), "{error}");
    }
}

#[test]
fn folders_are_found_or_explained() {
    let half = fixture("half");
    let files = ModelFolder::find(&half).unwrap();
    assert_eq!(files.config, half.join("unet/config.json"));
    assert_eq!(
        files.scheduler,
        Some(half.join("scheduler/scheduler_config.json"))
    );
    let inner = ModelFolder::find(half.join("unet")).unwrap();
    assert_eq!(inner.weights, files.weights);
    assert_eq!(inner.scheduler, files.scheduler);
    assert_eq!(ModelFolder::find(fixture("ddpm")).unwrap().scheduler, None);

    let folder = tempfile::tempdir().unwrap();
    let explained = |path: &Path, word: &str| {
        let error = UNet2D::open(path).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    explained(&folder.path().join("none"), "no such folder");
    explained(folder.path(), "no config.json");
    let config = folder.path().join("config.json");
    fs::write(&config, "{\"act_fn\": \"gelu\"}").unwrap();
    explained(
        folder.path(),
        "diffusion_pytorch_model.safetensors is missing",
    );
    fs::write(folder.path().join("diffusion_pytorch_model.bin"), "").unwrap();
    explained(folder.path(), "safe_serialization");
    fs::write(
        folder.path().join("diffusion_pytorch_model.safetensors"),
        "short",
    )
    .unwrap();
    explained(
        folder.path(),
        "config.json: the config's act_fn is \"gelu\"",
    );
    fs::write(&config, "{}").unwrap();
    explained(
        folder.path(),
        "diffusion_pytorch_model.safetensors: the file is too short",
    );
}

#[test]
fn random_weights_have_pytorchs_spread() {
    let config = UNet2DConfig {
        block_out_channels: vec![32, 64],
        down_block_types: UNet2DConfig::default().down_block_types[..2].to_vec(),
        up_block_types: UNet2DConfig::default().up_block_types[2..].to_vec(),
        ..UNet2DConfig::default()
    };
    let network = UNet2D::random(config, 3).unwrap();
    let file = network.weights().unwrap();
    let bounded = |name: &str, inputs: f64| {
        let bound = 1.0 / inputs.sqrt();
        let largest = file
            .get(name)
            .unwrap()
            .data
            .iter()
            .fold(0.0, |m: f32, v| m.max(v.abs()));
        let ratio = f64::from(largest) / bound;
        assert!(ratio <= 1.0 && ratio > 0.9, "{name}: {ratio}");
    };
    bounded("conv_in.weight", 27.0);
    bounded("conv_in.bias", 27.0);
    bounded("mid_block.attentions.0.to_q.weight", 64.0);
    bounded("mid_block.attentions.0.to_q.bias", 64.0);
    assert!(
        file.get("conv_norm_out.weight")
            .unwrap()
            .data
            .iter()
            .all(|&v| v == 1.0)
    );
    assert!(
        file.get("conv_norm_out.bias")
            .unwrap()
            .data
            .iter()
            .all(|&v| v == 0.0)
    );

    let graph = |size| network.graph((size, size)).unwrap();
    assert_eq!(initialise(&graph(16), 3).unwrap(), network.parameters);
    assert_eq!(initialise(&graph(64), 3).unwrap(), network.parameters);
    assert_ne!(initialise(&graph(16), 4).unwrap(), network.parameters);
}
