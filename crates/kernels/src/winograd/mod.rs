//! 3×3 convolutions of stride 1 in the transform domain.
//!
//! A tile of 4×4 output pixels is Aᵀ[(G w Gᵀ) ∘ (Bᵀ x B)]A for the 6×6 input
//! pixels x under it (Winograd 1980; Lavin, Gray, arXiv 1509.09308): 36
//! products a channel pair where the definition has 144. Over all tiles the
//! 36 entries become 36 matrix products. The interpolation points 0, ±3/4,
//! ±3/2, ∞ lose the least of what f32 points can: a relative error of 1.5e-6,
//! against 3.1e-6 at 0, ±1, ±2, ∞.
#![allow(
    unsafe_code,
    reason = "pointers to gathered rows; each call says where they are from"
)]

mod points;

use crate::Real;
use crate::buffer::Buffer;
use crate::convolution::Convolution;
use crate::gather::Epilogue;
use crate::microkernel::{MAX_COLUMNS, MAX_ROWS, MicroKernel};
use crate::outer::{OuterSum, STRIP};
use crate::simd::{LANES, Lanes, vectorized};
use points::{ENTRIES, Input, Kernel, Output, SIDE, TILE, kernel_taps, output_pixels, transform};
use rayon::prelude::*;
use std::ops::Range;

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
                        || transform::<T, 3, Kernel>(&lines, width, in_a_row(&mut entries, width)),
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
        strips.par_chunks_mut(group).for_each(|strips| {
            self.strips(&tiles, x, item, &zeros, epilogue, strips);
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
    ) {
        let kernel = &self.kernel;
        let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
        let (input, output) = (self.shape.input, self.shape.output);
        let count = (strips.len() * tiles.across).next_multiple_of(height);
        let columns = output.next_multiple_of(width);
        let stride = tiles.stride();
        let out_stride = ENTRIES * columns + 16;
        let mut entries = Buffer::stale(count * stride);
        let mut products = Buffer::stale(count * out_stride);
        let mut places = entries.chunks_exact_mut(stride);
        for (i, y, _) in strips.iter() {
            let picture = &x[i * item..(i + 1) * item];
            for (x, to) in (0..tiles.across).zip(&mut places) {
                let pixels = tiles.pixels(picture, zeros, [*y, x]);
                vectorized(
                    #[inline(always)]
                    || transform::<T, SIDE, Input>(&pixels, input, in_a_row(to, input)),
                );
            }
        }
        let nothing = [T::ZERO; MAX_COLUMNS];
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
                        *row = entries[start..start + input].as_ptr();
                    }
                    let to = first * out_stride + entry * columns + p * width;
                    // SAFETY: each is of `input` values of `entries`.
                    unsafe {
                        kernel.run_tile(
                            1,
                            input,
                            &rows[..height],
                            panel,
                            Some((&nothing, 0)),
                            &mut products[to..],
                            out_stride,
                        );
                    }
                }
            }
        }
        let mut places = products.chunks_exact(out_stride);
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
    let sum = OuterSum::new(input, output);
    let ([height, width], [blocks, panels]) = (sum.tile(), sum.tiles());
    // `[36, tiles, channels]`.
    let stride = |channels: usize| entry_stride(count * channels);
    let mut left = Buffer::stale(ENTRIES * stride(input));
    let mut right = Buffer::stale(ENTRIES * stride(output));
    let place = |tile: usize| {
        let (item, local) = (tile / (down * across), tile % (down * across));
        (item, [local / across, local % across])
    };
    let zeros = vec![T::ZERO; input.max(output)];
    let mut tasks: Vec<_> = by_tiles(&mut left, count, input)
        .into_iter()
        .zip(by_tiles(&mut right, count, output))
        .collect();
    tasks
        .par_iter_mut()
        .enumerate()
        .for_each(|(task, (left, right))| {
            for (local, tile) in (task * TILES..count).take(TILES).enumerate() {
                let (item, at) = place(tile);
                let picture = &x[item * from[0] * from[1] * input..][..from[0] * from[1] * input];
                let pixels = source.pixels(picture, &zeros[..input], at);
                vectorized(
                    #[inline(always)]
                    || transform::<T, SIDE, Input>(&pixels, input, in_lines(left, local * input)),
                );
                let picture = &u[item * to[0] * to[1] * output..][..to[0] * to[1] * output];
                let pixels = result.pixels(picture, &zeros[..output], at);
                vectorized(
                    #[inline(always)]
                    || {
                        transform::<T, TILE, Output>(
                            &pixels,
                            output,
                            in_lines(right, local * output),
                        )
                    },
                );
            }
        });
    drop(tasks);
    let mut sums = Buffer::stale(ENTRIES * sum.len());
    sums.par_chunks_exact_mut(sum.len())
        .enumerate()
        .for_each(|(entry, sums)| {
            sums.fill(T::ZERO);
            let [left, right] = [(&left, input), (&right, output)]
                .map(|(values, channels)| &values[entry * stride(channels)..][..count * channels]);
            for first in (0..count).step_by(STRIP) {
                let rows = STRIP.min(count - first);
                let starts: Vec<usize> = (first..first + rows).map(|tile| tile * input).collect();
                let right = sum.right(&right[first * output..], rows, output);
                sum.add(left, &starts, &right, sums);
            }
        });
    let area = height * width;
    // The nine taps of each block of input channels.
    let mut taps: Vec<_> = gradient
        .chunks_exact_mut(input * output)
        .map(|tap| tap.chunks_mut(height * output))
        .collect();
    let blocks: Vec<Vec<&mut [T]>> = (0..blocks)
        .map(|_| taps.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    let per_entry = sum.len();
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

/// Tiles of one task of a gradient's transforms.
const TILES: usize = 8;

/// Values from one entry to the next: not all entries of a tile may meet in
/// the same cache sets.
fn entry_stride(len: usize) -> usize {
    len + 16
}

/// The lines of the 36 entries that each task of [`TILES`] tiles writes.
fn by_tiles<T: Real>(entries: &mut [T], count: usize, channels: usize) -> Vec<[&mut [T]; ENTRIES]> {
    let len = count * channels;
    let mut tasks: Vec<_> = entries
        .chunks_exact_mut(entry_stride(len))
        .map(|entry| entry[..len].chunks_mut(TILES * channels))
        .collect();
    let task =
        |_| std::array::from_fn(|entry| tasks[entry].next().expect("entries have the same tiles"));
    (0..count.div_ceil(TILES)).map(task).collect()
}

/// Stores entries one behind the other.
#[inline(always)]
fn in_a_row<T: Real>(to: &mut [T], channels: usize) -> impl FnMut(usize, Range<usize>, Lanes<T>) {
    move |entry, some, values| values.store(&mut to[entry * channels..][some])
}

/// Stores entries in their lines, from a place on.
#[inline(always)]
fn in_lines<T: Real>(
    lines: &mut [&mut [T]; ENTRIES],
    first: usize,
) -> impl FnMut(usize, Range<usize>, Lanes<T>) {
    move |entry, some, values| values.store(&mut lines[entry][first..][some])
}

/// Rows of tiles of one task: enough tiles to read the weights seldom, few
/// enough for all threads and for the cache.
fn strips_per_task(strips: usize, across: usize, pairs: usize) -> usize {
    let wanted: usize = if pairs > 128 * 256 { 48 } else { 24 };
    let share = strips.div_ceil(rayon::current_num_threads());
    wanted.div_ceil(across).min(share).max(1)
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
    let mut half = [[Lanes::ZERO; SIDE]; TILE];
    let start = TILE * x * channels;
    let across = TILE.min((line - start) / channels);
    let down = strip.len() / line;
    let mut first = 0;
    while first < channels {
        let end = channels.min(first + LANES);
        for x in 0..SIDE {
            let mut column = [Lanes::ZERO; SIDE];
            for y in 0..SIDE {
                column[y] = Lanes::load(&from[(y * SIDE + x) * columns + first..][..end - first]);
            }
            let pixels = output_pixels(column);
            for y in 0..TILE {
                half[y][x] = pixels[y];
            }
        }
        for y in 0..down {
            let pixels = output_pixels(half[y]);
            for x in 0..across {
                let at = y * line + start + x * channels;
                let to = &mut strip[at + first..at + end];
                let before = match epilogue {
                    Epilogue::Store => Lanes::ZERO,
                    Epilogue::Bias(bias) => Lanes::load(&bias[first..end]),
                    Epilogue::Accumulate => Lanes::load(to),
                };
                (pixels[x] + before).store(to);
            }
        }
        first = end;
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
    let mut half = [[Lanes::ZERO; SIDE]; 3];
    for row in 0..taps[0].len() / output {
        let mut first = 0;
        while first < used {
            let end = used.min(first + LANES);
            for x in 0..SIDE {
                let mut column = [Lanes::ZERO; SIDE];
                for y in 0..SIDE {
                    column[y] =
                        Lanes::load(&sums[y * SIDE + x][row * width + first..][..end - first]);
                }
                let entries = kernel_taps(column);
                for y in 0..3 {
                    half[y][x] = entries[y];
                }
            }
            for y in 0..3 {
                let entries = kernel_taps(half[y]);
                for x in 0..3 {
                    let at = row * output + panel * width;
                    let to = &mut taps[3 * y + x][at + first..at + end];
                    (entries[x] + Lanes::load(to)).store(to);
                }
            }
            first = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::{matrix_gradient, product};
    use alice_random::Stream;
    use proptest::array::uniform2;
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
            output in 16usize..80, before in uniform2(0usize..3), after in uniform2(0usize..3),
            seed in 0u64..1000,
        ) {
            let shape = Convolution {
                from: [h, w],
                to: [h + before[0] + after[0] - 2, w + before[1] + after[1] - 2],
                input,
                output,
                kernel: 3,
                stride: 1,
                before,
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

            // The adjoint in the input, with the taps backwards.
            let mirrored = Convolution {
                from: shape.to,
                to: shape.from,
                input: output,
                output: input,
                before: before.map(|b| 2 - b),
                ..shape
            };
            let turned = [input * output, 1, output];
            let (back, adjoint) = (shape.adjoint_table(), shape.pack_adjoint(&weight));
            let mut exact = vec![0f64; x.len()];
            product(n, &back, &u, &adjoint, Epilogue::Store, &mut exact);
            let mut out = vec![0f64; x.len()];
            Winograd::new(mirrored, &weight, turned, true).product(n, &u, Epilogue::Store, &mut out);
            let largest = exact.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            prop_assert!(out.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-12 * largest));
            let transformed = Winograd::new(mirrored, &single(&weight), turned, true);
            let mut out32 = vec![0f32; x.len()];
            transformed.product(n, &single(&u), Epilogue::Store, &mut out32);
            transformed.product(n, &single(&u), Epilogue::Accumulate, &mut out32);
            exact.iter_mut().for_each(|v| *v *= 2.0);
            prop_assert!(difference(&out32, &exact) < 3e-6, "{}", difference(&out32, &exact));

            let mut exact = vec![0f64; weight.len()];
            matrix_gradient(n, &table, &x, &u, input, output, &mut exact);
            let mut gradient = vec![0f32; weight.len()];
            weight_gradient(&shape, n, &single(&x), &single(&u), &mut gradient);
            prop_assert!(difference(&gradient, &exact) < 3e-6, "{}", difference(&gradient, &exact));
        }
    }
}
