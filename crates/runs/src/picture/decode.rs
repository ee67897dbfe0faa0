//! Reading PNG bytes of any kind as 8-bit RGB.

use super::{Metadata, Picture, check_size};
use crate::{Error, Result, disk};
use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};
use std::io::Cursor;
use std::path::Path;

const DAMAGED: &str = "The file is damaged or incomplete; use another copy";

/// Deflate never packs more than this many bytes into one.
const HIGHEST_COMPRESSION: u64 = 1032;
/// Bytes of all texts of a picture, unpacked.
const MOST_TEXT: usize = 16 << 20;

/// Whether these bytes begin like a PNG.
#[must_use]
pub fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
}

/// Reads a PNG file.
///
/// Grey, palette, 1- to 16-bit, transparent and interlaced pictures become
/// 8-bit RGB: 16 bits are rounded and transparency is laid over white. Of an
/// animation the still picture is read.
///
/// # Errors
/// When the file cannot be read, is not a PNG, is damaged, cut off or too large.
pub fn read_png(path: impl AsRef<Path>) -> Result<(Picture, Metadata)> {
    let path = path.as_ref();
    decode_png(path, &disk::read(path)?)
}

/// As [`read_png`], from bytes in memory; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_png`].
pub fn decode_png(name: impl AsRef<Path>, bytes: &[u8]) -> Result<(Picture, Metadata)> {
    let path = name.as_ref();
    let samples = samples(path, bytes)?;
    let picture = samples.picture(path, true)?;
    Ok((picture, samples.texts))
}

/// As [`decode_png`], the colours as they are where the picture is transparent,
/// and how opaque each pixel is, from 0 to 255.
///
/// # Errors
/// As [`read_png`].
pub fn decode_layers(name: impl AsRef<Path>, bytes: &[u8]) -> Result<(Picture, Vec<u8>)> {
    let path = name.as_ref();
    let samples = samples(path, bytes)?;
    Ok((samples.picture(path, false)?, samples.opacity()))
}

/// A picture as its file holds it.
struct Samples {
    size: (u32, u32),
    raw: Vec<u8>,
    color: ColorType,
    depth: BitDepth,
    texts: Metadata,
}

fn samples(path: &Path, bytes: &[u8]) -> Result<Samples> {
    if !is_png(bytes) {
        return Err(unlike(path, bytes));
    }
    let failed = |e| failure(path, e);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let about = decoder.read_header_info().map_err(failed)?;
    let (width, height) = (about.width, about.height);
    check_size(path, width, height)?;
    // Before anything of this size is allocated: could the file hold it?
    let packed = about.raw_bytes() as u64 / HIGHEST_COMPRESSION;
    if packed > bytes.len() as u64 {
        return Err(Error::picture(
            path,
            format!(
                "{} bytes cannot hold the {width} × {height} pixels it claims",
                bytes.len()
            ),
            DAMAGED,
        ));
    }

    let mut reader = decoder.read_info().map_err(failed)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| failed(DecodingError::LimitsExceeded))?;
    let mut raw = vec![0; size];
    let output = reader.next_frame(&mut raw).map_err(failed)?;
    // The texts may follow the pixels.
    reader.finish().map_err(failed)?;
    if (output.width, output.height) != (width, height) {
        return Err(Error::picture(
            path,
            "its first frame is not the whole picture",
            DAMAGED,
        ));
    }
    Ok(Samples {
        size: (width, height),
        raw,
        color: output.color_type,
        depth: output.bit_depth,
        texts: texts(reader.info()),
    })
}

impl Samples {
    /// The samples of each pixel, of 0 to 65,535: red, green, blue, opacity.
    fn pixels(&self) -> impl Iterator<Item = [u64; 4]> {
        let (color, wide) = (self.color, self.depth == BitDepth::Sixteen);
        let size = if wide { 2 } else { 1 };
        let pixels = self.raw.chunks_exact(color.samples() * size);
        pixels.map(move |pixel| {
            let sample = |i: usize| match wide {
                true => u64::from(u16::from_be_bytes([pixel[2 * i], pixel[2 * i + 1]])),
                // 65,535 is 257 times 255.
                false => 257 * u64::from(pixel[i]),
            };
            match color {
                ColorType::Grayscale | ColorType::Indexed => {
                    [sample(0), sample(0), sample(0), HIGHEST]
                }
                ColorType::GrayscaleAlpha => [sample(0), sample(0), sample(0), sample(1)],
                ColorType::Rgb => [sample(0), sample(1), sample(2), HIGHEST],
                ColorType::Rgba => [sample(0), sample(1), sample(2), sample(3)],
            }
        })
    }

    /// As 8-bit RGB, over white or as opaque as can be.
    fn picture(&self, path: &Path, over_white: bool) -> Result<Picture> {
        let mut rgb = Vec::with_capacity(3 * self.size.0 as usize * self.size.1 as usize);
        for [red, green, blue, alpha] in self.pixels() {
            let alpha = if over_white { alpha } else { HIGHEST };
            rgb.extend([red, green, blue].map(|value| {
                let laid = value * alpha + HIGHEST * (HIGHEST - alpha);
                // Rounded to the nearest of 0..=255.
                let scale = HIGHEST * HIGHEST;
                ((laid * 255 + scale / 2) / scale) as u8
            }));
        }
        Picture::new(self.size.0, self.size.1, rgb)
            .map_err(|_| Error::picture(path, "its pixels do not fill it", DAMAGED))
    }

    fn opacity(&self) -> Vec<u8> {
        let eighth = |alpha: u64| ((alpha * 255 + HIGHEST / 2) / HIGHEST) as u8;
        self.pixels().map(|[.., alpha]| eighth(alpha)).collect()
    }
}

/// The highest sample of 16 bits.
const HIGHEST: u64 = 65_535;

/// All texts; of two with the same keyword the first counts. A text that
/// cannot be unpacked, or not within [`MOST_TEXT`] in all, is left out, since
/// the picture is still good.
fn texts(info: &png::Info) -> Metadata {
    let mut metadata = Metadata::new();
    let mut room = MOST_TEXT;
    let mut keep = |room: &mut usize, keyword: &str, text: String| {
        *room = room.saturating_sub(text.len());
        metadata.texts.entry(keyword.to_owned()).or_insert(text);
    };
    for packed in &info.utf8_text {
        let mut packed = packed.clone();
        let unpacked = packed.decompress_text_with_limit(room);
        if let Ok(text) = unpacked.and_then(|()| packed.get_text()) {
            keep(&mut room, &packed.keyword, text);
        }
    }
    for plain in &info.uncompressed_latin1_text {
        keep(&mut room, &plain.keyword, plain.text.clone());
    }
    for packed in &info.compressed_latin1_text {
        let mut packed = packed.clone();
        // A byte is a character, which takes up to two bytes here.
        let unpacked = packed.decompress_text_with_limit(room / 2);
        if let Ok(text) = unpacked.and_then(|()| packed.get_text()) {
            keep(&mut room, &packed.keyword, text);
        }
    }
    metadata
}

fn failure(path: &Path, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::picture(path, "the picture is cut off", DAMAGED)
        }
        DecodingError::LimitsExceeded => Error::picture(
            path,
            "reading this picture would take too much memory",
            "Save it again with a plain picture program",
        ),
        // Its own words are for programmers.
        _ => Error::picture(path, "the picture's bytes are damaged", DAMAGED),
    }
}

/// Not a PNG: say what it seems to be.
fn unlike(path: &Path, bytes: &[u8]) -> Error {
    let kind = match bytes {
        [] => "an empty file",
        [0xff, 0xd8, 0xff, ..] => "a JPEG",
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'R', b'I', b'F', b'F', ..] => "a WebP or another RIFF file",
        [b'B', b'M', ..] => "a BMP",
        [b'<', ..] => "a web page or an SVG",
        _ => "something else",
    };
    Error::picture(
        path,
        format!("this is not a PNG picture but {kind}"),
        "Save it as PNG",
    )
}
