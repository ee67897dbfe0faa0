//! What each factor did: along one walk, along all of them, as a table.

use super::method::error_text;
use crate::discover::findings::{DiscoverReport, FactorError, FactorResponse, WalkReport};
use crate::discover::table::strongest;
use crate::pictures::numbers;
use alice_worlds::{FACTORS, FactorKind, factor_index};
use maud::{Markup, html};

/// Factors shown before the rest is folded away.
const SHOWN: usize = 4;
/// Changes below this are left blank in the overview.
const NOTHING: f64 = 0.05;
/// A change this large has the full colour and the full bar.
const FULL: f64 = 3.0;
const SPARK: (f64, f64) = (132.0, 26.0);

/// How each factor moved along one walk, the largest change first.
pub fn responses(walk: &WalkReport, instrument: &[FactorError]) -> Markup {
    let mut sorted: Vec<&FactorResponse> = walk.responses.iter().collect();
    let size = |r: &FactorResponse| {
        if r.change.is_nan() {
            -1.0
        } else {
            r.change.abs()
        }
    };
    sorted.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let (shown, folded) = sorted.split_at(SHOWN.min(sorted.len()));
    html! {
        div.responses {
            (response_table(shown, instrument, true))
            @if !folded.is_empty() {
                details {
                    summary { (folded.len()) " more factors" }
                    (response_table(folded, instrument, false))
                }
            }
        }
    }
}

fn response_table(rows: &[&FactorResponse], instrument: &[FactorError], caption: bool) -> Markup {
    html! {
        table.factors {
            thead.unseen[!caption] {
                tr {
                    th scope="col" { "factor" }
                    th scope="col" { "along the walk" }
                    th scope="col" { "change" }
                    th.num scope="col" { "ρ" }
                    th.num scope="col" title="of the instrument, on pictures it was not trained on" { "held-out error" }
                }
            }
            tbody {
                @for response in rows {
                    tr {
                        th scope="row" { (numbers::factor_label(&response.factor)) }
                        td.spark { (spark(response)) }
                        td { (bar(response.change)) }
                        td.num { (response.rho()) }
                        td.num.error {
                            @if let Some(error) = instrument.iter().find(|e| e.factor == response.factor) { (error_text(error)) }
                            @else { (numbers::NONE) }
                        }
                    }
                }
            }
        }
    }
}

/// The readings along the walk, within the range that the factor has in the world.
fn spark(response: &FactorResponse) -> Markup {
    let (width, height) = SPARK;
    let finite = || response.values.iter().copied().filter(|v| v.is_finite());
    let known = factor_index(&response.factor).map(|index| match FACTORS[index].kind {
        // What was read of these is a probability.
        FactorKind::Categorical { .. } => (0.0, 1.0),
        kind => (f64::from(kind.range().0), f64::from(kind.range().1)),
    });
    let (low, high) = known.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
    let (low, high) = (finite().fold(low, f64::min), finite().fold(high, f64::max));
    let steps = response.values.len().saturating_sub(1).max(1) as f64;
    let x = |i: usize| 3.0 + i as f64 / steps * (width - 6.0);
    let y = |v: f64| {
        let share = if high > low {
            (v - low) / (high - low)
        } else {
            0.5
        };
        3.0 + (1.0 - share) * (height - 6.0)
    };
    let points: Vec<(f64, f64)> = response
        .values
        .iter()
        .enumerate()
        .filter(|(_, v)| v.is_finite())
        .map(|(i, v)| (x(i), y(*v)))
        .collect();
    let line: String = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1} "))
        .collect();
    let ends = response.values.first().zip(response.values.last());
    let text = ends.map_or_else(String::new, |(first, last)| {
        format!(
            "from {} to {}",
            numbers::fixed(*first, 2),
            numbers::fixed(*last, 2)
        )
    });
    html! {
        svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(text) {
            title { (text) }
            line.mid x1="0" x2=(width) y1=(height / 2.0) y2=(height / 2.0) {}
            polyline points=(line.trim_end()) {}
            @for (x, y) in [points.first(), points.last()].into_iter().flatten() {
                circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.4" {}
            }
            line.cursor x1="3" x2="3" y1="1" y2=(height - 1.0) {}
        }
    }
}

/// A change as a bar to the left or right of zero, with its number.
fn bar(change: f64) -> Markup {
    let share = if change.is_finite() {
        (change.abs() / FULL).min(1.0)
    } else {
        0.0
    };
    html! {
        span.bar {
            span.track {
                span.fill.minus[change < 0.0] style={ "--size:" (format!("{share:.3}")) } {}
            }
            span.value { (numbers::signed(change, 2)) }
        }
    }
}

/// All walks × all factors; `kind` says what the walks go along.
pub fn overview(walks: &[WalkReport], kind: &str) -> Markup {
    let names: Vec<&str> = walks
        .iter()
        .map(|walk| &walk.responses)
        .max_by_key(|responses| responses.len())
        .into_iter()
        .flatten()
        .map(|response| response.factor.as_str())
        .collect();
    html! {
        h3 { "What each " (kind) " moved" }
        p.note {
            "Change from end to end, in standard deviations of each factor in the world; "
            span.swatch.plus {} " up, " span.swatch.minus {} " down."
        }
        div.scroll tabindex="0" role="group" aria-label={ "Change of each factor along each " (kind) } {
            table.overview {
                thead {
                    tr {
                        td {}
                        @for name in &names { th scope="col" { span { (numbers::factor_label(name)) } } }
                    }
                }
                tbody {
                    @for walk in walks {
                        tr {
                            th scope="row" { a href={ "#" (kind) "-" (walk.direction) } { (walk.direction) } }
                            @for name in &names { (cell(walk, name, kind)) }
                        }
                    }
                }
            }
        }
    }
}

fn cell(walk: &WalkReport, factor: &str, kind: &str) -> Markup {
    let Some(response) = walk.responses.iter().find(|r| r.factor == factor) else {
        return html! { td {} };
    };
    let change = response.change;
    let hint = format!(
        "{kind} {}, {}: {}, ρ {}",
        walk.direction,
        numbers::factor_label(factor),
        numbers::signed(change, 2),
        response.rho()
    );
    if change.abs() < NOTHING {
        return html! { td title=(hint) {} };
    }
    let size = if change.is_finite() {
        (change.abs() / FULL).min(1.0)
    } else {
        0.0
    };
    html! {
        td.minus[change < 0.0].plus[change > 0.0] title=(hint) style={ "--size:" (format!("{size:.2}")) } {
            (numbers::signed(change, 1))
        }
    }
}

/// Every direction that was found, walked or not.
pub fn all_directions(report: &DiscoverReport) -> Markup {
    let first = report.singular_values.first().copied().unwrap_or(f64::NAN);
    let walk = |index: usize| report.walks.iter().find(|walk| walk.direction == index);
    let share =
        |value: Option<f64>| value.map_or_else(|| numbers::NONE.to_owned(), numbers::percent);
    html! {
        section #table {
            h2 { "All directions" }
            div.scroll tabindex="0" role="group" aria-label="Table of all directions" {
                table.plain.all {
                    thead {
                        tr {
                            @for (name, hint) in [
                                ("direction", ""), ("σ", "singular value"), ("of the first", "σ over the first σ"),
                            ] { th.num scope="col" title=(hint) { (name) } }
                            th scope="col" { "strongest factor" }
                            @for name in ["change", "ρ", "purity", "sound", "pixel change"] { th.num scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for (index, sigma) in report.singular_values.iter().enumerate() {
                            tr {
                                td.num { (index) }
                                td.num { (numbers::figures(*sigma)) }
                                td.num { (numbers::percent(sigma / first)) }
                                @match walk(index) {
                                    Some(walk) => {
                                        td {
                                            a href={ "#direction-" (index) } {
                                                (walk.strongest.as_deref().map_or("see the walk", numbers::factor_label))
                                            }
                                        }
                                        td.num { (strongest(walk, |r| numbers::signed(r.change, 2))) }
                                        td.num { (strongest(walk, |r| r.rho())) }
                                        td.num { (share(walk.purity)) }
                                        td.num { (share(walk.sound)) }
                                        td.num { (numbers::figures(walk.pixel_change)) }
                                    }
                                    None => td.note colspan="6" { "not walked" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
