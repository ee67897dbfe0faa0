//! The sheets of a grid: values above the columns and beside the rows.

use super::cell::Cells;
use super::{GridArguments, read_cell};
use crate::StudyError;
use crate::pictures::{Canvas, Face, Type, Zoom, palette, wrap};
use alice_runs::{Metadata, Picture, RunFolder};

/// A sheet's longest side, in pixels.
const LONGEST: usize = 4096;
/// A cell's longest side, where there is room, and where there is little.
const CELL: (usize, usize) = (256, 48);
const MARGIN: usize = 16;
const GAP: usize = 6;
const LABEL: f32 = 14.0;
const LEADING: usize = 18;
const MOST_LINES: usize = 3;
/// The width of the values beside the rows.
const BESIDE: usize = 150;

/// Writes `sheet.png`, or `sheet-01.png` … where one does not hold all cells;
/// returns their names.
pub(super) fn write(
    cells: &Cells,
    arguments: &GridArguments,
    folder: &mut RunFolder,
) -> Result<Vec<String>, StudyError> {
    let first = read_cell(folder, 0)?;
    let own = (first.height() as usize, first.width() as usize);
    let (columns, rows) = (cells.values[0].len(), cells.values[1].len());
    let beside = if arguments.y.is_some() { BESIDE } else { 0 };
    let width = LONGEST - beside - 2 * MARGIN;
    let room = (width / columns.max(1)).saturating_sub(GAP);
    let side = room.clamp(CELL.1, CELL.0.max(own.0.max(own.1).min(512)));
    let across = (width / (side + GAP)).max(1);
    let down = ((LONGEST - 2 * MARGIN - 120) / (side + GAP)).max(1);
    let zoom = Zoom::fit(own, (side, side));
    let mut parts = Vec::new();
    for z in 0..cells.values[2].len() {
        for top in (0..rows).step_by(down) {
            for left in (0..columns).step_by(across) {
                let xs = left..columns.min(left + across);
                let ys = top..rows.min(top + down);
                parts.push((z, ys, xs));
            }
        }
    }
    let mut names = Vec::new();
    let many = parts.len() > 1;
    for (number, (z, ys, xs)) in parts.into_iter().enumerate() {
        let name = if many {
            format!("sheet-{:02}.png", number + 1)
        } else {
            "sheet.png".to_owned()
        };
        let part = Part {
            cells,
            arguments,
            zoom,
            own,
            z,
        };
        let sheet = part.draw(ys, xs, folder)?;
        folder.write_png(&name, &sheet, &Metadata::new())?;
        names.push(name);
    }
    Ok(names)
}

/// What one sheet shows.
struct Part<'a> {
    cells: &'a Cells,
    arguments: &'a GridArguments,
    zoom: Zoom,
    /// Height and width of a cell's picture.
    own: (usize, usize),
    z: usize,
}

impl Part<'_> {
    fn draw(
        &self,
        ys: std::ops::Range<usize>,
        xs: std::ops::Range<usize>,
        folder: &RunFolder,
    ) -> Result<Picture, StudyError> {
        let (regular, bold) = (
            Type::new(Face::Regular, LABEL),
            Type::new(Face::Bold, LABEL),
        );
        let (height, width) = self.zoom.of(self.own);
        let (step_x, step_y) = (width + GAP, height + GAP);
        let values = &self.cells.values;
        let names = [&self.arguments.x]
            .into_iter()
            .chain(self.arguments.y.as_ref());
        let mut title: Vec<String> = names
            .zip(["→", "↓"])
            .map(|(axis, arrow)| format!("{} {arrow}", axis.parameter.name()))
            .collect();
        if let Some(z) = &self.arguments.z {
            title.push(format!("{} {}", z.parameter.name(), values[2][self.z]));
        }
        let above: Vec<Vec<String>> = xs
            .clone()
            .map(|x| wrap(&values[0][x], regular, width as f32, MOST_LINES))
            .collect();
        let lines = above.iter().map(Vec::len).max().unwrap_or(0);
        let beside = if self.arguments.y.is_some() {
            BESIDE
        } else {
            0
        };
        let (left, top) = (MARGIN + beside, MARGIN + 2 * LEADING + lines * LEADING);
        let title = title.join("   ");
        let needed = (bold.width(&title).ceil() as usize) + 2 * MARGIN;
        let mut canvas = Canvas::new(
            (left + xs.len() * step_x - GAP + MARGIN).max(needed),
            top + ys.len() * step_y - GAP + MARGIN,
            palette::GROUND,
        );
        canvas.text((MARGIN, MARGIN + LEADING - 4), &title, bold, palette::INK);
        for (column, lines) in above.iter().enumerate() {
            let middle = left + column * step_x + width / 2;
            for (line, text) in lines.iter().enumerate() {
                let baseline = MARGIN + (line + 2) * LEADING + 4;
                canvas.centred((middle, baseline), text, regular, palette::SOFT);
            }
        }
        for (row, y) in ys.enumerate() {
            let at = top + row * step_y;
            if beside > 0 {
                let room = (beside - 12) as f32;
                let most = (height / LEADING).max(1);
                let lines = wrap(&values[1][y], regular, room, most.min(8));
                let start = at + (height / 2 + 5).saturating_sub((lines.len() - 1) * LEADING / 2);
                for (line, text) in lines.iter().enumerate() {
                    canvas.text(
                        (MARGIN, start + line * LEADING),
                        text,
                        regular,
                        palette::SOFT,
                    );
                }
            }
            for (column, x) in xs.clone().enumerate() {
                let picture = read_cell(folder, self.cells.at(x, y, self.z))?;
                let tile = self.zoom.apply(&picture)?;
                canvas.blit(&tile, (left + column * step_x, at));
            }
        }
        canvas.into_picture()
    }
}
