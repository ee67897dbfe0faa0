//! Operations on each value, and sums over positions.

use crate::Real;
use crate::buffer::{Buffer, filled};
use crate::simd::vectorized;
use rayon::prelude::*;

/// Values of one task.
const STRIP: usize = 1 << 14;
/// Pixels of one task that copies so many channels: enough to be worth a task,
/// few enough that a thread that comes late still gets its share.
fn rows_per_task(channels: usize) -> usize {
    ((1 << 15) / channels.max(1)).clamp(1, 512)
}

/// out = f(a) for every value.
pub fn map<T: Real>(a: &[T], f: impl Fn(T) -> T + Sync) -> Buffer<T> {
    let mut out = Buffer::stale(a.len());
    let strips = out.par_chunks_mut(STRIP).zip(a.par_chunks(STRIP));
    strips.for_each(|(out, a)| {
        vectorized(
            #[inline(always)]
            || {
                for (o, &a) in out.iter_mut().zip(a) {
                    *o = f(a);
                }
            },
        );
    });
    out
}

/// to += factor · from.
///
/// # Panics
/// When the lengths differ.
pub fn add_scaled<T: Real>(to: &mut [T], from: &[T], factor: T) {
    assert_eq!(to.len(), from.len());
    let strips = to.par_chunks_mut(STRIP).zip(from.par_chunks(STRIP));
    strips.for_each(|(to, from)| {
        vectorized(
            #[inline(always)]
            || {
                for (t, &f) in to.iter_mut().zip(from) {
                    *t += factor * f;
                }
            },
        );
    });
}

/// Values [i] · factors [i mod block], where a block of factors is one item
/// and `repeat` consecutive blocks of values share it.
///
/// # Panics
/// When the values are not `repeat` times the factors.
pub fn multiply_blocks<T: Real>(
    values: &[T],
    factors: &[T],
    item: usize,
    repeat: usize,
) -> Buffer<T> {
    assert_eq!(values.len(), factors.len() * repeat);
    let mut out = Buffer::from(values);
    out.par_chunks_mut(item.max(1))
        .enumerate()
        .for_each(|(block, out)| {
            let factors = &factors[block / repeat * item..][..item];
            vectorized(
                #[inline(always)]
                || {
                    for (o, &f) in out.iter_mut().zip(factors) {
                        *o *= f;
                    }
                },
            );
        });
    out
}

/// x `[n, positions, channels]` · scale + shift, where scale and shift are
/// `[n, channels]` or absent.
///
/// # Panics
/// When the extents do not fit.
pub fn scale_shift<T: Real>(
    x: &[T],
    positions: usize,
    channels: usize,
    scale: Option<&[T]>,
    shift: Option<&[T]>,
) -> Buffer<T> {
    let mut out = Buffer::from(x);
    let row = |v: &'_ [T], i: usize| -> std::ops::Range<usize> {
        debug_assert!(v.len() >= (i + 1) * channels);
        i * channels..(i + 1) * channels
    };
    out.par_chunks_mut((positions * channels).max(1))
        .enumerate()
        .for_each(|(i, out)| {
            let scale = scale.map(|s| &s[row(s, i)]);
            let shift = shift.map(|s| &s[row(s, i)]);
            vectorized(
                #[inline(always)]
                || {
                    for line in out.chunks_exact_mut(channels) {
                        if let Some(scale) = scale {
                            for (v, &s) in line.iter_mut().zip(scale) {
                                *v *= s;
                            }
                        }
                        if let Some(shift) = shift {
                            for (v, &s) in line.iter_mut().zip(shift) {
                                *v += s;
                            }
                        }
                    }
                },
            );
        });
    out
}

/// Σ over positions of x (· y), `[n, positions, channels]` → `[n, channels]`.
///
/// # Panics
/// When the lengths differ.
pub fn sum_positions<T: Real>(
    x: &[T],
    y: Option<&[T]>,
    positions: usize,
    channels: usize,
) -> Buffer<T> {
    let item = positions * channels;
    if let Some(y) = y {
        assert_eq!(x.len(), y.len());
    }
    let n = x.len() / item.max(1);
    let mut out = Buffer::zeros(n * channels);
    out.par_chunks_mut(channels.max(1))
        .enumerate()
        .for_each(|(i, out)| {
            let x = &x[i * item..(i + 1) * item];
            let y = y.map(|y| &y[i * item..(i + 1) * item]);
            vectorized(
                #[inline(always)]
                || {
                    for (at, x) in x.chunks_exact(channels).enumerate() {
                        if let Some(y) = y {
                            let y = &y[at * channels..(at + 1) * channels];
                            for j in 0..channels {
                                out[j] += x[j] * y[j];
                            }
                        } else {
                            for (o, &x) in out.iter_mut().zip(x) {
                                *o += x;
                            }
                        }
                    }
                },
            );
        });
    out
}

/// Joins the channels of a and b, `[rows, ca]` and `[rows, cb]` → `[rows, ca + cb]`.
///
/// # Panics
/// When the numbers of rows differ.
pub fn concat<T: Real>(a: &[T], b: &[T], ca: usize, cb: usize) -> Buffer<T> {
    assert_eq!(a.len() * cb, b.len() * ca);
    let rows = rows_per_task(ca + cb);
    filled(a.len() + b.len(), rows * (ca + cb), |part, out| {
        let a = a[part * rows * ca..].chunks(ca);
        let b = b[part * rows * cb..].chunks(cb);
        for (a, b) in a.zip(b).take(rows) {
            out.push(a);
            out.push(b);
        }
    })
}

/// Channels `first..first + count` of `[rows, channels]`.
pub fn slice_channels<T: Real>(x: &[T], channels: usize, first: usize, count: usize) -> Buffer<T> {
    let len = x.len() / channels.max(1) * count;
    let some = rows_per_task(count);
    filled(len, some * count, |part, out| {
        let rows = x[part * some * channels..].chunks(channels);
        for row in rows.take(some) {
            out.push(&row[first..first + count]);
        }
    })
}

/// out[row] = x[from(row)] per item, or its adjoint: x[from(row)] += u[row].
/// A table with one tap that always lies inside.
#[derive(Clone, Debug)]
pub struct RowMap {
    /// For each output row of an item, its source row.
    pub from: Vec<u32>,
    /// Source rows of an item.
    pub source_rows: usize,
}

impl RowMap {
    /// Copies rows `[n, source rows, channels]` → `[n, rows, channels]`.
    #[must_use]
    pub fn forward<T: Real>(&self, x: &[T], channels: usize) -> Buffer<T> {
        let item = self.source_rows * channels;
        let len = x.len() / item.max(1) * self.from.len() * channels;
        let some = rows_per_task(channels);
        filled(len, some * channels, |part, out| {
            let first = part * some;
            for at in first..(first + some).min(len / channels) {
                let (i, row) = (at / self.from.len(), at % self.from.len());
                let start = i * item + self.from[row] as usize * channels;
                out.push(&x[start..start + channels]);
            }
        })
    }

    /// Adds rows back, `[n, rows, channels]` → `[n, source rows, channels]`.
    #[must_use]
    pub fn adjoint<T: Real>(&self, u: &[T], channels: usize) -> Buffer<T> {
        let item = self.from.len() * channels;
        let n = u.len() / item.max(1);
        let mut out = Buffer::zeros(n * self.source_rows * channels);
        out.par_chunks_mut((self.source_rows * channels).max(1))
            .zip(u.par_chunks(item))
            .for_each(|(out, u)| {
                for (line, &row) in u.chunks_exact(channels).zip(&self.from) {
                    let to = &mut out[row as usize * channels..][..channels];
                    for (t, &v) in to.iter_mut().zip(line) {
                        *t += v;
                    }
                }
            });
        out
    }
}
