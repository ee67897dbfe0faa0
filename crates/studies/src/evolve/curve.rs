//! Fitness over the generations.

use crate::pictures::numbers;
use maud::{Markup, html};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Shares of the population that are drawn, worst to best.
const QUANTILES: [f64; 4] = [0.1, 0.5, 0.9, 1.0];

/// Best, median, and the band from the worst to the best tenth.
pub(super) fn plot(generations: &[Vec<f64>]) -> Markup {
    let lines: Vec<[f64; 4]> = generations.iter().map(|g| quantiles(g)).collect();
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return html! {};
    };
    let low = lines.iter().fold(first[0], |m, l| m.min(l[0]));
    let high = lines.iter().fold(first[3], |m, l| m.max(l[3]));
    // In halves: the room between huge values is no number.
    let room = if high > low {
        high / 2.0 - low / 2.0
    } else {
        0.5
    };
    let steps = (lines.len() - 1).max(1) as f64;
    let x = |i: usize| LEFT + i as f64 / steps * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| TOP + (1.0 - (v / 2.0 - low / 2.0) / room) * (HEIGHT - TOP - BOTTOM);
    let path = |quantile: usize| -> String {
        let points = lines.iter().enumerate();
        points
            .map(|(i, l)| format!("{:.1},{:.1} ", x(i), y(l[quantile])))
            .collect()
    };
    let back: String = lines
        .iter()
        .enumerate()
        .rev()
        .map(|(i, l)| format!("{:.1},{:.1} ", x(i), y(l[2])))
        .collect();
    let words = format!(
        "Best fitness from {} to {} in {} generations",
        numbers::figures(first[3]),
        numbers::figures(last[3]),
        lines.len()
    );
    html! {
        div.scroll {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
                title { (words) }
                @for share in [0.0, 0.5, 1.0] {
                    @let value = low + share * room + share * room;
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(value)) y2=(y(value)) {}
                    text x=(LEFT - 8.0) y=(y(value) + 4.5) text-anchor="end" { (numbers::figures(value)) }
                }
                polygon points={ (path(0)) (back) } style="fill: var(--frame); opacity: 0.22" {}
                polyline.line points=(path(1)) style="stroke-width: 2; opacity: 1" {}
                polyline.line points=(path(3)) style="stroke: var(--frame); stroke-width: 2.4; opacity: 1" {}
                @for (text, value) in labels(last, &y) {
                    text x=(WIDTH - RIGHT + 8.0) y=(value) { (text) }
                }
                text.name x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" {
                    "generation 1 to " (lines.len())
                }
            }
        }
    }
}

/// Names of the lines at their ends, kept apart.
fn labels(last: &[f64; 4], y: &dyn Fn(f64) -> f64) -> [(&'static str, f64); 3] {
    let best = y(last[3]) + 4.5;
    let band = (y(last[2]) + 4.5).max(best + 16.0);
    let median = (y(last[1]) + 4.5).max(band + 16.0);
    [("best", best), ("middle 80 %", band), ("median", median)]
}

fn quantiles(fitness: &[f64]) -> [f64; 4] {
    let mut sorted = fitness.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    QUANTILES.map(|q| {
        let index = (q * last as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    })
}
