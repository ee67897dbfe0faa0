//! The page of a grid: its pictures lie beside it and load as they are seen,
//! large ones as thumbnails that lead to them.

use super::cell::{Cells, file};
use super::cut::{self, CutText};
use super::{GridArguments, read_cell, thumbnail};
use crate::StudyError;
use crate::page::{again, document_with_files};
use alice_runs::RunFolder;
use maud::{Markup, html};

const STYLE: &str = "\
.grid { overflow: auto; max-height: 88vh; }
.grid table { border-collapse: separate; border-spacing: 4px; }
.grid th { font-weight: 500; font-size: 0.85rem; text-align: left; vertical-align: middle; \
max-width: 14rem; overflow-wrap: anywhere; background: var(--ground, Canvas); }
.grid thead th { position: sticky; top: 0; z-index: 2; text-align: center; }
.grid tbody th { position: sticky; left: 0; z-index: 1; padding-right: 0.6rem; }
.grid img { display: block; image-rendering: pixelated; }
.grid img.large { image-rendering: auto; }
";

/// Of a page with one axis alone, which has the whole width for its pictures.
const WRAPPED: &str = "\
.top, main, footer { max-width: 1800px; }
.wrapped { display: grid; gap: 1rem 0.6rem; align-items: end; \
grid-template-columns: repeat(auto-fill, minmax(max(var(--shown), 7rem), 1fr)); }
.wrapped img { width: var(--shown); max-width: 100%; height: auto; margin: 0 auto; }
.wrapped img.large { image-rendering: auto; }
.wrapped figcaption { margin: 0 0 0.3rem; text-align: center; }
";

/// The whole page.
pub(super) fn page(
    cells: &Cells,
    arguments: &GridArguments,
    cut: &[CutText],
    folder: &RunFolder,
) -> Result<String, StudyError> {
    let first = read_cell(folder, 0)?;
    let (width, height) = (first.width(), first.height());
    // Small pictures are shown larger, large ones at most at 256 pixels.
    let longest = f64::from(width.max(height).max(1));
    let zoom = (160.0 / longest).max(1.0).min(256.0 / longest);
    let shown = (
        (f64::from(width) * zoom).round() as u32,
        (f64::from(height) * zoom).round() as u32,
    );
    let small = thumbnail::extent((height as usize, width as usize)).is_some();
    let class = (longest > 160.0).then_some("large");
    let axes = arguments.axes().into_iter().flatten();
    let names: Vec<_> = axes.map(|axis| axis.parameter.name()).collect();
    let title = names.join(" × ");
    let (recipe, lone) = (folder.recipe(), cells.lone());
    let picture = |at: [usize; 3]| -> Markup {
        let index = cells.at(at[0], at[1], at[2]);
        let path = file(index);
        let shown_file = if small {
            thumbnail::file(index)
        } else {
            path.clone()
        };
        html! {
            a href=(path) {
                img class=[class] loading="lazy" decoding="async" src=(shown_file)
                    width=(shown.0) height=(shown.1) alt=(label(cells, arguments, at));
            }
        }
    };
    // A bare number says nothing; a text speaks for itself.
    let named = |side: usize, value: &str| match arguments.axes()[side] {
        Some(axis) if !axis.parameter.is_text() => format!("{} {value}", axis.parameter.name()),
        _ => value.to_owned(),
    };
    let wrapped = |side: usize, z: usize| -> Markup {
        let at = |i: usize| if side == 0 { [i, 0, z] } else { [0, i, z] };
        html! {
            div.wrapped style={ "--shown: " (shown.0) "px" } {
                @for (i, value) in cells.values[side].iter().enumerate() {
                    figure { figcaption { (named(side, value)) } (picture(at(i))) }
                }
            }
        }
    };
    let table = |z: usize| -> Markup {
        html! {
            div.grid { table {
                @if arguments.x.is_some() {
                    thead { tr {
                        @if arguments.y.is_some() { td { } }
                        @for value in &cells.values[0] { th scope="col" { (named(0, value)) } }
                    } }
                }
                tbody {
                    @for (y, value) in cells.values[1].iter().enumerate() {
                        tr {
                            @if arguments.y.is_some() { th scope="row" { (named(1, value)) } }
                            @for x in 0..cells.values[0].len() {
                                td { (picture([x, y, z])) }
                            }
                        }
                    }
                }
            } }
        }
    };
    let header = html! {
        header.top {
            p.kicker { "Alice · grid" }
            h1 { "A grid of " (title)
                @if let Some(model) = &recipe.model { " by " span.model { (model.name) } }
            }
            @if let Some(prompt) = recipe.model.as_ref().and_then(|m| m.options.prompt.as_ref()) {
                p { "“" (prompt) "”" }
            }
            @if let Some(sentence) = cut::sentence(cut) { p.cut { (sentence) "." } }
        }
    };
    let sections = html! {
        @for z in 0..cells.values[2].len() {
            section {
                @if let Some(axis) = &arguments.z {
                    h2 { (axis.parameter.name()) " " (cells.values[2][z]) }
                }
                @match lone {
                    Some(side) => { (wrapped(side, z)) }
                    None => { (table(z)) }
                }
            }
        }
        (again(recipe))
    };
    let style = if lone.is_some() { WRAPPED } else { STYLE };
    Ok(document_with_files(&title, recipe, style, header, sections))
}

/// What a cell is, for those who do not see it.
fn label(cells: &Cells, arguments: &GridArguments, at: [usize; 3]) -> String {
    let parts = arguments.axes().into_iter().zip(at).zip(&cells.values);
    let named = parts.filter_map(|((axis, i), values)| {
        axis.map(|axis| format!("{} {}", axis.parameter.name(), values[i]))
    });
    named.collect::<Vec<_>>().join(", ")
}
