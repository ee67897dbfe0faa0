//! Functions of each value between layers, their slopes, and the gated one.

use crate::Real;
use crate::buffer::Buffer;
use crate::norm::sigmoid;
use crate::pointwise::map;
use crate::simd::vectorized;
use rayon::prelude::*;

/// Values of one task.
const STRIP: usize = 1 << 13;

/// A function of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// x · Φ(x), Φ the standard normal distribution.
    Gelu,
    /// x · sigmoid(1.702 x), as CLIP has it.
    QuickGelu,
}

impl Activation {
    /// f(x).
    #[must_use]
    pub fn values<T: Real>(self, x: &[T]) -> Buffer<T> {
        match self {
            Self::Silu => map(
                x,
                #[inline(always)]
                |x| x * sigmoid(x),
            ),
            Self::Gelu => map(
                x,
                #[inline(always)]
                |x| gelu(x).0,
            ),
            Self::QuickGelu => map(
                x,
                #[inline(always)]
                |x| x * sigmoid(T::from_f64(QUICK) * x),
            ),
        }
    }

    /// f′(x).
    #[must_use]
    pub fn slopes<T: Real>(self, x: &[T]) -> Buffer<T> {
        match self {
            Self::Silu => map(
                x,
                #[inline(always)]
                |x| sigmoid_slope(x, T::ONE),
            ),
            Self::Gelu => map(
                x,
                #[inline(always)]
                |x| gelu(x).1,
            ),
            Self::QuickGelu => map(
                x,
                #[inline(always)]
                |x| sigmoid_slope(x, T::from_f64(QUICK)),
            ),
        }
    }
}

const QUICK: f64 = 1.702;

/// The derivative of x · sigmoid(a x).
#[inline(always)]
fn sigmoid_slope<T: Real>(x: T, a: T) -> T {
    let s = sigmoid(a * x);
    s * (T::ONE + a * x * (T::ONE - s))
}

/// x · Φ(x) and its derivative Φ(x) + x φ(x).
#[inline(always)]
fn gelu<T: Real>(x: T) -> (T, T) {
    let half = T::from_f64(0.5);
    let below = half + half * (x * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf();
    let density = (-half * x * x).exp() * T::from_f64(0.398_942_280_401_432_7);
    (x * below, below + x * density)
}

/// a · gelu(b) for x `[rows, 2 · channels]` = (a, b), and, with `keep`, its
/// derivatives in a and b, laid out like x.
///
/// # Panics
/// When x does not hold whole rows.
pub fn geglu<T: Real>(x: &[T], channels: usize, keep: bool) -> (Buffer<T>, Buffer<T>) {
    assert!(channels > 0 && x.len().is_multiple_of(2 * channels));
    let mut out = Buffer::stale(x.len() / 2);
    let mut slopes = Buffer::stale(if keep { x.len() } else { 0 });
    let rows = (STRIP / channels).max(1);
    let strips = x.par_chunks(rows * 2 * channels);
    if keep {
        strips
            .zip(out.par_chunks_mut(rows * channels))
            .zip(slopes.par_chunks_mut(rows * 2 * channels))
            .for_each(|((x, out), slopes)| {
                vectorized(
                    #[inline(always)]
                    || {
                        let lines = x.chunks_exact(2 * channels);
                        let outs = out.chunks_exact_mut(channels);
                        let slopes = slopes.chunks_exact_mut(2 * channels);
                        for ((x, out), slopes) in lines.zip(outs).zip(slopes) {
                            let (a, b) = x.split_at(channels);
                            let (in_a, in_b) = slopes.split_at_mut(channels);
                            for j in 0..channels {
                                let (value, slope) = gelu(b[j]);
                                out[j] = a[j] * value;
                                in_a[j] = value;
                                in_b[j] = a[j] * slope;
                            }
                        }
                    },
                );
            });
    } else {
        strips
            .zip(out.par_chunks_mut(rows * channels))
            .for_each(|(x, out)| {
                vectorized(
                    #[inline(always)]
                    || {
                        let lines = x.chunks_exact(2 * channels);
                        for (x, out) in lines.zip(out.chunks_exact_mut(channels)) {
                            let (a, b) = x.split_at(channels);
                            for j in 0..channels {
                                out[j] = a[j] * gelu(b[j]).0;
                            }
                        }
                    },
                );
            });
    }
    (out, slopes)
}

/// Tangents of [`geglu`] from those of x: slopes are shared by `repeat`
/// consecutive items of `item` values of the result.
#[must_use]
pub fn geglu_pushforward<T: Real>(
    dx: &[T],
    slopes: &[T],
    channels: usize,
    item: usize,
    repeat: usize,
) -> Buffer<T> {
    let mut out = Buffer::stale(dx.len() / 2);
    out.par_chunks_mut(item).enumerate().for_each(|(j, out)| {
        let dx = &dx[2 * j * item..][..2 * item];
        let slopes = &slopes[j / repeat * 2 * item..][..2 * item];
        vectorized(
            #[inline(always)]
            || {
                let lines = dx.chunks_exact(2 * channels);
                let slopes = slopes.chunks_exact(2 * channels);
                for ((dx, slopes), out) in lines.zip(slopes).zip(out.chunks_exact_mut(channels)) {
                    let (da, db) = dx.split_at(channels);
                    let (in_a, in_b) = slopes.split_at(channels);
                    for c in 0..channels {
                        out[c] = da[c] * in_a[c] + db[c] * in_b[c];
                    }
                }
            },
        );
    });
    out
}

/// Cotangents of x from those of the result of [`geglu`].
#[must_use]
pub fn geglu_pullback<T: Real>(
    u: &[T],
    slopes: &[T],
    channels: usize,
    item: usize,
    repeat: usize,
) -> Buffer<T> {
    let mut out = Buffer::stale(2 * u.len());
    out.par_chunks_mut(2 * item)
        .enumerate()
        .for_each(|(j, out)| {
            let u = &u[j * item..][..item];
            let slopes = &slopes[j / repeat * 2 * item..][..2 * item];
            vectorized(
                #[inline(always)]
                || {
                    let lines = u.chunks_exact(channels);
                    let slopes = slopes.chunks_exact(2 * channels);
                    let outs = out.chunks_exact_mut(2 * channels);
                    for ((u, slopes), out) in lines.zip(slopes).zip(outs) {
                        for half in 0..2 {
                            let slopes = &slopes[half * channels..][..channels];
                            let out = &mut out[half * channels..][..channels];
                            for c in 0..channels {
                                out[c] = u[c] * slopes[c];
                            }
                        }
                    }
                },
            );
        });
    out
}
