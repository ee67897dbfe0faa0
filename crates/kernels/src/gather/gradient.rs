//! The adjoint of a gathered product in its matrix.
#![allow(
    unsafe_code,
    reason = "pointers to gathered rows; each call says where they are from"
)]

use super::{GatherTable, OUTSIDE};
use crate::Real;
use crate::buffer::Buffer;
use crate::microkernel::MAX_ROWS;
use rayon::prelude::*;
use std::ops::Range;

/// gradient[tap, k, j] += Σ_n Σ_row source[n, table(row, tap), k] · cotangent[n, row, j],
/// the adjoint of [`product`] in its matrix, `[taps, depth, columns]`.
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
    assert_eq!(source.len(), n * table.source_rows * depth);
    assert_eq!(cotangent.len(), n * table.rows * columns);
    assert_eq!(gradient.len(), taps * depth * columns);
    if gradient.is_empty() || n * table.rows == 0 {
        return;
    }
    let all_rows = n * table.rows;
    let kernel = T::microkernel(columns);
    let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
    let panels = columns.div_ceil(width);
    let blocks = depth.div_ceil(height);
    // Enough parts for the threads, their number by the problem alone: rows
    // where there are many, or else taps, or else columns.
    let parts = (all_rows / 512).clamp(1, 8);
    let part_rows = all_rows.div_ceil(parts);
    let by_tap = if parts < 4 { 1 } else { taps };
    let by_panel = if parts * taps < 4 {
        panels.div_ceil(4)
    } else {
        panels
    };
    let jobs: Vec<(usize, usize, usize)> = (0..parts)
        .flat_map(|part| {
            let taps = (0..taps).step_by(by_tap);
            taps.flat_map(move |tap| (0..panels).step_by(by_panel).map(move |p| (part, tap, p)))
        })
        .collect();
    let partial: Vec<Buffer<T>> = jobs
        .par_iter()
        .map(|&(part, tap, panel)| {
            let rows = part * part_rows..all_rows.min((part + 1) * part_rows);
            let (taps, panels) = (tap..tap + by_tap, panel..panels.min(panel + by_panel));
            partial_gradient(
                table,
                source,
                cotangent,
                [depth, columns],
                rows,
                taps,
                panels,
            )
        })
        .collect();
    gradient
        .par_chunks_mut(depth * columns)
        .enumerate()
        .for_each(|(tap, gradient)| {
            for (sums, &(_, first_tap, first_panel)) in partial.iter().zip(&jobs) {
                if !(first_tap..first_tap + by_tap).contains(&tap) {
                    continue;
                }
                let count = by_panel.min(panels - first_panel);
                let tiles = sums.chunks_exact(height * width);
                let of_tap = tiles.skip((tap - first_tap) * blocks * count);
                for (index, tile) in of_tap.take(blocks * count).enumerate() {
                    let (block, panel) = (index / count, first_panel + index % count);
                    let used = width.min(columns - panel * width);
                    let rows = height.min(depth - block * height);
                    for (i, line) in tile.chunks_exact(width).take(rows).enumerate() {
                        let start = (block * height + i) * columns + panel * width;
                        for (g, &s) in gradient[start..start + used].iter_mut().zip(line) {
                            *g += s;
                        }
                    }
                }
            }
        });
}

/// The sum over some rows, taps and panels of columns, in tiles
/// `[taps, depth / height, panels, height, width]`.
fn partial_gradient<T: Real>(
    table: &GatherTable,
    source: &[T],
    cotangent: &[T],
    [depth, columns]: [usize; 2],
    rows: Range<usize>,
    taps: Range<usize>,
    panels: Range<usize>,
) -> Buffer<T> {
    // Rows of which a panel of the cotangent stays in the first-level cache.
    const STRIP: usize = 128;
    let kernel = T::microkernel(columns);
    let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
    let blocks = depth.div_ceil(height);
    let mut sums = Buffer::zeros(taps.len() * blocks * panels.len() * height * width);
    let mut packed = Buffer::zeros(panels.len() * STRIP * width);
    // A block of channels that several panels read is copied together: its rows
    // lie pages apart. So is the last, incomplete one, to full width.
    let mut block_rows = Buffer::stale(STRIP * height);
    let zeros = [T::ZERO; MAX_ROWS];
    let mut sources = Vec::with_capacity(STRIP);
    let mut pointers = Vec::with_capacity(STRIP);
    let mut start = rows.start;
    while start < rows.end {
        let strip = STRIP.min(rows.end - start);
        for (panel, to) in panels.clone().zip(packed.chunks_exact_mut(STRIP * width)) {
            let used = width.min(columns - panel * width);
            for (row, line) in (start..start + strip).zip(to.chunks_exact_mut(width)) {
                let from = row * columns + panel * width;
                line[..used].copy_from_slice(&cotangent[from..from + used]);
            }
        }
        let mut tiles = sums.chunks_exact_mut(height * width);
        for tap in taps.clone() {
            // Where the source row of each row of the strip starts.
            sources.clear();
            sources.extend(table.places(start).take(strip).map(|(item, local)| {
                let entry = table.entry(local, tap);
                if entry == OUTSIDE {
                    return usize::MAX;
                }
                (item * table.source_rows + entry as usize) * depth
            }));
            for block in 0..blocks {
                let shift = block * height;
                pointers.clear();
                let used = height.min(depth - shift);
                if used < height || panels.len() > 1 {
                    for (&from, line) in sources.iter().zip(block_rows.chunks_exact_mut(height)) {
                        line.fill(T::ZERO);
                        if from != usize::MAX {
                            let from = from + shift;
                            line[..used].copy_from_slice(&source[from..from + used]);
                        }
                        pointers.push(line.as_ptr());
                    }
                } else {
                    pointers.extend(sources.iter().map(|&from| {
                        if from == usize::MAX {
                            return zeros.as_ptr();
                        }
                        source[from + shift..from + shift + height].as_ptr()
                    }));
                }
                for (packed, tile) in packed.chunks_exact(STRIP * width).zip(&mut tiles) {
                    // SAFETY: each is of `height` values of `source`, of an edge's
                    // line, or of `zeros`, which no tile is higher than.
                    unsafe { kernel.run_outer(&pointers, &packed[..strip * width], tile) };
                }
            }
        }
        start += strip;
    }
    sums
}
