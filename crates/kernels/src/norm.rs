//! Group normalisation, fused with x · sigmoid(x), and its linearisation.
//!
//! Arrays are `[n, positions, channels]`; a group is a run of neighbouring
//! channels over all positions of an item. With x̂ = (x − mean) / std, the
//! result is y = φ(γ x̂ + β), where φ is the identity or SiLU. Both linear
//! maps need only x̂, 1/std and the slope φ′.

use crate::Real;
use crate::simd::vectorized;
use rayon::prelude::*;

/// Positions of one task.
const STRIP: usize = 512;

/// The extents and the parameters of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a, T> {
    /// Pixels of an item.
    pub positions: usize,
    /// Channels of a pixel.
    pub channels: usize,
    /// Groups, a divisor of the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// γ, one per channel.
    pub gain: &'a [T],
    /// β, one per channel.
    pub bias: &'a [T],
    /// Whether φ is SiLU.
    pub silu: bool,
}

/// What the linear maps of a normalisation need.
#[derive(Clone, Debug)]
pub struct NormResidual<T> {
    /// x̂ `[n, positions, channels]`.
    normalized: Vec<T>,
    /// φ′ of the same shape, or empty when φ is the identity.
    slope: Vec<T>,
    /// 1 / std `[n, groups]`.
    inverse_std: Vec<T>,
}

impl<T: Real> GroupNorm<'_, T> {
    fn item(&self) -> usize {
        self.positions * self.channels
    }

    /// y for `n` items; with `keep`, also what the linear maps need.
    ///
    /// # Panics
    /// When `x` or `out` do not hold n · positions · channels values.
    pub fn forward(&self, x: &[T], out: &mut [T], keep: bool) -> Option<NormResidual<T>> {
        let item = self.item();
        assert_eq!(x.len(), out.len());
        assert!(item > 0 && x.len().is_multiple_of(item));
        let n = x.len() / item;
        let (mean, inverse_std) = self.statistics(x, n);
        // x̂ = x · a + b per channel.
        let scale: Vec<T> = self.per_channel(n, |i, g, _| inverse_std[i * self.groups + g]);
        let shift: Vec<T> = self.per_channel(n, |i, g, _| {
            let at = i * self.groups + g;
            T::from_f64(-mean[at] * inverse_std[at].to_f64())
        });
        let strip = STRIP * self.channels;
        if !keep {
            let tasks = out.par_chunks_mut(item).zip(x.par_chunks(item)).enumerate();
            tasks.for_each(|(i, (out, x))| {
                let (scale, shift) = self.rows(i, &scale, &shift);
                out.par_chunks_mut(strip)
                    .zip(x.par_chunks(strip))
                    .for_each(|(out, x)| {
                        vectorized(
                            #[inline(always)]
                            || self.apply(x, scale, shift, out),
                        );
                    });
            });
            return None;
        }
        let mut normalized = vec![T::ZERO; x.len()];
        let mut slope = vec![T::ZERO; if self.silu { x.len() } else { 0 }];
        out.par_chunks_mut(item)
            .zip(x.par_chunks(item))
            .zip(normalized.par_chunks_mut(item))
            .zip(slopes_mut(&mut slope, item, n))
            .enumerate()
            .for_each(|(i, (((out, x), normalized), slope))| {
                let (scale, shift) = self.rows(i, &scale, &shift);
                out.par_chunks_mut(strip)
                    .zip(x.par_chunks(strip))
                    .zip(normalized.par_chunks_mut(strip))
                    .zip(slopes_mut(slope, strip, self.positions.div_ceil(STRIP)))
                    .for_each(|(((out, x), normalized), slope)| {
                        vectorized(
                            #[inline(always)]
                            || self.apply_and_keep(x, scale, shift, out, normalized, slope),
                        );
                    });
            });
        Some(NormResidual {
            normalized,
            slope,
            inverse_std,
        })
    }

    /// dy for blocks of tangents: `dx` holds as many tangents for each item
    /// as its length says, those of item 0 first.
    ///
    /// dy = φ′ γ / std · (dx − mean dx − x̂ · mean(x̂ dx)).
    ///
    /// # Panics
    /// When `dx` does not hold whole blocks.
    #[must_use]
    pub fn pushforward(&self, residual: &NormResidual<T>, dx: &[T]) -> Vec<T> {
        self.linear(residual, dx, true, None)
    }

    /// dx for blocks of cotangents, laid out like the tangents of
    /// [`Self::pushforward`]; adds the gradients of (γ, β) to `gradients`.
    ///
    /// dx = 1/std · (w − mean w − x̂ · mean(x̂ w)) with w = γ φ′ u.
    ///
    /// # Panics
    /// When `u` does not hold whole blocks.
    #[must_use]
    pub fn pullback(
        &self,
        residual: &NormResidual<T>,
        u: &[T],
        gradients: Option<(&mut [T], &mut [T])>,
    ) -> Vec<T> {
        self.linear(residual, u, false, gradients)
    }

    fn linear(
        &self,
        residual: &NormResidual<T>,
        input: &[T],
        push: bool,
        gradients: Option<(&mut [T], &mut [T])>,
    ) -> Vec<T> {
        let (item, channels) = (self.item(), self.channels);
        let n = residual.normalized.len() / item;
        assert!(input.len().is_multiple_of(item * n));
        let blocks = input.len() / item;
        let per_item = blocks / n;
        let count = (self.positions * channels / self.groups) as f64;
        let mut out = vec![T::ZERO; input.len()];
        // Per block: Σ v and Σ x̂ v over positions, per channel, where v is
        // the input behind the slope when pulling back.
        let sums: Vec<Vec<f64>> = out
            .par_chunks_mut(item)
            .zip(input.par_chunks(item))
            .enumerate()
            .map(|(block, (out, input))| {
                let i = block / per_item;
                let at = i * item..(i + 1) * item;
                let normalized = &residual.normalized[at.clone()];
                let slope = if residual.slope.is_empty() {
                    &[][..]
                } else {
                    &residual.slope[at]
                };
                let behind = if push { &[][..] } else { slope };
                let front = if push { slope } else { &[][..] };
                let sums = strip_sums(channels, input, normalized, behind);
                let gain = |c: usize| {
                    if push { 1.0 } else { self.gain[c].to_f64() }
                };
                let size = channels / self.groups;
                let mean = |offset: usize, c: usize| {
                    let first = c / size * size;
                    let total: f64 = (first..first + size)
                        .map(|c| gain(c) * sums[offset + c])
                        .sum();
                    total / count
                };
                let inverse = |c: usize| residual.inverse_std[i * self.groups + c / size].to_f64();
                let outer = |c: usize| inverse(c) * if push { self.gain[c].to_f64() } else { 1.0 };
                let row = |f: &dyn Fn(usize) -> f64| -> Vec<T> {
                    (0..channels).map(|c| T::from_f64(f(c))).collect()
                };
                let group_row = |offset: usize| -> Vec<T> {
                    let by_group: Vec<f64> =
                        (0..self.groups).map(|g| mean(offset, g * size)).collect();
                    row(&|c| -outer(c) * by_group[c / size])
                };
                let linear = row(&|c| outer(c) * gain(c));
                let constant = group_row(0);
                let along = group_row(channels);
                let strip = STRIP * channels;
                out.par_chunks_mut(strip).enumerate().for_each(|(s, out)| {
                    let at = s * strip..s * strip + out.len();
                    let part = |v: &'_ [T]| -> std::ops::Range<usize> {
                        if v.is_empty() { 0..0 } else { at.clone() }
                    };
                    vectorized(
                        #[inline(always)]
                        || {
                            combine(
                                &input[at.clone()],
                                &normalized[at.clone()],
                                &behind[part(behind)],
                                &front[part(front)],
                                [&linear, &constant, &along],
                                out,
                            );
                        },
                    );
                });
                sums
            })
            .collect();
        if let Some((gain, bias)) = gradients {
            for sums in &sums {
                for c in 0..channels {
                    bias[c] += T::from_f64(sums[c]);
                    gain[c] += T::from_f64(sums[channels + c]);
                }
            }
        }
        out
    }

    /// Mean and 1/std `[n, groups]`, the variance about the mean.
    fn statistics(&self, x: &[T], n: usize) -> (Vec<f64>, Vec<T>) {
        let (item, channels) = (self.item(), self.channels);
        let count = (self.positions * channels / self.groups) as f64;
        let size = channels / self.groups;
        let both: Vec<(Vec<f64>, Vec<T>)> = x
            .par_chunks(item)
            .map(|x| {
                let grouped = |sums: Vec<f64>| -> Vec<f64> {
                    sums.chunks(size)
                        .map(|c| c.iter().sum::<f64>() / count)
                        .collect()
                };
                let mean = grouped(strip_reduce(channels, x, |x, sums| add_rows(x, sums)));
                let centre: Vec<T> = (0..channels).map(|c| T::from_f64(mean[c / size])).collect();
                let variance = grouped(strip_reduce(channels, x, |x, sums| {
                    add_squares(x, &centre, sums);
                }));
                let inverse = variance
                    .iter()
                    .map(|v| T::from_f64(1.0 / (v + self.eps).sqrt()))
                    .collect();
                (mean, inverse)
            })
            .collect();
        debug_assert_eq!(both.len(), n);
        let (mean, inverse): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        (mean.concat(), inverse.concat())
    }

    fn per_channel(&self, n: usize, value: impl Fn(usize, usize, usize) -> T) -> Vec<T> {
        let size = self.channels / self.groups;
        (0..n * self.channels)
            .map(|at| {
                let (i, c) = (at / self.channels, at % self.channels);
                value(i, c / size, c)
            })
            .collect()
    }

    fn rows<'b>(&self, i: usize, a: &'b [T], b: &'b [T]) -> (&'b [T], &'b [T]) {
        let at = i * self.channels..(i + 1) * self.channels;
        (&a[at.clone()], &b[at])
    }

    #[inline(always)]
    fn apply(&self, x: &[T], scale: &[T], shift: &[T], out: &mut [T]) {
        let c = self.channels;
        let (scale, shift) = (&scale[..c], &shift[..c]);
        let (gain, bias) = (&self.gain[..c], &self.bias[..c]);
        for (x, out) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
            for j in 0..c {
                out[j] = (x[j] * scale[j] + shift[j]) * gain[j] + bias[j];
            }
            // A loop of its own: with the line above it does not vectorise.
            if self.silu {
                for y in out {
                    *y *= sigmoid(*y);
                }
            }
        }
    }

    #[inline(always)]
    fn apply_and_keep(
        &self,
        x: &[T],
        scale: &[T],
        shift: &[T],
        out: &mut [T],
        normalized: &mut [T],
        slope: &mut [T],
    ) {
        let c = self.channels;
        let lines = x.chunks_exact(c).zip(out.chunks_exact_mut(c));
        for (at, (x, out)) in lines.enumerate() {
            let normalized = &mut normalized[at * c..(at + 1) * c];
            for j in 0..c {
                let hat = x[j] * scale[j] + shift[j];
                normalized[j] = hat;
                out[j] = hat * self.gain[j] + self.bias[j];
            }
            if self.silu {
                let slope = &mut slope[at * c..(at + 1) * c];
                for j in 0..c {
                    let y = out[j];
                    let s = sigmoid(y);
                    out[j] = y * s;
                    slope[j] = s * (T::ONE + y * (T::ONE - s));
                }
            }
        }
    }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// Slices of `len` values, or `count` empty ones when there is no slope.
fn slopes_mut<T: Real>(
    slope: &mut [T],
    len: usize,
    count: usize,
) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let mut slices: Vec<&mut [T]> = slope.chunks_mut(len).collect();
    slices.resize_with(count, Default::default);
    slices.into_par_iter()
}

/// Sums over positions, per channel: strips in the working precision, their
/// totals in f64, in a fixed order.
fn strip_reduce<T: Real>(
    channels: usize,
    x: &[T],
    accumulate: impl Fn(&[T], &mut [T]) + Sync,
) -> Vec<f64> {
    let partial: Vec<Vec<T>> = x
        .par_chunks(STRIP * channels)
        .map(|x| {
            let mut sums = vec![T::ZERO; channels];
            vectorized(
                #[inline(always)]
                || accumulate(x, &mut sums),
            );
            sums
        })
        .collect();
    total(channels, &partial)
}

fn total<T: Real>(len: usize, partial: &[Vec<T>]) -> Vec<f64> {
    let mut sums = vec![0.0; len];
    for strip in partial {
        for (sum, v) in sums.iter_mut().zip(strip) {
            *sum += v.to_f64();
        }
    }
    sums
}

/// Σ v and Σ x̂ v per channel, `[2, channels]`, with v = input · slope.
fn strip_sums<T: Real>(channels: usize, input: &[T], normalized: &[T], slope: &[T]) -> Vec<f64> {
    let strip = STRIP * channels;
    let partial: Vec<Vec<T>> = input
        .par_chunks(strip)
        .enumerate()
        .map(|(s, input)| {
            let at = s * strip..s * strip + input.len();
            let normalized = &normalized[at.clone()];
            let slope = if slope.is_empty() { slope } else { &slope[at] };
            let mut sums = vec![T::ZERO; 2 * channels];
            vectorized(
                #[inline(always)]
                || add_moments(input, normalized, slope, &mut sums),
            );
            sums
        })
        .collect();
    total(2 * channels, &partial)
}

#[inline(always)]
fn add_rows<T: Real>(x: &[T], sums: &mut [T]) {
    for x in x.chunks_exact(sums.len()) {
        for (sum, &v) in sums.iter_mut().zip(x) {
            *sum += v;
        }
    }
}

#[inline(always)]
fn add_squares<T: Real>(x: &[T], centre: &[T], sums: &mut [T]) {
    for x in x.chunks_exact(sums.len()) {
        for j in 0..sums.len() {
            let d = x[j] - centre[j];
            sums[j] += d * d;
        }
    }
}

#[inline(always)]
fn add_moments<T: Real>(input: &[T], normalized: &[T], slope: &[T], sums: &mut [T]) {
    let c = sums.len() / 2;
    let (zeroth, first) = sums.split_at_mut(c);
    for (at, input) in input.chunks_exact(c).enumerate() {
        let hat = &normalized[at * c..(at + 1) * c];
        if slope.is_empty() {
            for j in 0..c {
                zeroth[j] += input[j];
                first[j] += input[j] * hat[j];
            }
        } else {
            let slope = &slope[at * c..(at + 1) * c];
            for j in 0..c {
                let v = input[j] * slope[j];
                zeroth[j] += v;
                first[j] += v * hat[j];
            }
        }
    }
}

/// out = front · (linear · v + constant + along · x̂) with v = input · behind.
#[inline(always)]
fn combine<T: Real>(
    input: &[T],
    normalized: &[T],
    behind: &[T],
    front: &[T],
    [linear, constant, along]: [&[T]; 3],
    out: &mut [T],
) {
    let c = linear.len();
    let (constant, along) = (&constant[..c], &along[..c]);
    for (at, out) in out.chunks_exact_mut(c).enumerate() {
        let at = at * c..(at + 1) * c;
        let (input, hat) = (&input[at.clone()], &normalized[at.clone()]);
        if !behind.is_empty() {
            let behind = &behind[at];
            for j in 0..c {
                out[j] = linear[j] * input[j] * behind[j] + constant[j] + along[j] * hat[j];
            }
        } else if !front.is_empty() {
            let front = &front[at];
            for j in 0..c {
                out[j] = front[j] * (linear[j] * input[j] + constant[j] + along[j] * hat[j]);
            }
        } else {
            for j in 0..c {
                out[j] = linear[j] * input[j] + constant[j] + along[j] * hat[j];
            }
        }
    }
}
