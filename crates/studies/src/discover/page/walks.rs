//! The walks: what each direction looks like and what moved.

use super::embed::data_uri;
use super::factors;
use crate::StudyError;
use crate::discover::findings::{Findings, Pictures, WalkReport};
use crate::discover::sheet::original;
use crate::discover::table::strongest;
use crate::pictures::{Tones, numbers};
use maud::{Markup, html};

pub fn section(findings: &Findings) -> Result<Markup, StudyError> {
    if findings.walks.is_empty() {
        return Ok(html! {});
    }
    let walks = &findings.report.walks;
    let cards = cards(findings, "direction", walks, &findings.walks)?;
    let has_readings = walks.iter().any(|walk| !walk.responses.is_empty());
    Ok(html! {
        section #walks {
            h2 { "Walks" }
            p {
                "Each row is one direction; the framed picture is the sample itself, and the ends are as far as the "
                "walk went either way."
            }
            @if has_readings { (factors::overview(walks, "direction")) }
            @for card in cards { (card) }
        }
    })
}

/// What the directions move together.
pub fn sliders(findings: &Findings) -> Result<Markup, StudyError> {
    let Some(sliders) = &findings.report.sliders else {
        return Ok(html! {});
    };
    let cards = cards(findings, "slider", sliders, &findings.sliders)?;
    let directions = findings.report.singular_values.len();
    Ok(html! {
        section #sliders {
            h2 { "Sliders" }
            p {
                "One direction alone mixes meanings, as the walks above show. But " (directions) " directions together "
                "span many changes: small steps along each of them, read by the instrument, tell which combination "
                "should move one factor and leave the others, and what a first try did wrong is taken back. "
                @if sliders.is_empty() {
                    "At this sample none was found."
                } @else {
                    "Here are those that do: at least half of all that changes is the factor’s own, and it changes "
                    "steadily, by at least half a standard deviation of the world. They go at most about a quarter "
                    "of a walk’s usual length. Random directions hold a slider here and there too, far fewer; "
                    code { "alice measure" } " compares. They are of this sample: " code { "alice edit PICTURE --factor smile" }
                    " makes one for another."
                }
            }
            @if !sliders.is_empty() { (factors::overview(sliders, "slider")) }
            @for card in cards { (card) }
        }
    })
}

/// A card for each walk; `kind` says what it goes along.
fn cards(
    findings: &Findings,
    kind: &str,
    walks: &[WalkReport],
    frames: &[Pictures],
) -> Result<Vec<Markup>, StudyError> {
    let both = walks.iter().zip(frames);
    both.map(|(walk, frames)| card(findings, kind, walk, frames))
        .collect()
}

fn card(
    findings: &Findings,
    kind: &str,
    walk: &WalkReport,
    frames: &Pictures,
) -> Result<Markup, StudyError> {
    let number = walk.direction;
    let middle = original(&walk.positions, frames.len());
    let tones = Tones::of(frames);
    let mut figures = Vec::with_capacity(frames.len());
    // A set without pixels has no frames to show.
    let count = if frames.item_len() == 0 {
        0
    } else {
        frames.len()
    };
    for index in 0..count {
        let uri = data_uri(frames, index, tones)?;
        let position = walk.positions.get(index).map(|p| numbers::position(*p));
        let position = position.unwrap_or_else(|| (index + 1).to_string());
        let here = middle == Some(index);
        figures.push(html! {
            figure.original[here] {
                img src=(uri) alt={ (kind) " " (number) " at " (position) };
                figcaption { (position) }
            }
        });
    }
    let name = walk.strongest.as_deref().map(numbers::factor_label);
    Ok(html! {
        article.walk id={ (kind) "-" (number) } data-middle=(middle.unwrap_or(0)) {
            header {
                h3 { span.number { (number) } @if let Some(name) = name { " " (name) } }
                (measures(walk))
            }
            div.scroll tabindex="0" role="group" aria-label={ "Frames of " (kind) " " (number) } {
                div.strip style={ "--n:" (count) } { @for figure in figures { (figure) } }
            }
            div.below {
                // The script shows it: without one there is nothing to play.
                div.player hidden {
                    img.stage alt="";
                    label { "walk" input type="range" min="0" max=(count.saturating_sub(1)) value=(middle.unwrap_or(0)); }
                    div.controls { button type="button" { "Play" } output { "original" } }
                }
                @if !walk.responses.is_empty() {
                    (factors::responses(walk, &findings.report.instrument))
                }
            }
        }
    })
}

fn measures(walk: &WalkReport) -> Markup {
    let share = |value: f64| numbers::percent(value);
    let measure = |name: &str, value: String, hint: &str| {
        html! { div title=(hint) { dt { (name) } dd { (value) } } }
    };
    html! {
        dl.measures {
            (measure("σ", numbers::figures(walk.singular_value), "how far the bottleneck moves per unit of nudge"))
            @if walk.strongest.is_some() {
                (measure("change", strongest(walk, |r| numbers::signed(r.change, 2)), "from end to end, in standard deviations of the factor in the world"))
                (measure("ρ", strongest(walk, |r| r.rho()), "Spearman’s rank correlation of factor and position"))
            }
            @if let Some(purity) = walk.purity { (measure("purity", share(purity), "share of this factor in all that changed")) }
            @if let Some(sound) = walk.sound { (measure("sound", share(sound), "share of the frames that show one puppet with its parts in place")) }
            @if let Some(held) = walk.held {
                (measure("held", share(held.0), "least share of the direction inside the tangent space on the way of a geodesic"))
            }
            @if walk.is_lost() {
                (measure("lost", "turns round".to_owned(), "the tangent space held too little of the direction, so the walk went along others and nothing was read; a smaller --reach or more --iterations keep it"))
            }
            (measure("reach", numbers::figures(walk.reach), "how far the walk was to go to each end: root mean square displacement of a pixel of the noisy picture"))
            (measure("pixel change", numbers::figures(walk.pixel_change), "root mean square difference of the two ends, pixels in −1..1"))
        }
    }
}
