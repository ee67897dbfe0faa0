//! Exponents in many dimensions, from the Gram matrix of the centred points.
//!
//! ‖xᵢ − s xⱼ‖² comes from y = x − μ: the norms and the products with μ are
//! summed in f64, only yᵢ·yⱼ is rounded to the precision of the product. Its
//! rounding is taken to be at most 64 ε ‖yᵢ‖‖yⱼ‖, which matters where points
//! nearly coincide and the kernel is narrow; such pairs are computed again from
//! their difference in f64.
//!
//! The matrix is made of tiles, each for both of its triangles, and of segments
//! of the columns, each as long as all before it. After a segment the columns
//! that are left bound a distance from below, by ‖a − s b‖ ≥ |‖a‖ − s ‖b‖|.
//! Where that bound leaves every pair of a tile less than e⁻⁴⁰ of the weight
//! that its individuals have for themselves, the tile ends there and weighs
//! nothing. So few columns suffice where the kernel is narrow.

use super::Cloud;
use crate::real::{Real, vectorized};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Rows and columns of a tile.
pub(super) const TILE: usize = 128;
/// Columns of the first segment.
const SEGMENT: usize = 1024;
/// Up to this population the tiles are kept, so that each is computed once.
const KEPT: usize = 2048;
/// Rounding of an exponent that is computed again.
const TOLERANCE: f64 = 0.01;
/// Exponents this far below the largest weigh nothing.
const NEGLIGIBLE: f64 = 40.0;

/// y = x − μ, and what distances need of it.
pub(super) struct Centred<T> {
    /// `[n, d]`.
    pub values: Vec<T>,
    dimension: usize,
    /// Where each segment of the columns ends.
    ends: Vec<usize>,
    /// ‖y‖² and y·μ of each segment `[n, segments]`.
    parts: Vec<(f64, f64)>,
    /// ‖μ‖² of each segment.
    offsets: Vec<f64>,
}

impl<T: Real> Centred<T> {
    pub fn new(points: &[f64], mean: &[f64]) -> Self {
        let d = mean.len();
        let mut ends = vec![SEGMENT.min(d)];
        while let Some(&end) = ends.last()
            && end < d
        {
            // A short rest is not worth a segment.
            let next = if 3 * end > d { d } else { 2 * end };
            ends.push(next);
        }
        let segments = ends.len();
        let columns = |segment: usize| segment.checked_sub(1).map_or(0, |s| ends[s])..ends[segment];
        let mut values = vec![T::NIL; points.len()];
        let mut parts = vec![(0.0, 0.0); points.len() / d * segments];
        let rows = values
            .par_chunks_mut(d)
            .zip(points.par_chunks(d))
            .zip(parts.par_chunks_mut(segments));
        rows.for_each(|((values, row), parts)| {
            for (segment, part) in parts.iter_mut().enumerate() {
                let columns = columns(segment);
                let (values, row) = (&mut values[columns.clone()], &row[columns.clone()]);
                *part = vectorized(
                    #[inline(always)]
                    || centre(values, row, &mean[columns]),
                );
            }
        });
        let offset = |segment| mean[columns(segment)].iter().map(|m| m * m).sum();
        let offsets = (0..segments).map(offset).collect();
        Self {
            values,
            dimension: d,
            ends,
            parts,
            offsets,
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

/// c ‖xᵢ − s xⱼ‖² of the columns up to the end of a segment is
/// `targets[i]` + `sources[j]` − 2 c s yᵢ·yⱼ.
struct Partial {
    targets: Vec<f64>,
    sources: Vec<f64>,
    /// √c ‖x‖ of the columns behind.
    rests: Vec<f64>,
}

/// The exponents of a population at one noise level.
pub(super) struct Exponents<'a, T> {
    centred: &'a Centred<T>,
    /// x `[n, d]`.
    places: &'a [f64],
    /// √α.
    s: f64,
    /// 1 / (2 (1 − α)).
    c: f64,
    /// One per segment.
    partial: Vec<Partial>,
    /// Exponents of individuals with themselves, negated.
    own: Vec<f64>,
    /// ln Q.
    log_weights: Vec<f64>,
    /// √rounding: that of yᵢ·yⱼ, as an exponent, is at most their product.
    rounding: Vec<f64>,
    /// Tiles of the lower triangle, row by row; None weighs nothing.
    tiles: Option<Vec<Option<Vec<T>>>>,
}

impl<'a, T: Real> Exponents<'a, T> {
    /// Cost: n² d / 2 multiplications, and less where the kernel is narrow.
    pub fn new(cloud: &Cloud<'a>, centred: &'a Centred<T>, alpha: f64) -> Self {
        let n = cloud.len();
        let (s, c) = (alpha.sqrt(), 0.5 / (1.0 - alpha));
        let segments = centred.ends.len();
        let epsilon = if size_of::<T>() == 4 { 6e-8 } else { 1.1e-16 };
        let empty = || Partial {
            targets: Vec::with_capacity(n),
            sources: Vec::with_capacity(n),
            rests: Vec::with_capacity(n),
        };
        let mut partial: Vec<Partial> = (0..segments).map(|_| empty()).collect();
        let (mut own, mut rounding) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for parts in centred.parts.chunks_exact(segments) {
            let pairs = || parts.iter().zip(&centred.offsets);
            let squared = |((norm, shadow), offset): (&(f64, f64), &f64)| {
                (norm + 2.0 * shadow + offset).max(0.0)
            };
            let mut rest: f64 = pairs().map(squared).sum();
            let norm: f64 = parts.iter().map(|(norm, _)| norm).sum();
            own.push(c * (1.0 - s).powi(2) * rest);
            rounding.push((64.0 * epsilon * c * s * norm).sqrt());
            let (mut target, mut source) = (0.0, 0.0);
            for (partial, ((norm, shadow), offset)) in partial.iter_mut().zip(pairs()) {
                target += norm + (1.0 - s) * ((1.0 - s) * offset + 2.0 * shadow);
                source += s * (s * norm - 2.0 * (1.0 - s) * shadow);
                rest -= squared((&(*norm, *shadow), offset));
                partial.targets.push(c * target);
                partial.sources.push(c * source);
                partial.rests.push((c * rest.max(0.0)).sqrt());
            }
        }
        let mut exponents = Self {
            centred,
            places: cloud.places,
            s,
            c,
            partial,
            own,
            log_weights: cloud.weights.iter().map(|q| q.ln()).collect(),
            rounding,
            tiles: None,
        };
        if n <= KEPT {
            let blocks = n.div_ceil(TILE);
            let pairs: Vec<(usize, usize)> = (0..blocks)
                .flat_map(|i| (0..=i).map(move |j| (i, j)))
                .collect();
            let tiles = pairs.into_par_iter().map(|(i, j)| exponents.tile(i, j));
            exponents.tiles = Some(tiles.collect());
        }
        exponents
    }

    fn rows(&self, block: usize) -> Range<usize> {
        block * TILE..((block + 1) * TILE).min(self.own.len())
    }

    /// Products of the rows of two blocks; none when no pair weighs anything.
    fn tile(&self, block: usize, other: usize) -> Option<Vec<T>> {
        let (n, d) = (self.own.len(), self.centred.dimension);
        let (rows, columns) = (self.rows(block), self.rows(other));
        let everything = MatRef::from_row_major_slice(&self.centred.values, n, d);
        let mut tile = vec![T::NIL; rows.len() * columns.len()];
        let mut start = 0;
        for (segment, &end) in self.centred.ends.iter().enumerate() {
            let part =
                |r: &Range<usize>| everything.submatrix(r.start, start, r.len(), end - start);
            matmul(
                MatMut::from_row_major_slice_mut(&mut tile, rows.len(), columns.len()),
                if start == 0 {
                    Accum::Replace
                } else {
                    Accum::Add
                },
                part(&rows),
                part(&columns).transpose(),
                T::narrow(1.0),
                Par::Seq,
            );
            if end < d {
                let weighs_nothing = |(i, gram): (usize, &[T])| {
                    // Of a block with itself, pairs before the diagonal are all.
                    let others = columns.start..if block == other { i } else { columns.end };
                    vectorized(
                        #[inline(always)]
                        || self.weigh_nothing(&self.partial[segment], i, others, gram),
                    )
                };
                if rows
                    .clone()
                    .zip(tile.chunks_exact(columns.len()))
                    .all(weighs_nothing)
                {
                    return None;
                }
            }
            start = end;
        }
        Some(tile)
    }

    /// Whether i weighs nothing for these others, nor they for it.
    #[inline(always)]
    fn weigh_nothing(&self, partial: &Partial, i: usize, others: Range<usize>, gram: &[T]) -> bool {
        let gram = &gram[..others.len()];
        let targets = &partial.targets[others.clone()];
        let sources = &partial.sources[others.clone()];
        let rests = &partial.rests[others.clone()];
        let rounding = &self.rounding[others.clone()];
        let (own, logs) = (&self.own[others.clone()], &self.log_weights[others]);
        let (target, source, rest) = (partial.targets[i], partial.sources[i], partial.rests[i]);
        let (own_i, log_i, rounding_i) = (self.own[i], self.log_weights[i], self.rounding[i]);
        let factor = 2.0 * self.c * self.s;
        let mut all = true;
        for k in 0..gram.len() {
            let common = factor * gram[k].widen() + rounding_i * rounding[k] + NEGLIGIBLE;
            let (to, from) = (rest - self.s * rests[k], rests[k] - self.s * rest);
            let far_to = target + sources[k] + to * to - common;
            let far_from = targets[k] + source + from * from - common;
            // Not so where a difference of infinities is not a number.
            all &= far_to - own_i > logs[k] - log_i;
            all &= far_from - own[k] > log_i - logs[k];
        }
        all
    }

    /// The tile of two blocks, from the triangle if it is kept.
    fn pair(&self, block: usize, other: usize) -> Option<Cow<'_, [T]>> {
        let Some(tiles) = &self.tiles else {
            return self.tile(block, other).map(Cow::Owned);
        };
        let kept = |i: usize, j: usize| tiles[i * (i + 1) / 2 + j].as_deref();
        if other <= block {
            return kept(block, other).map(Cow::Borrowed);
        }
        let (rows, columns) = (self.rows(block).len(), self.rows(other).len());
        let turned = |tile: &[T]| {
            let entry = |k: usize| tile[k % columns * rows + k / columns];
            Cow::Owned((0..rows * columns).map(entry).collect())
        };
        kept(other, block).map(turned)
    }

    /// Writes −‖xᵢ − s xⱼ‖² / (2(1 − α)) of the rows of a block `[rows, n]`.
    pub fn write(&self, block: usize, exponents: &mut [f64]) {
        let n = self.own.len();
        let Some(whole) = self.partial.last() else {
            return;
        };
        let factor = 2.0 * self.c * self.s;
        for other in 0..n.div_ceil(TILE) {
            let columns = self.rows(other);
            let tile = self.pair(block, other);
            for (k, (i, row)) in self
                .rows(block)
                .zip(exponents.chunks_exact_mut(n))
                .enumerate()
            {
                let row = &mut row[columns.clone()];
                let Some(tile) = &tile else {
                    row.fill(f64::NEG_INFINITY);
                    continue;
                };
                let gram = &tile[k * columns.len()..][..columns.len()];
                let (target, sources) = (whole.targets[i], &whole.sources[columns.clone()]);
                vectorized(
                    #[inline(always)]
                    || {
                        for ((exponent, source), gram) in row.iter_mut().zip(sources).zip(gram) {
                            let squared = target + source - factor * gram.widen();
                            *exponent = -squared.max(0.0);
                        }
                    },
                );
            }
        }
        for (i, row) in self.rows(block).zip(exponents.chunks_exact_mut(n)) {
            row[i] = -self.own[i];
            self.refine(i, row);
        }
    }

    /// Computes the exponents of a row again that rounding can have changed.
    fn refine(&self, i: usize, row: &mut [f64]) {
        let d = self.centred.dimension;
        let longest = self.rounding.iter().copied().fold(0.0, f64::max);
        if self.rounding[i] * longest <= TOLERANCE {
            return;
        }
        let weight = |(exponent, log): (&f64, &f64)| exponent + log;
        let pairs = row.iter().zip(&self.log_weights);
        let largest = pairs.map(weight).fold(f64::NEG_INFINITY, f64::max);
        let place = &self.places[i * d..][..d];
        for j in (0..row.len()).filter(|j| *j != i) {
            let rounding = self.rounding[i] * self.rounding[j];
            let highest = row[j] + self.log_weights[j] + rounding;
            if rounding > TOLERANCE && highest > largest - NEGLIGIBLE {
                let other = &self.places[j * d..][..d];
                row[j] = -self.c
                    * vectorized(
                        #[inline(always)]
                        || squared_distance(place, other, self.s),
                    );
            }
        }
    }
}

/// ‖a − s b‖², in 8 parts, which vectorise.
#[inline(always)]
fn squared_distance(a: &[f64], b: &[f64], s: f64) -> f64 {
    let mut parts = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (part, (a, b)) in parts.iter_mut().zip(a.iter().zip(b)) {
            let difference = a - s * b;
            *part += difference * difference;
        }
    }
    parts.iter().sum()
}
