//! Masks: which pixels of a picture may change.
//!
//! What other programs write is understood: white is drawn anew and black
//! kept, with greys between; or what is transparent is drawn anew, whatever
//! colours are left beside it.

use crate::StudyError;
use crate::input::InputFile;
use crate::raster;
use alice_runs::{Picture, picture};

/// Shares below this are none, and those as near to 1 are all: a mask that was
/// packed with losses is not blended everywhere.
const NEARLY: f32 = 1.0 / 32.0;

/// The pixels of a mask of `size` = (height, width): those of at least half a
/// share.
///
/// # Errors
/// When it cannot be read, is of another size, or selects nothing or all.
pub(crate) fn read_mask(file: &InputFile, size: (usize, usize)) -> Result<Vec<bool>, StudyError> {
    let shares = read_shares(file, size, size)?;
    let mask: Vec<bool> = shares.iter().map(|share| *share >= 0.5).collect();
    if mask.iter().all(|m| *m == mask[0]) {
        let why = "half of the way from black to white is where it divides, and nothing is on one \
                   side of it";
        return Err(StudyError::argument(file.path.display().to_string(), why));
    }
    Ok(mask)
}

/// How much of each pixel of a mask of `size` = (height, width) is new, from 0
/// to 1, for a picture that was of the size `own` before it was cropped and
/// scaled: a mask of that size is cropped and scaled as it was.
///
/// # Errors
/// When it cannot be read, is of another size, selects nothing or all, or may
/// mean two things.
pub(crate) fn read_shares(
    file: &InputFile,
    size: (usize, usize),
    own: (usize, usize),
) -> Result<Vec<f32>, StudyError> {
    let (found, opacity) = picture::decode_layers(&file.path, &file.read()?)?;
    let (height, width) = size;
    let refuse = |why: String| StudyError::argument(file.path.display().to_string(), why);
    let of = (found.height() as usize, found.width() as usize);
    if of != size && of != own {
        return Err(refuse(format!(
            "{} × {} pixels; the mask must be of the picture's {width} × {height}",
            found.width(),
            found.height()
        )));
    }
    let mut shares = shares(found.rgb(), &opacity).map_err(|why| refuse(why.into()))?;
    if of != size {
        let hard = shares.iter().all(|share| matches!(share, 0.0 | 1.0));
        shares = scaled(&shares, of, size)?;
        if hard {
            let side = |share: &mut f32| *share = f32::from(u8::from(*share >= 0.5));
            shares.iter_mut().for_each(side);
        }
    }
    if shares.iter().all(|share| *share == shares[0]) {
        let why = "the mask needs white pixels, to change, and black ones, to keep; or transparent \
                   ones, to change, and others";
        return Err(refuse(why.into()));
    }
    Ok(shares)
}

/// How much of each pixel is new, by its colour and its opacity.
fn shares(rgb: &[u8], opacity: &[u8]) -> Result<Vec<f32>, &'static str> {
    let brightness = |rgb: &[u8]| rgb.iter().map(|&v| f32::from(v)).sum::<f32>() / 765.0;
    let pixels = || rgb.chunks_exact(3).map(brightness).zip(opacity);
    // What is written at the edge of a hole is neither.
    let shown = || pixels().filter(|(_, opacity)| **opacity >= 128);
    let count = shown().count();
    let of = |kind: fn(f32) -> bool| shown().filter(|(value, _)| kind(*value)).count();
    let (dark, bright) = (of(|v| v < 0.125), of(|v| v > 0.875));
    let has_hole = count < opacity.len();
    if has_hole && 100 * bright > count && 10 * (dark + bright) > 9 * count {
        return Err(
            "it has white and transparent pixels, and either may mean what is drawn anew. Fill \
             the transparent ones with black, if the white ones do, or with white",
        );
    }
    let share = |(brightness, &opacity): (f32, &u8)| {
        let opacity = f32::from(opacity) / 255.0;
        // A picture with a hole has colours that say nothing.
        let share = match has_hole {
            true => 1.0 - opacity,
            false => 1.0 - opacity * (1.0 - brightness),
        };
        match share {
            s if s < NEARLY => 0.0,
            s if s > 1.0 - NEARLY => 1.0,
            s => s,
        }
    };
    Ok(pixels().map(share).collect())
}

/// Shares of a picture of `of` = (height, width), cropped and scaled to `size`.
fn scaled(
    shares: &[f32],
    of: (usize, usize),
    size: (usize, usize),
) -> Result<Vec<f32>, StudyError> {
    let grey = |share: &f32| [(255.0 * share).round() as u8; 3];
    let rgb = shares.iter().flat_map(grey).collect();
    let picture = Picture::new(of.1 as u32, of.0 as u32, rgb)?;
    let scaled = raster::resize(&picture, size)?;
    let pixels = scaled.rgb().chunks_exact(3);
    Ok(pixels.map(|rgb| f32::from(rgb[0]) / 255.0).collect())
}

/// The cells of `scale` × `scale` pixels in which a mask of `size` = (height,
/// width) has any pixel.
pub(crate) fn cells(mask: &[bool], size: (usize, usize), scale: usize) -> Vec<bool> {
    let (height, width) = (size.0 / scale, size.1 / scale);
    let any = |y: usize, x: usize| {
        let rows = y * scale..(y + 1) * scale;
        rows.into_iter()
            .any(|row| mask[row * size.1 + x * scale..][..scale].contains(&true))
    };
    (0..height * width)
        .map(|i| any(i / width, i % width))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of grey pixels, each with its opacity, to four digits.
    fn of(pixels: &[(u8, u8)]) -> Result<Vec<f32>, &'static str> {
        let rgb: Vec<u8> = pixels.iter().flat_map(|(grey, _)| [*grey; 3]).collect();
        let opacity: Vec<u8> = pixels.iter().map(|(_, opacity)| *opacity).collect();
        let digits = |share: f32| (1e4 * share).round() / 1e4;
        Ok(shares(&rgb, &opacity)?.into_iter().map(digits).collect())
    }

    #[test]
    fn white_or_transparency_is_new() {
        let opaque = of(&[(0, 255), (255, 255), (51, 255), (5, 255), (250, 255)]);
        assert_eq!(opaque.unwrap(), [0.0, 1.0, 0.2, 0.0, 1.0]);
        // Black with a hole, and its soft edge.
        let hole = of(&[(0, 255), (0, 255), (0, 0), (0, 102)]);
        assert_eq!(hole.unwrap(), [0.0, 0.0, 1.0, 0.6]);
        // A picture with a hole: its colours do not count, nor those in it.
        let picture = of(&[(90, 255), (255, 255), (160, 255), (200, 255), (7, 0)]);
        assert_eq!(picture.unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0]);
        // Glass, but no hole: over white.
        assert_eq!(of(&[(0, 255), (0, 204)]).unwrap(), [0.0, 0.2]);
        // White strokes on nothing, and black and white ones.
        for strokes in [&[(255, 255), (0, 0)][..], &[(255, 255), (0, 255), (9, 0)]] {
            let why = of(strokes).unwrap_err();
            assert!(why.contains("either may mean"), "{why}");
        }
    }

    #[test]
    fn a_cell_is_in_when_a_pixel_is() {
        let mut mask = vec![false; 4 * 6];
        mask[6 + 5] = true;
        assert_eq!(cells(&mask, (4, 6), 1), mask);
        let coarse = cells(&mask, (4, 6), 2);
        assert_eq!(coarse, [false, false, true, false, false, false]);
    }
}
