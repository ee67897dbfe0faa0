//! Counts and means over many walks.

use super::{MeasureReport, WalkRecord};
use alice_worlds::FACTORS;
use serde::Serialize;
use std::fmt::Write;

/// Bounds of a walk that moves one factor: |ρ|, purity, and a change that is
/// no reading error, in standard deviations.
const MONOTONE: f64 = 0.9;
const PURE: f64 = 0.5;
const VISIBLE: f64 = 0.5;

/// The walks of one timestep, along found or along random directions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Share of the noise schedule.
    pub at: f64,
    /// Whether the directions are random.
    pub random: bool,
    /// Walks.
    pub walks: usize,
    /// Mean of the total standardised change.
    pub total_change: f64,
    /// Mean purity.
    pub purity: f64,
    /// Share of the walks that move one factor: |ρ| ≥ 0.9, purity ≥ 0.5,
    /// change ≥ 0.5 standard deviations.
    pub pure_share: f64,
    /// Mean share of valid frames.
    pub validity: f64,
}

/// How well some direction moves one factor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorSummary {
    /// The factor.
    pub factor: String,
    /// Found directions that move it alone, see [`Group::pure_share`].
    pub pure_walks: usize,
    /// The same for random directions.
    pub pure_random_walks: usize,
    /// The highest purity of a monotone, visible walk along a found direction.
    pub best_purity: f64,
    /// Mean |change| over found directions, in standard deviations.
    pub mean_change: f64,
    /// Mean |change| over random directions.
    pub mean_random_change: f64,
}

/// Counts over all walks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Factors that some found direction moves alone.
    pub factors_moved: usize,
    /// Factors that some random direction moves alone.
    pub factors_moved_at_random: usize,
    /// Share of the found walks that move one factor.
    pub pure_share: f64,
    /// Share of the random walks that move one factor.
    pub pure_random_share: f64,
}

fn is_pure(walk: &&WalkRecord) -> bool {
    walk.spearman.abs() >= MONOTONE && walk.purity >= PURE && walk.change.abs() >= VISIBLE
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    sum / count.max(1) as f64
}

fn share(walks: &[&WalkRecord]) -> f64 {
    mean(walks.iter().map(|w| f64::from(u8::from(is_pure(w)))))
}

/// Walks along found or along random directions.
fn side(walks: &[WalkRecord], random: bool) -> Vec<&WalkRecord> {
    let wanted = |w: &&WalkRecord| w.direction.is_none() == random;
    walks.iter().filter(wanted).collect()
}

pub(super) fn groups(walks: &[WalkRecord], at: &[f64]) -> Vec<Group> {
    let mut groups = Vec::new();
    for &at in at {
        for random in [false, true] {
            let mut these = side(walks, random);
            these.retain(|w| w.at == at);
            let total = |w: &&WalkRecord| w.changes.iter().map(|c| c.abs()).sum::<f64>();
            groups.push(Group {
                at,
                random,
                walks: these.len(),
                total_change: mean(these.iter().map(total)),
                purity: mean(these.iter().map(|w| w.purity)),
                pure_share: share(&these),
                validity: mean(these.iter().map(|w| w.validity)),
            });
        }
    }
    groups
}

pub(super) fn factors(walks: &[WalkRecord]) -> Vec<FactorSummary> {
    let (found, random) = (side(walks, false), side(walks, true));
    let pure = |walks: &[&WalkRecord], name: &str| {
        let moves = |w: &&&WalkRecord| is_pure(w) && w.factor.as_deref() == Some(name);
        walks.iter().filter(moves).count()
    };
    FACTORS
        .iter()
        .enumerate()
        .map(|(i, spec)| {
            let change = |walks: &[&WalkRecord]| mean(walks.iter().map(|w| w.changes[i].abs()));
            let visible = found.iter().filter(|w| {
                w.factor.as_deref() == Some(spec.name)
                    && w.spearman.abs() >= MONOTONE
                    && w.change.abs() >= VISIBLE
            });
            FactorSummary {
                factor: spec.name.to_owned(),
                pure_walks: pure(&found, spec.name),
                pure_random_walks: pure(&random, spec.name),
                best_purity: visible.map(|w| w.purity).fold(0.0, f64::max),
                mean_change: change(&found),
                mean_random_change: change(&random),
            }
        })
        .collect()
}

pub(super) fn summary(walks: &[WalkRecord]) -> Summary {
    let factors = factors(walks);
    Summary {
        factors_moved: factors.iter().filter(|f| f.pure_walks > 0).count(),
        factors_moved_at_random: factors.iter().filter(|f| f.pure_random_walks > 0).count(),
        pure_share: share(&side(walks, false)),
        pure_random_share: share(&side(walks, true)),
    }
}

/// The report as tables.
pub(super) fn markdown(report: &MeasureReport) -> String {
    let mut text = String::from("# What the directions mean\n\n");
    let summary = &report.summary;
    let _ = writeln!(
        text,
        "{} walks of {}. {} factors are moved by some found direction alone, {} by some \
         random one. {:.1} % of the found directions move one factor, {:.1} % of the random \
         ones (|ρ| ≥ {MONOTONE}, purity ≥ {PURE}, change ≥ {VISIBLE} standard deviations).\n",
        report.walks.len(),
        report.model.name,
        summary.factors_moved,
        summary.factors_moved_at_random,
        100.0 * summary.pure_share,
        100.0 * summary.pure_random_share,
    );
    text.push_str(
        "| t/T | directions | walks | total change (sd) | mean purity | move one factor | valid frames |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for group in &report.groups {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {:.1} % | {:.1} % |",
            group.at,
            if group.random { "random" } else { "found" },
            group.walks,
            group.total_change,
            group.purity,
            100.0 * group.pure_share,
            100.0 * group.validity,
        );
    }
    text.push_str(
        "\n| factor | walks that move it alone | random walks that do | best purity | mean change (sd) | at random |\n\
         |---|---|---|---|---|---|\n",
    );
    for factor in &report.factors {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {:.2} |",
            factor.factor,
            factor.pure_walks,
            factor.pure_random_walks,
            factor.best_purity,
            factor.mean_change,
            factor.mean_random_change,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(direction: Option<usize>, factor: usize, spearman: f64, purity: f64) -> WalkRecord {
        let mut changes = vec![0.0; FACTORS.len()];
        changes[factor] = 2.0;
        WalkRecord {
            at: 0.6,
            sample: 0,
            direction,
            factor: Some(FACTORS[factor].name.to_owned()),
            change: 2.0,
            spearman,
            purity,
            changes,
            validity: 1.0,
        }
    }

    #[test]
    fn only_monotone_pure_walks_count() {
        let walks = [
            walk(Some(0), 1, 1.0, 0.8),
            walk(Some(1), 1, -0.95, 0.6),
            walk(Some(2), 2, 0.5, 0.9),
            walk(Some(3), 3, 1.0, 0.4),
            walk(None, 4, 1.0, 0.3),
        ];
        let summary = summary(&walks);
        assert_eq!(
            (summary.factors_moved, summary.factors_moved_at_random),
            (1, 0)
        );
        assert_eq!((summary.pure_share, summary.pure_random_share), (0.5, 0.0));
        let factors = factors(&walks);
        assert_eq!((factors[1].pure_walks, factors[2].pure_walks), (2, 0));
        assert_eq!(factors[1].best_purity, 0.8);
        assert_eq!(factors[1].mean_change, 1.0);
        let groups = groups(&walks, &[0.6]);
        assert_eq!((groups[0].walks, groups[1].walks), (4, 1));
    }
}
