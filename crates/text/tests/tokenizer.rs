//! Tokens as transformers gives them. `fixtures/export.py` made the fixtures.

use alice_text::{ClipTokenizer, TextError};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn tokens_are_those_of_transformers() {
    for name in ["clip", "clip_padded"] {
        let tokenizer = ClipTokenizer::open(&fixture(name)).unwrap();
        let expected = fs::read_to_string(fixture(name).join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        for case in expected.as_array().unwrap() {
            let prompt = case["prompt"].as_str().unwrap();
            let ids: Vec<u64> = case["ids"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(serde_json::Value::as_u64)
                .collect();
            let found = tokenizer.encode(prompt).unwrap();
            let found_ids: Vec<u64> = found.ids.iter().map(|&id| u64::from(id)).collect();
            assert_eq!(found_ids, ids, "{name}: {prompt}");
            assert_eq!(found.weights, vec![1.0; 20]);
            match prompt.len() {
                0..=5 => assert_eq!(found.cut, 0),
                100.. => assert!(found.cut > 0),
                _ => {}
            }
        }
    }
}

/// `fixtures/export_clip.py` wrote the expected tokens.
#[test]
fn the_tokenizer_inside_is_clips() {
    let expected = fs::read_to_string(fixture("clip_vocabulary.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    for (padding, key) in [("<|endoftext|>", "end"), ("!", "exclamation")] {
        let tokenizer = ClipTokenizer::clip(padding).unwrap();
        assert_eq!((tokenizer.tokens(), tokenizer.length()), (49_408, 77));
        for case in expected.as_array().unwrap() {
            let prompt = case["prompt"].as_str().unwrap();
            let found = tokenizer.encode(prompt).unwrap().ids;
            assert_eq!(serde_json::json!(found), case[key], "{prompt}");
        }
    }
    assert!(ClipTokenizer::clip("no such token").is_err());
    let padded = ClipTokenizer::open(&fixture("clip")).unwrap();
    assert!(padded.clone().padded_with("no such token").is_err());
    let padded = padded.padded_with("!").unwrap().encode("a cat").unwrap();
    let other = ClipTokenizer::open(&fixture("clip_padded")).unwrap();
    assert_eq!(padded, other.encode("a cat").unwrap());
    let fast = ClipTokenizer::open(&fixture("clip_fast")).unwrap();
    let slow = ClipTokenizer::open(&fixture("clip")).unwrap();
    let prompt = "The horse's (nose:1.2) isn't small, naïve café!!";
    assert_eq!(fast.encode(prompt).unwrap(), slow.encode(prompt).unwrap());
}

#[test]
fn brackets_weigh_tokens() {
    let tokenizer = ClipTokenizer::open(&fixture("clip")).unwrap();
    let plain = tokenizer.encode("a big cat").unwrap();
    let weighed = tokenizer.encode("a (big:1.5) cat").unwrap();
    assert_eq!(plain.ids, weighed.ids);
    assert!(weighed.weights.contains(&1.5));
    assert_eq!(weighed.weights[0], 1.0);
}

#[test]
fn broken_folders_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let message = |folder: &Path| match ClipTokenizer::open(folder) {
        Err(error @ (TextError::Folder { .. } | TextError::File(_))) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(message(folder.path()).contains("vocab.json is missing"));
    for name in ["vocab.json", "merges.txt"] {
        fs::copy(fixture("clip").join(name), folder.path().join(name)).unwrap();
    }
    assert!(ClipTokenizer::open(folder.path()).is_ok());
    fs::write(
        folder.path().join("tokenizer_config.json"),
        "{\"model_max_length\": 1}",
    )
    .unwrap();
    assert!(message(folder.path()).contains("model_max_length"));
    fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    fs::write(
        folder.path().join("merges.txt"),
        "#version\nnot a merge of this vocabulary\n",
    )
    .unwrap();
    assert!(message(folder.path()).contains("merges.txt"));
    fs::write(folder.path().join("vocab.json"), "{").unwrap();
    assert!(message(folder.path()).contains("vocab.json"));
    fs::write(folder.path().join("tokenizer.json"), "[]").unwrap();
    assert!(message(folder.path()).contains("tokenizer.json"));
}
