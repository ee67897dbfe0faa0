//! Pictures that remember how they were made.
//!
//! A picture carries two texts: `parameters`, in the form that A1111's web UI
//! writes and many programs read, and `alice`, our whole recipe as JSON. The
//! same picture and texts give the same bytes.

mod animation;
mod decode;
mod encode;
mod parameters;

pub use animation::{encode_apng, encode_gif};
pub use decode::{decode_layers, decode_png, is_png, read_png};
pub use encode::encode_png;
pub use parameters::Parameters;

use crate::{Error, Recipe, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The keyword of the text that other programs read.
pub const PARAMETERS_KEYWORD: &str = "parameters";
/// The keyword of our recipe.
pub const RECIPE_KEYWORD: &str = "alice";

/// The longest side of a picture.
const LONGEST_SIDE: u32 = 16_384;
/// The most pixels of a picture: 96 MiB as RGB.
const MOST_PIXELS: u64 = 1 << 25;

/// An RGB picture, 8 bits per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from rows of RGB bytes, top first.
    ///
    /// # Errors
    /// When a side is zero or too long, or there are not
    /// width · height · 3 bytes.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        let name = Path::new("picture in memory");
        check_size(name, width, height)?;
        if rgb.len() as u64 != 3 * u64::from(width) * u64::from(height) {
            return Err(Error::picture(
                name,
                format!("{} bytes are not {width} × {height} RGB pixels", rgb.len()),
                "This is a bug; please report it",
            ));
        }
        Ok(Self { width, height, rgb })
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The rows of RGB bytes, top first.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The rows of RGB bytes, without a copy.
    #[must_use]
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

/// The texts in a picture, by keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Keyword (1 to 79 Latin-1 characters) → text.
    pub texts: BTreeMap<String, String>,
}

impl Metadata {
    /// No texts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text that other programs read.
    #[must_use]
    pub fn with_parameters(self, parameters: &Parameters) -> Self {
        self.with_text(PARAMETERS_KEYWORD, parameters.to_string())
    }

    /// Adds the recipe.
    #[must_use]
    pub fn with_recipe(self, recipe: &Recipe) -> Self {
        self.with_text(RECIPE_KEYWORD, recipe.to_line())
    }

    /// Adds any other text.
    #[must_use]
    pub fn with_text(mut self, keyword: &str, text: impl Into<String>) -> Self {
        self.texts.insert(keyword.to_owned(), text.into());
        self
    }
}

fn check_size(path: &Path, width: u32, height: u32) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Error::picture(
            path,
            "a side is zero",
            "Use another picture",
        ));
    }
    if width.max(height) > LONGEST_SIDE || pixels > MOST_PIXELS {
        return Err(Error::picture(
            path,
            format!("{width} × {height} pixels are more than Alice handles"),
            format!("Use at most {LONGEST_SIDE} per side and {MOST_PIXELS} in all"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
