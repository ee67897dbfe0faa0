//! Counts and means over many walks.

use super::{Family, MeasureReport, WalkRecord};
use crate::pictures::numbers;
use crate::responses::{MONOTONE, PURE, VISIBLE, is_moved};
use crate::walk::LEAST_HELD;
use alice_worlds::{FACTORS, FactorSpec};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The walks of one timestep and one family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Share of the noise schedule.
    pub at: f64,
    /// What the walks go along.
    pub family: Family,
    /// Walks.
    pub walks: usize,
    /// Mean of the total standardised change.
    pub total_change: f64,
    /// Mean purity.
    pub purity: f64,
    /// Share of the walks that move one factor: |ρ| ≥ 0.9, purity ≥ 0.5,
    /// change ≥ 0.5 standard deviations.
    pub pure_share: f64,
    /// Mean share of sound frames.
    pub sound: f64,
    /// Geodesics that turned round: they move no factor, and the means leave them
    /// out.
    #[serde(skip_serializing_if = "is_none")]
    pub lost: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// How well some direction moves one factor; arrays in the order of
/// [`Family::ALL`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorSummary {
    /// The factor.
    pub factor: String,
    /// Walks that move it alone, see [`Group::pure_share`].
    pub pure_walks: [usize; 4],
    /// Samples at which some walk does.
    pub pure_samples: [usize; 4],
    /// The highest purity of a monotone, visible walk that moves it most.
    pub best_purity: [f64; 4],
    /// Mean |change|, in standard deviations.
    pub mean_change: [f64; 4],
}

/// Counts over all walks of a family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// What the walks go along.
    pub family: Family,
    /// Factors that some walk moves alone.
    pub factors: usize,
    /// Factors that some walk moves alone at at least half of the samples.
    pub factors_usually: usize,
    /// Share of the walks that move one factor.
    pub pure_share: f64,
}

fn is_visible(walk: &&&WalkRecord) -> bool {
    !walk.is_lost() && is_moved(walk.change, walk.spearman)
}

fn is_pure(walk: &&&WalkRecord) -> bool {
    is_visible(walk) && walk.purity >= PURE && walk.moves_its_aim()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    sum / count.max(1) as f64
}

fn share(walks: &[&WalkRecord]) -> f64 {
    walks.iter().filter(is_pure).count() as f64 / walks.len().max(1) as f64
}

fn of(walks: &[WalkRecord], family: Family) -> Vec<&WalkRecord> {
    walks.iter().filter(|w| w.family == family).collect()
}

pub(super) fn groups(walks: &[WalkRecord], at: &[f64]) -> Vec<Group> {
    let mut groups = Vec::new();
    for &at in at {
        for family in Family::ALL {
            let mut these = of(walks, family);
            these.retain(|w| w.at == at);
            let total = |w: &&WalkRecord| w.changes.iter().map(|c| c.abs()).sum::<f64>();
            let held = || these.iter().filter(|w| !w.is_lost());
            groups.push(Group {
                at,
                family,
                walks: these.len(),
                total_change: mean(held().map(total)),
                purity: mean(held().map(|w| w.purity)),
                pure_share: share(&these),
                sound: mean(held().map(|w| w.sound)),
                lost: these.len() - held().count(),
            });
        }
    }
    groups
}

pub(super) fn factors(walks: &[WalkRecord]) -> Vec<FactorSummary> {
    let families = Family::ALL.map(|family| of(walks, family));
    let summary = |(i, spec): (usize, &FactorSpec)| {
        let moving = families.each_ref().map(|walks| {
            let its = walks
                .iter()
                .filter(|w| w.factor.as_deref() == Some(spec.name));
            its.copied().collect::<Vec<_>>()
        });
        FactorSummary {
            factor: spec.name.to_owned(),
            pure_walks: moving
                .each_ref()
                .map(|walks| walks.iter().filter(is_pure).count()),
            pure_samples: moving.each_ref().map(|walks| {
                let samples = walks.iter().filter(is_pure).map(|w| w.sample);
                samples.collect::<BTreeSet<_>>().len()
            }),
            best_purity: moving.each_ref().map(|walks| {
                let visible = walks.iter().filter(is_visible).map(|w| w.purity);
                visible.fold(0.0, f64::max)
            }),
            mean_change: families.each_ref().map(|walks| {
                let held = walks.iter().filter(|w| !w.is_lost());
                mean(held.map(|w| w.changes[i].abs()))
            }),
        }
    };
    FACTORS.iter().enumerate().map(summary).collect()
}

pub(super) fn counts(walks: &[WalkRecord]) -> Vec<Counts> {
    let factors = factors(walks);
    let samples: BTreeSet<usize> = walks.iter().map(|w| w.sample).collect();
    let counts = Family::ALL.into_iter().enumerate().map(|(i, family)| {
        let at = |least: usize| {
            factors
                .iter()
                .filter(|f| f.pure_samples[i] >= least)
                .count()
        };
        Counts {
            family,
            factors: at(1),
            factors_usually: at(samples.len().div_ceil(2).max(1)),
            pure_share: share(&of(walks, family)),
        }
    });
    counts.collect()
}

/// The report as tables.
pub(super) fn markdown(report: &MeasureReport) -> String {
    let mut text = String::from("# What the directions mean\n\n");
    let _ = writeln!(
        text,
        "{} walks of {}. A walk moves one factor if |ρ| ≥ {MONOTONE}, its purity is at least \
         {PURE} and its change at least {VISIBLE} standard deviations; an aimed walk must move \
         the factor that it was aimed at.\n",
        report.walks.len(),
        report.model.name,
    );
    let lost = report.walks.iter().filter(|walk| walk.is_lost()).count();
    if lost > 0 {
        let _ = writeln!(
            text,
            "{lost} geodesics turned round, as the tangent space held less than {} of their \
             direction on the way: they count as moving nothing. A smaller --reach or more \
             --iterations keep them.\n",
            numbers::percent(LEAST_HELD)
        );
    }
    text.push_str(
        "| directions | factors that some walk moves alone | at half of the samples or more | walks that move one factor |\n\
         |---|---|---|---|\n",
    );
    for counts in &report.counts {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} % |",
            counts.family.label(),
            counts.factors,
            counts.factors_usually,
            100.0 * counts.pure_share,
        );
    }
    text.push_str(
        "\n| t/T | directions | walks | total change (sd) | mean purity | move one factor | sound frames |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for group in &report.groups {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {:.1} % | {:.1} % |",
            group.at,
            group.family.label(),
            group.walks,
            group.total_change,
            group.purity,
            100.0 * group.pure_share,
            100.0 * group.sound,
        );
    }
    text.push_str(
        "\nFor each factor, along found, random, aimed and at random aimed directions:\n\n\
         | factor | walks that move it alone | samples at which one does | best purity | mean change (sd) |\n\
         |---|---|---|---|---|\n",
    );
    for factor in &report.factors {
        let whole = |values: [usize; 4]| values.map(|v| v.to_string()).join(", ");
        let rounded = |values: [f64; 4]| values.map(|v| format!("{v:.2}")).join(", ");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            factor.factor,
            whole(factor.pure_walks),
            whole(factor.pure_samples),
            rounded(factor.best_purity),
            rounded(factor.mean_change),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::Held;

    fn walk(family: Family, factor: usize, spearman: f64, purity: f64) -> WalkRecord {
        let mut changes = vec![0.0; FACTORS.len()];
        changes[factor] = 2.0;
        WalkRecord {
            at: 0.6,
            sample: 0,
            family,
            direction: factor,
            factor: Some(FACTORS[factor].name.to_owned()),
            change: 2.0,
            spearman,
            purity,
            changes,
            correlations: Vec::new(),
            sound: 1.0,
            held: None,
        }
    }

    #[test]
    fn only_monotone_pure_walks_count() {
        let mut walks = vec![
            walk(Family::Found, 1, 1.0, 0.8),
            walk(Family::Found, 1, -0.95, 0.6),
            walk(Family::Found, 2, 0.5, 0.9),
            walk(Family::Found, 3, 1.0, 0.4),
            walk(Family::Random, 4, 1.0, 0.3),
            walk(Family::Aimed, 5, 1.0, 0.7),
            // Aimed at another factor than the one it moves.
            WalkRecord {
                direction: 7,
                ..walk(Family::Aimed, 6, 1.0, 0.7)
            },
        ];
        // Two more samples, at which nothing is moved alone.
        for sample in 1..=2 {
            walks.push(WalkRecord {
                sample,
                ..walk(Family::Random, 4, 1.0, 0.3)
            });
        }
        let of = |family: Family| {
            let found = counts(&walks).into_iter().find(|c| c.family == family);
            let found = found.unwrap();
            (found.factors, found.factors_usually, found.pure_share)
        };
        assert_eq!(of(Family::Found), (1, 0, 0.5));
        assert_eq!(of(Family::Random), (0, 0, 0.0));
        assert_eq!(of(Family::Aimed), (1, 0, 0.5));
        assert_eq!(of(Family::AimedAtRandom), (0, 0, 0.0));
        let factors = factors(&walks);
        assert_eq!(factors[1].pure_walks, [2, 0, 0, 0]);
        assert_eq!(factors[1].pure_samples, [1, 0, 0, 0]);
        assert_eq!(
            (factors[2].pure_walks[0], factors[2].best_purity[0]),
            (0, 0.0)
        );
        assert_eq!(factors[1].best_purity[0], 0.8);
        assert_eq!(factors[1].mean_change[0], 1.0);
        // A lost geodesic moves nothing, whatever its pictures show.
        walks[0].held = Some(Held(0.42));
        assert_eq!(super::factors(&walks)[1].pure_walks, [1, 0, 0, 0]);
        let groups = groups(&walks, &[0.6]);
        assert_eq!(groups[0].lost, 1);
        assert_eq!(
            groups.iter().map(|g| g.walks).collect::<Vec<_>>(),
            [4, 3, 2, 0]
        );
    }
}
