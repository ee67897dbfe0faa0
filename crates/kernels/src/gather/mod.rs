//! Matrix products whose left rows are gathered from pictures.
//!
//! A convolution, its two adjoints and a plain matrix product are one loop:
//! each output row is a sum, over the taps of a kernel, of a gathered input
//! row times that tap's matrix. Gathering through a table of row indices
//! needs no unfolded copy of the picture and serves every stride and padding.
#![allow(
    unsafe_code,
    reason = "pointers to gathered rows; each call says where they are from"
)]

mod gradient;
mod packed;

pub use gradient::matrix_gradient;
pub use packed::PackedMatrix;

use crate::Real;
use crate::buffer::Buffer;
use packed::{PANEL_VALUES, Pointers};
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

    /// How many of an item's entries lie outside.
    fn outside(&self) -> usize {
        self.entries
            .iter()
            .filter(|&&entry| entry == OUTSIDE)
            .count()
    }

    /// Item and row within it of every row of a batch, those together that
    /// have the same taps inside.
    fn sorted(&self, n: usize) -> Vec<(usize, usize)> {
        let mut places: Vec<_> = self.places(0).take(n * self.rows).collect();
        if !self.entries.is_empty() {
            places.sort_by_cached_key(|&(_, local)| {
                let of_row = &self.entries[local * self.taps..(local + 1) * self.taps];
                of_row
                    .iter()
                    .map(|&entry| entry == OUTSIDE)
                    .collect::<Vec<_>>()
            });
        }
        places
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

/// Values from which on a matrix does not stay in a core's cache.
const LARGE_MATRIX: usize = 1 << 18;
/// Rows of a product, at most, that are read again for every panel of a
/// large matrix rather than the matrix for every block of rows.
const FEW_ROWS: usize = 512;

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
    let (taps, depth, columns) = (matrix.taps, matrix.depth, matrix.columns);
    assert_eq!(table.taps, taps);
    assert_eq!(source.len(), n * table.source_rows * depth);
    assert_eq!(out.len(), n * table.rows * columns);
    if let Epilogue::Bias(bias) = epilogue {
        assert_eq!(bias.len(), columns);
    }
    if out.is_empty() {
        return;
    }
    let gathered = Gathered::new(table, source, matrix);
    let width = matrix.kernel.columns_per_tile;
    let panels = columns.div_ceil(width);
    let all_rows = n * table.rows;
    if is_matrix_large(all_rows, matrix) {
        // The matrix goes through memory once: a task is a panel and all rows.
        let order = table.sorted(n);
        let pointers = gathered.pointers(all_rows, order.iter().copied());
        let results: Vec<Buffer<T>> = (0..panels)
            .into_par_iter()
            .map(|p| {
                let used = width.min(columns - p * width);
                let of_panel = p * width..p * width + used;
                let mut result = Buffer::stale(all_rows * used);
                if let Epilogue::Accumulate = epilogue {
                    for (to, &(item, local)) in result.chunks_exact_mut(used).zip(&order) {
                        let row = item * table.rows + local;
                        to.copy_from_slice(&out[row * columns..][of_panel.clone()]);
                    }
                }
                let mut widened = matrix.panels.buffer(PANEL_VALUES.max(depth * width));
                let epilogue = epilogue.part(of_panel);
                // SAFETY: `pointers` are of `depth` values of the source or zeros.
                unsafe {
                    matrix.panel_product(p, &pointers, epilogue, &mut widened, &mut result, used);
                }
                result
            })
            .collect();
        let mut place = vec![0; all_rows];
        for (at, (item, local)) in order.into_iter().enumerate() {
            place[item * table.rows + local] = at;
        }
        out.par_chunks_mut(columns)
            .zip(place)
            .for_each(|(line, row)| {
                for (result, to) in results.iter().zip(line.chunks_mut(width)) {
                    to.copy_from_slice(&result[row * to.len()..][..to.len()]);
                }
            });
        return;
    }
    let chunk_rows = chunk_rows(all_rows, gathered.height);
    out.par_chunks_mut(chunk_rows * columns)
        .enumerate()
        .for_each(|(chunk, out)| {
            let rows = out.len() / columns;
            let places = table.places(chunk * chunk_rows);
            gathered.product(rows, places, matrix, epilogue, out);
        });
}

/// Whether a matrix had better go through memory once than the rows of a product.
pub(crate) fn is_matrix_large<T>(rows: usize, matrix: &PackedMatrix<T>) -> bool {
    rows <= FEW_ROWS && matrix.taps * matrix.depth * matrix.columns >= LARGE_MATRIX
}

/// Some rows of a product, `[rows, columns]`, by one thread: `places` has their
/// items and their rows within them.
///
/// # Panics
/// When the extents of the slices do not fit the table and the matrix.
pub(crate) fn product_of_rows<T: Real>(
    table: &GatherTable,
    source: &[T],
    matrix: &PackedMatrix<T>,
    places: &[(usize, usize)],
    out: &mut [T],
) {
    assert_eq!(table.taps, matrix.taps);
    assert_eq!(out.len(), places.len() * matrix.columns);
    if out.is_empty() {
        return;
    }
    let gathered = Gathered::new(table, source, matrix);
    let some = places.iter().copied();
    gathered.product(places.len(), some, matrix, Epilogue::Store, out);
}

/// Rows of a product, to be gathered.
struct Gathered<'a, T> {
    table: &'a GatherTable,
    source: &'a [T],
    depth: usize,
    /// What lies outside, `depth` of them.
    zeros: Vec<T>,
    /// Rows of a tile.
    height: usize,
}

impl<'a, T: Real> Gathered<'a, T> {
    fn new(table: &'a GatherTable, source: &'a [T], matrix: &PackedMatrix<T>) -> Self {
        Self {
            table,
            source,
            depth: matrix.depth,
            zeros: vec![T::ZERO; matrix.depth],
            height: matrix.kernel.rows_per_tile,
        }
    }

    /// The product of some rows, `[rows, columns]`, by one thread.
    fn product(
        &self,
        rows: usize,
        places: impl Iterator<Item = (usize, usize)>,
        matrix: &PackedMatrix<T>,
        epilogue: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        let (columns, width) = (matrix.columns, matrix.kernel.columns_per_tile);
        let pointers = self.pointers(rows, places);
        let room = PANEL_VALUES.max(self.depth * width);
        let mut widened = matrix.panels.buffer(room);
        for p in 0..columns.div_ceil(width) {
            let used = width.min(columns - p * width);
            let epilogue = epilogue.part(p * width..p * width + used);
            let to = &mut out[p * width..];
            // SAFETY: `pointers` are of `depth` values of the source or zeros.
            unsafe { matrix.panel_product(p, &pointers, epilogue, &mut widened, to, columns) };
        }
    }

    /// Where the sources of some rows start; rows behind the last read zeros.
    fn pointers(&self, rows: usize, places: impl Iterator<Item = (usize, usize)>) -> Pointers<T> {
        let (height, depth, taps) = (self.height, self.depth, self.table.taps);
        let tiles = rows.div_ceil(height) * taps;
        let mut pointers = vec![self.zeros.as_ptr(); tiles * height];
        let mut outside = vec![true; tiles];
        let (mut block, mut i) = (0, 0);
        for (item, local) in places.take(rows) {
            let base = item * self.table.source_rows;
            for tap in 0..taps {
                let entry = self.table.entry(local, tap);
                if entry != OUTSIDE {
                    let start = (base + entry as usize) * depth;
                    pointers[(block * taps + tap) * height + i] =
                        self.source[start..start + depth].as_ptr();
                    outside[block * taps + tap] = false;
                }
            }
            i += 1;
            if i == height {
                (block, i) = (block + 1, 0);
            }
        }
        Pointers {
            rows,
            pointers,
            outside,
        }
    }
}

impl<T: Real> Epilogue<'_, T> {
    /// Of some of the columns.
    fn part(self, columns: Range<usize>) -> Self {
        match self {
            Self::Bias(bias) => Self::Bias(&bias[columns]),
            other => other,
        }
    }

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

/// Rows of one task: a multiple of the tile's height, large enough to reuse
/// a panel, small enough to share between threads.
fn chunk_rows(rows: usize, height: usize) -> usize {
    let tasks = 4 * rayon::current_num_threads();
    let wanted = rows.div_ceil(tasks).clamp(height, 16 * height);
    wanted.next_multiple_of(height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    /// Large matrices with few rows go panel by panel, halves are widened on
    /// their way, and neither shows in a bit of the result.
    #[test]
    fn the_way_of_a_product_does_not_show() {
        let (taps, depth, columns) = (9, 331, 101);
        let table = |rows: usize| {
            GatherTable::new(rows, 40, taps, |row, tap| {
                Some((7 * row + 3 * tap) % 43).filter(|&source| source < 40)
            })
        };
        let mut stream = Stream::new(5, "product test", 0, 0);
        let source: Vec<f32> = stream.normals(40 * depth);
        let mut halves = vec![half::f16::ZERO; taps * depth * columns];
        f32::to_f16(&stream.normals(halves.len()), &mut halves);
        let mut weight = vec![0.0; halves.len()];
        f32::from_f16(&halves, &mut weight);
        let bias: Vec<f32> = stream.normals(columns);
        let full = PackedMatrix::new(&weight, taps, depth, columns, [depth * columns, columns, 1]);
        let half = full.clone().compact();
        assert_eq!(2 * half.bytes(), full.bytes());
        assert!(weight.len() >= LARGE_MATRIX);
        let run = |matrix, rows: usize, epilogue| {
            let mut out = vec![0.25; rows * columns];
            product(1, &table(rows), &source, matrix, epilogue, &mut out);
            out
        };
        for epilogue in [Epilogue::Store, Epilogue::Bias(&bias), Epilogue::Accumulate] {
            let many = run(&full, FEW_ROWS + 50, epilogue);
            assert_eq!(run(&half, FEW_ROWS + 50, epilogue), many);
            for rows in [1, 13, FEW_ROWS] {
                let few = run(&full, rows, epilogue);
                assert_eq!(few, many[..rows * columns]);
                assert_eq!(run(&half, rows, epilogue), few);
            }
        }
    }
}
