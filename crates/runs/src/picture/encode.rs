//! Writing PNG bytes.

use super::{Metadata, Picture};
use crate::{Error, Result};
use std::io::Write;
use std::path::Path;

/// A picture as PNG bytes; `name` stands for it in errors.
///
/// A text within Latin-1 becomes a `tEXt` chunk and any other an `iTXt` chunk,
/// as other programs do; the recipe is always `iTXt`.
///
/// # Errors
/// When a keyword or text cannot be stored in a PNG.
pub fn encode_png(
    name: impl AsRef<Path>,
    picture: &Picture,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let path = name.as_ref();
    let mut bytes = Vec::new();
    let failed = |e| failure(path, e);
    let encoder = start(path, &mut bytes, picture, metadata)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(picture.rgb()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// An encoder with the size, the colours and the texts set.
pub(super) fn start<'a, W: Write>(
    path: &Path,
    out: W,
    picture: &Picture,
    metadata: &Metadata,
) -> Result<png::Encoder<'a, W>> {
    let failed = |e| failure(path, e);
    let mut encoder = png::Encoder::new(out, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Adaptive);
    for (keyword, text) in &metadata.texts {
        check_text(path, keyword, text)?;
        if keyword != super::RECIPE_KEYWORD && text.chars().all(is_latin1) {
            encoder
                .add_text_chunk(keyword.clone(), text.clone())
                .map_err(failed)?;
        } else {
            encoder
                .add_itxt_chunk(keyword.clone(), text.clone())
                .map_err(failed)?;
        }
    }
    Ok(encoder)
}

pub(super) fn failure(path: &Path, error: png::EncodingError) -> Error {
    match error {
        png::EncodingError::IoError(e) => Error::disk(path, e),
        other => Error::picture(
            path,
            format!("it cannot be written as PNG: {other}"),
            "This is a bug; please report it",
        ),
    }
}

/// A printable Latin-1 character or a line feed.
fn is_latin1(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a1}'..='\u{ff}')
}

fn check_text(path: &Path, keyword: &str, text: &str) -> Result<()> {
    let fits = (1..=79).contains(&keyword.chars().count())
        && keyword.chars().all(|c| c != '\n' && is_latin1(c))
        && keyword.trim() == keyword
        && !keyword.contains("  ");
    if !fits {
        return Err(Error::picture(
            path,
            format!(
                "{} cannot name a text in a PNG",
                crate::error::shown(keyword)
            ),
            "Use 1 to 79 letters, digits and single spaces",
        ));
    }
    if text.contains('\0') {
        return Err(Error::picture(
            path,
            format!(
                "the text {} contains a zero character",
                crate::error::shown(keyword)
            ),
            "Remove it from the prompt",
        ));
    }
    Ok(())
}
