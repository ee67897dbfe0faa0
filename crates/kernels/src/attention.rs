//! Multi-head attention, softmax(s q kᵀ) v, and its linearisation.
//!
//! q is `[n, queries, channels]`, k and v are `[n, keys, channels]`; a head is
//! a run of neighbouring channels. The linear maps need the probabilities.

use crate::Real;
use crate::simd::vectorized;
use rayon::prelude::*;

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

/// A matrix inside a slice.
#[derive(Clone, Copy)]
struct View<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<T: Real> View<'_, T> {
    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn fits(&self) -> bool {
        let last = (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride;
        last < self.values.len()
    }
}

/// out (rows `row_stride` apart) = factor · a b, added to out with `accumulate`.
fn multiply<T: Real>(
    a: View<'_, T>,
    b: View<'_, T>,
    factor: T,
    out: &mut [T],
    row_stride: usize,
    accumulate: bool,
) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows);
    assert!(a.fits() && b.fits());
    assert!((m - 1) * row_stride + n <= out.len());
    #[allow(
        unsafe_code,
        reason = "the crate gemm takes pointers; the extents are checked above"
    )]
    // SAFETY: every index i · stride + j that gemm forms lies in its slice, by
    // the assertions above; `out` is borrowed mutably and aliases nothing.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            row_stride as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

impl Attention {
    fn depth(&self) -> usize {
        self.channels / self.heads
    }

    fn scale<T: Real>(&self) -> T {
        T::from_f64(1.0 / (self.depth() as f64).sqrt())
    }

    /// The channels of one head of item `i` of an array of `rows` positions.
    fn head<'a, T: Real>(
        &self,
        values: &'a [T],
        rows: usize,
        i: usize,
        head: usize,
    ) -> View<'a, T> {
        let start = i * rows * self.channels + head * self.depth();
        let end = (i + 1) * rows * self.channels;
        View {
            values: &values[start..end],
            rows,
            columns: self.depth(),
            row_stride: self.channels,
            column_stride: 1,
        }
    }

    /// A matrix of `rows` × `columns` without gaps.
    fn dense<T: Real>(values: &[T], rows: usize, columns: usize) -> View<'_, T> {
        View {
            values,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The result `[n, queries, channels]` and, with `keep`, the
    /// probabilities `[n, heads, queries, keys]`.
    ///
    /// Without `keep`, memory is O(queries) a thread.
    ///
    /// # Panics
    /// When the slices do not fit the extents.
    pub fn forward<T: Real>(&self, q: &[T], k: &[T], v: &[T], keep: bool) -> (Vec<T>, Vec<T>) {
        /// Query rows whose scores are in flight at once when not kept.
        const ROWS: usize = 64;
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
        let height = if keep { queries } else { ROWS.min(queries) };
        let blocks = queries.div_ceil(height);
        let d = self.depth();
        // One task per (item, head, block of queries); a task returns its
        // probabilities (when kept) and its rows of the head's result.
        let tasks: Vec<(Vec<T>, Vec<T>)> = (0..n * heads * blocks)
            .into_par_iter()
            .map(|task| {
                let (i, head, block) =
                    (task / blocks / heads, task / blocks % heads, task % blocks);
                let first = block * height;
                let rows = height.min(queries - first);
                let mut query = self.head(q, queries, i, head);
                query.values = &query.values[first * channels..];
                query.rows = rows;
                let mut scores = vec![T::ZERO; rows * keys];
                let key = self.head(k, keys, i, head).transposed();
                multiply(query, key, self.scale(), &mut scores, keys, false);
                for (at, row) in scores.chunks_exact_mut(keys).enumerate() {
                    let seen = if self.causal {
                        keys.min(first + at + 1)
                    } else {
                        keys
                    };
                    let (row, hidden) = row.split_at_mut(seen);
                    vectorized(
                        #[inline(always)]
                        || softmax(row),
                    );
                    hidden.fill(T::ZERO);
                }
                let mut out = vec![T::ZERO; rows * d];
                let value = self.head(v, keys, i, head);
                multiply(
                    Self::dense(&scores, rows, keys),
                    value,
                    T::ONE,
                    &mut out,
                    d,
                    false,
                );
                (if keep { scores } else { Vec::new() }, out)
            })
            .collect();
        let mut out = vec![T::ZERO; q.len()];
        let mut probabilities =
            Vec::with_capacity(if keep { n * heads * queries * keys } else { 0 });
        for (task, (scores, part)) in tasks.into_iter().enumerate() {
            let (i, head, block) = (task / blocks / heads, task / blocks % heads, task % blocks);
            probabilities.extend_from_slice(&scores);
            for (row, line) in part.chunks_exact(d).enumerate() {
                let position = i * queries + block * height + row;
                out[position * channels + head * d..][..d].copy_from_slice(line);
            }
        }
        (out, probabilities)
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
    ) -> Vec<T> {
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
        let parts: Vec<Vec<T>> = (0..blocks * heads)
            .into_par_iter()
            .map(|task| {
                let (j, head) = (task / heads, task % heads);
                let i = j / repeat;
                let p = &probabilities[(i * heads + head) * queries * keys..][..queries * keys];
                let mut out = vec![T::ZERO; queries * d];
                if dq.is_some() || dk.is_some() {
                    let mut ds = vec![T::ZERO; queries * keys];
                    if let Some(dq) = dq {
                        let key = self.head(k, keys, i, head).transposed();
                        let query = self.head(dq, queries, j, head);
                        multiply(query, key, self.scale(), &mut ds, keys, false);
                    }
                    if let Some(dk) = dk {
                        let key = self.head(dk, keys, j, head).transposed();
                        let query = self.head(q, queries, i, head);
                        multiply(query, key, self.scale(), &mut ds, keys, true);
                    }
                    softmax_derivative(p, &mut ds, keys);
                    let value = self.head(v, keys, i, head);
                    multiply(
                        Self::dense(&ds, queries, keys),
                        value,
                        T::ONE,
                        &mut out,
                        d,
                        false,
                    );
                }
                if let Some(dv) = dv {
                    let value = self.head(dv, keys, j, head);
                    multiply(
                        Self::dense(p, queries, keys),
                        value,
                        T::ONE,
                        &mut out,
                        d,
                        true,
                    );
                }
                out
            })
            .collect();
        self.join_heads(&parts, blocks, queries)
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
    ) -> [Vec<T>; 3] {
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
        let parts: Vec<[Vec<T>; 3]> = (0..blocks * heads)
            .into_par_iter()
            .map(|task| {
                let (j, head) = (task / heads, task % heads);
                let i = j / repeat;
                let p = &probabilities[(i * heads + head) * queries * keys..][..queries * keys];
                let u = self.head(u, queries, j, head);
                let mut ds = vec![T::ZERO; queries * keys];
                let value = self.head(v, keys, i, head).transposed();
                multiply(u, value, T::ONE, &mut ds, keys, false);
                softmax_derivative(p, &mut ds, keys);
                let ds = Self::dense(&ds, queries, keys);
                let mut dq = vec![T::ZERO; queries * d];
                multiply(
                    ds,
                    self.head(k, keys, i, head),
                    self.scale(),
                    &mut dq,
                    d,
                    false,
                );
                let mut dk = vec![T::ZERO; keys * d];
                let query = self.head(q, queries, i, head);
                multiply(ds.transposed(), query, self.scale(), &mut dk, d, false);
                let mut dv = vec![T::ZERO; keys * d];
                let p = Self::dense(p, queries, keys).transposed();
                multiply(p, u, T::ONE, &mut dv, d, false);
                [dq, dk, dv]
            })
            .collect();
        let mut sides = [const { Vec::new() }; 3];
        for part in parts {
            for (side, values) in sides.iter_mut().zip(part) {
                side.push(values);
            }
        }
        let [dq, dk, dv] = sides;
        [
            self.join_heads(&dq, blocks, queries),
            self.join_heads(&dk, blocks, keys),
            self.join_heads(&dv, blocks, keys),
        ]
    }

    /// `[blocks, heads]` parts of `[rows, depth]` → `[blocks, rows, channels]`.
    fn join_heads<T: Real>(&self, parts: &[Vec<T>], blocks: usize, rows: usize) -> Vec<T> {
        let d = self.depth();
        let mut out = vec![T::ZERO; blocks * rows * self.channels];
        for (task, part) in parts.iter().enumerate() {
            let (j, head) = (task / self.heads, task % self.heads);
            for (row, line) in part.chunks_exact(d).enumerate() {
                out[(j * rows + row) * self.channels + head * d..][..d].copy_from_slice(line);
            }
        }
        out
    }
}

#[inline(always)]
fn softmax<T: Real>(row: &mut [T]) {
    let mut largest = row[0];
    for &v in row.iter() {
        if v > largest {
            largest = v;
        }
    }
    let mut sum = T::ZERO;
    for v in row.iter_mut() {
        *v = (*v - largest).exp();
    }
    for &v in row.iter() {
        sum += v;
    }
    let inverse = T::ONE / sum;
    for v in row.iter_mut() {
        *v *= inverse;
    }
}

/// ds ← p ∘ (ds − rowsum(p ∘ ds)); this map is its own adjoint.
fn softmax_derivative<T: Real>(p: &[T], ds: &mut [T], keys: usize) {
    for (p, ds) in p.chunks_exact(keys).zip(ds.chunks_exact_mut(keys)) {
        vectorized(
            #[inline(always)]
            || {
                let mut mean = T::ZERO;
                for (&p, &s) in p.iter().zip(ds.iter()) {
                    mean += p * s;
                }
                for (&p, s) in p.iter().zip(ds.iter_mut()) {
                    *s = p * (*s - mean);
                }
            },
        );
    }
}
