//! `sheet.png`: one row per direction, the walk from end to end; `sliders.png`:
//! the same for sliders.

use super::findings::{DiscoverReport, FactorResponse, Findings, Pictures, WalkReport};
use crate::StudyError;
use crate::pictures::{
    Canvas, Face, Tones, Type, Zoom, contact_sheet, numbers, palette, shorten, to_picture,
};
use alice_runs::Picture;

const MARGIN: usize = 28;
const GAP: usize = 6;
const LABEL: usize = 236;
const TITLE: usize = 92;
/// Sheets are not wider than a screen, nor higher than pictures may be.
const MOST_WIDTH: usize = 1600;
const MOST_HEIGHT: usize = 16_000;
/// A frame of a walk is about this large.
const TILE: usize = 128;
/// Three lines of label need this height.
const LEAST_ROW: usize = 64;
/// With more frames, every other (third, …) is shown.
const MOST_COLUMNS: usize = 25;

const HEADING: Type = Type::new(Face::Bold, 24.0);
const NAME: Type = Type::new(Face::Bold, 15.0);
const BODY: Type = Type::new(Face::Regular, 14.0);
const RANK: Type = Type::new(Face::Bold, 22.0);

/// Draws the sheet; without walks, the samples.
///
/// # Errors
/// When there is neither a walk nor a sample.
pub fn sheet(findings: &Findings) -> Result<Picture, StudyError> {
    let report = &findings.report;
    let heading = format!("Directions of {}", report.model.name);
    let walked = format!(
        "{} of {}",
        findings.walks.len(),
        report.singular_values.len()
    );
    let facts = facts(report, &format!("{walked} directions"));
    match rows(&heading, &facts, &report.walks, &findings.walks)? {
        Some(sheet) => Ok(sheet),
        None => {
            let zoom = Zoom::fit(findings.samples.size, (TILE, TILE));
            contact_sheet(&findings.samples, 8, zoom, &[])
        }
    }
}

/// Draws the sheet of the sliders; nothing where there is none.
///
/// # Errors
/// When pictures have a size that no picture can have.
pub fn sliders(findings: &Findings) -> Result<Option<Picture>, StudyError> {
    let report = &findings.report;
    let heading = format!("Sliders of {}", report.model.name);
    let directions = numbers::counted(report.singular_values.len() as u64, "direction");
    let walks = report.sliders.as_deref().unwrap_or_default();
    let facts = facts(report, &format!("each of {directions}"));
    rows(&heading, &facts, walks, &findings.sliders)
}

fn facts(report: &DiscoverReport, what: &str) -> String {
    format!(
        "timestep {} ({} of the schedule)  ·  {what}  ·  model {}",
        report.timestep,
        numbers::percent(report.timestep_share),
        alice_runs::hash::short(&report.model.hash),
    )
}

/// A row for each walk that has frames; nothing where none has.
pub(crate) fn rows(
    heading: &str,
    facts: &str,
    reports: &[WalkReport],
    frames: &[Pictures],
) -> Result<Option<Picture>, StudyError> {
    let walks: Vec<(&WalkReport, &Pictures)> = reports
        .iter()
        .zip(frames)
        .filter(|(_, frames)| !frames.is_empty() && frames.item_len() > 0)
        .collect();
    let Some((first, frames)) = walks.first() else {
        return Ok(None);
    };
    let mut layout = Layout::new(first, frames, walks.len());
    layout.widen(facts);
    let mut canvas = Canvas::new(layout.width, layout.height, palette::GROUND);
    title(&mut canvas, heading, facts);
    header(&mut canvas, &layout, first);
    for (row, (report, frames)) in walks.iter().take(layout.rows).enumerate() {
        let y = layout.top + row * layout.step();
        label(&mut canvas, &layout, y, report);
        let tones = Tones::of(frames);
        for (column, &index) in layout.columns.iter().enumerate() {
            if index < frames.len() {
                let tile = layout.zoom.apply(&to_picture(frames, index, tones)?)?;
                canvas.blit(&tile, (layout.x(column), y + layout.inset()));
            }
        }
        if let Some(column) = layout.original {
            let corner = (layout.x(column), y + layout.inset());
            canvas.frame(corner, (layout.tile.1, layout.tile.0), 2, palette::ACCENT);
        }
    }
    if layout.rows < walks.len() {
        let more = format!("{} more: see report.html", walks.len() - layout.rows);
        let y = layout.height - MARGIN / 2;
        canvas.text((MARGIN, y), &more, BODY, palette::SOFT);
    }
    canvas.into_picture().map(Some)
}

/// Where everything goes.
struct Layout {
    width: usize,
    height: usize,
    /// Rows that fit.
    rows: usize,
    /// Where the first row begins.
    top: usize,
    /// The frames shown.
    columns: Vec<usize>,
    /// The column of the sample itself.
    original: Option<usize>,
    zoom: Zoom,
    /// (height, width) of a shown frame.
    tile: (usize, usize),
    row: usize,
}

impl Layout {
    fn new(report: &WalkReport, frames: &Pictures, walks: usize) -> Self {
        let middle = original(&report.positions, frames.len());
        let every = frames.len().div_ceil(MOST_COLUMNS).max(1);
        let anchor = middle.unwrap_or(0);
        let columns: Vec<usize> = (0..frames.len())
            .filter(|index| index.abs_diff(anchor).is_multiple_of(every))
            .collect();
        let room = MOST_WIDTH - 2 * MARGIN - LABEL;
        let tile_room = (room / columns.len().max(1)).saturating_sub(GAP).min(TILE);
        let zoom = Zoom::fit(frames.size, (2 * TILE, tile_room));
        let tile = zoom.of(frames.size);
        let row = tile.0.max(LEAST_ROW);
        let top = MARGIN + TITLE;
        let rows = walks
            .min((MOST_HEIGHT - top - 2 * MARGIN) / (row + GAP))
            .max(1);
        let footer = if rows < walks { MARGIN } else { 0 };
        let across = columns.len() * (tile.1 + GAP) - GAP;
        Self {
            // A heading needs its width even where a walk has a single small frame.
            width: (2 * MARGIN + LABEL + across).max(640),
            height: top + rows * (row + GAP) - GAP + MARGIN + footer,
            rows,
            top,
            original: columns.iter().position(|&index| Some(index) == middle),
            columns,
            zoom,
            tile,
            row,
        }
    }

    /// Makes room for the line below the heading, where few frames are narrower.
    fn widen(&mut self, facts: &str) {
        let wanted = BODY.width(facts).ceil() as usize + 2 * MARGIN;
        self.width = self.width.max(wanted.min(MOST_WIDTH));
    }

    fn step(&self) -> usize {
        self.row + GAP
    }

    fn x(&self, column: usize) -> usize {
        MARGIN + LABEL + column * (self.tile.1 + GAP)
    }

    /// From the top of a row to its frames.
    fn inset(&self) -> usize {
        (self.row - self.tile.0) / 2
    }
}

/// The frame that is the sample itself.
pub(super) fn original(positions: &[f64], frames: usize) -> Option<usize> {
    positions.iter().take(frames).position(|p| *p == 0.0)
}

fn title(canvas: &mut Canvas, heading: &str, facts: &str) {
    let room = (canvas.width() - 2 * MARGIN) as f32;
    let heading = shorten(heading, HEADING, room);
    canvas.text((MARGIN, MARGIN + 20), &heading, HEADING, palette::INK);
    let facts = shorten(facts, BODY, room);
    canvas.text((MARGIN, MARGIN + 46), &facts, BODY, palette::SOFT);
}

fn header(canvas: &mut Canvas, layout: &Layout, report: &WalkReport) {
    let y = layout.top - 12;
    for (column, &index) in layout.columns.iter().enumerate() {
        let text = report.positions.get(index).map(|p| numbers::position(*p));
        let text = text.unwrap_or_default();
        let x = layout.x(column) + layout.tile.1 / 2;
        if layout.original == Some(column) {
            canvas.centred((x, y), &text, NAME, palette::ACCENT);
        } else if BODY.width(&text) <= (layout.tile.1 + GAP) as f32 {
            canvas.centred((x, y), &text, BODY, palette::SOFT);
        }
    }
}

/// Number, σ, and what moved most, in the middle of the row's height.
fn label(canvas: &mut Canvas, layout: &Layout, y: usize, report: &WalkReport) {
    let mut lines = vec![(
        format!("σ {}", numbers::figures(report.singular_value)),
        NAME,
    )];
    if let Some(factor) = &report.strongest {
        let moved = report.responses.iter().find(|r| r.factor == *factor);
        let rho = moved.map_or(numbers::NONE.to_owned(), FactorResponse::rho);
        lines.insert(0, (numbers::factor_label(factor).to_owned(), NAME));
        lines[1].1 = BODY;
        lines[1].0.push_str(&format!("   ρ {rho}"));
    }
    if report.is_lost() {
        lines.push(("lost: turns round".to_owned(), BODY));
    }
    if let Some(purity) = report.purity {
        lines.push((format!("purity {}", numbers::percent(purity)), BODY));
    }
    let room = (LABEL - 52) as f32;
    let leading = 20;
    let first = y + (layout.row.saturating_sub(lines.len() * leading)) / 2 + 15;
    let rank = report.direction.to_string();
    canvas.text((MARGIN, first + 2), &rank, RANK, palette::ACCENT);
    for (line, (text, style)) in lines.iter().enumerate() {
        let color = if *style == NAME {
            palette::INK
        } else {
            palette::SOFT
        };
        let text = shorten(text, *style, room);
        canvas.text((MARGIN + 44, first + line * leading), &text, *style, color);
    }
}
