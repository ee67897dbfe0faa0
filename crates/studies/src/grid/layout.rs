//! Where the cells of a grid lie on its sheets.
//!
//! A table is cut into blocks, each with the values above its columns and
//! beside its rows; as many blocks as fit make a sheet. A lone axis is a table
//! of one row: its blocks are the lines of a text.

use crate::pictures::{Face, Type, Zoom, wrap};
use std::ops::Range;

/// A sheet's longest side, in pixels.
const LONGEST: usize = 4096;
/// The longest side of a picture that is large enough to look at.
const GOOD: usize = 128;
/// … of one in a table that is seen whole.
const LEAST: usize = 48;
/// … where there is room, for small pictures, and for large ones.
const LARGEST: (usize, usize) = (256, 512);
/// A column is as wide as the widest word above it, up to this.
const WORD: usize = 128;
/// The width of values beside the rows, up to this.
const BESIDE: usize = 138;
const MOST_LINES: usize = 6;

pub(super) const MARGIN: usize = 16;
/// Between cells, and between blocks.
pub(super) const GAP: usize = 6;
pub(super) const SPACE: usize = 20;
/// The height of a line.
pub(super) const LEADING: usize = 18;
/// The height of the title.
pub(super) const TITLE: usize = 34;
/// What is written beside or above cells.
pub(super) const LABEL: Type = Type::new(Face::Regular, 14.0);

/// What is laid out.
pub(super) struct Table {
    /// The values above the columns.
    pub columns: Vec<String>,
    /// The values beside the rows.
    pub rows: Vec<String>,
    /// Height and width of a cell's picture.
    pub own: (usize, usize),
    /// Whether the one row may be broken anywhere.
    pub lone: bool,
}

/// A value in at most `lines` lines of `width` pixels; a word that is wider is
/// broken at its hyphens.
pub(super) fn broken(value: &str, width: usize, lines: usize) -> Vec<String> {
    let width = width as f32;
    let mut words = String::new();
    for word in value.split_whitespace() {
        let mut line = String::new();
        for part in word.split_inclusive('-') {
            if !line.is_empty() && LABEL.width(&format!("{line}{part}")) > width {
                words.push_str(&line);
                words.push(' ');
                line.clear();
            }
            line.push_str(part);
        }
        words.push_str(&line);
        words.push(' ');
    }
    wrap(&words, LABEL, width, lines)
}

/// Columns and rows of a block.
pub(super) type Block = (Range<usize>, Range<usize>);

/// Extents of the parts of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    pub zoom: Zoom,
    /// Height and width of a picture.
    pub tile: (usize, usize),
    /// Width of a column.
    pub column: usize,
    /// Lines above a column.
    pub lines: usize,
    /// Width of the values beside the rows, with the gap to them.
    pub beside: usize,
}

impl Sizes {
    /// Height of what is above the pictures of a block.
    pub fn header(&self) -> usize {
        if self.lines == 0 {
            0
        } else {
            self.lines * LEADING + 4
        }
    }

    /// Width and height of a block with as many columns and rows.
    pub fn extent(&self, (columns, rows): (usize, usize)) -> (usize, usize) {
        let width = self.beside + columns * (self.column + GAP) - GAP;
        (width, self.header() + rows * (self.tile.0 + GAP) - GAP)
    }
}

/// How a table becomes sheets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub sizes: Sizes,
    /// Blocks lie below one another, else side by side.
    pub stacked: bool,
    /// The blocks of each sheet.
    pub sheets: Vec<Vec<Block>>,
}

impl Layout {
    /// The layout with the fewest sheets of pictures of a good size, and then
    /// the largest pictures. A table that one sheet can show whole is not cut.
    pub fn of(table: &Table) -> Self {
        let whole = (table.columns.len(), table.rows.len());
        if !table.lone {
            let mut small = zooms(table.own, LEAST).map(|zoom| Frame::of(table, zoom));
            if let Some(frame) =
                small.find(|frame| whole.0 <= frame.most.0 && whole.1 <= frame.most.1)
            {
                return frame.layout(whole);
            }
        }
        let good = zooms(table.own, GOOD).map(|zoom| {
            let frame = Frame::of(table, zoom);
            let best = frame
                .blocks()
                .into_iter()
                .min_by_key(|&block| frame.cost(block));
            frame.layout(best.unwrap_or((1, 1)))
        });
        // Of equals the first, which is the largest.
        let best = good.min_by_key(|layout| layout.sheets.len());
        best.unwrap_or_else(|| Frame::of(table, Zoom::ONE).layout((1, 1)))
    }
}

/// The zooms of pictures whose longest side is `least` pixels or what is next
/// to that, up to the largest; largest first.
fn zooms(own: (usize, usize), least: usize) -> impl Iterator<Item = Zoom> {
    let largest = LARGEST.0.max(own.0.max(own.1).min(LARGEST.1));
    let mut last = None;
    (least..=largest).rev().filter_map(move |side| {
        let zoom = Zoom::fit(own, (side, side));
        (last.replace(zoom) != Some(zoom)).then_some(zoom)
    })
}

/// What is known once a zoom is chosen.
struct Frame<'a> {
    table: &'a Table,
    sizes: Sizes,
    /// Columns and rows that a sheet holds in one block.
    most: (usize, usize),
}

/// Width and height of a sheet without margins and title.
const ROOM: (usize, usize) = (LONGEST - 2 * MARGIN, LONGEST - 2 * MARGIN - TITLE);

impl<'a> Frame<'a> {
    fn of(table: &'a Table, zoom: Zoom) -> Self {
        let width = |text: &str| LABEL.width(text).ceil() as usize;
        let words = table
            .columns
            .iter()
            .flat_map(|text| text.split_whitespace());
        let word = words.map(width).max().unwrap_or(0);
        let tile = zoom.of(table.own);
        let column = tile.1.max(word.min(WORD));
        let wrapped = |text: &String| broken(text, column, MOST_LINES).len();
        let lines = table.columns.iter().map(wrapped).max().unwrap_or(0);
        let widest = table.rows.iter().map(|text| width(text)).max().unwrap_or(0);
        let beside = if widest == 0 {
            0
        } else {
            widest.min(BESIDE) + 12
        };
        let sizes = Sizes {
            zoom,
            tile,
            column,
            lines,
            beside,
        };
        let across = (ROOM.0 - beside + GAP) / (column + GAP);
        let down = (ROOM.1 - sizes.header() + GAP) / (tile.0 + GAP);
        Self {
            table,
            sizes,
            most: (across.max(1), down.max(1)),
        }
    }

    fn whole(&self) -> (usize, usize) {
        (self.table.columns.len(), self.table.rows.len())
    }

    /// The blocks, columns × rows, that a table may be cut into: along one
    /// side, where the other fits a sheet.
    fn blocks(&self) -> Vec<(usize, usize)> {
        let (whole, most) = (self.whole(), self.most);
        let (wide, high) = (whole.0 > most.0, whole.1 > most.1);
        match (wide, high) {
            (true, true) => vec![most],
            (false, true) => (1..=most.1).map(|rows| (whole.0, rows)).collect(),
            _ => {
                let most = most.0.min(whole.0);
                (1..=most).map(|columns| (columns, whole.1)).collect()
            }
        }
    }

    fn is_stacked(&self, block: (usize, usize)) -> bool {
        block.0 < self.whole().0
    }

    /// Blocks in all, and on each sheet.
    fn counts(&self, block: (usize, usize)) -> (usize, usize) {
        let whole = self.whole();
        let count = whole.0.div_ceil(block.0) * whole.1.div_ceil(block.1);
        let (width, height) = self.sizes.extent(block);
        let fit = if block.0 < whole.0 && block.1 < whole.1 {
            1
        } else if self.is_stacked(block) {
            (ROOM.1 + SPACE) / (height + SPACE)
        } else {
            (ROOM.0 + SPACE) / (width + SPACE)
        };
        // As many on each sheet, instead of a last one that is nearly empty.
        let sheets = count.div_ceil(fit.max(1));
        (count, count.div_ceil(sheets))
    }

    /// Sheets, and then: blocks, for a table is best cut seldom; the longest
    /// side of a sheet, for lines of a lone axis make a square.
    fn cost(&self, block: (usize, usize)) -> (usize, usize) {
        let (count, each) = self.counts(block);
        let (width, height) = self.sizes.extent(block);
        let longest = if self.is_stacked(block) {
            width.max(each * (height + SPACE))
        } else {
            height.max(each * (width + SPACE))
        };
        let second = if self.table.lone { longest } else { count };
        (count.div_ceil(each), second)
    }

    fn layout(&self, block: (usize, usize)) -> Layout {
        let (columns, rows) = self.whole();
        let mut blocks = Vec::new();
        for top in (0..rows).step_by(block.1) {
            for left in (0..columns).step_by(block.0) {
                let xs = left..columns.min(left + block.0);
                blocks.push((xs, top..rows.min(top + block.1)));
            }
        }
        let each = self.counts(block).1;
        Layout {
            sizes: self.sizes,
            stacked: self.is_stacked(block),
            sheets: blocks.chunks(each).map(<[Block]>::to_vec).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
