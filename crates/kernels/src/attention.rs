//! Multi-head attention, softmax(s q kᵀ) v, and its linearisation.
//!
//! q is `[n, queries, channels]`, k and v are `[n, keys, channels]`; a head is
//! a run of neighbouring channels. The linear maps need the probabilities.

use crate::Real;
use crate::buffer::{Buffer, filled};
use crate::gather::PackedMatrix;
use crate::outer::OuterSum;
use crate::simd::{LANES, Lanes, slices_mut, vectorized};
use rayon::prelude::*;

/// Query rows whose scores are in flight at once.
const ROWS: usize = 48;

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

    /// k or v of one head as the right factor of a product, `[keys, depth]`.
    fn pack<T: Real>(&self, values: &[T], i: usize, head: usize) -> PackedMatrix<T> {
        let values = self.head(values, self.keys, i, head);
        PackedMatrix::new(values, 1, self.keys, self.depth(), [0, self.channels, 1])
    }

    /// The same, transposed: `[depth, keys]`.
    fn pack_transposed<T: Real>(&self, values: &[T], i: usize, head: usize) -> PackedMatrix<T> {
        let values = self.head(values, self.keys, i, head);
        PackedMatrix::new(values, 1, self.depth(), self.keys, [0, 1, self.channels])
    }

    /// The result `[n, queries, channels]` and, with `keep`, the
    /// probabilities `[n, heads, queries, keys]`.
    ///
    /// Without `keep`, memory is O(keys) a thread.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    pub fn forward<T: Real>(
        &self,
        q: &[T],
        k: &[T],
        v: &[T],
        keep: bool,
    ) -> (Buffer<T>, Buffer<T>) {
        let Self {
            queries,
            keys,
            channels,
            heads,
            ..
        } = *self;
        let n = q.len() / (queries * channels);
        assert_eq!(q.len(), n * queries * channels);
        assert_eq!(k.len(), n * keys * channels);
        assert_eq!(v.len(), k.len());
        let d = self.depth();
        let kept = if keep { n * heads * queries * keys } else { 0 };
        let mut probabilities = Buffer::stale(kept);
        let mut parts = Buffer::stale(q.len());
        parts
            .par_chunks_mut(queries * d)
            .zip(slices_mut(&mut probabilities, queries * keys, n * heads))
            .enumerate()
            .for_each(|(task, (part, kept))| {
                let (i, head) = (task / heads, task % heads);
                let key = self.pack_transposed(k, i, head);
                let value = self.pack(v, i, head);
                let query = self.head(q, queries, i, head);
                part.par_chunks_mut(ROWS * d)
                    .zip(slices_mut(kept, ROWS * keys, queries.div_ceil(ROWS)))
                    .enumerate()
                    .for_each(|(block, (part, kept))| {
                        let rows = part.len() / d;
                        let mut own = Buffer::stale(if keep { 0 } else { rows * keys });
                        let scores = if keep { kept } else { &mut own[..] };
                        let query = &query[block * ROWS * channels..];
                        key.multiply(rows, query, channels, false, scores, keys);
                        let scale = self.scale();
                        let mut inverse = [T::ZERO; ROWS];
                        let lines = scores.chunks_exact_mut(keys).zip(&mut inverse);
                        for (at, (row, inverse)) in lines.enumerate() {
                            let seen = if self.causal {
                                keys.min(block * ROWS + at + 1)
                            } else {
                                keys
                            };
                            let (row, hidden) = row.split_at_mut(seen);
                            let sum = vectorized(
                                #[inline(always)]
                                || exponentials(row, scale),
                            );
                            *inverse = T::ONE / sum;
                            hidden.fill(T::ZERO);
                        }
                        // The result is shorter than the probabilities: it is
                        // what is divided by their sum, and they too if kept.
                        value.multiply(rows, scores, keys, false, part, d);
                        let scaled = |values: &mut [T], len: usize| {
                            for (line, &inverse) in values.chunks_exact_mut(len).zip(&inverse) {
                                vectorized(
                                    #[inline(always)]
                                    || line.iter_mut().for_each(|v| *v *= inverse),
                                );
                            }
                        };
                        scaled(part, d);
                        if keep {
                            scaled(scores, keys);
                        }
                    });
            });
        (self.join_heads(&parts, queries), probabilities)
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
        let d = self.depth();
        let mut parts = Buffer::stale(blocks * queries * channels);
        parts
            .par_chunks_mut(queries * d)
            .enumerate()
            .for_each(|(task, part)| {
                let (j, head) = (task / heads, task % heads);
                let i = j / repeat;
                let p = &probabilities[(i * heads + head) * queries * keys..][..queries * keys];
                let curved = dq.is_some() || dk.is_some();
                let value = curved.then(|| self.pack(v, i, head));
                let from_query = dq.map(|dq| {
                    let key = self.pack_transposed(k, i, head);
                    (self.head(dq, queries, j, head), key)
                });
                let from_key = dk.map(|dk| {
                    let key = self.pack_transposed(dk, j, head);
                    (self.head(q, queries, i, head), key)
                });
                let from_value = dv.map(|dv| self.pack(dv, j, head));
                let products = [from_query, from_key];
                part.par_chunks_mut(ROWS * d)
                    .zip(p.par_chunks(ROWS * keys))
                    .enumerate()
                    .for_each(|(block, (part, p))| {
                        let rows = part.len() / d;
                        let mut fresh = true;
                        if let Some(value) = &value {
                            let mut ds = Buffer::stale(rows * keys);
                            for (term, (left, key)) in products.iter().flatten().enumerate() {
                                let left = &left[block * ROWS * channels..];
                                key.multiply(rows, left, channels, term > 0, &mut ds, keys);
                            }
                            softmax_derivative(p, &mut ds, keys, self.scale());
                            value.multiply(rows, &ds, keys, false, part, d);
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
        let d = self.depth();
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
                let value = self.pack_transposed(v, i, head);
                let key = self.pack(k, i, head);
                let mut of_key = OuterSum::zeros(keys, d);
                let mut of_value = OuterSum::zeros(keys, d);
                let mut ds = Buffer::stale(ROWS.min(queries) * keys);
                let parts = to_query.chunks_mut(ROWS * d).zip(p.chunks(ROWS * keys));
                for (block, (part, p)) in parts.enumerate() {
                    let rows = part.len() / d;
                    let ds = &mut ds[..rows * keys];
                    let u = &u[block * ROWS * channels..];
                    value.multiply(rows, u, channels, false, ds, keys);
                    softmax_derivative(p, ds, keys, self.scale());
                    key.multiply(rows, ds, keys, false, part, d);
                    let query = &query[block * ROWS * channels..];
                    of_key.add(rows, ds, keys, query, channels);
                    of_value.add(rows, p, keys, u, channels);
                }
                of_key.write(T::ONE, to_key, d);
                of_value.write(T::ONE, to_value, d);
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

/// row ← exp(scale · (row − its largest)); returns the sum.
#[inline(always)]
fn exponentials<T: Real>(row: &mut [T], scale: T) -> T {
    /// Values that are summed while they are in the first-level cache.
    const PART: usize = 512;
    let mut largest = Lanes([row[0]; LANES]);
    for chunk in row.chunks_exact(LANES) {
        let chunk = Lanes::load(chunk);
        for i in 0..LANES {
            let (a, b) = (largest.0[i], chunk.0[i]);
            largest.0[i] = if b > a { b } else { a };
        }
    }
    let tail = row.chunks_exact(LANES).remainder().iter();
    let most = tail
        .chain(&largest.0)
        .fold(row[0], |a, &b| if b > a { b } else { a });
    let mut sums = Lanes::ZERO;
    for part in row.chunks_mut(PART) {
        for v in part.iter_mut() {
            *v = (scale * (*v - most)).exp();
        }
        for chunk in part.chunks(LANES) {
            sums = sums + Lanes::load(chunk);
        }
    }
    sums.0.into_iter().sum()
}

/// ds ← scale · p ∘ (ds − rowsum(p ∘ ds)); this map is its own adjoint.
fn softmax_derivative<T: Real>(p: &[T], ds: &mut [T], keys: usize, scale: T) {
    for (p, ds) in p.chunks_exact(keys).zip(ds.chunks_exact_mut(keys)) {
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
