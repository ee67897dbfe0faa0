//! Every pair in many dimensions, by blocks of matrix products.
//!
//! Distances come from the Gram matrix (`gram`); in few dimensions (a latent
//! space) they are taken directly in f64. The averages are a product of the
//! weights with the points; where the kernel is so narrow that few individuals
//! weigh anything, they are sums over those few, in f64.

use super::combine::{Centre, Shares};
use super::gram::{Exponents, Segment, TILE};
use super::{Cloud, Guards};
use crate::real::{Real, vectorized};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Multiplications above which f32 is used.
const HEAVY: f64 = 2e9;
/// Dimensions of places up to which distances are direct.
const FEW: usize = 8;
/// Weights below this share of their sum, e⁻⁴⁰, are left out of short sums.
const NEGLIGIBLE: f64 = 4e-18;
/// Sums are short where at most one individual in this many weighs.
const SPARSE: usize = 32;
/// Columns whose moments are held at once, in the cache.
const PANEL: usize = 1024;

pub(super) fn estimate(cloud: &Cloud<'_>, alpha: f64, guards: Guards, out: &mut [f64]) {
    let n = cloud.len() as f64;
    if n * n * cloud.dimension as f64 > HEAVY {
        blocks::<f32>(cloud, alpha, guards, out);
    } else {
        blocks::<f64>(cloud, alpha, guards, out);
    }
}

/// Where the exponents come from.
enum Source<'a, T> {
    Direct,
    Points(Exponents<'a, T>),
    Places(Exponents<'a, f64>),
}

fn blocks<T: Real>(cloud: &Cloud<'_>, alpha: f64, guards: Guards, out: &mut [f64]) {
    let (n, d) = (cloud.len(), cloud.dimension);
    let centre = Centre::of(cloud);
    let (mean, totals) = (&centre.mean, &centre.totals);
    let source: Source<'_, T> = if cloud.place_dimension <= FEW {
        Source::Direct
    } else if cloud.is_plain() {
        Source::Points(Exponents::new(cloud, &centre, alpha))
    } else {
        let places = Cloud::new(cloud.places, cloud.place_dimension, cloud.weights);
        Source::Places(Exponents::new(&places, &Centre::of(&places), alpha))
    };
    let alone = matches!(&source, Source::Points(exponents) if exponents.are_apart());
    let everyone = (!alone).then(|| Segment::<T>::new(cloud.points, mean, 0..d));
    out.par_chunks_mut(TILE * d)
        .enumerate()
        .for_each(|(block, out)| {
            let mut exponents = vec![0.0; out.len() / d * n];
            match &source {
                Source::Direct => direct_exponents(cloud, alpha, block * TILE, &mut exponents),
                Source::Points(source) => source.write(block, &mut exponents),
                Source::Places(source) => source.write(block, &mut exponents),
            }
            let (weights, sums) = weigh::<T>(&exponents, cloud.weights);
            let shares: Vec<Option<Shares>> = sums
                .iter()
                .map(|&(log_scale, mass)| Shares::new(log_scale, mass, totals, guards))
                .collect();
            let most = match everyone {
                Some(_) => weights.len() / SPARSE,
                None => weights.len(),
            };
            match (few(&weights, &sums, n, most), &everyone) {
                (None, Some(everyone)) => products(&everyone.values, &weights, n, d, out),
                (few, _) => short_sums(cloud, &few.unwrap_or_default(), mean, out),
            }
            let first = &cloud.points[block * TILE * d..];
            let rows = out.chunks_exact_mut(d).zip(first.chunks_exact(d));
            for ((out, row), shares) in rows.zip(shares) {
                let Some(shares) = shares else {
                    out.copy_from_slice(row);
                    continue;
                };
                vectorized(
                    #[inline(always)]
                    || {
                        let of_all = totals.moment.iter().zip(mean);
                        for (out, (total, mean)) in out.iter_mut().zip(of_all) {
                            *out = shares.mean(*out, *total, *mean);
                        }
                    },
                );
            }
        });
}

/// Q e^(exponent − largest) of every row, with (largest, their sum).
fn weigh<T: Real>(exponents: &[f64], q: &[f64]) -> (Vec<T>, Vec<(f64, f64)>) {
    let mut weights = vec![T::NIL; exponents.len()];
    let rows = exponents
        .chunks_exact(q.len())
        .zip(weights.chunks_exact_mut(q.len()));
    let sums = rows.map(|(exponents, weights)| {
        let counted = exponents.iter().zip(q).filter(|(_, q)| **q > 0.0);
        let largest = counted.map(|(e, _)| *e).fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return (largest, 0.0);
        }
        let sum = vectorized(
            #[inline(always)]
            || {
                for ((weight, exponent), q) in weights.iter_mut().zip(exponents).zip(q) {
                    let exponent = T::narrow((exponent - largest).min(0.0));
                    *weight = exponent.exponential() * T::narrow(*q);
                }
                // In parts, which vectorises.
                let mut parts = [0.0; 8];
                for block in weights.chunks(8) {
                    for (part, weight) in parts.iter_mut().zip(block) {
                        *part += weight.widen();
                    }
                }
                parts.iter().sum::<f64>()
            },
        );
        (largest, sum)
    });
    let sums = sums.collect();
    (weights, sums)
}

/// The individuals that weigh something in each row, if they are at most so
/// many in all.
fn few<T: Real>(
    weights: &[T],
    sums: &[(f64, f64)],
    n: usize,
    most: usize,
) -> Option<Vec<Vec<(usize, f64)>>> {
    let mut left = most;
    let rows = weights.chunks_exact(n).zip(sums);
    rows.map(|(weights, (_, mass))| {
        let weighing = |(j, weight): (usize, &T)| {
            let weight = weight.widen();
            (weight > mass * NEGLIGIBLE).then_some((j, weight))
        };
        let found = weights.iter().enumerate().filter_map(weighing);
        let found: Vec<_> = found.take(left + 1).collect();
        left = left.checked_sub(found.len())?;
        Some(found)
    })
    .collect()
}

/// Σ weight (x − μ) of each row, over a few individuals.
fn short_sums(cloud: &Cloud<'_>, few: &[Vec<(usize, f64)>], mean: &[f64], out: &mut [f64]) {
    let d = cloud.dimension;
    for (out, few) in out.chunks_exact_mut(d).zip(few) {
        for (panel, out) in out.chunks_mut(PANEL).enumerate() {
            let mean = &mean[panel * PANEL..][..out.len()];
            out.fill(0.0);
            for &(j, weight) in few {
                let row = &cloud.points[j * d + panel * PANEL..][..out.len()];
                vectorized(
                    #[inline(always)]
                    || {
                        for ((out, x), mean) in out.iter_mut().zip(row).zip(mean) {
                            *out += weight * (x - mean);
                        }
                    },
                );
            }
        }
    }
}

/// The same over all, as a product of matrices.
fn products<T: Real>(values: &[T], weights: &[T], n: usize, d: usize, out: &mut [f64]) {
    let rows = weights.len() / n;
    let everything = MatRef::from_row_major_slice(values, n, d);
    let mut moments = vec![T::NIL; rows * PANEL.min(d)];
    for first in (0..d).step_by(PANEL) {
        let columns = PANEL.min(d - first);
        let moments = &mut moments[..rows * columns];
        matmul(
            MatMut::from_row_major_slice_mut(moments, rows, columns),
            Accum::Replace,
            MatRef::from_row_major_slice(weights, rows, n),
            everything.subcols(first, columns),
            T::narrow(1.0),
            Par::Seq,
        );
        for (out, moments) in out.chunks_exact_mut(d).zip(moments.chunks_exact(columns)) {
            for (out, moment) in out[first..].iter_mut().zip(moments) {
                *out = moment.widen();
            }
        }
    }
}

/// −‖zᵢ − s zⱼ‖² / (2(1 − α)) of rows from `first` on, from the differences.
fn direct_exponents(cloud: &Cloud<'_>, alpha: f64, first: usize, exponents: &mut [f64]) {
    let (n, d) = (cloud.len(), cloud.place_dimension);
    let (root, factor) = (alpha.sqrt(), -0.5 / (1.0 - alpha));
    let mut columns = vec![0.0; n * d];
    for (j, place) in cloud.places.chunks_exact(d).enumerate() {
        for (k, z) in place.iter().enumerate() {
            columns[k * n + j] = root * z;
        }
    }
    for (i, row) in exponents.chunks_exact_mut(n).enumerate() {
        let place = &cloud.places[(first + i) * d..][..d];
        vectorized(
            #[inline(always)]
            || {
                row.fill(0.0);
                for (z, column) in place.iter().zip(columns.chunks_exact(n)) {
                    for (exponent, other) in row.iter_mut().zip(column) {
                        let difference = z - other;
                        *exponent += difference * difference;
                    }
                }
                row.iter_mut().for_each(|e| *e *= factor);
            },
        );
    }
}
