//! Group normalisation, fused with x · sigmoid(x), and its linearisation.
//!
//! Arrays are `[n, positions, channels]`; a group is a run of neighbouring
//! channels over all positions of an item. With x̂ = (x − mean) / std, the
//! result is y = φ(γ x̂ + β), where φ is the identity or SiLU. Both linear
//! maps need only x̂, 1/std and the slope φ′.

use crate::Real;
use crate::simd::slices_mut;
use crate::simd::{LANES, Lanes, vectorized};
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

impl<T: Real> NormResidual<T> {
    /// Values that it holds.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a size, not a container")]
    pub fn len(&self) -> usize {
        self.normalized.len() + self.slope.len() + self.inverse_std.len()
    }
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
        let mut inverse_std = vec![T::ZERO; n * self.groups];
        let strip = STRIP * self.channels;
        let mut normalized = vec![T::ZERO; if keep { x.len() } else { 0 }];
        let mut slope = vec![T::ZERO; if keep && self.silu { x.len() } else { 0 }];
        out.par_chunks_mut(item)
            .zip(x.par_chunks(item))
            .zip(slices_mut(&mut normalized, item, n))
            .zip(slices_mut(&mut slope, item, n))
            .zip(inverse_std.par_chunks_mut(self.groups))
            .for_each(|((((out, x), normalized), slope), inverse_std)| {
                let line = self.line(x, inverse_std);
                let strips = self.positions.div_ceil(STRIP);
                out.par_chunks_mut(strip)
                    .zip(x.par_chunks(strip))
                    .zip(slices_mut(normalized, strip, strips))
                    .zip(slices_mut(slope, strip, strips))
                    .for_each(|(((out, x), normalized), slope)| {
                        vectorized(
                            #[inline(always)]
                            || self.apply(x, &line, out, normalized, slope),
                        );
                    });
            });
        keep.then_some(NormResidual {
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
                let sums = moments(channels, input, normalized, behind);
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

    /// Of one item: 1/std by group, into `inverse_std`, and by channel the
    /// factor and the shift of x̂ = x · a + b. The variance is about the mean.
    fn line(&self, x: &[T], inverse_std: &mut [T]) -> [Vec<T>; 2] {
        let channels = self.channels;
        let size = channels / self.groups;
        let count = (self.positions * size) as f64;
        let grouped = |sums: Vec<f64>| -> Vec<f64> {
            let groups = sums.chunks(size);
            groups.map(|c| c.iter().sum::<f64>() / count).collect()
        };
        let sum = |centre: &[T], square: bool| {
            grouped(strip_sums(
                channels,
                x,
                #[inline(always)]
                |x, sums| add_deviations(x, centre, square, sums),
            ))
        };
        let mean = sum(&vec![T::ZERO; channels], false);
        let centre: Vec<T> = (0..channels).map(|c| T::from_f64(mean[c / size])).collect();
        let variance = sum(&centre, true);
        for (inverse, v) in inverse_std.iter_mut().zip(variance) {
            *inverse = T::from_f64(1.0 / (v + self.eps).sqrt());
        }
        let factor = |c: usize| inverse_std[c / size];
        let shift = |c: usize| T::from_f64(-mean[c / size] * factor(c).to_f64());
        [
            (0..channels).map(factor).collect(),
            (0..channels).map(shift).collect(),
        ]
    }

    /// y, and where there is room x̂ and φ′, of whole positions.
    #[inline(always)]
    fn apply(
        &self,
        x: &[T],
        [factor, shift]: &[Vec<T>; 2],
        out: &mut [T],
        normalized: &mut [T],
        slope: &mut [T],
    ) {
        let c = self.channels;
        // Some positions at once, so that they are still in the first-level
        // cache for φ.
        let rows = (2048 / c).max(1) * c;
        for (at, (x, out)) in x.chunks(rows).zip(out.chunks_mut(rows)).enumerate() {
            let here = at * rows..at * rows + x.len();
            let mut first = 0;
            while first < c {
                let end = c.min(first + LANES);
                let load = |v: &[T]| Lanes::load(&v[first..end]);
                let (a, b) = (load(factor), load(shift));
                let (gain, bias) = (load(self.gain), load(self.bias));
                for row in 0..x.len() / c {
                    let lane = row * c + first..row * c + end;
                    let hat = Lanes::load(&x[lane.clone()]) * a + b;
                    (hat * gain + bias).store(&mut out[lane.clone()]);
                    if !normalized.is_empty() {
                        hat.store(&mut normalized[here.clone()][lane]);
                    }
                }
                first = end;
            }
            if !self.silu {
                continue;
            }
            if slope.is_empty() {
                for y in out {
                    *y *= sigmoid(*y);
                }
            } else {
                for (y, slope) in out.iter_mut().zip(&mut slope[here]) {
                    let s = sigmoid(*y);
                    *slope = s * (T::ONE + *y * (T::ONE - s));
                    *y *= s;
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

/// Sums over positions, per channel: strips in the working precision, their
/// totals in f64, in a fixed order.
fn strip_sums<T: Real>(
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
fn moments<T: Real>(channels: usize, input: &[T], normalized: &[T], slope: &[T]) -> Vec<f64> {
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

/// sums += Σ (x − centre), or its square, over positions. Channels by lanes,
/// so that the sums stay in registers; every second position has sums of its
/// own, so that additions need not wait for each other.
#[inline(always)]
fn add_deviations<T: Real>(x: &[T], centre: &[T], square: bool, sums: &mut [T]) {
    let c = sums.len();
    let mut first = 0;
    while first < c {
        let end = c.min(first + LANES);
        let middle = Lanes::load(&centre[first..end]);
        let mut both = [Lanes::ZERO; 2];
        for rows in x.chunks(2 * c) {
            for (sum, row) in both.iter_mut().zip(rows.chunks_exact(c)) {
                let d = Lanes::load(&row[first..end]) - middle;
                *sum = *sum + if square { d * d } else { d };
            }
        }
        (both[0] + both[1]).store(&mut sums[first..end]);
        first = end;
    }
}

#[inline(always)]
fn add_moments<T: Real>(input: &[T], normalized: &[T], slope: &[T], sums: &mut [T]) {
    let c = sums.len() / 2;
    let (zeroth, first_moment) = sums.split_at_mut(c);
    let mut first = 0;
    while first < c {
        let end = c.min(first + LANES);
        let mut both = [[Lanes::ZERO; 2]; 2];
        let rows = input.len() / c;
        for pair in (0..rows).step_by(2) {
            for (row, sums) in (pair..rows).zip(&mut both) {
                let lane = row * c + first..row * c + end;
                let mut v = Lanes::load(&input[lane.clone()]);
                if !slope.is_empty() {
                    v = v * Lanes::load(&slope[lane.clone()]);
                }
                sums[0] = sums[0] + v;
                sums[1] = sums[1] + v * Lanes::load(&normalized[lane]);
            }
        }
        (both[0][0] + both[1][0]).store(&mut zeroth[first..end]);
        (both[0][1] + both[1][1]).store(&mut first_moment[first..end]);
        first = end;
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
    let mut first = 0;
    while first < c {
        let end = c.min(first + LANES);
        let load = |v: &[T]| Lanes::load(&v[first..end]);
        let (linear, constant, along) = (load(linear), load(constant), load(along));
        for row in 0..out.len() / c {
            let lane = row * c + first..row * c + end;
            let mut v = linear * Lanes::load(&input[lane.clone()]);
            if !behind.is_empty() {
                v = v * Lanes::load(&behind[lane.clone()]);
            }
            v = v + constant + along * Lanes::load(&normalized[lane.clone()]);
            if !front.is_empty() {
                v = v * Lanes::load(&front[lane.clone()]);
            }
            v.store(&mut out[lane]);
        }
        first = end;
    }
}
