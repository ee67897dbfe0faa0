//! `report.html` of `discover`. Everything it says is there without the
//! script, which only plays the walks.

mod embed;
mod factors;
mod method;
mod samples;
mod spectrum;
mod walks;

use super::findings::Findings;
use crate::StudyError;
use crate::page::{again, document};
use crate::pictures::numbers;
use alice_runs::Recipe;
use maud::{Markup, html};

const SCRIPT: &str = include_str!("script.js");

/// The report as HTML.
///
/// # Errors
/// When pictures have a size that no picture can have.
pub fn page(findings: &Findings, recipe: &Recipe) -> Result<String, StudyError> {
    let report = &findings.report;
    let title = format!("Directions of {}", report.model.name);
    let sections = html! {
        (about(findings))
        (samples::section(findings)?)
        (spectrum::section(report))
        (walks::section(findings)?)
        (walks::sliders(findings)?)
        (factors::all_directions(report))
        (method::instrument(report))
        (method::figures(report))
        (again(recipe))
    };
    let header = header(findings, recipe);
    Ok(document(&title, recipe, header, sections, SCRIPT))
}

fn header(findings: &Findings, recipe: &Recipe) -> Markup {
    let report = &findings.report;
    let fact = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    html! {
        header.top {
            p.kicker { "Alice · " (recipe.verb) }
            h1.long[report.model.name.chars().count() > 48] { "Directions of " span.model { (report.model.name) } }
            dl.facts {
                (fact("timestep", report.timestep.to_string()))
                (fact("of the schedule", numbers::percent(report.timestep_share)))
                (fact("directions", report.singular_values.len().to_string()))
                (fact("found in", format!("{} s", numbers::figures(report.seconds))))
                (fact("seed", recipe.seed.to_string()))
            }
            nav aria-label="On this page" {
                @for (id, name) in sections(findings) { a href={ "#" (id) } { (name) } }
            }
        }
    }
}

/// The sections that this page has.
fn sections(findings: &Findings) -> Vec<(&'static str, &'static str)> {
    let has = [
        ("about", "What was done", true),
        ("samples", "Samples", !findings.samples.is_empty()),
        ("spectrum", "Spectrum", true),
        ("walks", "Walks", !findings.walks.is_empty()),
        ("sliders", "Sliders", findings.report.sliders.is_some()),
        ("table", "All directions", true),
        (
            "instrument",
            "Instrument",
            !findings.report.instrument.is_empty(),
        ),
        ("method", "Method", true),
        ("again", "Do it again", true),
    ];
    let shown = has.into_iter().filter(|(_, _, shown)| *shown);
    shown.map(|(id, name, _)| (id, name)).collect()
}

fn about(findings: &Findings) -> Markup {
    let report = &findings.report;
    let pooled = match report.space {
        super::Space::Full => "",
        super::Space::Pooled => ", summed over its positions",
    };
    html! {
        section #about {
            h2 { "What was done" }
            p.lead {
                "A diffusion model draws by taking noise away, step by step. Alice stopped it at "
                "timestep " (report.timestep) ", held the half-cleaned picture " em { "x" }
                ", and asked: if " em { "x" } " is nudged a little, how far does the model’s own "
                "idea of it move? That idea is the bottleneck " em { "h" } " of its U-Net" (pooled)
                ", and the answer to every possible nudge at once is the Jacobian "
                em { "J" } ", the table of slopes of " em { "h" } " with respect to " em { "x" }
                ". The pullback takes the ruler of " em { "h" } " back to the pictures: there, a nudge "
                em { "v" } " is as long as ‖" em { "Jv" } "‖. The nudges that this ruler finds longest are the "
                "singular vectors of " em { "J" } ": the directions on this page. The singular value σ of each says "
                "how far the bottleneck moves per unit of nudge."
            }
            @if !findings.walks.is_empty() {
                p {
                    "Then Alice walked from the sample along the strongest directions, both ways, and let the model "
                    "finish each picture. "
                    @if report.instrument.is_empty() {
                        "No instrument can read this model’s pictures, so what each walk changed is for your eyes to tell."
                    } @else {
                        "An instrument, a small network trained on pictures whose truth is known, read every "
                        "picture back: which factors changed, how steadily (Spearman’s ρ), how purely (the share of one factor "
                        "in all that changed), and whether the picture still shows one puppet with its parts in place."
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
