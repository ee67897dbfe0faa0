//! Every pair in many dimensions, by blocks of matrix products.
//!
//! ‖xᵢ − s xⱼ‖² comes from the Gram matrix of the centred points y = x − μ:
//! the norms and the products with μ are summed in f64, only yᵢ·yⱼ is rounded
//! to the precision of the product. Its rounding is taken to be at most
//! 64 ε ‖yᵢ‖‖yⱼ‖, which matters where points nearly coincide and the kernel is narrow; such
//! pairs are computed again from their difference in f64.
//!
//! In few dimensions (a latent space) distances are taken directly in f64 and
//! only the averages are products.

use super::combine::{Totals, factors, mean};
use super::{Cloud, Guards};
use crate::real::{Real, vectorized};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of a block.
const ROWS: usize = 128;
/// Multiplications above which f32 is used.
const HEAVY: f64 = 2e9;
/// Dimensions of places up to which distances are direct.
const FEW: usize = 8;
/// Rounding of an exponent that is computed again.
const TOLERANCE: f64 = 0.01;
/// Exponents this far below the largest weigh nothing.
const NEGLIGIBLE: f64 = 40.0;

pub(super) fn estimate(cloud: &Cloud<'_>, alpha: f64, guards: Guards) -> Vec<f64> {
    let n = cloud.len() as f64;
    if n * n * cloud.dimension as f64 > HEAVY {
        blocks::<f32>(cloud, alpha, guards)
    } else {
        blocks::<f64>(cloud, alpha, guards)
    }
}

/// Centred points and what their distances need.
struct Centred<T> {
    mean: Vec<f64>,
    /// y `[n, d]`.
    values: Vec<T>,
    /// ‖y‖² `[n]`.
    norms: Vec<f64>,
    /// y·μ `[n]`.
    shadows: Vec<f64>,
    /// ‖μ‖².
    offset: f64,
}

impl<T: Real> Centred<T> {
    fn new(points: &[f64], d: usize) -> Self {
        let n = points.len() / d;
        let columns = 1024;
        let mut mean = vec![0.0; d];
        mean.par_chunks_mut(columns)
            .enumerate()
            .for_each(|(c, mean)| {
                for row in points.chunks_exact(d) {
                    let row = &row[c * columns..][..mean.len()];
                    mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
                }
                mean.iter_mut().for_each(|m| *m /= n as f64);
            });
        let mut values = vec![T::NIL; points.len()];
        let products: Vec<(f64, f64)> = values
            .par_chunks_mut(d)
            .zip(points.par_chunks(d))
            .map(|(values, row)| {
                vectorized(
                    #[inline(always)]
                    || centre(values, row, &mean),
                )
            })
            .collect();
        let (norms, shadows) = products.into_iter().unzip();
        let offset = mean.iter().map(|m| m * m).sum();
        Self {
            mean,
            values,
            norms,
            shadows,
            offset,
        }
    }
}

/// Writes y = x − μ; gives (‖y‖², y·μ).
#[inline(always)]
fn centre<T: Real>(values: &mut [T], row: &[f64], mean: &[f64]) -> (f64, f64) {
    const L: usize = 8;
    let (mut norm, mut shadow) = ([0.0; L], [0.0; L]);
    let mut add = |lane: usize, value: &mut T, x: f64, m: f64| {
        let y = x - m;
        *value = T::narrow(y);
        norm[lane] += y * y;
        shadow[lane] += y * m;
    };
    let whole = row.len() / L * L;
    for block in (0..whole).step_by(L) {
        let (v, x, m) = (
            &mut values[block..block + L],
            &row[block..block + L],
            &mean[block..block + L],
        );
        for lane in 0..L {
            add(lane, &mut v[lane], x[lane], m[lane]);
        }
    }
    for i in whole..row.len() {
        add(0, &mut values[i], row[i], mean[i]);
    }
    (norm.iter().sum(), shadow.iter().sum())
}

fn blocks<T: Real>(cloud: &Cloud<'_>, alpha: f64, guards: Guards) -> Vec<f64> {
    let (n, d) = (cloud.len(), cloud.dimension);
    let centred = Centred::<T>::new(cloud.points, d);
    let totals = Totals::of(cloud, &centred.mean);
    let everything = MatRef::from_row_major_slice(&centred.values, n, d);
    let places = (!cloud.is_plain() && cloud.place_dimension > FEW)
        .then(|| Centred::<f64>::new(cloud.places, cloud.place_dimension));
    let mut out = vec![0.0; n * d];
    out.par_chunks_mut(ROWS * d)
        .enumerate()
        .for_each(|(block, out)| {
            let first = block * ROWS;
            let rows = out.len() / d;
            let mut exponents = vec![0.0; rows * n];
            match &places {
                _ if cloud.place_dimension <= FEW => {
                    direct_exponents(cloud, alpha, first, &mut exponents);
                }
                Some(places) => gram_exponents(cloud, places, alpha, first, &mut exponents),
                None => gram_exponents(cloud, &centred, alpha, first, &mut exponents),
            }
            let (weights, sums) = weigh::<T>(&exponents, cloud.weights);
            let mut moments = vec![T::NIL; rows * d];
            matmul(
                MatMut::from_row_major_slice_mut(&mut moments, rows, d),
                Accum::Replace,
                MatRef::from_row_major_slice(&weights, rows, n),
                everything,
                T::narrow(1.0),
                Par::Seq,
            );
            for (i, (out, moments)) in out
                .chunks_exact_mut(d)
                .zip(moments.chunks_exact(d))
                .enumerate()
            {
                let (log_scale, mass) = sums[i];
                let factors = factors(log_scale, guards);
                let row = &cloud.points[(first + i) * d..][..d];
                for k in 0..d {
                    let sums = (mass, moments[k].widen());
                    let totals = (totals.mass, totals.moment[k]);
                    let origin = centred.mean[k];
                    out[k] = origin + mean(factors, sums, totals, origin, row[k] - origin);
                }
            }
        });
    out
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

fn exponent_of(place: &[f64], other: &[f64], alpha: f64) -> f64 {
    let root = alpha.sqrt();
    let squares = place.iter().zip(other).map(|(a, b)| (a - root * b).powi(2));
    -0.5 * squares.sum::<f64>() / (1.0 - alpha)
}

/// The same from the Gram matrix of the centred places.
fn gram_exponents<T: Real>(
    cloud: &Cloud<'_>,
    centred: &Centred<T>,
    alpha: f64,
    first: usize,
    exponents: &mut [f64],
) {
    let (n, d) = (cloud.len(), cloud.place_dimension);
    let rows = exponents.len() / n;
    let mut gram = vec![T::NIL; rows * n];
    let everything = MatRef::from_row_major_slice(&centred.values, n, d);
    matmul(
        MatMut::from_row_major_slice_mut(&mut gram, rows, n),
        Accum::Replace,
        everything.subrows(first, rows),
        everything.transpose(),
        T::narrow(1.0),
        Par::Seq,
    );
    let (s, c) = (alpha.sqrt(), 0.5 / (1.0 - alpha));
    let epsilon = if size_of::<T>() == 4 { 6e-8 } else { 1.1e-16 };
    // ‖yᵢ − s yⱼ + (1 − s) μ‖² without what depends on i.
    let pairs = || centred.norms.iter().zip(&centred.shadows);
    let others: Vec<f64> = pairs()
        .map(|(norm, shadow)| s * (s * norm - 2.0 * (1.0 - s) * shadow))
        .collect();
    let longest = centred.norms.iter().copied().fold(0.0, f64::max);
    for (i, (row, gram)) in exponents
        .chunks_exact_mut(n)
        .zip(gram.chunks_exact(n))
        .enumerate()
    {
        let own = first + i;
        let (norm, shadow) = (centred.norms[own], centred.shadows[own]);
        let fixed = norm + (1.0 - s) * ((1.0 - s) * centred.offset + 2.0 * shadow);
        vectorized(
            #[inline(always)]
            || {
                for ((exponent, other), gram) in row.iter_mut().zip(&others).zip(gram) {
                    let squared = fixed + other - 2.0 * s * gram.widen();
                    *exponent = -c * squared.max(0.0);
                }
            },
        );
        row[own] = -c * (1.0 - s).powi(2) * (norm + 2.0 * shadow + centred.offset);
        let rounding = |norm_j: f64| 64.0 * epsilon * c * s * (norm * norm_j).sqrt();
        if rounding(longest) <= TOLERANCE {
            continue;
        }
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let place = &cloud.places[own * d..][..d];
        for j in (0..n).filter(|j| *j != own) {
            let rounding = rounding(centred.norms[j]);
            if rounding > TOLERANCE && row[j] + rounding > largest - NEGLIGIBLE {
                row[j] = exponent_of(place, &cloud.places[j * d..][..d], alpha);
            }
        }
    }
}
