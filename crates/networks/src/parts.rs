//! What all parts of a model hold, so that another one is noticed.

use crate::folder::{ModelFolder, WEIGHTS};
use crate::location::ModelLocation;
use crate::network::Architecture;
use crate::{ClipTextConfig, NetworkError};
use alice_runs::disk::{self, is_file, is_folder};
use alice_runs::hash;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The U-Net's config; its weights are the model's own hash.
const UNET: &str = "unet/config.json";
/// What a tokenizer is read from.
const TOKENIZER: [&str; 5] = [
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

impl ModelLocation {
    /// The content hash of each part that decides what the model draws, beside
    /// the U-Net's weights ([`ModelLocation::hash`]), by its name in the
    /// folder. Configs are known by what they say, not by how they are
    /// written. None of a single file, whose hash is that of all its parts.
    ///
    /// # Errors
    /// When a part's files are missing or cannot be read.
    pub fn parts(&self) -> Result<BTreeMap<String, String>, NetworkError> {
        let mut parts = BTreeMap::new();
        let Self::Folder(folder) = self else {
            return Ok(parts);
        };
        let mut add = |name: &str, hash: String| parts.insert(name.to_owned(), hash);
        let unet = ModelFolder::find(folder)?;
        add(UNET, config_hash(&disk::read_text(&unet.config)?));
        if let Some((_, text)) = self.scheduler()? {
            add("scheduler", config_hash(&text));
        }
        if let Some(flag) = self.index_flag("force_zeros_for_empty_prompt")? {
            add("model_index.json", hash::bytes(flag.to_string().as_bytes()));
        }
        for (part, weights) in [
            ("vae", WEIGHTS),
            ("text_encoder", ClipTextConfig::WEIGHTS),
            ("text_encoder_2", ClipTextConfig::WEIGHTS),
        ] {
            if self.has(part) {
                let files = ModelFolder::find_part(folder, part, weights)?;
                let config = config_hash(&disk::read_text(&files.config)?);
                let both = format!("{config}\n{}\n", hash::files(&files.weights)?);
                add(part, hash::bytes(both.as_bytes()));
            }
        }
        for part in ["tokenizer", "tokenizer_2"] {
            let inner = folder.join(part);
            if is_folder(&inner) {
                add(part, tokenizer_hash(&inner)?);
            }
        }
        Ok(parts)
    }
}

/// The hash of what a config says: without spaces, the order of its fields and
/// the notes of the program that wrote it (`_diffusers_version`).
fn config_hash(text: &str) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
        return hash::bytes(text.as_bytes());
    };
    fields.retain(|name, _| !name.starts_with('_') || name == "_class_name");
    hash::bytes(Value::Object(fields).to_string().as_bytes())
}

/// The hash of a tokenizer's files.
fn tokenizer_hash(folder: &Path) -> Result<String, NetworkError> {
    let whole = is_file(folder.join("tokenizer.json"));
    let mut list = String::new();
    for name in TOKENIZER {
        // A whole tokenizer is read instead of these.
        let unread = whole && ["merges.txt", "vocab.json"].contains(&name);
        let path = folder.join(name);
        if !unread && is_file(&path) {
            list += &format!("{name} {}\n", hash::file(&path)?);
        }
    }
    Ok(hash::bytes(list.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_known_by_what_it_says() {
        let one = config_hash(r#"{"a": 1, "_class_name": "X", "_diffusers_version": "0.30"}"#);
        assert_eq!(one, config_hash("{\"_class_name\":\"X\",\n\"a\":1}"));
        assert_ne!(one, config_hash(r#"{"a": 2, "_class_name": "X"}"#));
        assert_ne!(one, config_hash(r#"{"a": 1, "_class_name": "Y"}"#));
        assert_ne!(config_hash("{"), config_hash("[]"));
    }
}
