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
use alice_random::Stream;
use alice_runs::RunFolder;
use alice_worlds::{FACTORS, FactorKind, factor_index};
use serde::{Deserialize, Serialize};

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

/// Samples that must have a factor, and lack it, to learn its direction.
const LEAST_GROUP: usize = 2;

/// Samples that directions must be tried on to have a leakage.
pub(super) const LEAST_TRIED: usize = 8;

/// One factor's direction, tried. Nothing where none was learnt, as next to
/// none of the samples have the factor, or next to none lack it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// The factor.
    pub factor: String,
    /// Mean change of the factor itself in the sense that was learnt, in
    /// standard deviations: negative where it goes the other way.
    pub own: [Option<Estimate>; 2],
    /// Mean |change| of the other named factors.
    pub others: [Option<Estimate>; 2],
    /// The mean of the others over the factor's own: the leakage. Nothing
    /// where its own does not move in the sense that was learnt, or on fewer
    /// than eight samples.
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
    /// no bounded interval. Nor on fewer than eight samples, where an interval
    /// is apart from zero too easily.
    pub leakage: Option<Estimate>,
}

impl Trial {
    /// Of some of the directions, each with the index of its own factor;
    /// nothing for none. Samples are independent, directions are not, so what
    /// is estimated from is the mean over directions of each sample.
    fn of(changes: &Changes, directions: &[usize], owners: &[usize]) -> Option<Self> {
        let tried = changes.get(*directions.first()?)?.len();
        let each = |f: fn(&[f64], usize) -> f64| -> Vec<f64> {
            let of_sample = |i: usize| {
                let all = directions.iter().map(|&d| f(&changes[d][i], owners[d]));
                all.sum::<f64>() / directions.len() as f64
            };
            (0..tried).map(of_sample).collect()
        };
        let own = each(|change, owner| change[owner]);
        let others = each(|change, owner| {
            let all: f64 = change.iter().map(|c| c.abs()).sum();
            (all - change[owner].abs()) / (change.len() - 1) as f64
        });
        let moved = Estimate::mean(&own)?;
        let moves = tried >= LEAST_TRIED && moved.value >= LEAST_OWN && moved.low > 0.0;
        Some(Self {
            own: moved,
            others: Estimate::mean(&others)?.not_negative(),
            leakage: {
                let ratio = moves.then(|| Estimate::ratio(&others, &own)).flatten();
                ratio.map(Estimate::not_negative)
            },
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
    /// not move in the sense that was learnt, or on fewer than eight samples.
    pub all: [Option<Estimate>; 2],
    /// Random directions of the same length, for scale: one in the place of
    /// each factor's that was learnt.
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
    let shown: Vec<&[f32]> = readings[..learnt].iter().map(|r| &*r.values).collect();
    let (raw, owners) = directions(&images, &shown, &named);
    let mut stream = Stream::new(lab.seed, "compare leakage", 0, 0);
    let random = Block::normals(raw.rows(), raw.dimension(), &mut stream).normalised();
    let sides = [
        ("before", raw.clone()),
        ("after", disentangled(&raw)?),
        ("random", random),
    ];
    let tried = arguments.tried();
    progress.begin("leakage", (sides.len() * tried.len()) as u64);
    let mut changes: [Changes; 3] = Default::default();
    for ((name, directions), changes) in sides.iter().zip(&mut changes) {
        *changes = vec![Vec::new(); owners.len()];
        for sample in tried.clone() {
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
    let (factors, all, random) = summary(&named, &owners, &changes).ok_or_else(none)?;
    Ok(Leakage {
        learnt,
        tried: tried.len(),
        strength: arguments.leak,
        factors,
        all,
        random,
    })
}

/// Unit directions in H, `[directions, dim H]`, and the index of each one's
/// factor among the named: one for each of which there are samples with most
/// and with least of it. `shown` is what each sample shows of every factor.
fn directions(images: &Block, shown: &[&[f32]], named: &[usize]) -> (Block, Vec<usize>) {
    let dim = images.dimension();
    let mut out = Block::zeros(named.len(), dim);
    let mut owners = Vec::new();
    for (index, &factor) in named.iter().enumerate() {
        let values: Vec<f32> = shown.iter().map(|values| values[factor]).collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let end = (END * order.len() as f64) as usize;
        let (least, most) = match FACTORS[factor].kind {
            FactorKind::Binary => {
                let split = order.partition_point(|&i| values[i] < 0.5);
                order.split_at(split)
            }
            _ => (&order[..end], &order[order.len() - end..]),
        };
        if least.len().min(most.len()) < LEAST_GROUP {
            continue;
        }
        let row = owners.len();
        owners.push(index);
        for (group, sign) in [(least, -1.0), (most, 1.0)] {
            let weight = sign / group.len() as f32;
            for &i in group {
                let both = out.row_mut(row).iter_mut().zip(images.row(i));
                both.for_each(|(o, h)| *o += weight * h);
            }
        }
    }
    out.truncate(owners.len());
    (out.normalised(), owners)
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
    owners: &[usize],
    [before, after, random]: &[Changes; 3],
) -> Option<(Vec<Leak>, [Option<Estimate>; 2], Trial)> {
    let all: Vec<usize> = (0..owners.len()).collect();
    let together = |changes| Trial::of(changes, &all, owners);
    let leaks = named.iter().enumerate().map(|(index, &factor)| {
        let own = owners.iter().position(|&owner| owner == index);
        let trial = |changes| Trial::of(changes, &[own?], owners);
        let both = [trial(before), trial(after)];
        Leak {
            factor: FACTORS[factor].name.to_owned(),
            own: both.map(|t| Some(t?.own)),
            others: both.map(|t| Some(t?.others)),
            leakage: both.map(|t| t?.leakage),
        }
    });
    Some((
        leaks.collect(),
        [together(before)?.leakage, together(after)?.leakage],
        together(random)?,
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
        let (leaks, all, random) = summary(&[0, 1], &[0, 1], &[before, after, random]).unwrap();
        let value = |e: Option<Estimate>| e.map(|e| e.value);
        assert_eq!(leaks[0].leakage.map(value), [Some(0.5), Some(0.25)]);
        assert_eq!(leaks[1].own.map(value), [Some(0.0), Some(-1.0)]);
        assert_eq!(leaks[1].others.map(value), [Some(1.0), Some(1.0)]);
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
        let trial = Trial::of(&one, &[0, 1], &[0, 1]).unwrap();
        assert!(trial.own.value > LEAST_OWN && trial.own.low < 0.0);
        assert_eq!(trial.leakage, None);
        let (_, all, _) = summary(&[0, 1], &[0, 1], &[one.clone(), one.clone(), one]).unwrap();
        assert_eq!(all, [None, None]);
    }

    /// Three samples that happen to move alike are no leakage.
    #[test]
    fn few_samples_have_no_leakage() {
        let tried = |samples: usize| {
            let mut found = changes(|d, i| [[2.0 + 0.1 * i as f64, 1.0], [1.0, 2.0]][d]);
            found.iter_mut().for_each(|d| d.truncate(samples));
            Trial::of(&found, &[0, 1], &[0, 1]).unwrap()
        };
        assert!(tried(8).leakage.is_some());
        let few = tried(LEAST_TRIED - 1);
        assert!(few.own.low > 0.0 && few.leakage.is_none());
    }

    /// The first of two factors has a direction of its own only.
    #[test]
    fn what_next_to_no_sample_has_is_not_learnt() {
        let hat = factor_index("hat").unwrap();
        let smile = factor_index("smile").unwrap();
        let images = Block::normals(8, 5, &mut Stream::new(1, "images", 0, 0));
        let owners = |hats: usize| {
            let shown = |i: usize| {
                let mut values = vec![0.0; FACTORS.len()];
                (values[hat], values[smile]) = (f32::from(u8::from(i < hats)), i as f32);
                values
            };
            let shown: Vec<Vec<f32>> = (0..8).map(shown).collect();
            let shown: Vec<&[f32]> = shown.iter().map(|values| &**values).collect();
            directions(&images, &shown, &[hat, smile]).1
        };
        assert_eq!(owners(4), [0, 1]);
        assert_eq!(owners(2), [0, 1]);
        for hats in [0, 1, 7, 8] {
            assert_eq!(owners(hats), [1]);
        }
        // Its change still counts among those of the others.
        let one = vec![vec![vec![1.0, 2.0]; 8]];
        let all = [one.clone(), one.clone(), one];
        let (leaks, all, random) = summary(&[hat, smile], &[1], &all).unwrap();
        assert_eq!((leaks[0].own, leaks[0].leakage), ([None; 2], [None; 2]));
        assert_eq!(leaks[1].leakage.map(|e| e.unwrap().value), [0.5; 2]);
        assert_eq!(all.map(|e| e.unwrap().value), [0.5; 2]);
        assert_eq!((random.own.value, random.others.value), (2.0, 1.0));
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
