//! 3×3 convolutions of stride 1 in the transform domain.
//!
//! A tile of 4×4 output pixels is Aᵀ[(G w Gᵀ) ∘ (Bᵀ x B)]A for the 6×6 input
//! pixels x under it (Winograd 1980; Lavin, Gray, arXiv 1509.09308): 36
//! products a channel pair where the definition has 144. Over all tiles the
//! 36 entries become 36 matrix products. The interpolation points 0, ±3/4,
//! ±3/2, ∞ lose the least of what f32 points can: a relative error of 1.5e-6,
//! against 3.1e-6 at 0, ±1, ±2, ∞.

use crate::Real;
use crate::convolution::Convolution;
use crate::gather::Epilogue;
use crate::microkernel::{MAX_ROWS, MAX_TILE, MicroKernel};
use crate::simd::vectorized;
use rayon::prelude::*;
use std::sync::Mutex;

/// Side of an output tile.
const TILE: usize = 4;
/// Side of an input tile.
const SIDE: usize = 6;
/// Entries of a tile in the transform domain.
const ENTRIES: usize = SIDE * SIDE;
/// Channels that are transformed at once.
const LANES: usize = 64;
/// The points ±P, ±Q.
const P: f64 = 0.75;
const Q: f64 = 1.5;
/// Transformed weights beyond this many values are not worth their memory.
const MOST_WEIGHTS: usize = 1 << 24;

/// Whether a convolution is of the kind that the transform makes cheaper. It
/// does not depend on the batch, so that no item's result does.
pub(crate) fn suits(shape: &Convolution) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.before.iter().all(|&b| b < 3)
        && shape.input.min(shape.output) >= 16
        && ENTRIES * shape.input * shape.output <= MOST_WEIGHTS
        && shape.to.iter().chain(&shape.from).all(|&side| side >= 8)
}

/// Weights in the transform domain, for the product in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Winograd<T> {
    shape: Convolution,
    kernel: MicroKernel<T>,
    /// `[panels, 36, input, columns_per_tile]`, zeros beyond the last column.
    panels: Vec<T>,
}

/// Where tiles are, and how long they are in memory.
#[derive(Clone, Copy)]
struct Tiles {
    /// Extents of the picture that a tile is cut from, its channels and the
    /// rows and columns before it.
    from: [usize; 2],
    channels: usize,
    before: [usize; 2],
    /// Tiles in a row.
    across: usize,
}

impl Tiles {
    /// Values from one transformed tile to the next: a cache line apart, lest
    /// all tiles of a product meet in a few cache sets. It also is room behind
    /// the last, incomplete block of channels.
    fn stride(&self) -> usize {
        ENTRIES * self.channels + 16
    }

    /// The pixels of tile (y, x) of an item in rows of `side`, zeros outside.
    fn pixels<'a, T: Real, const N: usize>(
        &self,
        item: &'a [T],
        zeros: &'a [T],
        [y, x]: [usize; 2],
    ) -> [[&'a [T]; N]; N] {
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let row = (TILE * y + i).checked_sub(self.before[0]);
                let column = (TILE * x + j).checked_sub(self.before[1]);
                match (row, column) {
                    (Some(r), Some(c)) if r < self.from[0] && c < self.from[1] => {
                        &item[(r * self.from[1] + c) * self.channels..][..self.channels]
                    }
                    _ => zeros,
                }
            })
        })
    }
}

/// Transformed tiles of one task: input and output.
#[derive(Default)]
struct Scratch<T> {
    input: Vec<T>,
    output: Vec<T>,
}

impl<T: Real> Winograd<T> {
    /// From the entries (tap, input, output) of a weight at
    /// tap(y, x) · strides[0] + input · strides[1] + output · strides[2], where
    /// `flip` reads the taps backwards.
    pub(crate) fn new(shape: Convolution, weight: &[T], strides: [usize; 3], flip: bool) -> Self {
        let Convolution { input, output, .. } = shape;
        let kernel = T::microkernel(output);
        let width = kernel.columns_per_tile;
        let panel_len = ENTRIES * input * width;
        let mut panels = vec![T::ZERO; output.div_ceil(width) * panel_len];
        panels
            .par_chunks_exact_mut(panel_len)
            .enumerate()
            .for_each(|(panel, to)| {
                let first = panel * width;
                let used = width.min(output - first);
                let mut taps = vec![T::ZERO; 9 * width];
                let mut entries = vec![T::ZERO; ENTRIES * width];
                for i in 0..input {
                    for (tap, line) in taps.chunks_exact_mut(width).enumerate() {
                        let tap = if flip { 8 - tap } else { tap };
                        let from =
                            &weight[tap * strides[0] + i * strides[1] + first * strides[2]..];
                        for (v, &w) in line[..used].iter_mut().zip(from.iter().step_by(strides[2]))
                        {
                            *v = w;
                        }
                    }
                    let lines: [[&[T]; 3]; 3] = std::array::from_fn(|y| {
                        std::array::from_fn(|x| &taps[(3 * y + x) * width..][..width])
                    });
                    vectorized(
                        #[inline(always)]
                        || transform(&lines, kernel_entries, width, &mut entries),
                    );
                    for (entry, line) in entries.chunks_exact(width).enumerate() {
                        to[(entry * input + i) * width..][..width].copy_from_slice(line);
                    }
                }
            });
        Self {
            shape,
            kernel,
            panels,
        }
    }

    pub(crate) fn product(&self, n: usize, x: &[T], epilogue: Epilogue<'_, T>, out: &mut [T]) {
        let Convolution {
            from,
            to,
            input,
            output,
            before,
            ..
        } = self.shape;
        let item = from[0] * from[1] * input;
        assert_eq!(x.len(), n * item);
        assert_eq!(out.len(), n * to[0] * to[1] * output);
        let tiles = Tiles {
            from,
            channels: input,
            before,
            across: to[1].div_ceil(TILE),
        };
        let zeros = vec![T::ZERO; input];
        // Rows of tiles, with the output pixels that each makes.
        let mut strips: Vec<(usize, usize, &mut [T])> = out
            .chunks_mut(to[0] * to[1] * output)
            .enumerate()
            .flat_map(|(i, out)| {
                let strips = out.chunks_mut(TILE * to[1] * output).enumerate();
                strips.map(move |(y, strip)| (i, y, strip))
            })
            .collect();
        let group = strips_per_task(strips.len(), tiles.across, input * output);
        let spare: Mutex<Vec<Scratch<T>>> = Mutex::default();
        strips.par_chunks_mut(group).for_each(|strips| {
            let mut scratch = spare
                .lock()
                .ok()
                .and_then(|mut s| s.pop())
                .unwrap_or_default();
            self.strips(&tiles, x, item, &zeros, epilogue, strips, &mut scratch);
            if let Ok(mut spare) = spare.lock() {
                spare.push(scratch);
            }
        });
    }

    fn strips(
        &self,
        tiles: &Tiles,
        x: &[T],
        item: usize,
        zeros: &[T],
        epilogue: Epilogue<'_, T>,
        strips: &mut [(usize, usize, &mut [T])],
        scratch: &mut Scratch<T>,
    ) {
        let kernel = &self.kernel;
        let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
        let (input, output) = (self.shape.input, self.shape.output);
        let count = (strips.len() * tiles.across).next_multiple_of(height);
        let columns = output.next_multiple_of(width);
        let stride = tiles.stride();
        let out_stride = ENTRIES * columns + 16;
        if scratch.input.len() < count * stride {
            scratch.input.resize(count * stride, T::ZERO);
            scratch.output.resize(count * out_stride, T::ZERO);
        }
        let mut places = scratch.input.chunks_exact_mut(stride);
        for (i, y, _) in strips.iter() {
            let picture = &x[i * item..(i + 1) * item];
            for (x, to) in (0..tiles.across).zip(&mut places) {
                let pixels = tiles.pixels(picture, zeros, [*y, x]);
                vectorized(
                    #[inline(always)]
                    || transform(&pixels, input_entries, input, &mut to[..ENTRIES * input]),
                );
            }
        }
        let nothing = [T::ZERO; MAX_TILE];
        let mut rows = [zeros.as_ptr(); MAX_ROWS];
        for entry in 0..ENTRIES {
            for (p, panel) in self
                .panels
                .chunks_exact(ENTRIES * input * width)
                .enumerate()
            {
                let panel = &panel[entry * input * width..][..input * width];
                for first in (0..count).step_by(height) {
                    for (i, row) in rows[..height].iter_mut().enumerate() {
                        let start = (first + i) * stride + entry * input;
                        *row = scratch.input[start..start + input].as_ptr();
                    }
                    let to = first * out_stride + entry * columns + p * width;
                    kernel.run_tile(
                        1,
                        input,
                        &rows[..height],
                        panel,
                        Some((&nothing, 0)),
                        &mut scratch.output[to..],
                        out_stride,
                    );
                }
            }
        }
        let mut places = scratch.output.chunks_exact(out_stride);
        let line = self.shape.to[1] * output;
        for (_, _, strip) in strips {
            for (x, from) in (0..tiles.across).zip(&mut places) {
                vectorized(
                    #[inline(always)]
                    || restore(from, columns, output, x, epilogue, strip, line),
                );
            }
        }
    }
}

/// gradient[tap, i, o] += the weight's part of ⟨product(x), u⟩, the adjoint of
/// [`Winograd::product`] in its weights. The order of the sums is fixed.
pub(crate) fn weight_gradient<T: Real>(
    shape: &Convolution,
    n: usize,
    x: &[T],
    u: &[T],
    gradient: &mut [T],
) {
    let &Convolution {
        from,
        to,
        input,
        output,
        before,
        ..
    } = shape;
    let down = to[0].div_ceil(TILE);
    let across = to[1].div_ceil(TILE);
    let source = Tiles {
        from,
        channels: input,
        before,
        across,
    };
    let result = Tiles {
        from: to,
        channels: output,
        before: [0, 0],
        across,
    };
    assert_eq!(x.len(), n * from[0] * from[1] * input);
    assert_eq!(u.len(), n * to[0] * to[1] * output);
    assert_eq!(gradient.len(), 9 * input * output);
    if n == 0 {
        return;
    }
    let count = n * down * across;
    let kernel = T::microkernel(output);
    let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
    let (blocks, panels) = (input.div_ceil(height), output.div_ceil(width));
    let mut left = vec![T::ZERO; count * source.stride()];
    let mut right = vec![T::ZERO; count * result.stride()];
    let place = |tile: usize| {
        let (item, local) = (tile / (down * across), tile % (down * across));
        (item, [local / across, local % across])
    };
    let zeros = vec![T::ZERO; input.max(output)];
    left.par_chunks_exact_mut(source.stride())
        .zip(right.par_chunks_exact_mut(result.stride()))
        .enumerate()
        .with_min_len(4)
        .for_each(|(tile, (left, right))| {
            let (item, at) = place(tile);
            let picture = &x[item * from[0] * from[1] * input..][..from[0] * from[1] * input];
            let pixels = source.pixels(picture, &zeros[..input], at);
            vectorized(
                #[inline(always)]
                || transform(&pixels, input_entries, input, &mut left[..ENTRIES * input]),
            );
            let picture = &u[item * to[0] * to[1] * output..][..to[0] * to[1] * output];
            let pixels = result.pixels(picture, &zeros[..output], at);
            let right = &mut right[..ENTRIES * output];
            vectorized(
                #[inline(always)]
                || transform(&pixels, output_entries, output, right),
            );
        });
    let area = height * width;
    let mut sums = vec![T::ZERO; ENTRIES * blocks * panels * area];
    sums.par_chunks_exact_mut(blocks * panels * area)
        .enumerate()
        .for_each(|(entry, sums)| {
            let mut packed = vec![T::ZERO; STRIP.min(count) * width];
            let mut pointers = Vec::with_capacity(STRIP);
            for first in (0..count).step_by(STRIP) {
                let strip = first..count.min(first + STRIP);
                for panel in 0..panels {
                    let used = width.min(output - panel * width);
                    for (tile, line) in strip.clone().zip(packed.chunks_exact_mut(width)) {
                        let start = tile * result.stride() + entry * output + panel * width;
                        line[..used].copy_from_slice(&right[start..start + used]);
                        line[used..].fill(T::ZERO);
                    }
                    for block in 0..blocks {
                        pointers.clear();
                        pointers.extend(strip.clone().map(|tile| {
                            let start = tile * source.stride() + entry * input + block * height;
                            left[start..start + height].as_ptr()
                        }));
                        let packed = &packed[..strip.len() * width];
                        let sums = &mut sums[(block * panels + panel) * area..][..area];
                        kernel.run_outer(&pointers, packed, sums);
                    }
                }
            }
        });
    // The nine taps of each block of input channels.
    let mut taps: Vec<_> = gradient
        .chunks_exact_mut(input * output)
        .map(|tap| tap.chunks_mut(height * output))
        .collect();
    let blocks: Vec<Vec<&mut [T]>> = (0..blocks)
        .map(|_| taps.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    let per_entry = blocks.len() * panels * area;
    blocks
        .into_par_iter()
        .enumerate()
        .for_each(|(block, mut taps)| {
            let rows = taps[0].len() / output;
            for panel in 0..panels {
                let at = (block * panels + panel) * area;
                let sums: [&[T]; ENTRIES] =
                    std::array::from_fn(|e| &sums[e * per_entry + at..][..rows * width]);
                vectorized(
                    #[inline(always)]
                    || add_taps(&sums, width, output, panel, &mut taps),
                );
            }
        });
}

/// Tiles whose columns of a product stay in the first-level cache.
const STRIP: usize = 128;

/// Rows of tiles of one task: enough tiles to read the weights seldom, few
/// enough for all threads and for the cache.
fn strips_per_task(strips: usize, across: usize, pairs: usize) -> usize {
    let wanted: usize = if pairs > 128 * 256 { 48 } else { 24 };
    let share = strips.div_ceil(rayon::current_num_threads());
    wanted.div_ceil(across).min(share).max(1)
}

/// G w.
#[inline(always)]
fn kernel_entries<T: Real>([a, b, c]: [T; 3]) -> [T; SIDE] {
    let of = T::from_f64;
    let p = of(1.0 / (2.0 * P * P * (P * P - Q * Q)));
    let q = of(1.0 / (2.0 * Q * Q * (Q * Q - P * P)));
    let (even_p, odd_p) = (p * (a + of(P * P) * c), p * of(P) * b);
    let (even_q, odd_q) = (q * (a + of(Q * Q) * c), q * of(Q) * b);
    [
        of(1.0 / (P * P * Q * Q)) * a,
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        c,
    ]
}

/// Bᵀ d.
#[inline(always)]
fn input_entries<T: Real>(d: [T; SIDE]) -> [T; SIDE] {
    let c = T::from_f64;
    let (p, q) = (c(P * P), c(Q * Q));
    let (product, sum) = (c(P * P * Q * Q), c(P * P + Q * Q));
    let (even_p, odd_p) = (d[4] - q * d[2], c(P) * (d[3] - q * d[1]));
    let (even_q, odd_q) = (d[4] - p * d[2], c(Q) * (d[3] - p * d[1]));
    [
        product * d[0] - sum * d[2] + d[4],
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        product * d[1] - sum * d[3] + d[5],
    ]
}

/// A y.
#[inline(always)]
fn output_entries<T: Real>(y: [T; TILE]) -> [T; SIDE] {
    let c = T::from_f64;
    let (even_p, odd_p) = (y[0] + c(P * P) * y[2], c(P) * y[1] + c(P * P * P) * y[3]);
    let (even_q, odd_q) = (y[0] + c(Q * Q) * y[2], c(Q) * y[1] + c(Q * Q * Q) * y[3]);
    [
        y[0],
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        y[3],
    ]
}

/// Aᵀ m.
#[inline(always)]
fn output_pixels<T: Real>(m: [T; SIDE]) -> [T; TILE] {
    let c = T::from_f64;
    let (a, b) = (m[1] + m[2], m[1] - m[2]);
    let (e, d) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + a + e,
        c(P) * b + c(Q) * d,
        c(P * P) * a + c(Q * Q) * e,
        c(P * P * P) * b + c(Q * Q * Q) * d + m[5],
    ]
}

/// Gᵀ m.
#[inline(always)]
fn kernel_taps<T: Real>(m: [T; SIDE]) -> [T; 3] {
    let c = T::from_f64;
    let p = c(1.0 / (2.0 * P * P * (P * P - Q * Q)));
    let q = c(1.0 / (2.0 * Q * Q * (Q * Q - P * P)));
    let (a, b) = (p * (m[1] + m[2]), p * (m[1] - m[2]));
    let (e, d) = (q * (m[3] + m[4]), q * (m[3] - m[4]));
    [
        c(1.0 / (P * P * Q * Q)) * m[0] + a + e,
        c(P) * b + c(Q) * d,
        c(P * P) * a + c(Q * Q) * e + m[5],
    ]
}

/// to[6 i + j, channel] = the transform of an N×N tile along both axes.
#[inline(always)]
fn transform<T: Real, const N: usize>(
    pixels: &[[&[T]; N]; N],
    line: impl Fn([T; N]) -> [T; SIDE],
    channels: usize,
    to: &mut [T],
) {
    let mut half = [[[T::ZERO; LANES]; SIDE]; N];
    for first in (0..channels).step_by(LANES) {
        let lanes = LANES.min(channels - first);
        for x in 0..N {
            let column: [&[T]; N] = std::array::from_fn(|y| &pixels[y][x][first..first + lanes]);
            let [h0, h1, h2, h3, h4, h5] = &mut half[x];
            for c in 0..lanes {
                let entries = line(std::array::from_fn(|y| column[y][c]));
                (h0[c], h1[c], h2[c]) = (entries[0], entries[1], entries[2]);
                (h3[c], h4[c], h5[c]) = (entries[3], entries[4], entries[5]);
            }
        }
        for y in 0..SIDE {
            let row: [&[T]; N] = std::array::from_fn(|x| &half[x][y][..lanes]);
            let mut lines = to[y * SIDE * channels..][..SIDE * channels].chunks_exact_mut(channels);
            let [t0, t1, t2, t3, t4, t5] = std::array::from_fn(|_| {
                &mut lines.next().expect("six entries a row")[first..first + lanes]
            });
            for c in 0..lanes {
                let entries = line(std::array::from_fn(|x| row[x][c]));
                (t0[c], t1[c], t2[c]) = (entries[0], entries[1], entries[2]);
                (t3[c], t4[c], t5[c]) = (entries[3], entries[4], entries[5]);
            }
        }
    }
}

/// Writes the pixels of tile `x` of a strip, whose picture has lines of `line`
/// values, from its entries `[36, columns]`.
#[inline(always)]
fn restore<T: Real>(
    from: &[T],
    columns: usize,
    channels: usize,
    x: usize,
    epilogue: Epilogue<'_, T>,
    strip: &mut [T],
    line: usize,
) {
    let mut half = [[[T::ZERO; LANES]; TILE]; SIDE];
    let mut pixels = [[T::ZERO; LANES]; TILE];
    for first in (0..channels).step_by(LANES) {
        let lanes = LANES.min(channels - first);
        for j in 0..SIDE {
            let column: [&[T]; SIDE] =
                std::array::from_fn(|i| &from[(i * SIDE + j) * columns + first..][..lanes]);
            let [h0, h1, h2, h3] = &mut half[j];
            for c in 0..lanes {
                let p = output_pixels(std::array::from_fn(|i| column[i][c]));
                (h0[c], h1[c], h2[c], h3[c]) = (p[0], p[1], p[2], p[3]);
            }
        }
        for (y, strip) in strip.chunks_exact_mut(line).enumerate() {
            let row: [&[T]; SIDE] = std::array::from_fn(|j| &half[j][y][..lanes]);
            let [p0, p1, p2, p3] = &mut pixels;
            for c in 0..lanes {
                let p = output_pixels(std::array::from_fn(|j| row[j][c]));
                (p0[c], p1[c], p2[c], p3[c]) = (p[0], p[1], p[2], p[3]);
            }
            let places = strip.chunks_exact_mut(channels).skip(TILE * x);
            for (place, pixel) in places.zip(&pixels) {
                let epilogue = match epilogue {
                    Epilogue::Bias(bias) => Epilogue::Bias(&bias[first..first + lanes]),
                    other => other,
                };
                epilogue.finish(&mut place[first..first + lanes], &pixel[..lanes]);
            }
        }
    }
}

/// Adds Gᵀ m G to rows of the nine taps, from the 36 sums `[rows, width]`.
#[inline(always)]
fn add_taps<T: Real>(
    sums: &[&[T]; ENTRIES],
    width: usize,
    output: usize,
    panel: usize,
    taps: &mut [&mut [T]],
) {
    let used = width.min(output - panel * width);
    let mut half = [[[T::ZERO; LANES]; 3]; SIDE];
    let mut line = [[T::ZERO; LANES]; 3];
    for row in 0..taps[0].len() / output {
        for j in 0..SIDE {
            let column: [&[T]; SIDE] =
                std::array::from_fn(|i| &sums[i * SIDE + j][row * width..][..used]);
            let [h0, h1, h2] = &mut half[j];
            for c in 0..used {
                let t = kernel_taps(std::array::from_fn(|i| column[i][c]));
                (h0[c], h1[c], h2[c]) = (t[0], t[1], t[2]);
            }
        }
        for y in 0..3 {
            let entries: [&[T]; SIDE] = std::array::from_fn(|j| &half[j][y][..used]);
            let [l0, l1, l2] = &mut line;
            for c in 0..used {
                let t = kernel_taps(std::array::from_fn(|j| entries[j][c]));
                (l0[c], l1[c], l2[c]) = (t[0], t[1], t[2]);
            }
            for (x, line) in line.iter().enumerate() {
                let to = &mut taps[3 * y + x][row * output + panel * width..][..used];
                for (t, &v) in to.iter_mut().zip(line) {
                    *t += v;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::{matrix_gradient, product};
    use alice_random::Stream;
    use proptest::prelude::*;

    fn difference(a: &[f32], b: &[f64]) -> f64 {
        let pairs = a.iter().zip(b);
        let error: f64 = pairs.map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
        let size: f64 = b.iter().map(|b| b * b).sum();
        (error / size).sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_transform_agrees_with_the_definition(
            n in 1usize..4, h in 8usize..21, w in 8usize..21, input in 16usize..80,
            output in 16usize..80, before in 0usize..3, after in 0usize..3, seed in 0u64..1000,
        ) {
            let shape = Convolution {
                from: [h, w],
                to: [h + before + after - 2, w + before + after - 2],
                input,
                output,
                kernel: 3,
                stride: 1,
                before: [before; 2],
            };
            let table = shape.forward_table();
            let mut stream = Stream::new(seed, "winograd test", 0, 0);
            let x: Vec<f64> = stream.normals(n * h * w * input);
            let weight: Vec<f64> = stream.normals(9 * input * output);
            let u: Vec<f64> = stream.normals(n * table.rows() * output);
            let single = |v: &[f64]| v.iter().map(|&a| a as f32).collect::<Vec<f32>>();
            let bias: Vec<f32> = single(&stream.normals::<f64>(output));
            let strides = [input * output, output, 1];

            let mut exact = vec![0f64; u.len()];
            product(n, &table, &x, &shape.pack_forward(&weight), Epilogue::Store, &mut exact);
            let mut out = vec![0f64; u.len()];
            Winograd::new(shape, &weight, strides, false).product(n, &x, Epilogue::Store, &mut out);
            let largest = exact.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            prop_assert!(out.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-12 * largest));

            let transformed = Winograd::new(shape, &single(&weight), strides, false);
            let mut out32 = vec![0f32; u.len()];
            transformed.product(n, &single(&x), Epilogue::Store, &mut out32);
            prop_assert!(difference(&out32, &exact) < 3e-6, "{}", difference(&out32, &exact));
            transformed.product(n, &single(&x), Epilogue::Bias(&bias), &mut out32);
            transformed.product(n, &single(&x), Epilogue::Accumulate, &mut out32);
            for (i, v) in exact.iter_mut().enumerate() {
                *v = 2.0 * *v + f64::from(bias[i % output]);
            }
            prop_assert!(difference(&out32, &exact) < 3e-6);

            let mut exact = vec![0f64; weight.len()];
            matrix_gradient(n, &table, &x, &u, input, output, &mut exact);
            let mut gradient = vec![0f32; weight.len()];
            weight_gradient(&shape, n, &single(&x), &single(&u), &mut gradient);
            prop_assert!(difference(&gradient, &exact) < 3e-6, "{}", difference(&gradient, &exact));
        }
    }
}
