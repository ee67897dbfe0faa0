//! Masks: which pixels of a picture may change.

use crate::StudyError;
use crate::input::InputFile;
use crate::raster;
use alice_runs::picture;

/// The pixels of a mask of `size` = (height, width): those of at least half
/// the brightness.
///
/// # Errors
/// When it cannot be read, is of another size, or selects nothing or all.
pub(crate) fn read_mask(file: &InputFile, size: (usize, usize)) -> Result<Vec<bool>, StudyError> {
    read_mask_of(file, size, size)
}

/// The same for a picture that was of another size, `own`, before it was
/// cropped and scaled: a mask of that size is cropped and scaled as it was.
///
/// # Errors
/// Those of [`read_mask`].
pub(crate) fn read_mask_of(
    file: &InputFile,
    size: (usize, usize),
    own: (usize, usize),
) -> Result<Vec<bool>, StudyError> {
    let (mut found, _) = picture::decode_png(&file.path, &file.read()?)?;
    let (height, width) = size;
    let refuse = |why: String| Err(StudyError::argument(file.path.display().to_string(), why));
    let of = (found.height() as usize, found.width() as usize);
    if of != size && of == own {
        found = raster::resize(&found, size)?;
    } else if of != size {
        return refuse(format!(
            "{} × {} pixels; the mask must be of the picture's {width} × {height}",
            found.width(),
            found.height()
        ));
    }
    let pixels = found.rgb().chunks_exact(3);
    let bright = |rgb: &[u8]| rgb.iter().map(|&v| u32::from(v)).sum::<u32>() >= 384;
    let mask: Vec<bool> = pixels.map(bright).collect();
    if mask.iter().all(|m| *m == mask[0]) {
        let why = "the mask needs bright pixels, to change, and dark ones, to keep; transparency \
                   counts as bright, so lay a mask of it over black";
        return refuse(why.into());
    }
    Ok(mask)
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

    #[test]
    fn a_cell_is_in_when_a_pixel_is() {
        let mut mask = vec![false; 4 * 6];
        mask[6 + 5] = true;
        assert_eq!(cells(&mask, (4, 6), 1), mask);
        let coarse = cells(&mask, (4, 6), 2);
        assert_eq!(coarse, [false, false, true, false, false, false]);
    }
}
