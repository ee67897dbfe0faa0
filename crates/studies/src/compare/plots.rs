//! The comparison as plots.

use super::table::BESIDE;
use super::{AtTime, CompareReport, Spaces};
use crate::pictures::numbers;
use crate::pictures::plot::{Lines, Rows, Series};
use crate::statistics::Estimate;

/// A plot of the report.
pub(super) struct Plot {
    pub(super) name: &'static str,
    /// The section of the tables it belongs to.
    pub(super) section: &'static str,
    pub(super) svg: String,
}

pub(super) fn all(report: &CompareReport) -> Vec<Plot> {
    let mut plots = Vec::new();
    if !report.techniques.is_empty() {
        plots.push(Plot {
            name: "success",
            section: "Ways to edit",
            svg: success(report),
        });
    }
    plots.push(Plot {
        name: "frequency",
        section: "Tangent spaces",
        svg: frequency(report),
    });
    plots.push(Plot {
        name: "distance",
        section: "Tangent spaces",
        svg: distance(report),
    });
    if !report.beside.is_empty() {
        for (name, svg) in [("timesteps", timesteps(report)), ("models", models(report))] {
            plots.push(Plot {
                name,
                section: BESIDE,
                svg,
            });
        }
    }
    if let Some(paths) = &report.paths {
        let rows = [
            ("straight line", paths.lerp),
            ("arc", paths.slerp),
            ("geodesic", paths.geodesic),
        ];
        let svg = Rows {
            title: "Length of paths between samples",
            x_label: "length in H",
            groups: &[""],
            rows: &rows.map(|(name, e)| (name.to_owned(), vec![Some(e)])),
            levels: &[],
        };
        plots.push(Plot {
            name: "paths",
            section: "Path lengths",
            svg: svg.svg(),
        });
    }
    // Directions that do not move their own factor have no leakage to show.
    let shown = report.leakage.as_ref().filter(|leakage| {
        let mut factors = leakage.factors.iter();
        factors.any(|leak| leak.leakage.iter().any(Option::is_some))
    });
    if let Some(leakage) = shown {
        let mut rows: Vec<(String, Vec<Option<Estimate>>)> = leakage
            .factors
            .iter()
            .map(|leak| {
                let name = numbers::factor_label(&leak.factor).to_owned();
                (name, leak.leakage.to_vec())
            })
            .collect();
        rows.push(("all".to_owned(), leakage.all.to_vec()));
        let svg = Rows {
            title: "Leakage of the directions of factors",
            x_label: "change of other factors over the direction’s own",
            groups: &["before disentangling", "after"],
            rows: &rows,
            levels: &[],
        };
        plots.push(Plot {
            name: "leakage",
            section: "Leakage",
            svg: svg.svg(),
        });
    }
    plots
}

fn success(report: &CompareReport) -> String {
    let rows: Vec<(String, Vec<Option<Estimate>>)> = report
        .techniques
        .iter()
        .map(|row| {
            let name = row.technique.label().to_owned();
            (name, vec![Some(row.success), row.transfer])
        })
        .collect();
    Rows {
        title: "Success of edits",
        x_label: "share of the edits",
        groups: &["local", "transferred"],
        rows: &rows,
        levels: &[],
    }
    .svg()
}

fn frequency(report: &CompareReport) -> String {
    let spaces = &report.spaces;
    let points = spaces.times.iter().map(|t| (t.at, t.frequency)).collect();
    Lines {
        title: "Spatial frequency of the leading directions",
        x_label: "t / T, noise on the left",
        y_label: "periods per side",
        series: &[Series {
            name: "leading directions",
            points,
        }],
        reference: Some(("random directions", spaces.random_frequency)),
    }
    .svg()
}

/// A figure of the tangent spaces, where there is one.
fn of(spaces: &Spaces, f: fn(&AtTime) -> Option<Estimate>) -> Vec<(f64, Estimate)> {
    let times = spaces.times.iter();
    times.filter_map(|t| Some((t.at, f(t)?))).collect()
}

/// How much each model's tangent spaces turn from one timestep to the next.
fn timesteps(report: &CompareReport) -> String {
    let own = [(&report.model.name, &report.spaces)];
    let others = report.beside.iter().map(|b| (&b.model.name, &b.spaces));
    let all = own.into_iter().chain(others);
    let series: Vec<Series<'_>> = all
        .map(|(name, spaces)| Series {
            name,
            points: of(spaces, |t| t.distance_next),
        })
        .collect();
    Lines {
        title: "From one timestep to the next",
        x_label: "t / T, noise on the left",
        y_label: "distance in X, share of the largest",
        series: &series,
        reference: None,
    }
    .svg()
}

/// How far other models' tangent spaces are from this one's.
fn models(report: &CompareReport) -> String {
    let times = || report.spaces.times.iter().map(|t| t.at);
    let own = Series {
        name: "two samples, this model",
        points: of(&report.spaces, |t| Some(t.distance_x)),
    };
    let others = report.beside.iter().map(|beside| Series {
        name: &beside.model.name,
        points: times().zip(beside.apart.iter().copied()).collect(),
    });
    let series: Vec<Series<'_>> = std::iter::once(own).chain(others).collect();
    Lines {
        title: "Distance of other models at the same noisy pictures",
        x_label: "t / T, noise on the left",
        y_label: "distance in X, share of the largest",
        series: &series,
        reference: Some(("random subspaces", report.spaces.random_distance)),
    }
    .svg()
}

fn distance(report: &CompareReport) -> String {
    let of = |f| of(&report.spaces, f);
    Lines {
        title: "Distance of tangent spaces",
        x_label: "t / T, noise on the left",
        y_label: "share of the largest",
        series: &[
            Series {
                name: "two samples, in X",
                points: of(|t| Some(t.distance_x)),
            },
            Series {
                name: "two samples, in H",
                points: of(|t| Some(t.distance_h)),
            },
            Series {
                name: "same sample, next t, in X",
                points: of(|t| t.distance_next),
            },
        ],
        reference: Some(("random subspaces", report.spaces.random_distance)),
    }
    .svg()
}
