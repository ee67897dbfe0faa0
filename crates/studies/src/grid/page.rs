//! The page of a grid: its pictures lie beside it and load as they are seen.

use super::cell::{Cells, file};
use super::{GridArguments, read_cell};
use crate::StudyError;
use crate::page::{again, document_with_files};
use alice_runs::RunFolder;
use maud::{Markup, PreEscaped, html};

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

/// The whole page.
pub(super) fn page(
    cells: &Cells,
    arguments: &GridArguments,
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
    let class = if longest > 160.0 { "large" } else { "" };
    let name = |axis: &Option<super::Axis>| axis.as_ref().map(|axis| axis.parameter.name());
    let x = arguments.x.parameter.name();
    let sides = [Some(x), name(&arguments.y), name(&arguments.z)];
    let title = sides.into_iter().flatten().collect::<Vec<_>>().join(" × ");
    let recipe = folder.recipe();
    let table = |z: usize| -> Markup {
        html! {
            div.grid { table {
                thead { tr {
                    @if arguments.y.is_some() { th { } }
                    @for value in &cells.values[0] { th { (value) } }
                } }
                tbody {
                    @for (y, value) in cells.values[1].iter().enumerate() {
                        tr {
                            @if arguments.y.is_some() { th { (value) } }
                            @for x in 0..cells.values[0].len() {
                                @let path = file(cells.at(x, y, z));
                                td { a href=(path) {
                                    img class=(class) loading="lazy" decoding="async" src=(path)
                                        width=(shown.0) height=(shown.1)
                                        alt=(label(cells, arguments, [x, y, z]));
                                } }
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
        }
    };
    let sections = html! {
        style { (PreEscaped(STYLE)) }
        @for z in 0..cells.values[2].len() {
            section {
                @if let Some(axis) = &arguments.z {
                    h2 { (axis.parameter.name()) " " (cells.values[2][z]) }
                }
                (table(z))
            }
        }
        (again(recipe))
    };
    Ok(document_with_files(&title, recipe, header, sections))
}

/// What a cell is, for those who do not see it.
fn label(cells: &Cells, arguments: &GridArguments, at: [usize; 3]) -> String {
    let axes = [
        Some(&arguments.x),
        arguments.y.as_ref(),
        arguments.z.as_ref(),
    ];
    let parts = axes.iter().zip(at).zip(&cells.values);
    let named = parts.filter_map(|((axis, i), values)| {
        axis.map(|axis| format!("{} {}", axis.parameter.name(), values[i]))
    });
    named.collect::<Vec<_>>().join(", ")
}
