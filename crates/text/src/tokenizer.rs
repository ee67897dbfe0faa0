//! CLIP's byte-pair encoding from a folder's files.

use crate::{TextError, parse, vocabulary};
use alice_runs::disk;
use serde_json::Value;
use std::path::Path;
use tokenizers::models::bpe::{BPE, BpeBuilder, Merges, Vocab};
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{Lowercase, NFC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splits;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

pub(crate) const START: &str = "<|startoftext|>";
pub(crate) const END: &str = "<|endoftext|>";
/// The most that a part of a prompt may count: far beyond what makes a
/// picture, and far from where numbers overflow.
const MOST_WEIGHT: f64 = 1000.0;
/// What CLIP takes for a word.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A CLIP tokenizer.
#[derive(Clone, Debug)]
pub struct ClipTokenizer {
    inner: Tokenizer,
    length: usize,
    start: u32,
    end: u32,
    padding: u32,
}

/// A prompt as a text encoder reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// Start, text, end, padding: as many as the encoder has positions.
    pub ids: Vec<u32>,
    /// How much each counts; 1 for those that are no text.
    pub weights: Vec<f64>,
    /// Tokens of the text that did not fit.
    pub cut: usize,
}

impl ClipTokenizer {
    /// Reads a `tokenizer/` folder: `tokenizer.json`, or `vocab.json` and
    /// `merges.txt`; what pads, and to which length, from
    /// `special_tokens_map.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    /// When files are missing or broken, or lack the special tokens.
    pub fn open(folder: &Path) -> Result<Self, TextError> {
        let wrong = |path: &Path, why: String| TextError::Folder {
            path: path.to_path_buf(),
            why,
        };
        let whole = folder.join("tokenizer.json");
        let inner = if disk::is_file(&whole) {
            let model = from_whole(&disk::read_json(&whole)?);
            let made = model.and_then(|model| assemble(model).map_err(|e| e.to_string()));
            made.map_err(|why| wrong(&whole, format!("is not CLIP's tokenizer: {why}")))?
        } else {
            from_vocabulary(folder)?
        };
        let id = |token: &str| {
            inner
                .token_to_id(token)
                .ok_or_else(|| wrong(folder, format!("its vocabulary lacks {token}")))
        };
        let special = json(&folder.join("special_tokens_map.json"))?;
        let config = json(&folder.join("tokenizer_config.json"))?;
        let padding = [&special, &config]
            .into_iter()
            .find_map(|file| token_text(&file["pad_token"]))
            .unwrap_or(END.to_owned());
        let length = config["model_max_length"].as_u64().unwrap_or(77);
        if !(3..=65_536).contains(&length) {
            let why = format!("model_max_length is {length}; it must lie between 3 and 65536");
            return Err(wrong(&folder.join("tokenizer_config.json"), why));
        }
        let (start, end) = (id(START)?, id(END)?);
        id(&padding)?;
        let tokenizer = Self {
            length: length as usize,
            start,
            end,
            padding: end,
            inner,
        };
        tokenizer.padded_with(&padding)
    }

    /// The tokenizer of CLIP, which every Stable Diffusion uses, from inside
    /// this program: 49,408 tokens, 77 positions.
    ///
    /// # Errors
    /// When its vocabulary lacks `padding`, which fills prompts up: the end
    /// token for OpenAI's encoders, `!` for open_clip's.
    pub fn clip(padding: &str) -> Result<Self, TextError> {
        let wrong = |why: String| TextError::Folder {
            path: "the tokenizer of CLIP".into(),
            why,
        };
        let (tokens, merges) = vocabulary::clip();
        let model = BPE::builder().vocab_and_merges(tokens, merges);
        let inner = assemble(model).map_err(|e| wrong(e.to_string()))?;
        let id = |token: &str| {
            let missing = || wrong(format!("its vocabulary lacks {token}"));
            inner.token_to_id(token).ok_or_else(missing)
        };
        let (start, end) = (id(START)?, id(END)?);
        let tokenizer = Self {
            length: vocabulary::POSITIONS,
            start,
            end,
            padding: end,
            inner,
        };
        tokenizer.padded_with(padding)
    }

    /// The same tokenizer that fills prompts up with another token. As with
    /// transformers, the token then stands for itself wherever it is in a
    /// prompt: filled up with `!`, `!!!` is three tokens.
    ///
    /// # Errors
    /// When its vocabulary lacks the token.
    pub fn padded_with(mut self, token: &str) -> Result<Self, TextError> {
        self.padding = self.inner.token_to_id(token).ok_or_else(|| {
            let path = "the tokenizer".into();
            let why = format!("its vocabulary lacks {token}");
            TextError::Folder { path, why }
        })?;
        let special = AddedToken::from(token, true);
        self.inner.add_special_tokens(&[special]);
        Ok(self)
    }

    /// Different tokens that there are.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Tokens that a prompt becomes, start and end included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// A prompt, its brackets taken as weights ([`parse`]).
    ///
    /// # Errors
    /// When the tokenizer fails, or a weight is beyond ±1000.
    pub fn encode(&self, prompt: &str) -> Result<Tokens, TextError> {
        let (mut ids, mut weights) = (vec![self.start], vec![1.0]);
        for piece in parse(prompt) {
            if piece.weight.abs() > MOST_WEIGHT {
                return Err(TextError::Prompt {
                    prompt: prompt.to_owned(),
                    why: format!(
                        "{:?} counts {:e} times, and a text may count {MOST_WEIGHT} times at most; \
                         weights are near 1, as in (text:1.3)",
                        piece.text, piece.weight
                    ),
                });
            }
            let found = self.inner.encode_fast(piece.text.as_str(), false);
            let found = found.map_err(|e| TextError::Prompt {
                prompt: prompt.to_owned(),
                why: e.to_string(),
            })?;
            ids.extend_from_slice(found.get_ids());
            weights.resize(ids.len(), piece.weight);
        }
        let room = self.length - 1;
        let cut = ids.len().saturating_sub(room);
        ids.truncate(room);
        weights.truncate(room);
        ids.push(self.end);
        ids.resize(self.length, self.padding);
        weights.resize(self.length, 1.0);
        Ok(Tokens { ids, weights, cut })
    }
}

/// The model of a `tokenizer.json`. What stands around it is CLIP's, so it is
/// only looked at whether that is so.
fn from_whole(json: &Value) -> Result<BpeBuilder, String> {
    let model = &json["model"];
    let steps = ["normalizer", "pre_tokenizer"].map(|step| json[step].to_string());
    for (name, found) in [("Lowercase", &steps[0]), ("ByteLevel", &steps[1])] {
        if !found.contains(name) {
            return Err(format!("it has no {name}"));
        }
    }
    if model["end_of_word_suffix"] != "</w>" {
        return Err("its words do not end in </w>".to_owned());
    }
    let vocabulary = model["vocab"].as_object().ok_or("it has no vocabulary")?;
    let mut tokens = Vocab::default();
    for (token, id) in vocabulary {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| format!("the token {token:?} has no number"))?;
        tokens.insert(token.clone(), id);
    }
    let pair = |value: &Value| {
        let texts = match value {
            Value::String(text) => text.split_once(' '),
            _ => value[0].as_str().zip(value[1].as_str()),
        };
        let (left, right) = texts.ok_or_else(|| format!("the merge {value} is no pair"))?;
        Ok((left.to_owned(), right.to_owned()))
    };
    let merges = model["merges"].as_array().ok_or("it has no merges")?;
    let merges = merges
        .iter()
        .map(pair)
        .collect::<Result<Merges, String>>()?;
    Ok(BPE::builder().vocab_and_merges(tokens, merges))
}

fn from_vocabulary(folder: &Path) -> Result<Tokenizer, TextError> {
    let files = ["vocab.json", "merges.txt"].map(|name| folder.join(name));
    let broken = |why: String| TextError::Folder {
        path: folder.to_path_buf(),
        why,
    };
    if let Some(missing) = files.iter().find(|file| !disk::is_file(file)) {
        return Err(broken(format!(
            "{} is missing, and there is no tokenizer.json",
            missing.file_name().unwrap_or_default().display()
        )));
    }
    let [vocabulary, merges] = files.map(|file| file.display().to_string());
    assemble(BPE::from_file(&vocabulary, &merges))
        .map_err(|e| broken(format!("vocab.json and merges.txt make no tokenizer: {e}")))
}

/// CLIP's tokenizer around a model.
fn assemble(model: BpeBuilder) -> tokenizers::Result<Tokenizer> {
    let model = model
        .unk_token(END.to_owned())
        .end_of_word_suffix("</w>".to_owned())
        .build()?;
    let spaces = ReplacePattern::Regex(r"\s+".to_owned());
    let replace = Replace::new(spaces, " ")?;
    let words = SplitPattern::Regex(WORDS.to_owned());
    let split = Split::new(words, SplitDelimiterBehavior::Removed, true)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.add_special_tokens(&[START, END].map(|token| AddedToken::from(token, true)));
    tokenizer
        .with_normalizer(Some(Sequence::new(vec![
            NFC.into(),
            replace.into(),
            Lowercase.into(),
        ])))
        .with_pre_tokenizer(Some(Splits::new(vec![
            split.into(),
            ByteLevel::new(false, true, true).into(),
        ])));
    Ok(tokenizer)
}

/// A JSON file; null where there is none.
fn json(path: &Path) -> Result<Value, TextError> {
    if !disk::is_file(path) {
        return Ok(Value::Null);
    }
    Ok(disk::read_json(path)?)
}

/// A token as text, or as an object that holds it.
fn token_text(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value["content"].as_str())?;
    Some(text.to_owned())
}
