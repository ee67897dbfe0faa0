//! How much a direction for one factor moves others, before and after the
//! others' directions are projected out (after Haas et al., FG 2024, Table I).
//!
//! The direction of a factor is the difference of the mean bottlenecks of the
//! samples that show most and least of it, learnt on some samples and tried
//! on others. Its own factor is to change in the sense that was learnt, so its
//! change keeps its sign; the others are not to change at all, so theirs do not.

use super::CompareArguments;
use super::lab::Lab;
use crate::jacobian::unflatten;
use crate::parts::kept;
use crate::reader::{Reader, along_walk};
use crate::responses::responses;
use crate::sampling::pictures;
use crate::statistics::Estimate;
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_geometry::{Block, Span, norm};
use alice_instruments::Reading;
use alice_random::Stream;
use alice_runs::RunFolder;
use alice_worlds::{FACTORS, FactorKind, factor_index};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The factors whose directions are learnt.
const NAMED: [&str; 6] = [
    "smile",
    "eye_openness",
    "nose_size",
    "ear_size",
    "hat",
    "glasses",
];
/// The share of the samples that counts as showing most, and least, of a factor.
const END: f64 = 0.25;

/// Standard deviations by which a direction moves its own factor, at least,
/// where it has a leakage.
const LEAST_OWN: f64 = 0.05;

/// One factor's direction, tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// The factor.
    pub factor: String,
    /// Mean change of the factor itself in the sense that was learnt, in
    /// standard deviations: negative where it goes the other way.
    pub own: [Estimate; 2],
    /// Mean |change| of the other named factors.
    pub others: [Estimate; 2],
    /// The mean of the others over the factor's own: the leakage. Nothing
    /// where its own does not move in the sense that was learnt.
    pub leakage: [Option<Estimate>; 2],
}

/// Directions tried together, each in the place of one factor's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Mean change of the factor that a direction stands for, in standard
    /// deviations.
    pub own: Estimate,
    /// Mean |change| of the others.
    pub others: Estimate,
    /// The others over its own. Nothing where its own does not move: a ratio to
    /// next to nothing says nothing, and one whose denominator may be zero has
    /// no bounded interval (Fieller 1954).
    pub leakage: Option<Estimate>,
}

impl Trial {
    /// Of some of the directions; samples are resampled. Nothing for none.
    fn of(changes: &Changes, directions: Range<usize>) -> Option<Self> {
        let tried = changes.first()?.len();
        let mean = |drawn: &[usize], f: fn(&[f64], usize) -> f64| {
            let each = directions.clone().flat_map(|d| {
                let samples = drawn.iter().map(move |&i| &changes[d][i]);
                samples.map(move |change| f(change, d))
            });
            each.sum::<f64>() / (directions.len() * drawn.len()) as f64
        };
        let own: fn(&[f64], usize) -> f64 = |change, d| change[d];
        let others: fn(&[f64], usize) -> f64 = |change, d| {
            let all: f64 = change.iter().map(|c| c.abs()).sum();
            (all - change[d].abs()) / (change.len() - 1) as f64
        };
        let moved = Estimate::bootstrap(tried, |drawn| mean(drawn, own))?;
        let moves = moved.value >= LEAST_OWN && moved.low > 0.0;
        let ratio = |drawn: &[usize]| mean(drawn, others) / mean(drawn, own);
        Some(Self {
            own: moved,
            others: Estimate::bootstrap(tried, |drawn| mean(drawn, others))?,
            leakage: moves.then(|| Estimate::bootstrap(tried, ratio)).flatten(),
        })
    }
}

/// Changes of the named factors `[direction][sample][factor]`, in standard
/// deviations, positive towards more of a factor.
type Changes = Vec<Vec<Vec<f64>>>;

/// All of them; of two figures the first is before disentangling, the second
/// after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leakage {
    /// Samples that directions were learnt from.
    pub learnt: usize,
    /// Samples that they were tried on.
    pub tried: usize,
    /// Length of Δh, relative to ‖h‖.
    pub strength: f64,
    /// For each factor.
    pub factors: Vec<Leak>,
    /// The leakage over all factors; nothing where on the whole they do
    /// not move in the sense that was learnt.
    pub all: [Option<Estimate>; 2],
    /// Random directions of the same length, for scale: one in the place of
    /// each factor's.
    pub random: Trial,
}

/// Learns, disentangles and tries the directions.
pub(super) fn run(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
    reader: &Reader,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Leakage, StudyError> {
    let readings = reader.read(&lab.pictures)?;
    let learnt = arguments.learn;
    let images = lab.bottlenecks()?;
    let named: Vec<usize> = NAMED.iter().filter_map(|name| factor_index(name)).collect();
    let raw = directions(&images, &readings[..learnt], &named)?;
    let mut stream = Stream::new(lab.seed, "compare leakage", 0, 0);
    let random = Block::normals(raw.rows(), raw.dimension(), &mut stream).normalised();
    let sides = [
        ("before", raw.clone()),
        ("after", disentangled(&raw)?),
        ("random", random),
    ];
    let tried: Vec<usize> = (learnt..lab.states.len()).collect();
    progress.begin("leakage", (sides.len() * tried.len()) as u64);
    let mut changes: [Changes; 3] = Default::default();
    for ((name, directions), changes) in sides.iter().zip(&mut changes) {
        *changes = vec![Vec::new(); named.len()];
        for &sample in &tried {
            if progress.is_cancelled() {
                return Err(StudyError::Cancelled);
            }
            let name = format!("parts/leak-{name}-{sample:04}.json");
            let found: Vec<Vec<f64>> = kept(folder, &name, |_| {
                try_all(
                    lab,
                    reader,
                    sample,
                    directions,
                    &images,
                    arguments.leak,
                    &named,
                )
            })?;
            for (all, found) in changes.iter_mut().zip(found) {
                all.push(found);
            }
            progress.advance(1);
        }
    }
    let none = || StudyError::argument("--leak-samples", "must be at least 1");
    let (factors, all, random) = summary(&named, &changes).ok_or_else(none)?;
    Ok(Leakage {
        learnt,
        tried: tried.len(),
        strength: arguments.leak,
        factors,
        all,
        random,
    })
}

/// Unit directions in H, one for each factor, `[factors, dim H]`.
fn directions(images: &Block, readings: &[Reading], named: &[usize]) -> Result<Block, StudyError> {
    let dim = images.dimension();
    let mut out = Block::zeros(named.len(), dim);
    for (row, &factor) in named.iter().enumerate() {
        let values: Vec<f32> = readings.iter().map(|r| r.values[factor]).collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let end = ((END * order.len() as f64) as usize).max(1);
        let (least, most) = match FACTORS[factor].kind {
            FactorKind::Binary => {
                let split = order.partition_point(|&i| values[i] < 0.5);
                order.split_at(split)
            }
            _ => (&order[..end], &order[order.len() - end..]),
        };
        for (group, sign) in [(least, -1.0), (most, 1.0)] {
            let weight = sign / group.len().max(1) as f32;
            for &i in group {
                let both = out.row_mut(row).iter_mut().zip(images.row(i));
                both.for_each(|(o, h)| *o += weight * h);
            }
        }
    }
    Ok(out.normalised())
}

/// Each row outside the span of all others, of unit length again.
fn disentangled(directions: &Block) -> Result<Block, StudyError> {
    let mut out = Block::zeros(0, directions.dimension());
    for i in 0..directions.rows() {
        let dim = directions.dimension();
        let others = (0..directions.rows()).filter(|j| *j != i);
        let rows: Vec<f32> = others.flat_map(|j| directions.row(j).to_vec()).collect();
        let others = Block::from_vec(directions.rows() - 1, dim, rows)?;
        let mut own = Block::from_vec(1, dim, directions.row(i).to_vec())?;
        Span::of(&others)?.remove(&mut own)?;
        out.append(&own)?;
    }
    Ok(out.normalised())
}

/// Change of every named factor along every direction at one sample,
/// `[direction][factor]`.
fn try_all(
    lab: &Lab<'_>,
    reader: &Reader,
    sample: usize,
    directions: &Block,
    images: &Block,
    strength: f64,
    named: &[usize],
) -> Result<Vec<Vec<f64>>, StudyError> {
    let dims = lab.bottleneck()?.dims();
    let size = strength * norm(images.row(sample));
    let rows = unflatten(directions, dims)?;
    let mut shifts = Vec::new();
    for row in rows.data().chunks_exact(rows.item_len()) {
        for sign in [-1.0, 1.0] {
            shifts.extend(row.iter().map(|v| (sign * size) as f32 * v));
        }
    }
    let count = 2 * directions.rows();
    let shifts = Tensor::new(&[&[count], dims].concat(), shifts)?;
    let states = lab.states[sample].data().repeat(count);
    let drawn = lab.finish(states, Some(shifts))?;
    let before = lab.pictures.get(sample);
    let walks = drawn.values.chunks_exact(2 * before.len());
    walks
        .map(|ends| {
            let (left, right) = ends.split_at(before.len());
            let all = [left, before, right].concat();
            let all = pictures(drawn.size, drawn.channels, all);
            let found = responses(&[-1.0, 0.0, 1.0], &along_walk(&reader.read(&all)?));
            Ok(named.iter().map(|&f| found[f].change).collect())
        })
        .collect()
}

/// Each factor's, that of all and that of random directions, from the changes
/// before, after and along random ones; nothing for no samples.
fn summary(
    named: &[usize],
    [before, after, random]: &[Changes; 3],
) -> Option<(Vec<Leak>, [Option<Estimate>; 2], Trial)> {
    let all = 0..named.len();
    let together = |changes| Some(Trial::of(changes, all.clone())?.leakage);
    let leaks = named.iter().enumerate().map(|(d, &factor)| {
        let before = Trial::of(before, d..d + 1)?;
        let after = Trial::of(after, d..d + 1)?;
        Some(Leak {
            factor: FACTORS[factor].name.to_owned(),
            own: [before.own, after.own],
            others: [before.others, after.others],
            leakage: [before.leakage, after.leakage],
        })
    });
    Some((
        leaks.collect::<Option<_>>()?,
        [together(before)?, together(after)?],
        Trial::of(random, all.clone())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes `[2 directions][8 samples][2 factors]`.
    fn changes(of: impl Fn(usize, usize) -> [f64; 2]) -> Changes {
        let samples = |d| (0..8).map(|i| of(d, i).to_vec()).collect();
        (0..2).map(samples).collect()
    }

    #[test]
    fn what_moves_its_own_factor_either_way_has_no_leakage() {
        let either = |sample: usize| if sample.is_multiple_of(2) { 1.0 } else { -1.0 };
        // The first direction moves its factor by 2 and the other by 1 either
        // way; the second moves its own either way, then backwards.
        let before = changes(|d, i| [[2.0, either(i)], [1.0, either(i)]][d]);
        let after = changes(|d, i| [[2.0, 0.5 * either(i)], [1.0, -1.0]][d]);
        let random = changes(|_, i| [either(i), either(i)]);
        let (leaks, all, random) = summary(&[0, 1], &[before, after, random]).unwrap();
        let value = |e: Option<Estimate>| e.map(|e| e.value);
        assert_eq!(leaks[0].leakage.map(value), [Some(0.5), Some(0.25)]);
        assert_eq!(leaks[1].own.map(|e| e.value), [0.0, -1.0]);
        assert_eq!(leaks[1].others.map(|e| e.value), [1.0, 1.0]);
        assert_eq!(leaks[1].leakage, [None, None]);
        // (1 + 1) / (2 + 0), then (½ + 1) / (2 − 1).
        assert_eq!(all.map(|e| e.map(|e| e.value)), [Some(1.0), Some(1.5)]);
        assert_eq!((random.own.value, random.others.value), (0.0, 1.0));
        assert_eq!(random.leakage, None);
    }

    #[test]
    fn a_change_that_may_be_none_has_no_leakage() {
        // Once by a lot, else by little the other way: a mean above the least.
        let own = |i| if i == 0 { 2.0 } else { -0.1 };
        let one = changes(|_, i| [own(i), own(i)]);
        let trial = Trial::of(&one, 0..2).unwrap();
        assert!(trial.own.value > LEAST_OWN && trial.own.low < 0.0);
        assert_eq!(trial.leakage, None);
        let (_, all, _) = summary(&[0, 1], &[one.clone(), one.clone(), one]).unwrap();
        assert_eq!(all, [None, None]);
    }

    #[test]
    fn what_is_disentangled_is_orthogonal_to_the_others() {
        let rows = vec![1.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0, 0.6, 0.8];
        let directions = Block::from_vec(3, 3, rows).unwrap();
        let found = disentangled(&directions).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let both = found.row(i).iter().zip(directions.row(j));
                let product: f32 = both.map(|(a, b)| a * b).sum();
                assert!(if i == j {
                    product > 0.3
                } else {
                    product.abs() < 1e-6
                });
            }
        }
    }
}
