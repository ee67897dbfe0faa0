//! The drawn samples.

use super::embed::data_uri;
use crate::StudyError;
use crate::discover::findings::{Findings, SampleReport};
use crate::discover::sheet::original;
use crate::pictures::{Tones, numbers};
use maud::{Markup, html};

pub fn section(findings: &Findings) -> Result<Markup, StudyError> {
    let samples = &findings.samples;
    if samples.is_empty() || samples.item_len() == 0 {
        return Ok(html! {});
    }
    let tones = Tones::of(samples);
    let treated = treated(findings);
    let reports = &findings.report.samples;
    let mut figures = Vec::with_capacity(samples.len());
    for index in 0..samples.len() {
        let uri = data_uri(samples, index, tones)?;
        figures.push(figure(
            index,
            &uri,
            reports.get(index),
            treated == Some(index),
        ));
    }
    let sound = reports.iter().filter(|r| r.sound).count();
    Ok(html! {
        section #samples {
            h2 { "Samples" }
            p {
                "What the model draws from this seed. "
                @if treated.is_some() { "The framed one is the point at which the directions were found. " }
                @if !reports.is_empty() {
                    "The captions are what the instrument read; " (sound) " of " (reports.len())
                    " samples are sound: drawn again from what was read, they come out closer to themselves than nearly every picture with a wrong part."
                }
            }
            div.samples { @for figure in figures { (figure) } }
        }
    })
}

fn figure(index: usize, uri: &str, report: Option<&SampleReport>, treated: bool) -> Markup {
    let number = index;
    let alt = match report {
        Some(report) => format!("Sample {number}: {}", report.caption),
        None => format!("Sample {number}"),
    };
    html! {
        figure.treated[treated] {
            img src=(uri) alt=(alt);
            figcaption {
                @if treated { strong { "the point of the basis" } br; }
                @if let Some(report) = report {
                    (report.caption) br;
                    span.badge.bad[!report.sound] title="distance of the picture drawn again from what was read" {
                        @if report.sound { "✓ sound" } @else { "✗ not sound" }
                        ", distance " (numbers::fixed(report.distance, 3))
                    }
                } @else { "sample " (number) }
            }
        }
    }
}

/// The sample that was walked from: the one most like the middle of a walk.
fn treated(findings: &Findings) -> Option<usize> {
    let (report, frames) = findings.report.walks.first().zip(findings.walks.first())?;
    let samples = &findings.samples;
    if frames.item_len() != samples.item_len() {
        return None;
    }
    let middle = frames.get(original(&report.positions, frames.len())?);
    let distance = |index: usize| -> f32 {
        let pairs = middle.iter().zip(samples.get(index));
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    };
    (0..samples.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
}
