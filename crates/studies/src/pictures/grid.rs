//! Pictures in rows and columns, with a label below each.

use super::{Canvas, Face, Tones, Type, Zoom, palette, to_picture, wrap};
use crate::StudyError;
use crate::discover::findings::Pictures;
use alice_runs::Picture;

const MARGIN: usize = 16;
const GAP: usize = 8;
const LABEL: f32 = 13.0;
const LEADING: usize = 17;
const MOST_LINES: usize = 3;

/// Pictures in rows of `columns`, each with its label below, where there is one.
///
/// # Errors
/// When there is no picture, or the sheet would be larger than pictures may be.
pub fn contact_sheet(
    pictures: &Pictures,
    columns: usize,
    zoom: Zoom,
    labels: &[String],
) -> Result<Picture, StudyError> {
    let count = pictures.len();
    if pictures.item_len() == 0 || count == 0 {
        return Err(StudyError::argument("pictures", "there is none to show"));
    }
    let columns = columns.clamp(1, count);
    let style = Type::new(Face::Regular, LABEL);
    let tones = Tones::of(pictures);
    let (tile_height, tile_width) = zoom.of(pictures.size);
    let labels: Vec<Vec<String>> = labels
        .iter()
        .take(count)
        .map(|label| wrap(label, style, tile_width as f32, MOST_LINES))
        .collect();
    let lines = labels.iter().map(Vec::len).max().unwrap_or(0);
    let below = if lines == 0 { 0 } else { lines * LEADING + 6 };
    let (step_x, step_y) = (tile_width + GAP, tile_height + below + GAP);
    let mut canvas = Canvas::new(
        2 * MARGIN + columns * step_x - GAP,
        2 * MARGIN + count.div_ceil(columns) * step_y - GAP,
        palette::GROUND,
    );
    for index in 0..count {
        let x = MARGIN + index % columns * step_x;
        let y = MARGIN + index / columns * step_y;
        let tile = zoom.apply(&to_picture(pictures, index, tones)?)?;
        canvas.blit(&tile, (x, y));
        for (line, text) in labels.get(index).into_iter().flatten().enumerate() {
            let baseline = y + tile_height + LEADING * (line + 1);
            canvas.centred((x + tile_width / 2, baseline), text, style, palette::SOFT);
        }
    }
    canvas.into_picture()
}

/// All pictures in one row.
///
/// # Errors
/// As [`contact_sheet`].
pub fn strip(pictures: &Pictures, zoom: Zoom, labels: &[String]) -> Result<Picture, StudyError> {
    contact_sheet(pictures, pictures.len(), zoom, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_may_be_short() {
        let pictures = Pictures {
            size: (4, 4),
            channels: 3,
            values: vec![1.0; 5 * 48],
        };
        let sheet = contact_sheet(&pictures, 3, Zoom::times(4), &[]).unwrap();
        assert_eq!(
            (sheet.width(), sheet.height()),
            (32 + 3 * 24 - 8, 32 + 2 * 24 - 8)
        );
        let white = sheet.rgb().chunks(3).filter(|p| *p == [255; 3]).count();
        assert_eq!(white, 5 * 16 * 16);
        let row = strip(&pictures, Zoom::ONE, &["−1".into(), "original".into()]).unwrap();
        assert_eq!(row.width(), 32 + 5 * 12 - 8);
    }

    #[test]
    fn nothing_to_show_is_an_error() {
        let none = Pictures {
            size: (4, 4),
            channels: 3,
            values: Vec::new(),
        };
        assert!(contact_sheet(&none, 3, Zoom::ONE, &[]).is_err());
    }
}
