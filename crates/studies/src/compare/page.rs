//! `report.html`: the comparison as one page that needs nothing else.

use super::plots::Plot;
use super::{CompareReport, table};
use crate::pictures::numbers;
use alice_runs::Recipe;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("../discover/page/style.css");

pub(super) fn page(report: &CompareReport, plots: &[Plot], recipe: &Recipe) -> String {
    let title = format!("Ways to edit {}", report.model.name);
    let fact = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) " · Alice" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header.top {
                    p.kicker { "Alice · " (recipe.verb) }
                    h1 { "Ways to edit " span.model { (report.model.name) } }
                    dl.facts {
                        (fact("timestep", report.timestep.to_string()))
                        (fact("edits", numbers::count(report.edits.len())))
                        (fact("seed", recipe.seed.to_string()))
                    }
                }
                main {
                    @for (title, about, cells) in table::sections(report) {
                        section {
                            h2 { (title) }
                            p { (about) " Intervals are of 95 %." }
                            @for plot in plots.iter().filter(|p| p.section == title) {
                                figure { (PreEscaped(&plot.svg)) }
                            }
                            (table(&cells))
                        }
                    }
                    section {
                        h2 { "Do it again" }
                        p { "In the folder of this page:" }
                        pre { code { "alice replay ." } }
                        @if let Some(model) = &recipe.model {
                            p { "It wants the model " strong { (model.name) } " with the hash " code.hash { (model.hash) } "." }
                        }
                    }
                }
                footer { "Made by Alice " (recipe.alice) ", a workbench for the geometry of diffusion models." }
            }
        }
    };
    markup.into_string()
}

fn table(cells: &[Vec<String>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table.plain {
                thead { tr { @for cell in &cells[0] { th scope="col" { (cell) } } } }
                tbody {
                    @for row in &cells[1..] {
                        tr {
                            th scope="row" { (row[0]) }
                            @for cell in &row[1..] { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}
