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
const HEADING: f32 = 15.0;
const HEADING_LEADING: usize = 20;
/// A heading has room beside a single picture too.
const NARROWEST: usize = 520;

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

/// A row of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows, above it.
    pub heading: String,
    /// One below each of its pictures.
    pub labels: Vec<String>,
}

/// Rows of pictures, each below its heading; a row may be shorter than others.
/// The pictures are those of the first row, then those of the second, and so on.
///
/// # Errors
/// When there are fewer pictures than labels or none, or the sheet would be
/// larger than pictures may be.
pub fn headed_sheet(pictures: &Pictures, zoom: Zoom, rows: &[Row]) -> Result<Picture, StudyError> {
    let columns = rows.iter().map(|row| row.labels.len()).max().unwrap_or(0);
    let count: usize = rows.iter().map(|row| row.labels.len()).sum();
    if pictures.item_len() == 0 || columns == 0 || count > pictures.len() {
        return Err(StudyError::argument("pictures", "there is none to show"));
    }
    let (bold, style) = (
        Type::new(Face::Bold, HEADING),
        Type::new(Face::Regular, LABEL),
    );
    let tones = Tones::of(pictures);
    let (tile_height, tile_width) = zoom.of(pictures.size);
    let width = (columns * (tile_width + GAP) - GAP).max(NARROWEST);
    let headings: Vec<Vec<String>> = rows
        .iter()
        .map(|row| wrap(&row.heading, bold, width as f32, MOST_LINES))
        .collect();
    let labels: Vec<Vec<Vec<String>>> = rows
        .iter()
        .map(|row| {
            let wrapped = |label: &String| wrap(label, style, tile_width as f32, MOST_LINES);
            row.labels.iter().map(wrapped).collect()
        })
        .collect();
    let below = |row: usize| LEADING * labels[row].iter().map(Vec::len).max().unwrap_or(0);
    let heights: Vec<usize> = (0..rows.len())
        .map(|row| headings[row].len() * HEADING_LEADING + GAP + tile_height + below(row))
        .collect();
    let mut canvas = Canvas::new(
        2 * MARGIN + width,
        2 * MARGIN + heights.iter().sum::<usize>() + (rows.len() - 1) * MARGIN,
        palette::GROUND,
    );
    let (mut top, mut index) = (MARGIN, 0);
    for (row, height) in heights.iter().enumerate() {
        for (line, text) in headings[row].iter().enumerate() {
            let baseline = top + HEADING_LEADING * (line + 1) - 5;
            canvas.text((MARGIN, baseline), text, bold, palette::INK);
        }
        let y = top + headings[row].len() * HEADING_LEADING + GAP;
        for (column, lines) in labels[row].iter().enumerate() {
            let x = MARGIN + column * (tile_width + GAP);
            let tile = zoom.apply(&to_picture(pictures, index, tones)?)?;
            canvas.blit(&tile, (x, y));
            for (line, text) in lines.iter().enumerate() {
                let baseline = y + tile_height + LEADING * (line + 1);
                canvas.centred((x + tile_width / 2, baseline), text, style, palette::SOFT);
            }
            index += 1;
        }
        top += height + MARGIN;
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
    fn rows_have_headings_and_may_be_short() {
        let pictures = Pictures {
            size: (4, 4),
            channels: 3,
            values: vec![1.0; 3 * 48],
        };
        let row = |heading: &str, count: usize| Row {
            heading: heading.to_owned(),
            labels: vec![String::new(); count],
        };
        let rows = [row("above", 2), row("below", 1)];
        let sheet = headed_sheet(&pictures, Zoom::times(4), &rows).unwrap();
        let white = sheet.rgb().chunks(3).filter(|p| *p == [255; 3]).count();
        assert_eq!(white, 3 * 16 * 16);
        assert_eq!(sheet.width() as usize, 2 * MARGIN + NARROWEST);
        let height = 2 * (HEADING_LEADING + GAP + 16) + 3 * MARGIN;
        assert_eq!(sheet.height() as usize, height);
        let words = sheet.rgb()[..sheet.width() as usize * 3 * (MARGIN + 20)].iter();
        assert!(words.max() > Some(&200), "no heading");
        let too_many = [row("above", 4)];
        assert!(headed_sheet(&pictures, Zoom::ONE, &too_many).is_err());
        assert!(headed_sheet(&pictures, Zoom::ONE, &[]).is_err());
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
