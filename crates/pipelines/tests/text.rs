//! Text encoders: weights in prompts, and matrices that lie in their file until
//! they are packed.

use alice_networks::{ClipText, ClipTextConfig, ModelLocation, Precision};
use alice_pipelines::TextEncoders;
use alice_runs::TensorFile;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// ‖a − b‖ / ‖b‖
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let gap: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (gap / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

/// Every kind of bracket, by a second program that was written from the
/// documentation of A1111's web UI (`fixtures/export_weighted.py`): one encoder
/// as of SD 1, and two as of SDXL.
#[test]
fn weights_are_those_of_the_web_ui() {
    let both = fixture("weighted");
    let home = tempfile::tempdir().unwrap();
    for part in ["text_encoder", "tokenizer"] {
        copy(&both.join(part), &home.path().join(part));
    }
    for (folder, name) in [(home.path(), "one"), (&both, "two")] {
        let texts = TextEncoders::open(folder).unwrap();
        let file = TensorFile::read(both.join(format!("{name}.safetensors"))).unwrap();
        let prompts: Vec<String> = serde_json::from_str(&file.metadata["prompts"]).unwrap();
        assert!(prompts.len() > 3);
        for (i, prompt) in prompts.iter().enumerate() {
            let found = texts.encode(prompt).unwrap();
            assert_eq!(found.cut, 0, "{prompt}");
            let theirs = &file.get(&format!("context.{i}")).unwrap().data;
            let error = relative(found.context.data(), theirs);
            assert!(error < 1e-5, "{name} {prompt}: {error:.1e}");
            // The text as a whole is not weighed.
            let pooled = file.get(&format!("pooled.{i}"));
            assert_eq!(pooled.is_some(), found.pooled.is_some());
            if let (Some(theirs), Some(ours)) = (pooled, &found.pooled) {
                let error = relative(ours, &theirs.data);
                assert!(error < 1e-5, "{name} {prompt}, pooled: {error:.1e}");
            }
        }
    }
}

/// A LoRA asks for the parameters after they were packed, and may change none
/// of an encoder's: they must be read again.
#[test]
fn encoders_read_again_after_a_lora_asked_for_them() {
    let home = tempfile::tempdir().unwrap();
    copy(&fixture("sd/tokenizer"), &home.path().join("tokenizer"));
    // Its matrices are just large enough to be left in the file.
    let config = ClipTextConfig {
        vocab_size: 653,
        hidden_size: 256,
        intermediate_size: 256,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        max_position_embeddings: 20,
        ..ClipTextConfig::default()
    };
    let folder = home.path().join("text_encoder");
    ClipText::random(config, 1).unwrap().save(&folder).unwrap();
    let location = ModelLocation::find(home.path()).unwrap();
    let mut texts = TextEncoders::at(&location, Precision::Half).unwrap();
    let before = texts.encode("a small cat").unwrap();
    assert_eq!(texts.lora_targets().unwrap().len(), 1);
    assert_eq!(texts.encode("a small cat").unwrap(), before);
    let whole = TextEncoders::at(&location, Precision::Stored).unwrap();
    assert_ne!(whole.encode("a small cat").unwrap(), before);
}
