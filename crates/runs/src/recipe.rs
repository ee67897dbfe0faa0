//! Recipes: all that is needed to repeat a run.

use crate::error::shown;
use crate::{Error, Result, VERSION, atomic, disk, picture};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Which model a run used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReference {
    /// The bundled model's name, the path as it was given, or the hub's name.
    pub name: String,
    /// The content hash of its U-Net's weights ([`crate::hash::files`]), which
    /// is what its directions mean something to.
    pub hash: String,
    /// The content hashes of its other parts, by their names in its folder;
    /// none of a single file, nor in recipes from before they were recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// What it is told beside the state and the time.
    #[serde(default, skip_serializing_if = "ModelOptions::is_default")]
    pub options: ModelOptions,
}

/// What a model is told, for all that is done with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// What its pictures show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What they do not show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// How strongly the prompt counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// How far guided contrast is brought back, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_rescale: Option<f64>,
    /// Width and height of its pictures in pixels, as `512x512`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Side in pixels of the tiles in which its autoencoder works, 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
    /// What the network predicts, where its files do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// Whether its weights are rounded to half precision.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub half: bool,
    /// Low-rank changes of its weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lora: Vec<LoraReference>,
    /// Networks that steer it by pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub control: Vec<ControlReference>,
}

/// A network that steers by a picture, the picture, and how much it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlReference {
    /// The network's path as it was given.
    pub model: String,
    /// The content hash of its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The picture's path as it was given.
    pub picture: String,
    /// The picture's content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_hash: Option<String>,
    /// 1 as trained, 0 not at all.
    pub scale: f64,
}

/// A file of low-rank changes, and how much of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraReference {
    /// Its path as it was given.
    pub file: String,
    /// 1 as trained, 0 not at all, negative the other way.
    pub weight: f64,
    /// The file's content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl ModelReference {
    /// The parts of two models that are not the same, the U-Net's weights as
    /// `unet`. Where one of them does not say what its other parts are, they
    /// are taken to be the same.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        if self.hash != other.hash {
            return vec!["unet".to_owned()];
        }
        if self.parts.is_empty() || other.parts.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<_> = self.parts.keys().chain(other.parts.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.parts.get(*name) != other.parts.get(*name));
        names.into_iter().cloned().collect()
    }
}

impl ModelOptions {
    /// Whether nothing is told.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a run did: a verb, its arguments, a seed and a model.
///
/// The same recipe gives the same bytes, so there is no date and nothing of
/// the machine in it. Numbers keep every bit; JSON has no NaN or infinity, so
/// arguments must be finite.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// use alice_runs::Recipe;
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Discover { rank: usize }
/// let recipe = Recipe::new("discover", &Discover { rank: 50 }, 7, None)?;
/// let back = Recipe::from_json("recipe.json", &recipe.to_json())?;
/// assert_eq!(back.arguments::<Discover>("recipe.json")?, Discover { rank: 50 });
/// # Ok::<(), alice_runs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of Alice that made it.
    pub alice: String,
    /// The command: `discover`, `sample`, …
    pub verb: String,
    /// The verb's own arguments.
    pub arguments: Value,
    /// Every random stream of the run starts from it.
    pub seed: u64,
    /// The model, for verbs that use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReference>,
}

impl Recipe {
    /// A recipe of this version of Alice.
    ///
    /// # Errors
    /// When the arguments are not JSON: a map with keys that are not text.
    pub fn new(
        verb: &str,
        arguments: &impl Serialize,
        seed: u64,
        model: Option<ModelReference>,
    ) -> Result<Self> {
        let arguments = serde_json::to_value(arguments).map_err(|e| {
            Error::text(
                Path::new("recipe"),
                format!("the arguments of {verb} cannot be recorded: {e}"),
                "This is a bug; please report it",
            )
        })?;
        Ok(Self {
            alice: VERSION.to_owned(),
            verb: verb.to_owned(),
            arguments,
            seed,
            model,
        })
    }

    /// The arguments as the verb's own type; `name` stands for the recipe in errors.
    ///
    /// # Errors
    /// When a field is missing or of the wrong type.
    pub fn arguments<T: DeserializeOwned>(&self, name: impl AsRef<Path>) -> Result<T> {
        T::deserialize(&self.arguments).map_err(|e| {
            Error::text(
                name.as_ref(),
                format!("the arguments of {} do not fit: {e}", shown(&self.verb)),
                "Correct the recipe, or run the command with arguments instead",
            )
        })
    }

    /// Refuses a verb that is not among `verbs`.
    ///
    /// # Errors
    /// Lists the verbs there are.
    pub fn require_verb(&self, name: impl AsRef<Path>, verbs: &[&str]) -> Result<()> {
        if verbs.contains(&self.verb.as_str()) {
            return Ok(());
        }
        Err(Error::text(
            name.as_ref(),
            format!("this Alice does not know the verb {}", shown(&self.verb)),
            format!("It knows {}", verbs.join(", ")),
        ))
    }

    /// Refuses another model than the one the recipe was made with.
    ///
    /// # Errors
    /// When the recipe names a model and its hash is not `hash`.
    pub fn require_model(&self, name: impl AsRef<Path>, hash: &str) -> Result<()> {
        match &self.model {
            Some(model) if model.hash != hash => Err(Error::text(
                name.as_ref(),
                format!(
                    "it was made with model {} {}, and this one is {}",
                    shown(&model.name),
                    crate::hash::short(&model.hash),
                    crate::hash::short(hash)
                ),
                "Give it the same model file; another model gives other pictures",
            )),
            _ => Ok(()),
        }
    }

    /// Indented JSON that ends with a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of texts, numbers and a JSON value always serialises.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// JSON on one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A recipe from JSON; `name` stands for it in errors.
    ///
    /// # Errors
    /// When it is not a recipe, or one of a newer Alice.
    pub fn from_json(name: impl AsRef<Path>, text: &str) -> Result<Self> {
        /// The version alone, since a newer recipe may have other fields.
        #[derive(Deserialize)]
        struct Made {
            alice: String,
        }
        let path = name.as_ref();
        let made: Made = disk::parse_json(path, text)?;
        check_version(path, &made.alice)?;
        disk::parse_json(path, text)
    }

    /// The recipe of a run folder, of a picture Alice made, or in a JSON file.
    ///
    /// # Errors
    /// When there is none, or as [`Recipe::from_json`].
    pub fn find(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            let file = path.join(crate::folder::RECIPE);
            if !file.is_file() {
                return Err(Error::folder(
                    path,
                    "this folder has no recipe.json, so it is not a run",
                    "Name a run folder, a picture made by Alice or a recipe.json",
                ));
            }
            return Self::from_json(&file, &disk::read_text(&file)?);
        }
        let bytes = disk::read(path)?;
        if !picture::is_png(&bytes) {
            return Self::from_json(path, &disk::read_text(path)?);
        }
        let (_, metadata) = picture::decode_png(path, &bytes)?;
        let text = metadata.texts.get(picture::RECIPE_KEYWORD).ok_or_else(|| {
            Error::picture(
                path,
                "this picture carries no recipe",
                "It was not made by Alice, or a program removed its metadata",
            )
        })?;
        Self::from_json(path, text)
    }

    /// Writes the JSON atomically.
    ///
    /// # Errors
    /// As [`atomic::write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        atomic::write(path, self.to_json().as_bytes())
    }
}

/// Accepts recipes of this version and of older ones.
fn check_version(path: &Path, made_by: &str) -> Result<()> {
    let (Some(theirs), Some(ours)) = (numbers(made_by), numbers(VERSION)) else {
        return Err(Error::text(
            path,
            format!("{} is not a version of Alice", shown(made_by)),
            "Restore the recipe from its source",
        ));
    };
    if theirs > ours {
        return Err(Error::text(
            path,
            format!("it was made by Alice {made_by}, and this is Alice {VERSION}"),
            "Update Alice to replay it",
        ));
    }
    Ok(())
}

/// "1.2.3" or "1.2.3-dev" as numbers.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let release = version.split(['-', '+']).next()?;
    let parts: Vec<u64> = release
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

#[cfg(test)]
mod tests;
