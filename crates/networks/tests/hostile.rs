//! Files that are broken by accident or on purpose: an error or a model, never
//! a panic.

use alice_networks::{
    Architecture, AutoencoderKLConfig, Checkpoint, ClipText, ClipTextConfig, Lora, LoraFile,
    LoraSummary, LoraTarget, ModelLocation, UNet2DCondition, UNet2DConditionConfig, UNet2DConfig,
};
use alice_runs::TensorFile;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Writes over a file. Emptying it first, as `fs::write` does, would make the
/// disk wait each time.
fn put(path: &Path, bytes: &[u8]) {
    let options = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let mut file = options.unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

/// The bytes of a safetensors file's header, its length included.
fn header(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

/// Prefixes of a file: all short ones, and so many over the rest.
fn prefixes(bytes: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let step = (bytes.len() / count).max(1);
    let lengths = (0..64.min(bytes.len())).chain((64..bytes.len()).step_by(step));
    lengths.map(|length| bytes[..length].to_vec())
}

/// A file with one flipped bit among its first `end` bytes, for `count` bits
/// spread over all of them.
fn flips(bytes: &[u8], end: usize, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let bits = 8 * end;
    let step = (bits / count).max(1);
    // A step that shares no factor with 8 meets every bit of a byte.
    let step = if step > 1 { step | 1 } else { 1 };
    (0..bits).step_by(step).map(|bit| {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged
    })
}

#[test]
fn damaged_configs_are_refused_or_read() {
    fn survives<A: Architecture>(case: &str) {
        let text = fs::read(fixture(case).join("config.json")).unwrap();
        assert!(A::from_json(std::str::from_utf8(&text).unwrap()).is_ok());
        let damaged = prefixes(&text, text.len()).chain(flips(&text, text.len(), 1500));
        let mut refused = 0;
        for damaged in damaged {
            let text = String::from_utf8_lossy(&damaged);
            match A::from_json(&text).and_then(|config| config.smallest()) {
                Ok(graph) => assert!(!graph.parameters().is_empty()),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > text.len(), "{case}: {refused}");
    }
    survives::<UNet2DConfig>("ddpm");
    survives::<UNet2DConditionConfig>("sdxl");
    survives::<AutoencoderKLConfig>("vae");
    survives::<ClipTextConfig>("clip_projected");
}

#[test]
fn damaged_checkpoints_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    for (name, second) in [("sd1", false), ("sdxl", true)] {
        let bytes = fs::read(fixture(&format!("single/{name}.safetensors"))).unwrap();
        let open = |damaged: &[u8]| {
            put(&path, damaged);
            let location = ModelLocation::find(&path)?;
            location.network::<UNet2DConditionConfig>("unet")?;
            location.network::<AutoencoderKLConfig>("vae")?;
            location.network::<ClipTextConfig>("text_encoder")?;
            if second {
                location.network::<ClipTextConfig>("text_encoder_2")?;
            }
            Ok::<_, alice_networks::NetworkError>(())
        };
        assert!(open(&bytes).is_ok());
        for damaged in prefixes(&bytes, 20) {
            assert!(open(&damaged).is_err());
        }
        let mut refused = 0;
        for damaged in flips(&bytes, header(&bytes), 80) {
            refused += usize::from(open(&damaged).is_err());
        }
        assert!(refused > 40, "{refused}");
    }
}

/// A network so small that every prefix of its weights and every flipped bit
/// of their header can be tried.
#[test]
fn every_damaged_header_is_refused_or_read() {
    let config = r#"{
        "hidden_size": 2, "intermediate_size": 2, "max_position_embeddings": 2,
        "num_attention_heads": 1, "num_hidden_layers": 1, "vocab_size": 2
    }"#;
    let config = ClipTextConfig::from_json(config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    ClipText::random(config, 0)
        .unwrap()
        .save(folder.path())
        .unwrap();
    let path = folder.path().join(ClipTextConfig::WEIGHTS);
    let bytes = fs::read(&path).unwrap();
    let open = |damaged: &[u8]| {
        put(&path, damaged);
        ClipText::open(folder.path()).map(drop)
    };
    assert!(open(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err(), "{length}");
    }
    let end = header(&bytes);
    let refused = flips(&bytes, end, 8 * end)
        .filter(|damaged| open(damaged).is_err())
        .count();
    assert!(refused > 4 * end, "{refused} of {}", 8 * end);
}

/// A LoRA of every method.
fn small_lora() -> Vec<u8> {
    let mut file = TensorFile::new();
    let ramp = |shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        (0..count)
            .map(|i| i as f32 / 10.0 - 0.5)
            .collect::<Vec<_>>()
    };
    let attention = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to";
    for (end, shape) in [
        ("_q.lora_down.weight", &[2, 16][..]),
        ("_q.lora_up.weight", &[16, 2]),
        ("_q.alpha", &[]),
        ("_k.hada_w1_a", &[16, 2]),
        ("_k.hada_w1_b", &[2, 16]),
        ("_k.hada_w2_a", &[16, 1]),
        ("_k.hada_w2_b", &[1, 16]),
        ("_v.lokr_w1", &[4, 4]),
        ("_v.lokr_w2_a", &[4, 1]),
        ("_v.lokr_w2_b", &[1, 4]),
    ] {
        file.insert(&format!("{attention}{end}"), shape, ramp(shape))
            .unwrap();
    }
    let convolution = "lora_unet_mid_block_resnets_0_conv1.lora_";
    for (end, shape) in [
        ("down.weight", [2, 16, 1, 1]),
        ("mid.weight", [2, 2, 3, 3]),
        ("up.weight", [16, 2, 1, 1]),
    ] {
        file.insert(&format!("{convolution}{end}"), &shape, ramp(&shape))
            .unwrap();
    }
    file.to_bytes("memory").unwrap()
}

#[test]
fn damaged_loras_are_refused_or_merged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let unet = UNet2DCondition::open(fixture("sd15")).unwrap();
    let merge = |damaged: &[u8]| {
        put(&path, damaged);
        let _ = LoraSummary::open(&path);
        let mut unet = unet.clone();
        let mut targets = [LoraTarget::unet(&mut unet)?];
        Lora::resolve(LoraFile::open(&path)?, &targets)?.merge(&mut targets, 1.0)
    };
    let bytes = small_lora();
    assert_eq!(merge(&bytes).unwrap().layers["unet"], 4);
    for length in 0..bytes.len() {
        put(&path, &bytes[..length]);
        assert!(LoraFile::open(&path).is_err());
    }
    let (mut refused, mut unmatched) = (0, 0);
    let end = header(&bytes);
    for (i, damaged) in flips(&bytes, end, 8 * end).enumerate() {
        // Reading is quick, merging is not: one of seven, which meets every
        // bit of a byte.
        if i % 7 != 0 {
            put(&path, &damaged);
            refused += usize::from(LoraFile::open(&path).is_err());
            continue;
        }
        match merge(&damaged) {
            Ok(report) => unmatched += usize::from(!report.unmatched.is_empty()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 2 * end && unmatched > 0, "{refused}, {unmatched}");
}

/// Factors that claim huge extents around no data cost no memory.
#[test]
fn empty_factors_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.safetensors");
    let layer = "lora_unet_mid_block_resnets_0_conv1";
    for shapes in [
        [[1 << 40, 0, 3, 3], [16, 1 << 40, 0, 1]],
        [[0, 16, 3, 3], [16, 0, 1, 1]],
    ] {
        let mut file = TensorFile::new();
        for (end, shape) in ["down", "up"].into_iter().zip(shapes) {
            file.insert(&format!("{layer}.lora_{end}.weight"), &shape, Vec::new())
                .unwrap();
        }
        file.write(&path).unwrap();
        let error = LoraFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("do not fit each other"), "{error}");
    }
}

#[test]
fn other_files_are_no_checkpoints() {
    let path = fixture("sd15/diffusion_pytorch_model.safetensors");
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(error.contains("original names"), "{error}");
    // Beside its config.json it stands for its folder.
    assert!(matches!(
        ModelLocation::find(&path),
        Ok(ModelLocation::Folder(_))
    ));
    let error = Checkpoint::open(fixture("lora/kohya.safetensors")).unwrap_err();
    assert!(error.to_string().contains("this is a LoRA"), "{error}");
    assert!(LoraSummary::open(&path).unwrap().is_none());
}
