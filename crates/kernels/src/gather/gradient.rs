//! The adjoint of a gathered product in its matrix.

use super::{GatherTable, OUTSIDE};
use crate::Real;
use crate::buffer::Buffer;
use crate::outer::{ABSENT, OuterSum, STRIP};
use rayon::prelude::*;
use std::ops::Range;

/// Tasks of a gradient where it is large enough: by the extents alone, so that
/// no sum depends on the number of threads.
const TASKS: usize = 16;
/// Blocks of channels of one task, at least and at most: with few, a packed
/// panel of the cotangent is read seldom; many leave the second-level cache.
const BLOCKS: [usize; 2] = [3, 16];
/// Rows of one part of a sum that is shared, at least.
const LEAST_ROWS: usize = 256;

/// gradient[tap, k, j] += Σ_n Σ_row source[n, table(row, tap), k] · cotangent[n, row, j],
/// the adjoint of [`product`](super::product) in its matrix, `[taps, depth, columns]`.
///
/// The sum runs in a fixed order: the result does not depend on the number of
/// threads.
///
/// # Panics
/// When the extents of the slices do not fit the table.
pub fn matrix_gradient<T: Real>(
    n: usize,
    table: &GatherTable,
    source: &[T],
    cotangent: &[T],
    depth: usize,
    columns: usize,
    gradient: &mut [T],
) {
    let taps = table.taps;
    let rows = n * table.rows;
    assert_eq!(source.len(), n * table.source_rows * depth);
    assert_eq!(cotangent.len(), rows * columns);
    assert_eq!(gradient.len(), taps * depth * columns);
    if gradient.is_empty() || rows == 0 {
        return;
    }
    let gathered = Gathered {
        table,
        source,
        cotangent,
        depth,
        columns,
        sparse: 8 * table.outside() > table.rows * taps,
    };
    let height = T::microkernel(columns).rows_per_tile;
    let blocks = depth.div_ceil(height);
    // Rows are shared where there are too few channels.
    let most_parts = rows.div_ceil(LEAST_ROWS).min(TASKS);
    let group = blocks.div_ceil(TASKS.div_ceil(most_parts));
    let group = group.clamp(BLOCKS[0], BLOCKS[1]).min(blocks);
    let parts = TASKS.div_ceil(blocks.div_ceil(group)).min(most_parts);
    let part_rows = rows.div_ceil(parts);
    // The taps of each group of channels.
    let mut taps: Vec<_> = gradient
        .chunks_exact_mut(depth * columns)
        .map(|tap| tap.chunks_mut(group * height * columns))
        .collect();
    let groups: Vec<Vec<&mut [T]>> = (0..blocks.div_ceil(group))
        .map(|_| taps.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    groups
        .into_par_iter()
        .enumerate()
        .for_each(|(index, mut taps)| {
            let sum = OuterSum::new(taps[0].len() / columns, columns);
            let len = taps.len() * sum.len();
            let mut sums = Buffer::zeros(parts * len);
            sums.par_chunks_exact_mut(len)
                .enumerate()
                .for_each(|(part, sums)| {
                    let some = part * part_rows..rows.min((part + 1) * part_rows);
                    gathered.add(&sum, index * group * height, some, sums);
                });
            for sums in sums.chunks_exact(len) {
                for (tap, sums) in taps.iter_mut().zip(sums.chunks_exact(sum.len())) {
                    sum.finish(sums, tap, columns, |to, sum| *to += sum);
                }
            }
        });
}

/// The factors of a gradient.
struct Gathered<'a, T> {
    table: &'a GatherTable,
    source: &'a [T],
    cotangent: &'a [T],
    depth: usize,
    columns: usize,
    /// Whether many rows lie outside for some tap.
    sparse: bool,
}

impl<T: Real> Gathered<'_, T> {
    /// Adds the products of some rows, for the source's channels from `channel`
    /// on, to the sums of all taps.
    fn add(&self, sum: &OuterSum<T>, channel: usize, rows: Range<usize>, sums: &mut [T]) {
        let (table, columns) = (self.table, self.columns);
        let mut starts = Vec::with_capacity(STRIP);
        let mut inside = Vec::with_capacity(STRIP);
        for first in rows.clone().step_by(STRIP) {
            let strip = first..rows.end.min(first + STRIP);
            let line = |row: usize| &self.cotangent[row * columns..];
            let shared = (!self.sparse).then(|| sum.right(line(first), strip.len(), columns));
            for (tap, sums) in sums.chunks_exact_mut(sum.len()).enumerate() {
                starts.clear();
                inside.clear();
                for (row, (item, local)) in strip.clone().zip(table.places(first)) {
                    let entry = table.entry(local, tap);
                    if entry != OUTSIDE {
                        let pixel = item * table.source_rows + entry as usize;
                        starts.push(pixel * self.depth + channel);
                        inside.push(row);
                    } else if !self.sparse {
                        starts.push(ABSENT);
                    }
                }
                match &shared {
                    Some(right) => sum.add(self.source, &starts, right, sums),
                    None => {
                        let right = sum.pack(inside.iter().map(|&row| line(row)));
                        sum.add(self.source, &starts, &right, sums);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::Convolution;
    use alice_random::Stream;

    fn single(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&v| v as f32).collect()
    }

    /// Several groups of channels, several parts of rows, panels in place and
    /// packed, rows outside counted as zeros and left out.
    #[test]
    fn gradients_of_many_channels_and_rows_agree_with_the_definition() {
        for (n, side, [depth, columns], kernel, stride) in [
            (5, 4, [210, 40], 3, 1),
            (2, 24, [250, 32], 1, 1),
            (3, 18, [13, 70], 3, 2),
            (2, 20, [50, 32], 3, 1),
        ] {
            let to = (side + 2 * (kernel / 2) - kernel) / stride + 1;
            let shape = Convolution {
                from: [side; 2],
                to: [to; 2],
                input: depth,
                output: columns,
                kernel,
                stride,
                before: [kernel / 2; 2],
            };
            let table = shape.forward_table();
            let mut stream = Stream::new(3, "gradient test", depth as u64, 0);
            let x: Vec<f64> = stream.normals(n * table.source_rows * depth);
            let u: Vec<f64> = stream.normals(n * table.rows * columns);
            let start: Vec<f64> = stream.normals(table.taps * depth * columns);
            let mut exact = start.clone();
            for (row, (item, local)) in table.places(0).take(n * table.rows).enumerate() {
                for tap in 0..table.taps {
                    let entry = table.entry(local, tap);
                    if entry == OUTSIDE {
                        continue;
                    }
                    let from = (item * table.source_rows + entry as usize) * depth;
                    for k in 0..depth {
                        for j in 0..columns {
                            exact[(tap * depth + k) * columns + j] +=
                                x[from + k] * u[row * columns + j];
                        }
                    }
                }
            }
            let mut found = start.clone();
            matrix_gradient(n, &table, &x, &u, depth, columns, &mut found);
            let mut found32 = single(&start);
            let (x32, u32) = (single(&x), single(&u));
            matrix_gradient(n, &table, &x32, &u32, depth, columns, &mut found32);
            let largest = exact.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            for ((&exact, &double), &single) in exact.iter().zip(&found).zip(&found32) {
                assert!((exact - double).abs() < 1e-12 * largest, "{shape:?}");
                assert!(
                    (exact - f64::from(single)).abs() < 1e-5 * largest,
                    "{shape:?}"
                );
            }
        }
    }
}
