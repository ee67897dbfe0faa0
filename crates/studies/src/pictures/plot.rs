//! Plots with intervals, as SVG that needs nothing else.
//!
//! They have a ground of their own, so that they read the same on light and
//! dark pages.

use super::numbers;
use crate::statistics::Estimate;
use maud::{Markup, PreEscaped, html};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const TOP: f64 = 74.0;
const RIGHT: f64 = 28.0;
const BOTTOM: f64 = 56.0;
/// Blue, orange and green that stay apart for the colour-blind (Okabe & Ito).
const COLORS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#6b6b6b"];
const STYLE: &str = "text{font-family:Inter,system-ui,sans-serif;font-size:13px;fill:#4a4640}\
    .title{font-size:16px;font-weight:600;fill:#211f1c}.name{fill:#211f1c}\
    .grid{stroke:#e2dcd2}.axis{stroke:#8a847a}.reference{stroke:#6b6b6b;stroke-dasharray:5 4}";

/// Points with intervals along an axis.
pub struct Series<'a> {
    /// As the legend names it.
    pub name: &'a str,
    /// x and y.
    pub points: Vec<(f64, Estimate)>,
}

/// Lines over a share of the noise schedule, noise on the left.
pub struct Lines<'a> {
    /// Above the plot.
    pub title: &'a str,
    /// Below it.
    pub x_label: &'a str,
    /// Beside it.
    pub y_label: &'a str,
    /// At most four lines.
    pub series: &'a [Series<'a>],
    /// A level to compare with.
    pub reference: Option<(&'a str, f64)>,
}

impl Lines<'_> {
    /// The plot.
    #[must_use]
    pub fn svg(&self) -> String {
        const LEFT: f64 = 68.0;
        let points = || self.series.iter().flat_map(|s| &s.points);
        let ends = points().flat_map(|(_, e)| [e.low, e.high]);
        let (low, high) = room(ends.chain(self.reference.map(|(_, level)| level)));
        let from = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let to = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let span = (from - to).max(1e-9);
        let x = |t: f64| LEFT + 12.0 + (from - t) / span * (width - 24.0);
        let y = |v: f64| TOP + (high - v) / (high - low) * height;
        let mut times: Vec<f64> = points().map(|p| p.0).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        frame(
            self.title,
            HEIGHT,
            html! {
                @for tick in ticks(low, high) {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y(tick))) y2=(at(y(tick))) {}
                    text x=(LEFT - 8.0) y=(at(y(tick) + 4.5)) text-anchor="end" { (tick_text(tick)) }
                }
                line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
                @for time in &times {
                    text x=(at(x(*time))) y=(HEIGHT - BOTTOM + 20.0) text-anchor="middle" { (tick_text(*time)) }
                }
                text.name x=(at(LEFT + width / 2.0)) y=(HEIGHT - 12.0) text-anchor="middle" { (self.x_label) }
                text.name transform={ "translate(18 " (at(TOP + height / 2.0)) ") rotate(-90)" } text-anchor="middle" { (self.y_label) }
                @if let Some((name, level)) = self.reference {
                    line.reference x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y(level))) y2=(at(y(level))) {}
                    text x=(WIDTH - RIGHT) y=(at(y(level) - 6.0)) text-anchor="end" { (name) }
                }
                @for (i, series) in self.series.iter().enumerate() {
                    (band(series, i, x, y))
                }
                (legend(&self.series.iter().map(|s| s.name).collect::<Vec<_>>()))
            },
        )
    }
}

fn band(
    series: &Series<'_>,
    index: usize,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) -> Markup {
    let color = COLORS[index % COLORS.len()];
    let point = |t: f64, v: f64| format!("{},{} ", at(x(t)), at(y(v)));
    let line: String = series
        .points
        .iter()
        .map(|(t, e)| point(*t, e.value))
        .collect();
    let upper = series.points.iter().map(|(t, e)| point(*t, e.high));
    let lower = series.points.iter().rev().map(|(t, e)| point(*t, e.low));
    let around: String = upper.chain(lower).collect();
    html! {
        polygon points=(around.trim_end()) fill=(color) opacity="0.18" {}
        polyline points=(line.trim_end()) fill="none" stroke=(color) stroke-width="2" {}
        @for (t, e) in &series.points {
            circle cx=(at(x(*t))) cy=(at(y(e.value))) r="3.5" fill=(color) {
                title { (series.name) ", " (tick_text(*t)) ": " (format!("{e:.3}")) }
            }
        }
    }
}

/// Named rows with a dot and an interval for each group.
pub struct Rows<'a> {
    /// Above the plot.
    pub title: &'a str,
    /// Below it.
    pub x_label: &'a str,
    /// As the legend names them; no legend for one.
    pub groups: &'a [&'a str],
    /// Each row has one value for each group.
    pub rows: &'a [(String, Vec<Option<Estimate>>)],
    /// Levels to compare with, named at the head of their lines.
    pub levels: &'a [(&'a str, f64)],
}

impl Rows<'_> {
    /// The plot.
    #[must_use]
    pub fn svg(&self) -> String {
        const ROW: f64 = 38.0;
        let longest = self.rows.iter().map(|(name, _)| name.chars().count());
        let left = (7.0 * longest.max().unwrap_or(0) as f64 + 24.0).max(200.0);
        let values = || self.rows.iter().flat_map(|(_, e)| e).flatten();
        let ends = values().flat_map(|e| [e.low, e.high]);
        let levels = self.levels.iter().map(|(_, level)| *level);
        let (low, high) = room(ends.chain(levels).chain([0.0]));
        let bottom = TOP + ROW * self.rows.len() as f64;
        let x = |v: f64| left + (v - low) / (high - low) * (WIDTH - left - RIGHT);
        let groups = self.groups.len() as f64;
        let y = |row: usize, group: usize| {
            TOP + ROW * (row as f64 + 0.5) + 12.0 * (group as f64 - (groups - 1.0) / 2.0)
        };
        frame(
            self.title,
            bottom + BOTTOM,
            html! {
                @for tick in ticks(low, high) {
                    line.grid x1=(at(x(tick))) x2=(at(x(tick))) y1=(TOP) y2=(bottom) {}
                    text x=(at(x(tick))) y=(bottom + 20.0) text-anchor="middle" { (tick_text(tick)) }
                }
                line.axis x1=(at(x(low))) x2=(at(x(low))) y1=(TOP) y2=(bottom) {}
                text.name x=(at((left + WIDTH - RIGHT) / 2.0)) y=(bottom + 44.0) text-anchor="middle" { (self.x_label) }
                @for (i, (name, level)) in self.levels.iter().enumerate() {
                    line.reference x1=(at(x(*level))) x2=(at(x(*level))) y1=(TOP - 12.0 * (i + 1) as f64) y2=(bottom) {}
                    text x=(at(x(*level) + 6.0)) y=(TOP - 12.0 * i as f64 - 2.0) { (name) }
                }
                @for (row, (name, estimates)) in self.rows.iter().enumerate() {
                    text.name x=(left - 12.0) y=(at(TOP + ROW * (row as f64 + 0.5) + 4.5)) text-anchor="end" { (name) }
                    @for (group, estimate) in estimates.iter().enumerate() {
                        @if let Some(e) = estimate {
                            line x1=(at(x(e.low))) x2=(at(x(e.high))) y1=(at(y(row, group))) y2=(at(y(row, group)))
                                stroke=(COLORS[group % COLORS.len()]) stroke-width="2.5" {}
                            circle cx=(at(x(e.value))) cy=(at(y(row, group))) r="4.5" fill=(COLORS[group % COLORS.len()]) {
                                title { (name) ": " (format!("{e:.3}")) }
                            }
                        }
                    }
                }
                @if self.groups.len() > 1 { (legend(self.groups)) }
            },
        )
    }
}

fn frame(title: &str, height: f64, inside: Markup) -> String {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (at(height)) } role="img" aria-label=(title) {
            style { (PreEscaped(STYLE)) }
            rect width=(WIDTH) height=(at(height)) rx="8" fill="#fbf9f5" {}
            text.title x="20" y="28" { (title) }
            (inside)
        }
    }
    .into_string()
}

/// Names with their colours, in one line below the title.
fn legend(names: &[&str]) -> Markup {
    let mut x = 20.0;
    let places: Vec<(usize, f64)> = (0..names.len())
        .map(|i| {
            let place = x;
            x += 7.2 * names[i].chars().count() as f64 + 34.0;
            (i, place)
        })
        .collect();
    html! {
        @for (i, x) in places {
            circle cx=(at(x + 6.0)) cy="47.5" r="4.5" fill=(COLORS[i % COLORS.len()]) {}
            text x=(at(x + 16.0)) y="52" { (names[i]) }
        }
    }
}

/// Short coordinates.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// The range of the values with a little air; a range of their own where all
/// are the same.
fn room(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    if low > high {
        return (0.0, 1.0);
    }
    let air = 0.06 * (high - low).max(1e-6 + 0.02 * high.abs());
    // Shares begin at 0.
    let low = if low >= 0.0 && low < 0.35 * high {
        0.0
    } else {
        low - air
    };
    (low, high + air)
}

/// Round numbers, about five.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * decade)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The shortest digits.
fn tick_text(tick: f64) -> String {
    let rounded = (tick * 1e6).round() / 1e6;
    if rounded == 0.0 || (1e-3..1e5).contains(&rounded.abs()) {
        format!("{rounded}").replace('-', "−")
    } else {
        numbers::figures(tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64) -> Estimate {
        Estimate {
            value,
            low: value - 0.1,
            high: value + 0.1,
            count: 4,
        }
    }

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(ticks(0.0, 1.06), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(2.1, 7.9), [4.0, 6.0]);
        assert_eq!(tick_text(-0.5), "−0.5");
        assert!(ticks(0.91, 0.95).len() >= 3);
    }

    #[test]
    fn every_point_is_drawn_and_nothing_is_not_a_number() {
        let series = [Series {
            name: "a & b",
            points: vec![(0.9, estimate(1.0)), (0.1, estimate(2.0))],
        }];
        let svg = Lines {
            title: "t",
            x_label: "x",
            y_label: "y",
            series: &series,
            reference: Some(("level", 1.5)),
        }
        .svg();
        assert_eq!(svg.matches("r=\"3.5\"").count(), 2);
        assert!(svg.contains("a &amp; b") && !svg.contains("NaN"));
        let rows = [
            ("one".to_owned(), vec![Some(estimate(0.2)), None]),
            (
                "two".to_owned(),
                vec![Some(estimate(0.5)), Some(estimate(0.5))],
            ),
        ];
        let svg = Rows {
            title: "t",
            x_label: "x",
            groups: &["p", "q"],
            rows: &rows,
            levels: &[("bound", 0.3)],
        }
        .svg();
        assert_eq!(svg.matches("stroke-width=\"2.5\"").count(), 3);
        assert_eq!(svg.matches("class=\"reference\"").count(), 1);
        let empty = Lines {
            title: "t",
            x_label: "x",
            y_label: "y",
            series: &[],
            reference: None,
        }
        .svg();
        assert!(!empty.contains("NaN") && !empty.contains("inf"), "{empty}");
    }
}
