//! Between a network's values and pictures.

use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::pictures::{Row, Zoom, contact_sheet, headed_sheet};
use alice_runs::Picture;

/// The pictures of a sheet share this many pixels a side.
const LONGEST_SHEET: usize = 4096;

/// The values of a picture in −1..1, `[H, W, C]`.
///
/// # Errors
/// When a picture cannot have so many channels.
pub fn from_picture(picture: &Picture, channels: usize) -> Result<Vec<f32>, StudyError> {
    let value = |v: f64| (v / 127.5 - 1.0) as f32;
    let pixels = picture.rgb().chunks_exact(3);
    match channels {
        // The luma of ITU-R BT.601, as other programs grey pictures.
        1 => Ok(pixels
            .map(|p| {
                [0.299, 0.587, 0.114]
                    .iter()
                    .zip(p)
                    .map(|(w, &v)| w * f64::from(v))
            })
            .map(|luma| value(luma.sum()))
            .collect()),
        3 => Ok(picture.rgb().iter().map(|&v| value(f64::from(v))).collect()),
        _ => Err(StudyError::argument(
            "--model",
            format!(
                "its samples have {channels} channels and a picture has 3. Use a model of pictures"
            ),
        )),
    }
}

/// Pictures in rows of `columns`, small ones enlarged to about 128 pixels.
///
/// # Errors
/// When there is no picture, or the sheet is larger than a picture can be.
pub fn sheet(
    pictures: &Pictures,
    columns: usize,
    labels: &[String],
) -> Result<Picture, StudyError> {
    let rows = pictures.len().div_ceil(columns.max(1));
    let zoom = zoom(pictures, columns.max(rows));
    contact_sheet(pictures, columns, zoom, labels)
}

/// The same for rows of their own lengths, each below a heading.
///
/// # Errors
/// As [`sheet`].
pub fn rows(pictures: &Pictures, rows: &[Row]) -> Result<Picture, StudyError> {
    let columns = rows.iter().map(|row| row.labels.len()).max().unwrap_or(0);
    let zoom = zoom(pictures, columns.max(rows.len()));
    headed_sheet(pictures, zoom, rows)
}

/// So that this many pictures beside each other fit into a sheet.
fn zoom(pictures: &Pictures, cells: usize) -> Zoom {
    let side = pictures.size.0.max(pictures.size.1);
    let room = side.max(128).min(LONGEST_SHEET / cells.max(1));
    Zoom::fit(pictures.size, (room, room))
}

/// Columns that make `count` cells about square.
#[must_use]
pub fn columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// The middle of a picture in the proportions of `size` = (height, width),
/// scaled to it with a triangle filter.
///
/// # Errors
/// When the size is not one of a picture.
pub fn resize(picture: &Picture, size: (usize, usize)) -> Result<Picture, StudyError> {
    let (from_w, from_h) = (f64::from(picture.width()), f64::from(picture.height()));
    let (to_h, to_w) = (size.0 as f64, size.1 as f64);
    let scale = (from_w / to_w).min(from_h / to_h);
    let across = weights(from_w, (from_w - scale * to_w) / 2.0, scale, size.1);
    let down = weights(from_h, (from_h - scale * to_h) / 2.0, scale, size.0);
    let rgb = picture.rgb();
    let width = picture.width() as usize;
    // [from_h, to_w, 3]
    let mut narrow = Vec::with_capacity(3 * size.1 * picture.height() as usize);
    for row in rgb.chunks_exact(3 * width) {
        for taps in &across {
            narrow.extend((0..3).map(|c| {
                let tap = |&(x, w): &(usize, f64)| w * f64::from(row[3 * x + c]);
                taps.iter().map(tap).sum::<f64>()
            }));
        }
    }
    // [to_h, to_w, 3]
    let mut out = Vec::with_capacity(3 * size.0 * size.1);
    for taps in &down {
        for i in 0..3 * size.1 {
            let tap = |&(y, w): &(usize, f64)| w * narrow[3 * size.1 * y + i];
            out.push(taps.iter().map(tap).sum::<f64>().round().clamp(0.0, 255.0) as u8);
        }
    }
    Ok(Picture::new(size.1 as u32, size.0 as u32, out)?)
}

/// For each target pixel, the source pixels under its triangle and their weights.
fn weights(from: f64, start: f64, scale: f64, count: usize) -> Vec<Vec<(usize, f64)>> {
    let radius = scale.max(1.0);
    let taps = |i: usize| {
        let centre = start + (i as f64 + 0.5) * scale;
        let low = (centre - radius).floor().max(0.0) as usize;
        let high = (centre + radius).ceil().min(from) as usize;
        let weight = |x: usize| (1.0 - (x as f64 + 0.5 - centre).abs() / radius).max(0.0);
        let total: f64 = (low..high).map(weight).sum();
        (low..high).map(|x| (x, weight(x) / total)).collect()
    };
    (0..count).map(taps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Tones, to_picture};

    #[test]
    fn bytes_survive_the_round_trip() {
        let rgb: Vec<u8> = (0..=255).chain(0..=255).chain(0..=255).collect();
        let picture = Picture::new(16, 16, rgb).unwrap();
        let pictures = Pictures {
            size: (16, 16),
            channels: 3,
            values: from_picture(&picture, 3).unwrap(),
        };
        let back = to_picture(&pictures, 0, Tones::of(&pictures)).unwrap();
        assert_eq!(back, picture);
    }

    #[test]
    fn a_resized_gradient_stays_a_gradient() {
        let rgb: Vec<u8> = (0..64 * 64).flat_map(|i| [4 * (i % 64) as u8; 3]).collect();
        let picture = Picture::new(64, 64, rgb).unwrap();
        assert_eq!(resize(&picture, (64, 64)).unwrap(), picture);
        let half = resize(&picture, (32, 32)).unwrap();
        for x in 1..31 {
            let expected = 8.0 * x as f64 + 2.0;
            assert!((f64::from(half.rgb()[3 * x]) - expected).abs() <= 1.0);
        }
        // Twice as wide as high: the middle half is kept.
        let wide = resize(&picture, (8, 16)).unwrap();
        assert_eq!((wide.width(), wide.height()), (16, 8));
    }
}
