//! Layer normalisation: each row of channels by itself, and its linearisation.
//!
//! Arrays are `[rows, channels]`. y = γ x̂ + β with x̂ = (x − mean) / std; both
//! linear maps need only x̂ and 1/std.

use crate::Real;
use crate::buffer::Buffer;
use crate::simd::vectorized;
use rayon::prelude::*;

/// Rows of one task.
const STRIP: usize = 64;

/// The parameters of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a, T> {
    /// Channels of a row.
    pub channels: usize,
    /// Added to the variance.
    pub eps: f64,
    /// γ, one per channel.
    pub gain: &'a [T],
    /// β, one per channel.
    pub bias: &'a [T],
}

/// What the linear maps of a normalisation need.
#[derive(Clone, Debug)]
pub struct LayerNormResidual<T> {
    /// x̂ `[rows, channels]`.
    normalized: Buffer<T>,
    /// 1 / std `[rows]`.
    inverse_std: Vec<T>,
}

impl<T> LayerNormResidual<T> {
    /// Values that it holds.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.normalized.len() + self.inverse_std.len()
    }
}

impl<T: Real> LayerNorm<'_, T> {
    /// y and, with `keep`, what the linear maps need.
    ///
    /// # Panics
    /// When x does not hold whole rows.
    pub fn forward(&self, x: &[T], keep: bool) -> (Buffer<T>, Option<LayerNormResidual<T>>) {
        let c = self.channels;
        assert!(c > 0 && x.len().is_multiple_of(c));
        let mut out = Buffer::stale(x.len());
        let inverse_std: Vec<T> = out
            .par_chunks_mut(STRIP * c)
            .zip(x.par_chunks(STRIP * c))
            .flat_map_iter(|(out, x)| {
                vectorized(
                    #[inline(always)]
                    || self.normalize(x, out),
                )
            })
            .collect();
        let kept = keep.then(|| LayerNormResidual {
            normalized: Buffer::from(&out[..]),
            inverse_std,
        });
        out.par_chunks_mut(STRIP * c).for_each(|out| {
            vectorized(
                #[inline(always)]
                || {
                    for out in out.chunks_exact_mut(c) {
                        for j in 0..c {
                            out[j] = out[j] * self.gain[j] + self.bias[j];
                        }
                    }
                },
            );
        });
        (out, kept)
    }

    /// x̂ into `out`; returns 1/std of each row.
    #[inline(always)]
    fn normalize(&self, x: &[T], out: &mut [T]) -> Vec<T> {
        let c = self.channels;
        let per_channel = T::from_f64(1.0 / c as f64);
        let lines = x.chunks_exact(c).zip(out.chunks_exact_mut(c));
        lines
            .map(|(x, out)| {
                let mean = sum(x) * per_channel;
                for j in 0..c {
                    out[j] = x[j] - mean;
                }
                let variance = dot(out, out) * per_channel;
                let inverse = T::ONE / (variance + T::from_f64(self.eps)).sqrt();
                for v in out {
                    *v *= inverse;
                }
                inverse
            })
            .collect()
    }

    /// dy for blocks of tangents of items of `rows` rows, those of item 0 first.
    ///
    /// dy = γ / std · (dx − mean dx − x̂ · mean(x̂ dx)).
    ///
    /// # Panics
    /// When `dx` does not hold whole blocks.
    #[must_use]
    pub fn pushforward(&self, residual: &LayerNormResidual<T>, dx: &[T], rows: usize) -> Buffer<T> {
        let mut out = Buffer::from(dx);
        self.by_row(residual, &mut out, rows, |line, hat, inverse| {
            centre(line, hat, inverse);
            for (v, &gain) in line.iter_mut().zip(self.gain) {
                *v *= gain;
            }
        });
        out
    }

    /// dx for blocks of cotangents, laid out like the tangents of
    /// [`Self::pushforward`]; adds the gradients of (γ, β) to `gradients`.
    ///
    /// dx = 1/std · (w − mean w − x̂ · mean(x̂ w)) with w = γ u.
    ///
    /// # Panics
    /// When `u` does not hold whole blocks.
    #[must_use]
    pub fn pullback(
        &self,
        residual: &LayerNormResidual<T>,
        u: &[T],
        rows: usize,
        gradients: Option<(&mut [T], &mut [T])>,
    ) -> Buffer<T> {
        if let Some((gain, bias)) = gradients {
            let c = self.channels;
            let lines = u.chunks_exact(c).zip(residual.normalized.chunks_exact(c));
            for (u, hat) in lines {
                for j in 0..c {
                    gain[j] += u[j] * hat[j];
                    bias[j] += u[j];
                }
            }
        }
        let mut out = Buffer::from(u);
        self.by_row(residual, &mut out, rows, |line, hat, inverse| {
            for (v, &gain) in line.iter_mut().zip(self.gain) {
                *v *= gain;
            }
            centre(line, hat, inverse);
        });
        out
    }

    /// Changes every row of blocks, given its x̂ and 1/std.
    fn by_row(
        &self,
        residual: &LayerNormResidual<T>,
        values: &mut [T],
        rows: usize,
        change: impl Fn(&mut [T], &[T], T) + Sync,
    ) {
        let c = self.channels;
        let items = residual.inverse_std.len() / rows;
        assert!(values.len().is_multiple_of(items * rows * c));
        let repeat = values.len() / (items * rows * c);
        values
            .par_chunks_mut(rows * c)
            .enumerate()
            .for_each(|(block, values)| {
                let first = block / repeat * rows;
                vectorized(
                    #[inline(always)]
                    || {
                        for (row, line) in values.chunks_exact_mut(c).enumerate() {
                            let at = first + row;
                            let hat = &residual.normalized[at * c..][..c];
                            change(line, hat, residual.inverse_std[at]);
                        }
                    },
                );
            });
    }
}

/// v ← 1/std · (v − mean v − x̂ · mean(x̂ v)), its own adjoint.
#[inline(always)]
fn centre<T: Real>(line: &mut [T], hat: &[T], inverse: T) {
    let per_channel = T::from_f64(1.0 / line.len() as f64);
    let mean = sum(line) * per_channel;
    let along = dot(line, hat) * per_channel;
    for (v, &hat) in line.iter_mut().zip(hat) {
        *v = inverse * (*v - mean - hat * along);
    }
}

/// Lanes of a sum: independent, so that it vectorises and rounds less.
const LANES: usize = 16;

#[inline(always)]
fn sum<T: Real>(x: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let whole = x.chunks_exact(LANES);
    let rest: T = whole.remainder().iter().copied().sum();
    for x in whole {
        for (lane, &v) in lanes.iter_mut().zip(x) {
            *lane += v;
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

#[inline(always)]
fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: T = xs
        .remainder()
        .iter()
        .zip(ys.remainder())
        .map(|(&x, &y)| x * y)
        .sum();
    for (x, y) in xs.zip(ys) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.into_iter().sum::<T>() + rest
}
