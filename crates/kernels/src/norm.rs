//! Group normalisation, fused with x · sigmoid(x), and its linearisation.
//!
//! Arrays are `[n, positions, channels]`; a group is a run of neighbouring
//! channels over all positions of an item. With x̂ = (x − mean) / std, the
//! result is y = φ(γ x̂ + β), where φ is the identity or SiLU. Both linear
//! maps need only x̂, 1/std and the slope φ′.

use crate::Real;
use crate::buffer::Buffer;
use crate::simd::{Lanes, Part, by_lanes, slices_mut, vectorized};
use rayon::prelude::*;

/// Positions that are added up in registers.
const ROWS: usize = 8;

/// Values of one task, of whole positions: their number follows from the
/// channels alone, and with it the order of the sums.
fn strip(channels: usize) -> usize {
    ((1 << 14) / channels).clamp(1, 512) * channels
}

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
    normalized: Buffer<T>,
    /// φ′ of the same shape, or empty when φ is the identity.
    slope: Buffer<T>,
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
        let strip = strip(self.channels);
        let mut normalized = Buffer::stale(if keep { x.len() } else { 0 });
        let mut slope = Buffer::stale(if keep && self.silu { x.len() } else { 0 });
        out.par_chunks_mut(item)
            .zip(x.par_chunks(item))
            .zip(slices_mut(&mut normalized, item, n))
            .zip(slices_mut(&mut slope, item, n))
            .zip(inverse_std.par_chunks_mut(self.groups))
            .for_each(|((((out, x), normalized), slope), inverse_std)| {
                let line = self.line(x, inverse_std, keep);
                let strips = item.div_ceil(strip);
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
    pub fn pushforward(&self, residual: &NormResidual<T>, dx: &[T]) -> Buffer<T> {
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
    ) -> Buffer<T> {
        self.linear(residual, u, false, gradients)
    }

    fn linear(
        &self,
        residual: &NormResidual<T>,
        input: &[T],
        push: bool,
        gradients: Option<(&mut [T], &mut [T])>,
    ) -> Buffer<T> {
        let (item, channels) = (self.item(), self.channels);
        let n = residual.normalized.len() / item;
        assert!(input.len().is_multiple_of(item * n));
        let blocks = input.len() / item;
        let per_item = blocks / n;
        let count = (self.positions * channels / self.groups) as f64;
        let mut out = Buffer::stale(input.len());
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
                let strip = strip(channels);
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

    /// Of one item: 1/std by group, into `inverse_std`, and the rest by channel,
    /// what x̂ needs where it is kept.
    fn line(&self, x: &[T], inverse_std: &mut [T], keep: bool) -> Line<T> {
        /// Values of a group that say about where its mean is.
        const FIRST: usize = 64;
        /// Values of a line, about: they stay in the first-level cache.
        const LINE: usize = 512;
        let channels = self.channels;
        let size = channels / self.groups;
        // One pass, about a value so near the mean that the difference of
        // E[d²] and E[d]² loses nothing.
        let first = &x[..x.len().min(FIRST.div_ceil(size) * channels)];
        let mut near = vec![0.0; self.groups];
        for row in first.chunks_exact(channels) {
            for (sum, group) in near.iter_mut().zip(row.chunks_exact(size)) {
                *sum += group.iter().map(|v| v.to_f64()).sum::<f64>();
            }
        }
        let of_first = (first.len() / self.groups) as f64;
        let near: Vec<T> = (0..channels)
            .map(|c| T::from_f64(near[c / size] / of_first))
            .collect();
        // By group, Σ d and then Σ d².
        let partial: Vec<Vec<f64>> = x
            .par_chunks(strip(channels))
            .map(|x| {
                let mut sums = vec![T::ZERO; 2 * channels];
                vectorized(
                    #[inline(always)]
                    || add_deviations(x, &near, &mut sums),
                );
                let groups = sums.chunks_exact(size);
                groups.map(|g| g.iter().map(|v| v.to_f64()).sum()).collect()
            })
            .collect();
        let count = (self.positions * size) as f64;
        let mut mean = vec![0.0; self.groups];
        for (group, inverse) in inverse_std.iter_mut().enumerate() {
            let of = |at: usize| partial.iter().map(|sums| sums[at]).sum::<f64>() / count;
            let (d, square) = (of(group), of(self.groups + group));
            mean[group] = near[group * size].to_f64() + d;
            let variance = (square - d * d).max(0.0);
            *inverse = T::from_f64(1.0 / (variance + self.eps).sqrt());
        }
        let shift: Vec<T> = (mean.iter().zip(&*inverse_std))
            .map(|(mean, inverse)| T::from_f64(-mean * inverse.to_f64()))
            .collect();
        // Loops over the channels of one position are too short.
        let repeat = (LINE / channels).clamp(1, self.positions);
        let line = |of: &dyn Fn(usize, &mut [T])| {
            let mut line = vec![T::ZERO; repeat * channels];
            for (group, line) in line[..channels].chunks_exact_mut(size).enumerate() {
                of(group, line);
            }
            let (first, others) = line.split_at_mut(channels);
            for other in others.chunks_exact_mut(channels) {
                other.copy_from_slice(first);
            }
            line
        };
        let of_group = |values: &[T]| line(&|group, line| line.fill(values[group]));
        let gain = line(&|group, line| {
            for (to, &gain) in line.iter_mut().zip(&self.gain[group * size..]) {
                *to = gain * inverse_std[group];
            }
        });
        let bias = line(&|group, line| {
            let parameters = self.gain.iter().zip(self.bias).skip(group * size);
            for (to, (&gain, &bias)) in line.iter_mut().zip(parameters) {
                *to = gain * shift[group] + bias;
            }
        });
        let (factor, shift) = if keep {
            (of_group(inverse_std), of_group(&shift))
        } else {
            (Vec::new(), Vec::new())
        };
        Line {
            factor,
            shift,
            gain,
            bias,
        }
    }

    /// y, and where there is room x̂ and φ′, of whole positions.
    #[inline(always)]
    fn apply(&self, x: &[T], line: &Line<T>, out: &mut [T], normalized: &mut [T], slope: &mut [T]) {
        let len = line.bias.len();
        // Some positions at once: loops over one would be too short, and
        // they still are in the first-level cache for φ.
        for (at, (x, out)) in x.chunks(len).zip(out.chunks_mut(len)).enumerate() {
            let here = at * len..at * len + x.len();
            for ((y, &x), (&a, &b)) in out.iter_mut().zip(x).zip(line.gain.iter().zip(&line.bias)) {
                *y = x * a + b;
            }
            if !normalized.is_empty() {
                let hats = normalized[here.clone()].iter_mut().zip(x);
                for ((hat, &x), (&a, &b)) in hats.zip(line.factor.iter().zip(&line.shift)) {
                    *hat = x * a + b;
                }
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

/// An item's normalisation by channel, for some positions on end:
/// γ x̂ + β = x · gain + bias and, where x̂ is kept, x̂ = x · factor + shift.
struct Line<T> {
    factor: Vec<T>,
    shift: Vec<T>,
    gain: Vec<T>,
    bias: Vec<T>,
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// Totals in f64 of the sums of strips, in a fixed order.
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
    let strip = strip(channels);
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

/// sums += Σ d and Σ d² over positions, per channel, d = x − near. Memory is
/// read in its order; some positions are added up before the sums are touched.
#[inline(always)]
fn add_deviations<T: Real>(x: &[T], near: &[T], sums: &mut [T]) {
    #[inline(always)]
    fn add<T: Real, V: Part<T>>(
        rows: &[T],
        near: &[T],
        sums: &mut (&mut [T], &mut [T]),
        at: usize,
    ) {
        let middle = V::read(near, at);
        let (mut sum, mut square) = (V::read(sums.0, at), V::read(sums.1, at));
        for row in rows.chunks_exact(near.len()) {
            let d = V::read(row, at) - middle;
            sum = sum + d;
            square = square + d * d;
        }
        sum.write(sums.0, at);
        square.write(sums.1, at);
    }
    let c = near.len();
    let mut sums = sums.split_at_mut(c);
    for rows in x.chunks(ROWS * c) {
        by_lanes(
            c,
            &mut sums,
            #[inline(always)]
            |sums, at| add::<T, Lanes<T>>(rows, near, sums, at),
            #[inline(always)]
            |sums, at| add::<T, T>(rows, near, sums, at),
        );
    }
}

/// sums += Σ v and Σ x̂ v over positions, per channel, v = input · slope.
#[inline(always)]
fn add_moments<T: Real>(input: &[T], normalized: &[T], slope: &[T], sums: &mut [T]) {
    #[inline(always)]
    fn add<T: Real, V: Part<T>>(
        [input, normalized, slope]: [&[T]; 3],
        places: impl Iterator<Item = usize>,
        sums: &mut (&mut [T], &mut [T]),
        at: usize,
    ) {
        let (mut sum, mut moment) = (V::read(sums.0, at), V::read(sums.1, at));
        for row in places {
            let mut v = V::read(input, row + at);
            if !slope.is_empty() {
                v = v * V::read(slope, row + at);
            }
            sum = sum + v;
            moment = moment + v * V::read(normalized, row + at);
        }
        sum.write(sums.0, at);
        moment.write(sums.1, at);
    }
    let c = sums.len() / 2;
    let mut sums = sums.split_at_mut(c);
    let values = [input, normalized, slope];
    let rows = input.len() / c;
    for some in (0..rows).step_by(ROWS) {
        let places = || (some..rows.min(some + ROWS)).map(|row| row * c);
        by_lanes(
            c,
            &mut sums,
            #[inline(always)]
            |sums, at| add::<T, Lanes<T>>(values, places(), sums, at),
            #[inline(always)]
            |sums, at| add::<T, T>(values, places(), sums, at),
        );
    }
}

/// out = front · (linear · v + constant + along · x̂) with v = input · behind.
#[inline(always)]
fn combine<T: Real>(
    input: &[T],
    normalized: &[T],
    behind: &[T],
    front: &[T],
    rows: [&[T]; 3],
    out: &mut [T],
) {
    #[inline(always)]
    fn line<T: Real, V: Part<T>>(
        [input, normalized, behind, front]: [&[T]; 4],
        rows: [&[T]; 3],
        out: &mut [T],
        start: usize,
        at: usize,
    ) {
        let [linear, constant, along] = rows.map(|values| V::read(values, at));
        let of = |values: &[T]| V::read(values, start + at);
        let mut v = of(input);
        if !behind.is_empty() {
            v = v * of(behind);
        }
        v = linear * v + constant + along * of(normalized);
        if !front.is_empty() {
            v = v * of(front);
        }
        v.write(out, at);
    }
    let c = rows[0].len();
    let values = [input, normalized, behind, front];
    for (row, out) in out.chunks_exact_mut(c).enumerate() {
        by_lanes(
            c,
            &mut { out },
            #[inline(always)]
            |out, at| line::<T, Lanes<T>>(values, rows, out, row * c, at),
            #[inline(always)]
            |out, at| line::<T, T>(values, rows, out, row * c, at),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    /// Means far from zero, and first values far from the mean, cost digits
    /// of the values only, not of their spread.
    #[test]
    fn a_large_mean_does_not_hide_the_variance() {
        for (channels, groups, positions) in [(8, 2, 900), (40, 4, 3), (64, 32, 1_500)] {
            let mut stream = Stream::new(7, "norm test", 0, 0);
            let mut x: Vec<f64> = stream.normals(positions * channels);
            x.iter_mut().for_each(|v| *v += 1_000.0);
            x[..channels].iter_mut().for_each(|v| *v += 40.0);
            let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            // The same numbers for both.
            let x: Vec<f64> = single.iter().map(|&v| f64::from(v)).collect();
            let size = channels / groups;
            let (gain, bias) = (vec![1f32; channels], vec![0f32; channels]);
            let norm = GroupNorm {
                positions,
                channels,
                groups,
                eps: 1e-5,
                gain: &gain,
                bias: &bias,
                silu: false,
            };
            let mut out = Buffer::stale(x.len());
            norm.forward(&single, &mut out, false);
            for group in 0..groups {
                let of_group = |at: &usize| at % channels / size == group;
                let places: Vec<usize> = (0..x.len()).filter(of_group).collect();
                let count = places.len() as f64;
                let mean = places.iter().map(|&at| x[at]).sum::<f64>() / count;
                let squares = places.iter().map(|&at| (x[at] - mean).powi(2));
                let inverse = 1.0 / (squares.sum::<f64>() / count + 1e-5).sqrt();
                for at in places {
                    let expected = (x[at] - mean) * inverse;
                    let error = (f64::from(out[at]) - expected).abs();
                    // x · factor + shift cancels what 1,000 deviations have.
                    assert!(error < 3e-4, "{at}: {} {expected}", out[at]);
                }
            }
        }
    }
}
