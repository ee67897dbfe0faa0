//! The spectrum: σ of each direction, on a logarithmic scale.

use crate::discover::findings::DiscoverReport;
use crate::pictures::numbers;
use maud::{Markup, html};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 52.0;

pub fn section(report: &DiscoverReport) -> Markup {
    let points: Vec<(usize, f64)> = report
        .singular_values
        .iter()
        .enumerate()
        .filter(|(_, sigma)| sigma.is_finite() && **sigma > 0.0)
        .map(|(index, sigma)| (index, *sigma))
        .collect();
    let hidden = report.singular_values.len() - points.len();
    let energy: f64 = points.iter().map(|(_, s)| s * s).sum();
    let first = points.first().map_or(0.0, |(_, s)| s * s);
    html! {
        section #spectrum {
            h2 { "Spectrum" }
            p {
                "How strongly the bottleneck answers to each direction. A steep fall says that a few directions matter "
                "more than all others."
                @if points.len() > 1 {
                    " Here the first holds " (numbers::percent(first / energy))
                    " of the squared σ of these " (points.len()) "."
                }
                @if hidden > 0 { " " (hidden) " values that are zero or not a number are not drawn." }
            }
            @if let [(_, sigma)] = points[..] { p { "One direction: σ " (numbers::figures(sigma)) "." } }
            @if points.len() > 1 {
                div.scroll tabindex="0" role="group" aria-label="Plot of the spectrum" {
                    (plot(report, &points))
                }
            }
        }
    }
}

fn plot(report: &DiscoverReport, points: &[(usize, f64)]) -> Markup {
    let sigmas = || points.iter().map(|(_, sigma)| *sigma);
    let highest = sigmas().fold(f64::MIN_POSITIVE, f64::max);
    let lowest = sigmas().fold(f64::INFINITY, f64::min);
    // A little air, also where all values are the same.
    let (low, high) = (lowest.log10() - 0.06, highest.log10() + 0.06);
    let count = report.singular_values.len();
    let x = |index: usize| {
        let share = (index as f64 + 0.5) / count as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let y = |sigma: f64| TOP + (high - sigma.log10()) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let line: String = points
        .iter()
        .map(|(index, sigma)| format!("{:.1},{:.1} ", x(*index), y(*sigma)))
        .collect();
    let walked = |index: usize| report.walks.iter().any(|walk| walk.direction == index);
    let summary = format!(
        "Singular values of {count} directions on a logarithmic scale, from {} to {}",
        numbers::figures(highest),
        numbers::figures(lowest)
    );
    let radius = if count > 100 { 2.5 } else { 4.5 };
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(summary) {
            @for tick in ticks(low, high) {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(coordinate(y(tick))) y2=(coordinate(y(tick))) {}
                text.tick x=(LEFT - 10.0) y=(coordinate(y(tick) + 4.5)) text-anchor="end" { (tick_text(tick)) }
            }
            @for index in index_ticks(count) {
                text.tick x=(coordinate(x(index))) y=(HEIGHT - BOTTOM + 22.0) text-anchor="middle" { (index) }
            }
            line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            text.name x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { "direction, the strongest first" }
            text.name transform={ "translate(16 " ((TOP + HEIGHT - BOTTOM) / 2.0) ") rotate(-90)" } text-anchor="middle" { "singular value σ" }
            polyline.line points=(line.trim_end()) {}
            @for (index, sigma) in points {
                circle.dot.walked[walked(*index)] cx=(coordinate(x(*index))) cy=(coordinate(y(*sigma))) r=(radius) {
                    title { (hover(report, *index, *sigma, highest)) }
                }
            }
        }
        @if report.walks.len() < count && !report.walks.is_empty() {
            p.legend {
                span.key.walked {} " walked below   " span.key {} " found, not walked"
            }
        }
    }
}

fn hover(report: &DiscoverReport, index: usize, sigma: f64, highest: f64) -> String {
    let share = numbers::percent(sigma / highest);
    let text = format!(
        "direction {}: σ {}, {share} of the largest",
        index,
        numbers::figures(sigma)
    );
    let walk = report.walks.iter().find(|walk| walk.direction == index);
    match walk.and_then(|walk| walk.strongest.as_deref()) {
        Some(factor) => format!("{text}; moves {}", numbers::factor_label(factor)),
        None => text,
    }
}

/// Short coordinates keep the page small.
fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

/// 1, 2 and 5 of each decade, or the decades alone where there are many;
/// every other power where even those are too many.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    let steps: &[f64] = match span {
        s if s < 0.5 => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        s if s < 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = ((span / 8.0).ceil() as i32).max(1);
    let decades = (low.floor() as i32)..=(high.ceil() as i32);
    decades
        .filter(|decade| decade % every == 0)
        .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
        .filter(|tick| (low..=high).contains(&tick.log10()))
        .collect()
}

fn tick_text(tick: f64) -> String {
    if (1e-3..1e5).contains(&tick) {
        // Display writes the shortest digits: 0.5, 20.
        format!("{}", (tick * 1e6).round() / 1e6)
    } else {
        numbers::figures(tick)
    }
}

/// The first direction and every few after it, about ten.
fn index_ticks(count: usize) -> Vec<usize> {
    let step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        .into_iter()
        .find(|step| count / step <= 11)
        .unwrap_or(count);
    (0..count).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        let shown = |low: f64, high: f64| -> Vec<String> {
            ticks(low, high).into_iter().map(tick_text).collect()
        };
        assert_eq!(shown(-0.4, 1.1), ["0.5", "1", "2", "5", "10"]);
        assert_eq!(
            shown(-6.0, -1.0),
            ["1.0e−6", "1.0e−5", "1.0e−4", "0.001", "0.01", "0.1"]
        );
        assert!(ticks(-300.0, 300.0).len() < 12);
        // One value alone has a tick near it.
        assert!(!ticks(12.4_f64.log10() - 0.06, 12.4_f64.log10() + 0.06).is_empty());
        assert_eq!(index_ticks(50), [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
        assert_eq!(index_ticks(1), [0]);
        assert!(index_ticks(0).is_empty());
    }
}
