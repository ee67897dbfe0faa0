//! Measuring an instrument on pictures that it was not trained on.

use crate::calibration::{Calibration, Confusion, DistanceProfile, FactorErrors};
use crate::distance::distance;
use crate::instrument::Instrument;
use crate::layout::Slot;
use crate::perturb::{Perturbation, changed, one_factor_changed};
use crate::reading::Reading;
use crate::statistics::{mean, quantiles, r_squared, spearman};
use crate::{InstrumentError, Result};
use alice_worlds::{
    Batch, FACTORS, FactorKind, FactorSpec, Factors, PuppetShow, render, render_batch,
};
use rayon::prelude::*;

/// The most pictures per perturbation.
const PERTURBED: usize = 500;
/// How [`threshold`] chooses, in words.
const RULE: &str = "the geometric mean between the 99th percentile of the worst kind of pictures \
    that should be valid and the 1st percentile of the nearest kind that should not; where the \
    two overlap, the 99th percentile of true pictures";
const HISTOGRAM_STEP: f32 = 0.01;
const HISTOGRAM_BINS: usize = 31;
/// How far a factor moves to see whether it can be seen, as a share of its range.
const VISIBLE_MOVE: f32 = 0.25;
/// How much one value of the picture, in 0..1, must change by then.
const VISIBLE_CHANGE: f32 = 0.1;

/// Whether a factor can be seen in a picture of these factors: whether moving
/// it by a quarter of its range (switching it, if it is discrete) changes some
/// value of the picture, in 0..1, by at least 0.1. Gaze, for example, cannot be
/// seen when the eyes are closed.
///
/// # Errors
/// When the factors cannot be drawn at this size, or there is no such factor.
pub fn visible(factors: &Factors, index: usize, size: usize) -> Result<bool> {
    let mut moved = *factors;
    let value = factors.get(index)?;
    moved.set(index, changed(FACTORS[index].kind, value, VISIBLE_MOVE))?;
    let (here, there) = (render(factors, size)?.rgb, render(&moved, size)?.rgb);
    let mut both = here.iter().zip(&there);
    Ok(both.any(|(a, b)| (a - b).abs() >= VISIBLE_CHANGE))
}

/// Measures an instrument on `count` pictures of the show under `seed`, of
/// which 3 % are haunted as in the show itself. Of perturbed pictures at most
/// 500 of each kind are measured.
///
/// # Errors
/// When `seed` is the one that the instrument was trained on, or `count` is
/// below 2 or too large.
pub fn calibrate(instrument: &Instrument, seed: u64, count: usize) -> Result<Calibration> {
    if seed == instrument.recipe().seed || count < 2 {
        return Err(InstrumentError::Recipe {
            field: "calibration",
            why: "needs at least 2 pictures of another seed than the training's".to_owned(),
        });
    }
    let size = instrument.size();
    let draw = |count: usize| render_batch(&PuppetShow::default(), seed, 0..count as u64, size);
    let batch = draw(count)?;
    let pictures = Perturbation::None.apply(&batch, seed);
    let read = instrument.read(&pictures)?;
    let refined = instrument.read_refined(&pictures)?;
    let few = draw(count.min(PERTURBED))?;
    let (threshold, distances) = distances_of(instrument, &refined, &pictures, &few, seed, true)?;
    let (quick_threshold, quick_distances) =
        distances_of(instrument, &read, &pictures, &few, seed, false)?;
    Ok(Calibration {
        seed,
        pictures: count,
        factors: errors(instrument, &batch.factors, &read)?,
        refined: errors(instrument, &batch.factors, &refined)?,
        threshold,
        rule: RULE.to_owned(),
        distances,
        quick_threshold,
        quick_distances,
        changed_factors: changed_factors(&few, threshold)?,
    })
}

/// The threshold and the distances of true and of perturbed pictures, with
/// refined readings or without.
fn distances_of(
    instrument: &Instrument,
    read: &[Reading],
    pictures: &[f32],
    few: &Batch,
    seed: u64,
    refined: bool,
) -> Result<(f32, Vec<DistanceProfile>)> {
    let measure = |read: Vec<Reading>, pictures: &[f32]| -> Result<Vec<f32>> {
        let judged = instrument.judge(read, pictures, 0.0)?;
        Ok(judged.into_iter().map(|found| found.distance).collect())
    };
    let mut kinds = vec![(Perturbation::None, measure(read.to_vec(), pictures)?)];
    for kind in &Perturbation::ALL[1..] {
        let perturbed = kind.apply(few, seed);
        let read = if refined {
            instrument.read_refined(&perturbed)?
        } else {
            instrument.read(&perturbed)?
        };
        kinds.push((*kind, measure(read, &perturbed)?));
    }
    let threshold = threshold(&kinds);
    let profiles = kinds.iter().map(|(kind, distances)| {
        let (name, valid) = (kind.name(), kind.should_be_valid());
        profile(name, valid, distances, threshold)
    });
    Ok((threshold, profiles.collect()))
}

/// Which distances are valid; [`RULE`] says how.
fn threshold(kinds: &[(Perturbation, Vec<f32>)]) -> f32 {
    let (mut near, mut far, mut largest_true) = (0f32, f32::INFINITY, 0f32);
    for (kind, distances) in kinds {
        let quantiles = quantiles(distances);
        if *kind == Perturbation::None {
            largest_true = quantiles.p99;
        }
        if kind.should_be_valid() {
            near = near.max(quantiles.p99);
        } else {
            far = far.min(quantiles.p01);
        }
    }
    if near < far && far.is_finite() {
        (near * far).sqrt()
    } else {
        largest_true
    }
}

/// How far drawings with one wrong factor are from the pictures.
fn changed_factors(batch: &Batch, threshold: f32) -> Result<Vec<DistanceProfile>> {
    let (size, item) = (batch.size, batch.size * batch.size * 3);
    let measure = |(index, spec): (usize, &FactorSpec)| {
        let wrong = one_factor_changed(batch, index, 0.5)?;
        let both = wrong.par_chunks(item).zip(batch.rgb.par_chunks(item));
        let distances: Vec<f32> = both.map(|(a, b)| distance(a, b, size)).collect();
        Ok(profile(spec.name.to_owned(), false, &distances, threshold))
    };
    FACTORS.iter().enumerate().map(measure).collect()
}

fn profile(
    kind: String,
    should_be_valid: bool,
    distances: &[f32],
    threshold: f32,
) -> DistanceProfile {
    let mut histogram = vec![0; HISTOGRAM_BINS];
    for distance in distances {
        histogram[((distance / HISTOGRAM_STEP) as usize).min(HISTOGRAM_BINS - 1)] += 1;
    }
    let rejected = distances.iter().filter(|d| **d > threshold).count();
    DistanceProfile {
        kind,
        should_be_valid,
        pictures: distances.len(),
        rejected: rejected as f64 / distances.len().max(1) as f64,
        quantiles: quantiles(distances),
        histogram,
        histogram_step: HISTOGRAM_STEP,
    }
}

/// The errors of readings of pictures whose factors are known, one entry per
/// factor.
///
/// # Errors
/// When the factors cannot be drawn.
pub fn errors(
    instrument: &Instrument,
    truth: &[Factors],
    read: &[Reading],
) -> Result<Vec<FactorErrors>> {
    let slots = instrument.layout().slots().par_iter();
    slots
        .map(|slot| factor_errors(slot, instrument.size(), truth, read))
        .collect()
}

fn factor_errors(
    slot: &Slot,
    size: usize,
    truth: &[Factors],
    read: &[Reading],
) -> Result<FactorErrors> {
    let mut seen = Vec::with_capacity(truth.len());
    let mut wanted = Vec::with_capacity(truth.len());
    let mut found = Vec::with_capacity(truth.len());
    for (truth, read) in truth.iter().zip(read) {
        seen.push(visible(truth, slot.factor, size)?);
        wanted.push(f64::from(truth.get(slot.factor)?));
        found.push(f64::from(read.values[slot.factor]));
    }
    let only_seen = |values: &[f64]| -> Vec<f64> {
        let both = values.iter().zip(&seen).filter(|(_, seen)| **seen);
        both.map(|(value, _)| *value).collect()
    };
    let mut errors = FactorErrors {
        name: slot.name.to_owned(),
        visible_share: seen.iter().filter(|s| **s).count() as f64 / seen.len().max(1) as f64,
        ..FactorErrors::default()
    };
    let apart = |circular: bool| -> Vec<f64> {
        let apart = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let around = |d: f64| if circular { d.min(1.0 - d) } else { d };
        apart.map(around).collect()
    };
    match slot.kind {
        FactorKind::Continuous { .. } | FactorKind::Circular => {
            let circular = slot.kind == FactorKind::Circular;
            let apart = apart(circular);
            errors.error = Some(mean(&apart));
            errors.error_visible = Some(mean(&only_seen(&apart)));
            if !circular {
                errors.r_squared = Some(r_squared(&wanted, &found));
                errors.spearman = Some(spearman(&wanted, &found));
                let visible = spearman(&only_seen(&wanted), &only_seen(&found));
                errors.spearman_visible = Some(visible);
            }
        }
        FactorKind::Binary => {
            let confusion = confusion(&wanted, &found);
            let right = confusion.true_positive + confusion.true_negative;
            errors.accuracy = Some(right as f64 / wanted.len().max(1) as f64);
            errors.confusion = Some(confusion);
        }
        FactorKind::Categorical { .. } => {
            let right = wanted.iter().zip(&found).filter(|(a, b)| a == b).count();
            errors.accuracy = Some(right as f64 / wanted.len().max(1) as f64);
        }
    }
    Ok(errors)
}

fn confusion(wanted: &[f64], found: &[f64]) -> Confusion {
    let mut confusion = Confusion::default();
    for (&wanted, &found) in wanted.iter().zip(found) {
        *match (wanted >= 0.5, found >= 0.5) {
            (true, true) => &mut confusion.true_positive,
            (false, true) => &mut confusion.false_positive,
            (true, false) => &mut confusion.false_negative,
            (false, false) => &mut confusion.true_negative,
        } += 1;
    }
    confusion
}
