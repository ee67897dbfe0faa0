//! Animated PNG and GIF.

use super::encode::{failure, start};
use super::{Metadata, Picture};
use crate::{Error, Result};
use gif::{Frame, Repeat};
use std::path::Path;

/// Frames as an animated PNG that repeats for ever: every colour is kept, and
/// programs without animation show the first frame.
///
/// `name` stands for the file in errors.
///
/// # Errors
/// When there is no frame, sizes differ, or as [`super::encode_png`].
pub fn encode_apng(
    name: impl AsRef<Path>,
    frames: &[Picture],
    milliseconds_per_frame: u16,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let path = name.as_ref();
    let failed = |e| failure(path, e);
    let first = first_of_equal(path, frames)?;
    let mut bytes = Vec::new();
    let mut encoder = start(path, &mut bytes, first, metadata)?;
    let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    encoder.set_animated(count, 0).map_err(failed)?;
    encoder
        .set_frame_delay(milliseconds_per_frame, 1000)
        .map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    for frame in frames {
        writer.write_image_data(frame.rgb()).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Frames as a GIF that repeats for ever, at most 256 colours in each, chosen
/// for that frame. Frames shorter than 20 ms are shown for 20 ms, since many
/// programs slow down shorter ones.
///
/// `name` stands for the file in errors.
///
/// # Errors
/// When there is no frame or sizes differ.
pub fn encode_gif(
    name: impl AsRef<Path>,
    frames: &[Picture],
    milliseconds_per_frame: u16,
) -> Result<Vec<u8>> {
    /// 1 is the best palette and slow, 30 the fastest; 3 takes 80 ms for 256 × 256.
    const SPEED: i32 = 3;
    let path = name.as_ref();
    let failed = |e: gif::EncodingError| {
        Error::picture(
            path,
            format!("it cannot be written as GIF: {e}"),
            "This is a bug; please report it",
        )
    };
    let first = first_of_equal(path, frames)?;
    // Picture::new keeps sides far below 65,536.
    let (width, height) = (first.width() as u16, first.height() as u16);
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[]).map_err(failed)?;
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    for picture in frames {
        let mut frame = Frame::from_rgb_speed(width, height, picture.rgb(), SPEED);
        frame.delay = milliseconds_per_frame.div_ceil(10).max(2);
        encoder.write_frame(&frame).map_err(failed)?;
    }
    drop(encoder);
    Ok(bytes)
}

/// The first frame, when there is one and all have its size.
fn first_of_equal<'a>(path: &Path, frames: &'a [Picture]) -> Result<&'a Picture> {
    let wrong = |what: String| Error::picture(path, what, "This is a bug; please report it");
    let first = frames
        .first()
        .ok_or_else(|| wrong("an animation needs a frame".into()))?;
    for (i, frame) in frames.iter().enumerate() {
        if (frame.width(), frame.height()) != (first.width(), first.height()) {
            return Err(wrong(format!(
                "frame {i} is {} × {} and the first is {} × {}",
                frame.width(),
                frame.height(),
                first.width(),
                first.height()
            )));
        }
    }
    Ok(first)
}
