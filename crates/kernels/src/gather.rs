//! Matrix products whose left rows are gathered from pictures.
//!
//! A convolution, its two adjoints and a plain matrix product are one loop:
//! each output row is a sum, over the taps of a kernel, of a gathered input
//! row times that tap's matrix. Gathering through a table of row indices
//! needs no unfolded copy of the picture and serves every stride and padding.

use crate::Real;
use crate::microkernel::{MAX_ROWS, MAX_TILE, MicroKernel};
use crate::scratch::Scratch;
use rayon::prelude::*;
use std::ops::Range;

/// A tap of this value reads zeros.
pub const OUTSIDE: u32 = u32::MAX;

/// For each output row and tap, which input row of the same item is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherTable {
    source_rows: usize,
    taps: usize,
    /// `[rows, taps]`, or empty for the identity.
    entries: Vec<u32>,
    rows: usize,
}

impl GatherTable {
    /// Row i reads row i.
    #[must_use]
    pub fn identity(rows: usize) -> Self {
        Self {
            source_rows: rows,
            taps: 1,
            entries: Vec::new(),
            rows,
        }
    }

    /// Entry (row, tap) from `entry`, which returns an input row below
    /// `source_rows` or nothing for zeros.
    ///
    /// # Panics
    /// When an entry is not below `source_rows`.
    #[must_use]
    pub fn new(
        rows: usize,
        source_rows: usize,
        taps: usize,
        entry: impl Fn(usize, usize) -> Option<usize>,
    ) -> Self {
        let mut entries = Vec::with_capacity(rows * taps);
        for row in 0..rows {
            for tap in 0..taps {
                entries.push(entry(row, tap).map_or(OUTSIDE, |source| {
                    assert!(source < source_rows);
                    source as u32
                }));
            }
        }
        Self {
            source_rows,
            taps,
            entries,
            rows,
        }
    }

    /// Some of the rows, with some of the taps.
    pub(crate) fn select(&self, rows: &[usize], taps: &[usize]) -> Self {
        let entry = |row: usize, tap: usize| {
            let source = self.entry(rows[row], taps[tap]);
            (source != OUTSIDE).then_some(source as usize)
        };
        Self::new(rows.len(), self.source_rows, taps.len(), entry)
    }

    /// Output rows per item.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input rows per item.
    #[must_use]
    pub fn source_rows(&self) -> usize {
        self.source_rows
    }

    /// Item and row within it of every row of a batch from `first` on,
    /// without a division each.
    #[inline(always)]
    fn places(&self, first: usize) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.rows;
        let (mut item, mut local) = (first / rows, first % rows);
        std::iter::repeat_with(move || {
            let place = (item, local);
            local += 1;
            if local == rows {
                (item, local) = (item + 1, 0);
            }
            place
        })
    }

    #[inline(always)]
    fn entry(&self, row: usize, tap: usize) -> u32 {
        if self.entries.is_empty() {
            row as u32
        } else {
            self.entries[row * self.taps + tap]
        }
    }
}

/// A matrix per tap, `[taps, depth, columns]`, in the order the microkernel
/// reads it.
#[derive(Clone, Debug)]
pub struct PackedMatrix<T> {
    kernel: MicroKernel<T>,
    taps: usize,
    depth: usize,
    columns: usize,
    /// `[columns / columns_per_tile, taps, depth, columns_per_tile]`, zeros beyond the last column.
    pub(crate) panels: Vec<T>,
}

impl<T: Real> PackedMatrix<T> {
    /// Packs entry (tap, k, column) of `values` at
    /// tap · strides[0] + k · strides[1] + column · strides[2].
    #[must_use]
    pub fn new(
        values: &[T],
        taps: usize,
        depth: usize,
        columns: usize,
        strides: [usize; 3],
    ) -> Self {
        let kernel = T::microkernel(columns);
        let width = kernel.columns_per_tile;
        let mut panels = vec![T::ZERO; columns.div_ceil(width) * taps * depth * width];
        let panel_len = (taps * depth * width).max(1);
        panels
            .par_chunks_mut(panel_len)
            .enumerate()
            .for_each(|(panel, to)| {
                let first = panel * width;
                let used = width.min(columns - first);
                for tap in 0..taps {
                    for k in 0..depth {
                        let from = tap * strides[0] + k * strides[1] + first * strides[2];
                        let line = &mut to[(tap * depth + k) * width..][..used];
                        for (j, value) in line.iter_mut().enumerate() {
                            *value = values[from + j * strides[2]];
                        }
                    }
                }
            });
        Self {
            kernel,
            taps,
            depth,
            columns,
            panels,
        }
    }

    /// Result columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// out (+)= a · matrix for `rows` rows, `a_stride` and `out_stride` apart,
    /// by one thread. For a matrix of one tap.
    pub(crate) fn multiply(
        &self,
        rows: usize,
        a: &[T],
        a_stride: usize,
        accumulate: bool,
        out: &mut [T],
        out_stride: usize,
    ) {
        /// Values of a panel that stay in the first-level cache.
        const PART: usize = 1 << 12;
        assert_eq!(self.taps, 1);
        let (depth, columns) = (self.depth, self.columns);
        let height = self.kernel.rows_per_tile;
        let width = self.kernel.columns_per_tile;
        let part = PART / width;
        let mut tile = [T::ZERO; MAX_TILE];
        let nothing = [T::ZERO; MAX_TILE];
        let mut pointers = [a.as_ptr(); MAX_ROWS];
        for (p, panel) in self.panels.chunks(depth * width).enumerate() {
            let used = width.min(columns - p * width);
            for k in (0..depth).step_by(part) {
                let end = depth.min(k + part);
                let panel = &panel[k * width..end * width];
                let fresh = k == 0 && !accumulate;
                for first in (0..rows).step_by(height) {
                    // Rows beyond the last repeat it.
                    for (i, pointer) in pointers[..height].iter_mut().enumerate() {
                        let start = (first + i).min(rows - 1) * a_stride;
                        *pointer = a[start + k..start + end].as_ptr();
                    }
                    let pointers = &pointers[..height];
                    let to = &mut out[first * out_stride + p * width..];
                    let used_rows = height.min(rows - first);
                    if used == width && used_rows == height {
                        let start = fresh.then_some((&nothing[..], 0));
                        self.kernel
                            .run_tile(1, end - k, pointers, panel, start, to, out_stride);
                        continue;
                    }
                    let start = Some((&nothing[..], 0));
                    self.kernel
                        .run_tile(1, end - k, pointers, panel, start, &mut tile, width);
                    let epilogue = if fresh {
                        Epilogue::Store
                    } else {
                        Epilogue::Accumulate
                    };
                    let lines = to.chunks_mut(out_stride).zip(tile.chunks_exact(width));
                    for (line, sums) in lines.take(used_rows) {
                        epilogue.finish(&mut line[..used], sums);
                    }
                }
            }
        }
    }
}

/// Values of a panel that are read again for every block of rows, at most:
/// they stay in the second-level cache beside the rows.
const PANEL_VALUES: usize = 1 << 16;

/// What happens to the result of a product.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a, T> {
    /// out = product.
    Store,
    /// out = product + bias of the column.
    Bias(&'a [T]),
    /// out += product.
    Accumulate,
}

/// out[n, row, j] = Σ_tap Σ_k source[n, table(row, tap), k] · matrix[tap, k, j].
///
/// `source` is `[n, source rows, depth]`, `out` `[n, rows, columns]`.
/// Cost: 2 · n · rows · taps · depth · columns operations.
///
/// # Panics
/// When the extents of the slices do not fit the table and the matrix.
pub fn product<T: Real>(
    n: usize,
    table: &GatherTable,
    source: &[T],
    matrix: &PackedMatrix<T>,
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
) {
    let PackedMatrix {
        kernel,
        taps,
        depth,
        columns,
        ref panels,
    } = *matrix;
    assert_eq!(table.taps, taps);
    assert_eq!(source.len(), n * table.source_rows * depth);
    assert_eq!(out.len(), n * table.rows * columns);
    if let Epilogue::Bias(bias) = epilogue {
        assert_eq!(bias.len(), columns);
    }
    if out.is_empty() {
        return;
    }
    let zeros = vec![T::ZERO; depth];
    let height = kernel.rows_per_tile;
    let width = kernel.columns_per_tile;
    let panel_len = taps * depth * width;
    let all_rows = n * table.rows;
    let chunk_rows = chunk_rows(all_rows, height);
    out.par_chunks_mut(chunk_rows * columns)
        .enumerate()
        .for_each(|(chunk, out)| {
            let first = chunk * chunk_rows;
            let rows = out.len() / columns;
            let blocks = rows.div_ceil(height);
            // Pointers `[blocks, taps, height]`; rows beyond the last read zeros.
            let mut pointers = vec![zeros.as_ptr(); blocks * taps * height];
            let (mut block, mut i) = (0, 0);
            for (item, local) in table.places(first).take(rows) {
                let base = item * table.source_rows;
                for tap in 0..taps {
                    let entry = table.entry(local, tap);
                    if entry != OUTSIDE {
                        let start = (base + entry as usize) * depth;
                        pointers[(block * taps + tap) * height + i] =
                            source[start..start + depth].as_ptr();
                    }
                }
                i += 1;
                if i == height {
                    (block, i) = (block + 1, 0);
                }
            }
            let mut tile = [T::ZERO; MAX_TILE];
            let nothing = [T::ZERO; MAX_TILE];
            let group = (PANEL_VALUES / (depth * width).max(1)).clamp(1, taps);
            for (p, panel) in panels.chunks(panel_len.max(1)).enumerate() {
                let used = width.min(columns - p * width);
                let of_panel = p * width..p * width + used;
                for first in (0..taps).step_by(group) {
                    let part = first..taps.min(first + group);
                    let panel = &panel[part.start * depth * width..part.end * depth * width];
                    let epilogue = match epilogue {
                        _ if first > 0 => Epilogue::Accumulate,
                        Epilogue::Bias(bias) => Epilogue::Bias(&bias[of_panel.clone()]),
                        other => other,
                    };
                    for block in 0..blocks {
                        let pointers = &pointers[block * taps * height..][..taps * height];
                        let pointers = &pointers[part.start * height..part.end * height];
                        let run = |start: Option<(&[T], usize)>, out: &mut [T], stride| {
                            kernel.run_tile(part.len(), depth, pointers, panel, start, out, stride);
                        };
                        let used_rows = height.min(rows - block * height);
                        let to = &mut out[block * height * columns + p * width..];
                        if used == width && used_rows == height {
                            let start = match epilogue {
                                Epilogue::Store => Some((&nothing[..], 0)),
                                Epilogue::Bias(bias) => Some((bias, 0)),
                                Epilogue::Accumulate => None,
                            };
                            run(start, to, columns);
                            continue;
                        }
                        // Sums begin as those of whole tiles do: a row's result
                        // does not depend on how many rows there are.
                        let lines = tile.chunks_exact_mut(width).zip(to.chunks(columns));
                        for (line, to) in lines.take(used_rows) {
                            line[..used].copy_from_slice(match epilogue {
                                Epilogue::Store => &nothing[..used],
                                Epilogue::Bias(bias) => bias,
                                Epilogue::Accumulate => &to[..used],
                            });
                        }
                        run(None, &mut tile, width);
                        let lines = to.chunks_mut(columns).zip(tile.chunks_exact(width));
                        for (line, sums) in lines.take(used_rows) {
                            line[..used].copy_from_slice(&sums[..used]);
                        }
                    }
                }
            }
        });
}

impl<T: Real> Epilogue<'_, T> {
    /// Of one line.
    #[inline(always)]
    pub(crate) fn finish(self, line: &mut [T], sums: &[T]) {
        match self {
            Self::Store => line.copy_from_slice(&sums[..line.len()]),
            Self::Bias(bias) => {
                for ((o, &s), &b) in line.iter_mut().zip(sums).zip(bias) {
                    *o = s + b;
                }
            }
            Self::Accumulate => {
                for (o, &s) in line.iter_mut().zip(sums) {
                    *o += s;
                }
            }
        }
    }
}

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
    let partial: Vec<Scratch<T>> = jobs
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
) -> Scratch<T> {
    // Rows whose source and cotangent stay in the second-level cache.
    const STRIP: usize = 256;
    let kernel = T::microkernel(columns);
    let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
    let blocks = depth.div_ceil(height);
    let tail = depth % height;
    let mut sums = Scratch::zeros(taps.len() * blocks * panels.len() * height * width);
    let mut packed = Scratch::zeros(panels.len() * STRIP * width);
    // The last, incomplete block of channels is copied to full width.
    let mut edge = vec![T::ZERO; if tail > 0 { STRIP * height } else { 0 }];
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
                if tail > 0 && block + 1 == blocks {
                    for (&from, line) in sources.iter().zip(edge.chunks_exact_mut(height)) {
                        line.fill(T::ZERO);
                        if from != usize::MAX {
                            let from = from + shift;
                            line[..tail].copy_from_slice(&source[from..from + tail]);
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
                    kernel.run_outer(&pointers, &packed[..strip * width], tile);
                }
            }
        }
        start += strip;
    }
    sums
}

/// Rows of one task: a multiple of the tile's height, large enough to reuse
/// a panel, small enough to share between threads.
fn chunk_rows(rows: usize, height: usize) -> usize {
    let tasks = 4 * rayon::current_num_threads();
    let wanted = rows.div_ceil(tasks).clamp(height, 16 * height);
    wanted.next_multiple_of(height)
}
