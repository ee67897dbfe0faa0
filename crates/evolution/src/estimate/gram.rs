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
use super::combine::{COLUMNS, Centre};
use crate::real::{Real, vectorized};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Rows and columns of a tile.
pub(super) const TILE: usize = 128;
/// Up to this population the tiles are kept, so that each is computed once.
const KEPT: usize = 2048;
/// Rounding of an exponent that is computed again.
const TOLERANCE: f64 = 0.01;
/// Exponents this far below the largest weigh nothing.
const NEGLIGIBLE: f64 = 40.0;

/// y = x − μ of some columns, and what distances need of it.
pub(super) struct Segment<T> {
    /// `[n, columns]`.
    pub values: Vec<T>,
    columns: Range<usize>,
    /// ‖y‖² and y·μ `[n]`.
    products: Vec<(f64, f64)>,
    /// ‖μ‖².
    offset: f64,
}

impl<T: Real> Segment<T> {
    pub fn new(points: &[f64], mean: &[f64], columns: Range<usize>) -> Self {
        let (d, mean) = (mean.len(), &mean[columns.clone()]);
        let mut values = vec![T::NIL; points.len() / d * mean.len()];
        let rows = values.par_chunks_mut(mean.len()).zip(points.par_chunks(d));
        let products = rows.map(|(values, row)| {
            let row = &row[columns.clone()];
            vectorized(
                #[inline(always)]
                || centre(values, row, mean),
            )
        });
        let products = products.collect();
        Self {
            values,
            columns,
            products,
            offset: mean.iter().map(|m| m * m).sum(),
        }
    }
}

/// The columns of the segments of d.
fn segments(d: usize) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let (mut start, mut end) = (0, COLUMNS.min(d));
    while start < d {
        // A short rest is not worth a segment.
        if 3 * end > 2 * d {
            end = d;
        }
        segments.push(start..end);
        (start, end) = (end, 2 * end);
    }
    segments
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
#[derive(Clone)]
struct Partial {
    targets: Vec<f64>,
    sources: Vec<f64>,
    /// Rounding of the last term is at most the product of two of these.
    rounding: Vec<f64>,
    /// √c ‖x‖ of the columns behind.
    rests: Vec<f64>,
}

/// The exponents of a population at one noise level.
pub(super) struct Exponents<'a, T> {
    /// x `[n, d]`.
    places: &'a [f64],
    dimension: usize,
    /// √α.
    s: f64,
    /// 1 / (2 (1 − α)).
    c: f64,
    /// Exponents of individuals with themselves, negated.
    own: Vec<f64>,
    /// ln Q.
    log_weights: Vec<f64>,
    /// One per segment; without those that no tile reached.
    partial: Vec<Partial>,
    products: Products<T>,
}

enum Products<T> {
    /// Tiles of the lower triangle, row by row; None weighs nothing.
    Kept(Vec<Option<Vec<T>>>),
    /// What they are computed from.
    OnDemand(Vec<Segment<T>>),
}

impl<'a, T: Real> Exponents<'a, T> {
    /// Of a cloud whose points are places.
    ///
    /// Cost: n² d / 2 multiplications, and less where the kernel is narrow.
    pub fn new(cloud: &Cloud<'a>, centre: &Centre, alpha: f64) -> Self {
        let (n, d) = (cloud.len(), cloud.dimension);
        let (s, c) = (alpha.sqrt(), 0.5 / (1.0 - alpha));
        let mut rests = vec![0.0; n];
        for squares in &centre.squares {
            rests.iter_mut().zip(squares).for_each(|(r, s)| *r += s);
        }
        let blocks = n.div_ceil(TILE);
        let pairs = (0..blocks).flat_map(|i| (0..=i).map(move |j| (i, j)));
        let pairs: Vec<(usize, usize)> = pairs.collect();
        let mut exponents = Self {
            places: cloud.points,
            dimension: d,
            s,
            c,
            own: rests.iter().map(|r| c * (1.0 - s).powi(2) * r).collect(),
            log_weights: cloud.weights.iter().map(|q| q.ln()).collect(),
            partial: Vec::new(),
            products: Products::OnDemand(Vec::new()),
        };
        let (mut tiles, mut stored) = (vec![Some(Vec::new()); pairs.len()], Vec::new());
        for columns in segments(d) {
            let segment = Segment::<T>::new(cloud.points, &centre.mean, columns);
            exponents.add_partial(&segment, &mut rests, &centre.squares);
            if n > KEPT {
                stored.push(segment);
                continue;
            }
            let level = exponents.partial.len() - 1;
            let each = tiles.par_iter_mut().zip(&pairs);
            each.for_each(|(tile, pair)| exponents.extend(tile, *pair, &segment, level));
            if tiles.iter().all(Option::is_none) {
                break;
            }
        }
        exponents.products = if n > KEPT {
            Products::OnDemand(stored)
        } else {
            Products::Kept(tiles)
        };
        exponents
    }

    /// Whether no individual weighs for another.
    pub fn are_apart(&self) -> bool {
        match &self.products {
            Products::Kept(tiles) => tiles.iter().all(Option::is_none),
            Products::OnDemand(_) => false,
        }
    }

    /// Adds the terms of a segment to those of the columns before it; `rests`
    /// is ‖x‖² of all that are not summed yet.
    fn add_partial(&mut self, segment: &Segment<T>, rests: &mut [f64], squares: &[Vec<f64>]) {
        let (s, c) = (self.s, self.c);
        let epsilon = if size_of::<T>() == 4 { 6e-8 } else { 1.1e-16 };
        let chunks = segment.columns.start / COLUMNS..segment.columns.end.div_ceil(COLUMNS);
        for squares in &squares[chunks] {
            rests.iter_mut().zip(squares).for_each(|(r, s)| *r -= s);
        }
        if segment.columns.end == self.dimension {
            // Not what rounding leaves of it.
            rests.fill(0.0);
        }
        let mut partial = self.partial.last().cloned().unwrap_or_else(|| {
            let zeros = || vec![0.0; self.own.len()];
            Partial {
                targets: zeros(),
                sources: zeros(),
                rounding: zeros(),
                rests: zeros(),
            }
        });
        for (i, (norm, shadow)) in segment.products.iter().enumerate() {
            let target = norm + (1.0 - s) * ((1.0 - s) * segment.offset + 2.0 * shadow);
            partial.targets[i] += c * target;
            partial.sources[i] += c * s * (s * norm - 2.0 * (1.0 - s) * shadow);
            let rounding = partial.rounding[i].powi(2) + 64.0 * epsilon * c * s * norm;
            partial.rounding[i] = rounding.sqrt();
            partial.rests[i] = (c * rests[i].max(0.0)).sqrt();
        }
        self.partial.push(partial);
    }

    fn rows(&self, block: usize) -> Range<usize> {
        block * TILE..((block + 1) * TILE).min(self.own.len())
    }

    /// Adds a segment to the products of the rows of two blocks; takes the
    /// tile away when no pair weighs anything.
    fn extend(
        &self,
        tile: &mut Option<Vec<T>>,
        (block, other): (usize, usize),
        segment: &Segment<T>,
        level: usize,
    ) {
        let Some(products) = tile else { return };
        let (rows, columns) = (self.rows(block), self.rows(other));
        let (n, depth) = (self.own.len(), segment.columns.len());
        products.resize(rows.len() * columns.len(), T::NIL);
        let everything = MatRef::from_row_major_slice(&segment.values, n, depth);
        matmul(
            MatMut::from_row_major_slice_mut(products, rows.len(), columns.len()),
            Accum::Add,
            everything.subrows(rows.start, rows.len()),
            everything.subrows(columns.start, columns.len()).transpose(),
            T::narrow(1.0),
            Par::Seq,
        );
        let weighs_nothing = |(i, gram): (usize, &[T])| {
            // Of a block with itself, pairs before the diagonal are all.
            let others = columns.start..if block == other { i } else { columns.end };
            vectorized(
                #[inline(always)]
                || self.weigh_nothing(&self.partial[level], i, others, gram),
            )
        };
        if rows
            .zip(products.chunks_exact(columns.len()))
            .all(weighs_nothing)
        {
            *tile = None;
        }
    }

    /// Whether i weighs nothing for these others, nor they for it.
    #[inline(always)]
    fn weigh_nothing(&self, partial: &Partial, i: usize, others: Range<usize>, gram: &[T]) -> bool {
        let gram = &gram[..others.len()];
        let targets = &partial.targets[others.clone()];
        let sources = &partial.sources[others.clone()];
        let rests = &partial.rests[others.clone()];
        let rounding = &partial.rounding[others.clone()];
        let (own, logs) = (&self.own[others.clone()], &self.log_weights[others]);
        let (target, source, rest) = (partial.targets[i], partial.sources[i], partial.rests[i]);
        let (own_i, log_i, rounding_i) = (self.own[i], self.log_weights[i], partial.rounding[i]);
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

    /// The tile of two blocks; none when it weighs nothing.
    fn pair(&self, block: usize, other: usize) -> Option<Cow<'_, [T]>> {
        let tiles = match &self.products {
            Products::Kept(tiles) => tiles,
            Products::OnDemand(segments) => {
                let mut tile = Some(Vec::new());
                for (level, segment) in segments.iter().enumerate() {
                    self.extend(&mut tile, (block, other), segment, level);
                }
                return tile.map(Cow::Owned);
            }
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
        let longest = whole.rounding.iter().copied().fold(0.0, f64::max);
        for (i, row) in self.rows(block).zip(exponents.chunks_exact_mut(n)) {
            row[i] = -self.own[i];
            if whole.rounding[i] * longest > TOLERANCE {
                self.refine(&whole.rounding, i, row);
            }
        }
    }

    /// Computes the exponents of a row again that rounding can have changed.
    fn refine(&self, rounding: &[f64], i: usize, row: &mut [f64]) {
        let d = self.dimension;
        let weight = |(exponent, log): (&f64, &f64)| exponent + log;
        let pairs = row.iter().zip(&self.log_weights);
        let largest = pairs.map(weight).fold(f64::NEG_INFINITY, f64::max);
        let place = &self.places[i * d..][..d];
        for j in (0..row.len()).filter(|j| *j != i) {
            let rounding = rounding[i] * rounding[j];
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
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut parts = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            let difference = a[k] - s * b[k];
            parts[k] += difference * difference;
        }
    }
    for (part, (a, b)) in parts.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        let difference = a - s * b;
        *part += difference * difference;
    }
    parts.iter().sum()
}
