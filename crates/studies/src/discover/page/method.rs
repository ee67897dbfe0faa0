//! The instrument's errors, what the computation cost, and how to repeat it.

use crate::discover::findings::{DiscoverReport, FactorError};
use crate::pictures::numbers;
use maud::{Markup, html};

/// A held-out error in as few words as its measure allows.
pub fn error_text(error: &FactorError) -> String {
    match error.measure.as_str() {
        "mean absolute error" => format!("± {}", numbers::fixed(error.value, 3)),
        "accuracy" => format!("{} % right", numbers::fixed(100.0 * error.value, 1)),
        other => format!("{} {other}", numbers::figures(error.value)),
    }
}

pub fn instrument(report: &DiscoverReport) -> Markup {
    if report.instrument.is_empty() {
        return html! {};
    }
    html! {
        section #instrument {
            h2 { "The instrument" }
            p {
                "Every factor on this page was read by a network, and refined until the factors, drawn again, come "
                "closest to the picture. This is how far the network alone errs on true pictures that it was not "
                "trained on; refined, it hardly errs on those, but a model’s pictures are not true: a change smaller "
                "than this means little."
            }
            ul.errors {
                @for error in &report.instrument {
                    li title=(error.measure) {
                        span { (numbers::factor_label(&error.factor)) } " "
                        span.value { (error_text(error)) }
                    }
                }
            }
            p.note { "± is the mean absolute error in the factor’s own unit; flags and species are counted right or wrong." }
        }
    }
}

pub fn figures(report: &DiscoverReport) -> Markup {
    let row = |name: &str, value: String, note: &str| {
        html! { tr { th scope="row" { (name) } td { (value) } td.note { (note) } } }
    };
    let seconds = |s: f64| format!("{} s", numbers::figures(s));
    html! {
        section #method {
            h2 { "Method" }
            p {
                "The strongest singular vectors of " em { "J" } " were found without ever writing " em { "J" }
                " down: blocks of directions are pushed forward through the linearised network and pulled back, "
                "until the residual is small (block Golub–Kahan)."
            }
            div.scroll tabindex="0" role="group" aria-label="Figures of the method" {
                table.plain {
                    tbody {
                        (row("Jacobian", format!("{} × {}", numbers::count(report.codomain), numbers::count(report.domain)), "bottleneck × picture"))
                        (row("time for the basis", seconds(report.seconds), "linearisation and singular vectors"))
                        (row("time for everything", seconds(report.total_seconds), "with samples, walks and readings"))
                        (row("block products", numbers::count(report.block_products), "blocks pushed forward or pulled back"))
                        (row("vector products", numbers::count(report.vector_products), "single vectors in those blocks"))
                        (row("residual", numbers::figures(report.residual), "largest of all directions, relative to the first σ"))
                        (row("converged", (if report.converged { "yes" } else { "no" }).to_owned(),
                            if report.converged { "the residual is within the tolerance" } else { "the residual is above the tolerance: do not trust the last directions" }))
                    }
                }
            }
        }
    }
}
