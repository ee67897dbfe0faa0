//! The sheets of a grid, drawn.

use super::cell::Cells;
use super::layout::{
    Block, GAP, LABEL, LEADING, Layout, MARGIN, SPACE, Sizes, TITLE, Table, broken,
};
use super::{GridArguments, read_cell};
use crate::StudyError;
use crate::drawing::drawn_by;
use crate::pictures::{Canvas, Face, Type, palette};
use alice_runs::{Picture, RunFolder};

/// Most lines beside a row.
const MOST_BESIDE: usize = 8;

/// Writes `sheet.png`, or `sheet-01.png` … where one does not hold all cells;
/// returns their names.
pub(super) fn write(
    cells: &Cells,
    arguments: &GridArguments,
    folder: &mut RunFolder,
) -> Result<Vec<String>, StudyError> {
    let first = read_cell(folder, 0)?;
    let own = (first.height() as usize, first.width() as usize);
    let [x, y, z] = &cells.values;
    let lone = cells.lone();
    let (columns, rows) = match lone {
        Some(side) => (cells.values[side].clone(), vec![String::new()]),
        None => (x.clone(), y.clone()),
    };
    let table = Table {
        columns,
        rows,
        own,
        lone: lone.is_some(),
    };
    let layout = Layout::of(&table);
    let many = layout.sheets.len() * z.len() > 1;
    let mut names = Vec::new();
    for z in 0..z.len() {
        for blocks in &layout.sheets {
            let name = if many {
                format!("sheet-{:02}.png", names.len() + 1)
            } else {
                "sheet.png".to_owned()
            };
            let part = Part {
                cells,
                arguments,
                table: &table,
                layout: &layout,
                z,
            };
            let sheet = part.draw(blocks, folder)?;
            let metadata = drawn_by(folder.recipe(), own);
            folder.write_png(&name, &sheet, &metadata)?;
            names.push(name);
        }
    }
    Ok(names)
}

/// What sheets of one value of z show.
struct Part<'a> {
    cells: &'a Cells,
    arguments: &'a GridArguments,
    table: &'a Table,
    layout: &'a Layout,
    z: usize,
}

impl Part<'_> {
    fn draw(&self, blocks: &[Block], folder: &RunFolder) -> Result<Picture, StudyError> {
        let bold = Type::new(Face::Bold, 14.0);
        let title = self.title(blocks);
        let mut corners = Vec::new();
        let (mut right, mut bottom) = (0, 0);
        let mut at = (MARGIN, MARGIN + TITLE);
        for (xs, ys) in blocks {
            corners.push(at);
            let (width, height) = self.layout.sizes.extent((xs.len(), ys.len()));
            right = right.max(at.0 + width);
            bottom = bottom.max(at.1 + height);
            if self.layout.stacked {
                at.1 += height + SPACE;
            } else {
                at.0 += width + SPACE;
            }
        }
        let needed = MARGIN + bold.width(&title).ceil() as usize;
        let mut canvas = Canvas::new(right.max(needed) + MARGIN, bottom + MARGIN, palette::GROUND);
        canvas.text((MARGIN, MARGIN + LEADING - 4), &title, bold, palette::INK);
        for (block, corner) in blocks.iter().zip(corners) {
            self.draw_block(block, corner, &mut canvas, folder)?;
        }
        canvas.into_picture()
    }

    /// What varies, and where the reader is.
    fn title(&self, blocks: &[Block]) -> String {
        let lone = self.cells.lone();
        let sides = self.arguments.axes().into_iter().zip(&self.cells.values);
        let mut parts = Vec::new();
        for (side, (axis, values)) in sides.enumerate() {
            let Some(axis) = axis else { continue };
            let name = axis.parameter.name();
            parts.push(match (side, lone) {
                (2, _) => format!("{name} {}", values[self.z]),
                (side, Some(lone)) if side == lone => name.to_owned(),
                (_, Some(_)) => format!("{name} {}", values[0]),
                (0, None) => format!("{name} →"),
                (_, None) => format!("{name} ↓"),
            });
        }
        if lone.is_some() && self.layout.sheets.len() > 1 {
            let first = blocks.first().map_or(0, |(xs, _)| xs.start);
            let end = blocks.last().map_or(0, |(xs, _)| xs.end);
            let count = self.table.columns.len();
            parts.push(format!("{} – {end} of {count}", first + 1));
        }
        parts.join("   ")
    }

    fn draw_block(
        &self,
        (xs, ys): &Block,
        (left, top): (usize, usize),
        canvas: &mut Canvas,
        folder: &RunFolder,
    ) -> Result<(), StudyError> {
        let Sizes {
            zoom,
            tile: (height, width),
            column,
            lines,
            beside,
        } = self.layout.sizes;
        for (i, x) in xs.clone().enumerate() {
            let above = broken(&self.table.columns[x], column, lines);
            let middle = left + beside + i * (column + GAP) + column / 2;
            // The last line is next to the pictures.
            for (line, text) in (lines - above.len()..).zip(&above) {
                let baseline = top + (line + 1) * LEADING - 4;
                canvas.centred((middle, baseline), text, LABEL, palette::SOFT);
            }
        }
        let top = top + self.layout.sizes.header();
        for (j, y) in ys.clone().enumerate() {
            let top = top + j * (height + GAP);
            let most = (height / LEADING).clamp(1, MOST_BESIDE);
            let room = beside.saturating_sub(12);
            let lines = broken(&self.table.rows[y], room, most);
            let first =
                top + (height / 2 + 5).saturating_sub((lines.len().max(1) - 1) * LEADING / 2);
            for (line, text) in lines.iter().enumerate() {
                canvas.text((left, first + line * LEADING), text, LABEL, palette::SOFT);
            }
            for (i, x) in xs.clone().enumerate() {
                let cell = match self.cells.lone() {
                    Some(1) => self.cells.at(0, x, self.z),
                    _ => self.cells.at(x, y, self.z),
                };
                let picture = zoom.apply(&read_cell(folder, cell)?)?;
                let left = left + beside + i * (column + GAP) + (column - width) / 2;
                canvas.blit(&picture, (left, top));
            }
        }
        Ok(())
    }
}
