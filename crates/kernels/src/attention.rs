//! Multi-head attention, softmax(s q kᵀ) v, and its linearisation.
//!
//! q is `[n, queries, channels]`, k and v are `[n, keys, channels]`; a head is
//! a run of neighbouring channels. The linear maps need the probabilities.

use crate::Real;
use crate::buffer::{Buffer, filled};
use crate::gather::PackedMatrix;
use crate::outer::OuterSum;
use crate::simd::{LANES, Lanes, vectorized};
use rayon::prelude::*;
use std::ops::Range;

/// Query rows whose scores are in flight at once.
const ROWS: usize = 48;
/// The same where no probabilities are kept, and the keys of those scores: a
/// block of scores, keys and values stays in the second-level cache.
const STREAMED_ROWS: usize = 96;
const STREAMED_KEYS: usize = 512;

/// The extents of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Positions of q.
    pub queries: usize,
    /// Positions of k and v.
    pub keys: usize,
    /// Channels of q, k, v and the result.
    pub channels: usize,
    /// Heads, a divisor of the channels.
    pub heads: usize,
    /// Whether position i of q attends to the positions 0 to i only.
    pub causal: bool,
}

impl Attention {
    fn depth(&self) -> usize {
        self.channels / self.heads
    }

    fn scale<T: Real>(&self) -> T {
        T::from_f64(1.0 / (self.depth() as f64).sqrt())
    }

    /// From the first channel of one head of item `i` of an array of `rows`
    /// positions to the item's end.
    fn head<'a, T: Real>(&self, values: &'a [T], rows: usize, i: usize, head: usize) -> &'a [T] {
        let end = (i + 1) * rows * self.channels;
        &values[i * rows * self.channels + head * self.depth()..end]
    }

    /// Some positions of k or v of one head as the right factor of a product,
    /// `[positions, depth]`.
    fn pack<T: Real>(
        &self,
        values: &[T],
        i: usize,
        head: usize,
        some: Range<usize>,
    ) -> PackedMatrix<T> {
        let values = &self.head(values, self.keys, i, head)[some.start * self.channels..];
        PackedMatrix::new(values, 1, some.len(), self.depth(), [0, self.channels, 1])
    }

    /// The same, transposed: `[depth, positions]`.
    fn pack_transposed<T: Real>(
        &self,
        values: &[T],
        i: usize,
        head: usize,
        some: Range<usize>,
    ) -> PackedMatrix<T> {
        let values = &self.head(values, self.keys, i, head)[some.start * self.channels..];
        PackedMatrix::new(values, 1, self.depth(), some.len(), [0, 1, self.channels])
    }

    /// The result `[n, queries, channels]`. A thread holds the scores of 96
    /// queries and 512 keys at most.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    #[must_use]
    pub fn forward<T: Real>(&self, q: &[T], k: &[T], v: &[T]) -> Buffer<T> {
        let (queries, keys, d) = (self.queries, self.keys, self.depth());
        let n = self.items(q, k, v);
        let mut parts = Buffer::stale(q.len());
        debug_assert_eq!(parts.len(), n * self.heads * queries * d);
        parts
            .par_chunks_mut(queries * d)
            .enumerate()
            .for_each(|(task, part)| {
                let (i, head) = (task / self.heads, task % self.heads);
                // Blocks of the same length: a short one costs as much.
                let size = keys.div_ceil(keys.div_ceil(STREAMED_KEYS));
                let blocks: Vec<_> = (0..keys)
                    .step_by(size)
                    .map(|first| {
                        let some = first..keys.min(first + size);
                        let key = self.pack_transposed(k, i, head, some.clone());
                        (some.clone(), key, self.pack(v, i, head, some).whole())
                    })
                    .collect();
                let query = self.head(q, queries, i, head);
                part.par_chunks_mut(STREAMED_ROWS * d)
                    .enumerate()
                    .for_each(|(block, part)| {
                        let first = block * STREAMED_ROWS;
                        self.stream(first, &query[first * self.channels..], &blocks, part);
                    });
            });
        self.join_heads(&parts, queries)
    }

    /// The results `[rows, depth]` of the queries from `first` on, block by
    /// block of the keys: when a score is larger than all before, what was
    /// summed is scaled down (Milakov and Gimelshein, arXiv 1805.02867).
    fn stream<T: Real>(
        &self,
        first: usize,
        query: &[T],
        blocks: &[(Range<usize>, PackedMatrix<T>, PackedMatrix<T>)],
        part: &mut [T],
    ) {
        let (d, scale) = (self.depth(), self.scale::<T>());
        let rows = part.len() / d;
        let Some((longest, _, value)) = blocks.first() else {
            return;
        };
        let (stride, width) = (padded::<T>(longest.len()), value.columns());
        let mut scores = Buffer::<T>::stale(rows * stride);
        let mut summed = Buffer::<T>::stale(rows * width);
        let mut largest = [T::ZERO; STREAMED_ROWS];
        let mut totals = [T::ZERO; STREAMED_ROWS];
        for (some, key, value) in blocks {
            if self.causal && some.start >= first + rows {
                break;
            }
            let begun = some.start > 0;
            key.multiply(rows, query, self.channels, false, &mut scores, stride);
            for (at, row) in scores.chunks_exact_mut(stride).enumerate() {
                let seen = if self.causal {
                    (first + at + 1).clamp(some.start, some.end) - some.start
                } else {
                    some.len()
                };
                let (row, hidden) = row[..some.len()].split_at_mut(seen);
                hidden.fill(T::ZERO);
                let Some(&start) = row.first() else {
                    continue;
                };
                let (before, summed) = (largest[at], &mut summed[at * width..(at + 1) * width]);
                vectorized(
                    #[inline(always)]
                    || {
                        let most = greatest(row, if begun { before } else { start });
                        if begun && most > before {
                            let less = T::exp(scale * (before - most));
                            totals[at] *= less;
                            summed.iter_mut().for_each(|v| *v *= less);
                        }
                        totals[at] += exponentials(row, most, scale);
                        largest[at] = most;
                    },
                );
            }
            value.multiply(rows, &scores, stride, begun, &mut summed, width);
        }
        let lines = part.chunks_exact_mut(d).zip(summed.chunks_exact(width));
        for ((line, summed), total) in lines.zip(totals) {
            let inverse = T::ONE / total;
            for (to, &from) in line.iter_mut().zip(summed) {
                *to = inverse * from;
            }
        }
    }

    /// The result `[n, queries, channels]` and the probabilities
    /// `[n, heads, queries, keys]`, which the linear maps need.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    #[must_use]
    pub fn with_probabilities<T: Real>(&self, q: &[T], k: &[T], v: &[T]) -> (Buffer<T>, Buffer<T>) {
        let (queries, keys, channels) = (self.queries, self.keys, self.channels);
        let (d, heads) = (self.depth(), self.heads);
        let n = self.items(q, k, v);
        let mut probabilities = Buffer::stale(n * heads * queries * keys);
        let mut parts = Buffer::stale(q.len());
        parts
            .par_chunks_mut(queries * d)
            .zip(probabilities.par_chunks_mut(queries * keys))
            .enumerate()
            .for_each(|(task, (part, kept))| {
                let (i, head) = (task / heads, task % heads);
                let key = self.pack_transposed(k, i, head, 0..keys);
                let value = self.pack(v, i, head, 0..keys);
                let query = self.head(q, queries, i, head);
                part.par_chunks_mut(ROWS * d)
                    .zip(kept.par_chunks_mut(ROWS * keys))
                    .enumerate()
                    .for_each(|(block, (part, scores))| {
                        let rows = part.len() / d;
                        let query = &query[block * ROWS * channels..];
                        key.multiply(rows, query, channels, false, scores, keys);
                        let scale = self.scale();
                        for (at, row) in scores.chunks_exact_mut(keys).enumerate() {
                            let seen = if self.causal {
                                keys.min(block * ROWS + at + 1)
                            } else {
                                keys
                            };
                            let (row, hidden) = row.split_at_mut(seen);
                            vectorized(
                                #[inline(always)]
                                || {
                                    let most = greatest(row, row[0]);
                                    let inverse = T::ONE / exponentials(row, most, scale);
                                    row.iter_mut().for_each(|v| *v *= inverse);
                                },
                            );
                            hidden.fill(T::ZERO);
                        }
                        value.multiply(rows, scores, keys, false, part, d);
                    });
            });
        (self.join_heads(&parts, queries), probabilities)
    }

    /// The items of a batch.
    fn items<T>(&self, q: &[T], k: &[T], v: &[T]) -> usize {
        let n = q.len() / (self.queries * self.channels);
        assert_eq!(q.len(), n * self.queries * self.channels);
        assert_eq!(k.len(), n * self.keys * self.channels);
        assert_eq!(v.len(), k.len());
        n
    }

    /// The result's tangents. A tangent of `None` is zero. With r tangents
    /// for each of the n items, those of item 0 come first.
    ///
    /// dP = P ∘ (dS − rowsum(P ∘ dS)), dS = s (dq kᵀ + q dkᵀ), do = dP v + P dv.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    #[must_use]
    pub fn pushforward<T: Real>(
        &self,
        [q, k, v]: [&[T]; 3],
        probabilities: &[T],
        [dq, dk, dv]: [Option<&[T]>; 3],
    ) -> Buffer<T> {
        let Self {
            queries,
            keys,
            channels,
            heads,
            ..
        } = *self;
        let n = q.len() / (queries * channels);
        let blocks = [(dq, queries), (dk, keys), (dv, keys)]
            .iter()
            .find_map(|(d, rows)| d.map(|d| d.len() / (rows * channels)))
            .unwrap_or(0);
        let repeat = blocks / n.max(1);
        let (d, stride) = (self.depth(), padded::<T>(keys));
        let mut parts = Buffer::stale(blocks * queries * channels);
        parts
            .par_chunks_mut(queries * d)
            .enumerate()
            .for_each(|(task, part)| {
                let (j, head) = (task / heads, task % heads);
                let i = j / repeat;
                let p = &probabilities[(i * heads + head) * queries * keys..][..queries * keys];
                let curved = dq.is_some() || dk.is_some();
                let value = curved.then(|| self.pack(v, i, head, 0..keys));
                let from_query = dq.map(|dq| {
                    let key = self.pack_transposed(k, i, head, 0..keys);
                    (self.head(dq, queries, j, head), key)
                });
                let from_key = dk.map(|dk| {
                    let key = self.pack_transposed(dk, j, head, 0..keys);
                    (self.head(q, queries, i, head), key)
                });
                let from_value = dv.map(|dv| self.pack(dv, j, head, 0..keys));
                let products = [from_query, from_key];
                part.par_chunks_mut(ROWS * d)
                    .zip(p.par_chunks(ROWS * keys))
                    .enumerate()
                    .for_each(|(block, (part, p))| {
                        let rows = part.len() / d;
                        let mut fresh = true;
                        if let Some(value) = &value {
                            let mut ds = Buffer::stale(rows * stride);
                            for (term, (left, key)) in products.iter().flatten().enumerate() {
                                let left = &left[block * ROWS * channels..];
                                key.multiply(rows, left, channels, term > 0, &mut ds, stride);
                            }
                            softmax_derivative(p, keys, &mut ds, stride, self.scale());
                            value.multiply(rows, &ds, stride, false, part, d);
                            fresh = false;
                        }
                        if let Some(value) = &from_value {
                            value.multiply(rows, p, keys, !fresh, part, d);
                        }
                    });
            });
        self.join_heads(&parts, queries)
    }

    /// The cotangents of q, k and v for blocks of cotangents of the result.
    ///
    /// dv = Pᵀ u, dP = u vᵀ, dS = P ∘ (dP − rowsum(P ∘ dP)), dq = s dS k, dk = s dSᵀ q.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    #[must_use]
    pub fn pullback<T: Real>(
        &self,
        [q, k, v]: [&[T]; 3],
        probabilities: &[T],
        u: &[T],
    ) -> [Buffer<T>; 3] {
        let Self {
            queries,
            keys,
            channels,
            heads,
            ..
        } = *self;
        let n = q.len() / (queries * channels);
        let blocks = u.len() / (queries * channels);
        let repeat = blocks / n.max(1);
        let (d, stride) = (self.depth(), padded::<T>(keys));
        let mut to_query = Buffer::stale(blocks * queries * channels);
        let mut to_key = Buffer::stale(blocks * keys * channels);
        let mut to_value = Buffer::stale(blocks * keys * channels);
        to_query
            .par_chunks_mut(queries * d)
            .zip(to_key.par_chunks_mut(keys * d))
            .zip(to_value.par_chunks_mut(keys * d))
            .enumerate()
            .for_each(|(task, ((to_query, to_key), to_value))| {
                let (j, head) = (task / heads, task % heads);
                let i = j / repeat;
                let p = &probabilities[(i * heads + head) * queries * keys..][..queries * keys];
                let u = self.head(u, queries, j, head);
                let query = self.head(q, queries, i, head);
                let value = self.pack_transposed(v, i, head, 0..keys);
                let key = self.pack(k, i, head, 0..keys);
                let outer = OuterSum::new(keys, d);
                let mut of_key = Buffer::zeros(outer.len());
                let mut of_value = Buffer::zeros(outer.len());
                let mut ds = Buffer::stale(ROWS.min(queries) * stride);
                let parts = to_query.chunks_mut(ROWS * d).zip(p.chunks(ROWS * keys));
                for (block, (part, p)) in parts.enumerate() {
                    let rows = part.len() / d;
                    let ds = &mut ds[..rows * stride];
                    let u = &u[block * ROWS * channels..];
                    value.multiply(rows, u, channels, false, ds, stride);
                    softmax_derivative(p, keys, ds, stride, self.scale());
                    key.multiply(rows, ds, stride, false, part, d);
                    let query = &query[block * ROWS * channels..];
                    for (values, stride, right, sums) in [
                        (&*ds, stride, query, &mut of_key),
                        (p, keys, u, &mut of_value),
                    ] {
                        let starts: Vec<usize> = (0..rows).map(|row| row * stride).collect();
                        let right = outer.right(right, rows, channels);
                        outer.add(values, &starts, &right, sums);
                    }
                }
                outer.finish(&of_key, to_key, d, |to, sum| *to = sum);
                outer.finish(&of_value, to_value, d, |to, sum| *to = sum);
            });
        [
            self.join_heads(&to_query, queries),
            self.join_heads(&to_key, keys),
            self.join_heads(&to_value, keys),
        ]
    }

    /// `[blocks, heads, rows, depth]` → `[blocks, rows, channels]`.
    fn join_heads<T: Real>(&self, parts: &[T], rows: usize) -> Buffer<T> {
        /// Positions of one task.
        const POSITIONS: usize = 64;
        let (d, channels) = (self.depth(), self.channels);
        filled(parts.len(), POSITIONS * channels, |part, out| {
            let first = part * POSITIONS;
            for at in first..(first + POSITIONS).min(parts.len() / channels) {
                let (j, row) = (at / rows, at % rows);
                for head in 0..self.heads {
                    let from = ((j * self.heads + head) * rows + row) * d;
                    out.push(&parts[from..from + d]);
                }
            }
        })
    }
}

/// The largest value of a row and `start`. Pairs of vectors, so that no
/// comparison waits for the one before.
#[inline(always)]
fn greatest<T: Real>(row: &[T], start: T) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let (mut even, mut odd) = (Lanes([start; LANES]), Lanes([start; LANES]));
    let pairs = row.chunks_exact(2 * LANES);
    let tail = pairs.remainder();
    for pair in pairs {
        for i in 0..LANES {
            even.0[i] = larger(even.0[i], pair[i]);
            odd.0[i] = larger(odd.0[i], pair[LANES + i]);
        }
    }
    for i in 0..LANES {
        even.0[i] = larger(even.0[i], odd.0[i]);
    }
    let largest = folded(&even, larger);
    tail.iter().copied().fold(largest, larger)
}

/// All lanes as one. Not inlined: the compiler would split the vectors of the
/// loops before it into what suits this once.
#[inline(never)]
fn folded<T: Real>(lanes: &Lanes<T>, both: impl Fn(T, T) -> T) -> T {
    let [first, rest @ ..] = lanes.0;
    rest.into_iter().fold(first, both)
}

/// row ← exp(scale · (row − most)); returns the sum.
#[inline(always)]
fn exponentials<T: Real>(row: &mut [T], most: T, scale: T) -> T {
    let weigh = |values: &mut [T]| {
        let mut lanes = Lanes::load(values);
        for i in 0..LANES {
            lanes.0[i] = (scale * (lanes.0[i] - most)).exp();
        }
        lanes.store(values);
        lanes
    };
    let (mut even, mut odd) = (Lanes::ZERO, Lanes::ZERO);
    let mut pairs = row.chunks_exact_mut(2 * LANES);
    for pair in &mut pairs {
        let (a, b) = pair.split_at_mut(LANES);
        even = even + weigh(a);
        odd = odd + weigh(b);
    }
    let mut sum = folded(&(even + odd), |a, b| a + b);
    for v in pairs.into_remainder() {
        *v = (scale * (*v - most)).exp();
        sum += *v;
    }
    sum
}

/// Values from one row of so many to the next, such that the rows of a tile do
/// not fall on the same lines of the first-level cache.
fn padded<T>(len: usize) -> usize {
    const LINE: usize = 64;
    let line = LINE / size_of::<T>();
    let lines = len.div_ceil(line);
    line * (lines + usize::from(lines.is_multiple_of(2)))
}

/// ds ← scale · p ∘ (ds − rowsum(p ∘ ds)), the rows of ds `stride` apart; this
/// map is its own adjoint.
fn softmax_derivative<T: Real>(p: &[T], keys: usize, ds: &mut [T], stride: usize, scale: T) {
    for (p, ds) in p.chunks_exact(keys).zip(ds.chunks_exact_mut(stride)) {
        let ds = &mut ds[..keys];
        vectorized(
            #[inline(always)]
            || {
                let mut sums = Lanes::ZERO;
                for (p, s) in p.chunks(LANES).zip(ds.chunks(LANES)) {
                    sums = sums + Lanes::load(p) * Lanes::load(s);
                }
                let mean: T = sums.0.into_iter().sum();
                for (&p, s) in p.iter().zip(ds.iter_mut()) {
                    *s = scale * p * (*s - mean);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests;
