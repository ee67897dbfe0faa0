//! The comparison as rows, and as text.

use super::CompareReport;
use super::claims::LEADING;
use super::edits::EditRecord;
use super::leakage::LEAST_TRIED;
use super::techniques::Technique;
use crate::pictures::numbers;
use crate::statistics::Estimate;
use crate::walk::{Held, LEAST_HELD};
use serde::Serialize;
use std::fmt::Write;

/// One technique over all samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The technique.
    pub technique: Technique,
    /// Share of the edits that moved the part's factor and kept the rest.
    pub success: Estimate,
    /// Share of the edits that moved the part's factor.
    pub moved: Estimate,
    /// Share of the edits that kept the rest.
    pub kept: Estimate,
    /// Root mean square change inside the region, of 255.
    pub inside: Estimate,
    /// The same outside.
    pub outside: Estimate,
    /// Structural similarity with the unedited picture.
    pub ssim: Estimate,
    /// Geodesics that turned round, which are no successes; nothing of other ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<usize>,
    /// Of the successful edits, the share whose direction does the same at
    /// another sample; nothing without successful ones.
    pub transfer: Option<Estimate>,
    /// Seconds from a sample to the direction. Principal components are
    /// computed once, for all samples: that time counts in full, so that there
    /// is no interval.
    pub learning_seconds: Estimate,
    /// Seconds to carry a direction to another sample.
    pub transfer_seconds: Option<Estimate>,
}

pub(super) fn rows(edits: &[EditRecord]) -> Vec<Row> {
    Technique::ALL
        .into_iter()
        .filter_map(|technique| {
            let own: Vec<&EditRecord> = edits.iter().filter(|e| e.technique == technique).collect();
            row(technique, &own)
        })
        .collect()
}

fn row(technique: Technique, edits: &[&EditRecord]) -> Option<Row> {
    let mean = |f: fn(&EditRecord) -> f64| {
        let values: Vec<f64> = edits.iter().map(|e| f(e)).collect();
        Estimate::mean(&values)
    };
    let share = |f: fn(&EditRecord) -> bool| {
        Estimate::share(edits.iter().filter(|e| f(e)).count(), edits.len())
    };
    let carried: Vec<_> = edits.iter().filter_map(|e| e.transfer.as_ref()).collect();
    let again = carried.iter().filter(|t| t.success).count();
    let seconds: Vec<f64> = carried.iter().map(|t| t.seconds).collect();
    Some(Row {
        technique,
        success: share(|e| e.score.success)?,
        moved: share(|e| e.score.moved)?,
        kept: share(|e| e.score.kept)?,
        inside: mean(|e| e.score.inside)?.not_negative(),
        outside: mean(|e| e.score.outside)?.not_negative(),
        ssim: mean(|e| e.score.ssim)?.within(-1.0, 1.0),
        lost: {
            let held: Vec<Held> = edits.iter().filter_map(|e| e.held).collect();
            let lost = held.iter().filter(|held| held.is_lost()).count();
            (!held.is_empty()).then_some(lost)
        },
        transfer: Estimate::share(again, carried.len()),
        learning_seconds: match technique {
            // Nearly all of it is the same in every edit.
            Technique::Principal => Estimate::alone(mean(|e| e.learning_seconds)?.value),
            _ => mean(|e| e.learning_seconds)?.not_negative(),
        },
        transfer_seconds: Estimate::mean(&seconds).map(Estimate::not_negative),
    })
}

/// The section of other models.
pub(super) const BESIDE: &str = "Beside other models";

/// Cells of a table, the first row its head.
type Cells = Vec<Vec<String>>;

pub(super) fn techniques(report: &CompareReport) -> Cells {
    let head = [
        "technique",
        "local success",
        "moved",
        "kept",
        "change inside (of 255)",
        "outside",
        "SSIM",
        "lost",
        "transfer success",
        "learning (s)",
        "transfer (s)",
    ];
    let mut cells = vec![head.map(String::from).to_vec()];
    for row in &report.techniques {
        let maybe = |e: &Option<Estimate>, text: fn(&Estimate) -> String| {
            e.as_ref().map_or_else(|| numbers::NONE.to_owned(), text)
        };
        cells.push(vec![
            row.technique.label().to_owned(),
            format!("{:.2}", row.success),
            format!("{:.2}", row.moved),
            format!("{:.2}", row.kept),
            format!("{:.1}", row.inside),
            format!("{:.1}", row.outside),
            format!("{:.2}", row.ssim),
            row.lost.map_or_else(
                || numbers::NONE.to_owned(),
                |lost| format!("{lost} of {}", row.success.count),
            ),
            maybe(&row.transfer, |t| format!("{t:.2} of {}", t.count)),
            format!("{:.2}", row.learning_seconds),
            maybe(&row.transfer_seconds, |t| format!("{t:.2}")),
        ]);
    }
    cells
}

pub(super) fn spaces(report: &CompareReport) -> Cells {
    let head = [
        "t/T",
        "frequency",
        "distance in X",
        "distance in H",
        "to the next t",
    ];
    let mut cells = vec![head.map(String::from).to_vec()];
    for time in &report.spaces.times {
        let next = time.distance_next.map(|d| format!("{d:.3}"));
        cells.push(vec![
            time.at.to_string(),
            format!("{:.2}", time.frequency),
            format!("{:.3}", time.distance_x),
            format!("{:.3}", time.distance_h),
            next.unwrap_or_else(|| numbers::NONE.to_owned()),
        ]);
    }
    cells
}

/// Each model's own figures, and how far it is from the one compared.
fn beside(report: &CompareReport) -> Cells {
    if report.beside.is_empty() {
        return Vec::new();
    }
    let head = [
        "t/T",
        "model",
        "frequency",
        "distance in X",
        "distance in H",
        "to the next t",
        "from the first",
    ];
    let mut cells = vec![head.map(String::from).to_vec()];
    let others = report.beside.iter();
    let others = others.map(|b| (&b.model.name, &b.spaces, Some(&b.apart)));
    let all = [(&report.model.name, &report.spaces, None)];
    let models: Vec<_> = all.into_iter().chain(others).collect();
    for i in 0..report.spaces.times.len() {
        for (name, spaces, apart) in &models {
            let time = &spaces.times[i];
            let maybe = |e: Option<&Estimate>| {
                e.map_or_else(|| numbers::NONE.to_owned(), |e| format!("{e:.3}"))
            };
            cells.push(vec![
                time.at.to_string(),
                (*name).clone(),
                format!("{:.2}", time.frequency),
                format!("{:.3}", time.distance_x),
                format!("{:.3}", time.distance_h),
                maybe(time.distance_next.as_ref()),
                maybe(apart.and_then(|apart| apart.get(i))),
            ]);
        }
    }
    cells
}

pub(super) fn paths(report: &CompareReport) -> Cells {
    let Some(paths) = &report.paths else {
        return Vec::new();
    };
    let row = |name: &str, length: Estimate, energy: Estimate| {
        vec![
            name.to_owned(),
            format!("{length:.2}"),
            format!("{energy:.2}"),
        ]
    };
    let [straight, arc, geodesic] = paths.energies;
    vec![
        ["path", "length in H", "energy in H"]
            .map(String::from)
            .to_vec(),
        row("straight line", paths.lerp, straight),
        row("arc", paths.slerp, arc),
        row("geodesic", paths.geodesic, geodesic),
        row(
            "geodesic over straight line",
            paths.ratio,
            paths.energy_ratio,
        ),
    ]
}

pub(super) fn leakage(report: &CompareReport) -> Cells {
    let Some(leakage) = &report.leakage else {
        return Vec::new();
    };
    let head = [
        "direction",
        "own change before (sd)",
        "after",
        "others before (sd)",
        "after",
        "leakage before",
        "after",
    ];
    let maybe =
        |e: Option<Estimate>| e.map_or_else(|| numbers::NONE.to_owned(), |e| format!("{e:.2}"));
    let mut cells = vec![head.map(String::from).to_vec()];
    for leak in &leakage.factors {
        let pairs = [leak.own, leak.others];
        let mut row = vec![numbers::factor_label(&leak.factor).to_owned()];
        row.extend(pairs.into_iter().flatten().map(maybe));
        row.extend(leak.leakage.map(maybe));
        cells.push(row);
    }
    let mut row = vec!["all".to_owned()];
    row.extend((0..4).map(|_| String::new()));
    row.extend(leakage.all.map(maybe));
    cells.push(row);
    let random = &leakage.random;
    let one = [Some(random.own), Some(random.others), random.leakage];
    let mut row = vec!["random direction, for scale".to_owned()];
    row.extend(one.into_iter().flat_map(|e| [maybe(e), maybe(None)]));
    cells.push(row);
    cells
}

/// Sentences that go with the tables.
pub(super) fn about(report: &CompareReport) -> [String; 5] {
    let spaces = &report.spaces;
    [
        format!(
            "{} samples at timestep {}. In each, every technique edits the same part of the \
             face, by the same change inside it where it can. Success: a factor of the part \
             moves (|ρ| ≥ 0.9, at least half a standard deviation), and nothing outside moves \
             beyond the bound of wrong parts. Lost: geodesics that turned round, as the tangent \
             space held less than {} of their direction on the way; they are no successes. Transfer: of the successful ones, those that do \
             the same at another sample. Learning PCA of h takes most of its time once, for all \
             samples; that time counts in full here, so it has no interval.",
            report.edits.len() / Technique::ALL.len(),
            report.timestep,
            numbers::percent(LEAST_HELD)
        ),
        format!(
            "Tangent spaces of dimension {} at {} samples. Frequency: periods per picture side of \
             {} (random ones: {:.2}). Distances: Grassmann, as a share \
             of the largest (random subspaces of X: {:.3}).",
            spaces.rank,
            spaces.samples,
            match spaces.rank {
                1 => "the leading direction".to_owned(),
                rank => format!("the {} leading directions", rank.min(LEADING)),
            },
            spaces.random_frequency,
            spaces.random_distance
        ),
        format!(
            "The same of other models, each at its own samples, and how far their tangent spaces \
             are from those of {} at the same noisy pictures, its samples.",
            report.model.name
        ),
        report.paths.as_ref().map_or_else(String::new, |paths| {
            format!(
                "Paths of {} segments between {} pairs of samples at timestep {}. Energy: ½ ∫ \
                 ‖ḣ‖² over unit time. The geodesic's is at most the straight line's in {} of {}.",
                paths.segments,
                paths.pairs.len(),
                report.timestep,
                paths.below(),
                paths.pairs.len()
            )
        }),
        report.leakage.as_ref().map_or_else(String::new, |leakage| {
            format!(
                "Directions of factors, learnt from {} samples and tried on {} others with a Δh of \
                 {} of ‖h‖ at every step. Own change: of the direction's factor, in the sense that \
                 was learnt; – where fewer than 2 of the samples have it, or lack it. Leakage: \
                 the mean |change| of the other factors over it; – where there is next to no own \
                 change, or none within its interval, or fewer than {LEAST_TRIED} samples were \
                 tried. Random directions have the same length, each in the place of one \
                 factor's.",
                leakage.learnt, leakage.tried, leakage.strength
            )
        }),
    ]
}

const TITLES: [&str; 5] = [
    "Ways to edit",
    "Tangent spaces",
    BESIDE,
    "Path lengths",
    "Leakage",
];

/// Title, sentences and cells of each table that there is.
pub(super) fn sections(report: &CompareReport) -> Vec<(&'static str, String, Cells)> {
    let cells = [
        techniques(report),
        spaces(report),
        beside(report),
        paths(report),
        leakage(report),
    ];
    let all = TITLES.into_iter().zip(about(report)).zip(cells);
    all.filter(|(_, cells)| cells.len() > 1)
        .map(|((title, about), cells)| (title, about, cells))
        .collect()
}

/// Every table as Markdown.
pub(super) fn markdown(report: &CompareReport) -> String {
    let mut text = format!(
        "Of {} (weights {}). Intervals are of 95 %.\n",
        report.model.name,
        alice_runs::hash::short(&report.model.hash)
    );
    for (title, about, cells) in sections(report) {
        let _ = write!(text, "\n## {title}\n\n{about}\n\n");
        for (i, row) in cells.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if i == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
            }
        }
    }
    text
}

/// Every table in columns, for a terminal.
pub(super) fn text(report: &CompareReport) -> String {
    let mut text = String::new();
    for (title, _, cells) in sections(report) {
        let _ = writeln!(text, "{title} (95 % intervals)");
        let columns = cells[0].len();
        let width = |c: usize| cells.iter().map(|row| row[c].chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        for row in &cells {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let pad = width - cell.chars().count();
                let _ = write!(line, "  {cell}{}", " ".repeat(pad));
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "report.html, compare.md, plots, {:.0} s",
        report.seconds
    );
    text
}
