//! Matrices in the order that the microkernel reads.
#![allow(
    unsafe_code,
    reason = "pointers to gathered rows; each call says where they are from"
)]

use super::Epilogue;
use crate::Real;
use crate::microkernel::{MAX_COLUMNS, MAX_ROWS, MAX_TILE, MicroKernel};
use crate::panels::Panels;
use rayon::prelude::*;

/// A matrix per tap, `[taps, depth, columns]`, in the order the microkernel
/// reads it.
#[derive(Clone, Debug)]
pub struct PackedMatrix<T> {
    pub(super) kernel: MicroKernel<T>,
    pub(super) taps: usize,
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// `[columns / columns_per_tile, taps, depth, columns_per_tile]`, zeros beyond the last column.
    pub(super) panels: Panels<T>,
}

/// Where the rows of a product start in memory.
pub(super) struct Pointers<T> {
    /// Rows of the product.
    pub(super) rows: usize,
    /// `[blocks, taps, rows of a tile]`.
    pub(super) pointers: Vec<*const T>,
    /// Whether all rows of a block lie outside for a tap, `[blocks, taps]`.
    pub(super) outside: Vec<bool>,
}

// SAFETY: they are only read through, and point into shared slices.
unsafe impl<T: Sync> Sync for Pointers<T> {}

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
        let taps: Vec<usize> = (0..taps).collect();
        Self::of_taps(values, &taps, depth, columns, strides)
    }

    /// The same of some taps.
    pub(crate) fn of_taps(
        values: &[T],
        taps: &[usize],
        depth: usize,
        columns: usize,
        strides: [usize; 3],
    ) -> Self {
        /// Values of a panel that are written while they are in cache.
        const PART: usize = 1 << 12;
        let kernel = T::microkernel(columns);
        let width = kernel.columns_per_tile;
        let line = taps.len() * width;
        let mut panels = vec![T::ZERO; columns.div_ceil(width) * line * depth];
        panels
            .par_chunks_mut((line * depth).max(1))
            .enumerate()
            .for_each(|(panel, to)| {
                let first = panel * width;
                let used = width.min(columns - first);
                let start =
                    |tap: usize, k: usize| tap * strides[0] + k * strides[1] + first * strides[2];
                if strides[2] == 1 {
                    for (place, &tap) in taps.iter().enumerate() {
                        for k in 0..depth {
                            let from = &values[start(tap, k)..][..used];
                            to[(place * depth + k) * width..][..used].copy_from_slice(from);
                        }
                    }
                    return;
                }
                let part = (PART / line.max(1)).max(1);
                if let ([tap], 1) = (taps, strides[1]) {
                    // A transposition, as many rows at a time as stay in cache.
                    for from in (0..depth).step_by(part) {
                        let to = &mut to[from * width..depth.min(from + part) * width];
                        for j in 0..used {
                            let values = &values[start(*tap, from) + j * strides[2]..];
                            for (line, &value) in to.chunks_exact_mut(width).zip(values) {
                                line[j] = value;
                            }
                        }
                    }
                    return;
                }
                // Values are read in the order they lie in, the taps last or
                // next to each other.
                let mut write = |k: usize, j: usize| {
                    for (place, &tap) in taps.iter().enumerate() {
                        to[(place * depth + k) * width + j] =
                            values[start(tap, k) + j * strides[2]];
                    }
                };
                for from in (0..depth).step_by(part) {
                    let part = from..depth.min(from + part);
                    if strides[1] < strides[2] {
                        for j in 0..used {
                            part.clone().for_each(|k| write(k, j));
                        }
                    } else {
                        for k in part {
                            (0..used).for_each(|j| write(k, j));
                        }
                    }
                }
            });
        Self {
            kernel,
            taps: taps.len(),
            depth,
            columns,
            panels: Panels::Full(panels),
        }
    }

    /// The same matrix in half the memory, if all its values are those of a
    /// half-precision format: products have the same bits.
    #[must_use]
    pub fn compact(self) -> Self {
        Self {
            panels: self.panels.compact(),
            ..self
        }
    }

    /// The same matrix with columns of zeros up to a whole tile, so that no
    /// tile is copied column by column: rows of the result must be as long. Not
    /// for products with a bias, which would be too short.
    #[must_use]
    pub(crate) fn whole(self) -> Self {
        Self {
            columns: self.columns.next_multiple_of(self.kernel.columns_per_tile),
            ..self
        }
    }

    /// Bytes of its values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.panels.bytes()
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
        assert_eq!(self.taps, 1);
        let (height, width) = (self.kernel.rows_per_tile, self.kernel.columns_per_tile);
        // Rows beyond the last repeat it.
        let pointers = (0..rows.next_multiple_of(height)).map(|row| {
            let start = row.min(rows - 1) * a_stride;
            a[start..start + self.depth].as_ptr()
        });
        let pointers = Pointers {
            rows,
            pointers: pointers.collect(),
            outside: vec![false; rows.div_ceil(height)],
        };
        let epilogue = if accumulate {
            Epilogue::Accumulate
        } else {
            Epilogue::Store
        };
        let mut widened = self.panels.buffer(self.depth * width);
        for p in 0..self.columns.div_ceil(width) {
            let out = &mut out[p * width..];
            // SAFETY: each is of `depth` values of `a`.
            unsafe {
                self.panel_product(p, &pointers, epilogue, &mut widened, out, out_stride);
            }
        }
    }

    /// The columns of panel p of a product for `rows` gathered rows, by one
    /// thread; `out` begins at the panel's first column, its rows are
    /// `stride` apart, and `epilogue` is that of the panel's columns.
    ///
    /// # Safety
    /// Every pointer is that of a live slice of `depth` values.
    pub(super) unsafe fn panel_product(
        &self,
        p: usize,
        gathered: &Pointers<T>,
        epilogue: Epilogue<'_, T>,
        widened: &mut [T],
        out: &mut [T],
        stride: usize,
    ) {
        let (kernel, taps, depth) = (&self.kernel, self.taps, self.depth);
        let (height, width) = (kernel.rows_per_tile, kernel.columns_per_tile);
        let used = width.min(self.columns - p * width);
        let rows = gathered.rows;
        let nothing = [T::ZERO; MAX_COLUMNS];
        let mut shifted = [std::ptr::null(); MAX_ROWS];
        let line = depth * width;
        // Several short taps at a time, or a long one in parts.
        let group = (PANEL_VALUES / line.max(1)).clamp(1, taps);
        let parts = line.div_ceil(TILE_VALUES).max(1);
        let (group, part) = if parts > 1 {
            (1, depth.div_ceil(parts))
        } else {
            (group, depth)
        };
        for first in (0..taps).step_by(group) {
            let group = first..taps.min(first + group);
            let values = (p * taps + group.start) * line..(p * taps + group.end) * line;
            let panel = self.panels.values(values, widened);
            for k in (0..depth).step_by(part.max(1)) {
                let length = part.min(depth - k);
                let panel = if parts > 1 {
                    &panel[k * width..(k + length) * width]
                } else {
                    panel
                };
                let epilogue = if first > 0 || k > 0 {
                    Epilogue::Accumulate
                } else {
                    epilogue
                };
                for block in 0..rows.div_ceil(height) {
                    let some = block * taps + group.start..block * taps + group.end;
                    let outside = gathered.outside[some.clone()]
                        .iter()
                        .all(|&outside| outside);
                    if outside && matches!(epilogue, Epilogue::Accumulate) {
                        continue;
                    }
                    let pointers = &gathered.pointers[some.start * height..some.end * height];
                    let pointers = if k > 0 {
                        for (shifted, pointer) in shifted.iter_mut().zip(pointers) {
                            *shifted = pointer.wrapping_add(k);
                        }
                        &shifted[..height]
                    } else {
                        pointers
                    };
                    let run = |start: Option<(&[T], usize)>, out: &mut [T], stride| {
                        let taps = group.len();
                        // SAFETY: k + length ≤ depth, and the rest is the caller's.
                        unsafe {
                            kernel.run_tile(taps, length, pointers, panel, start, out, stride);
                        }
                    };
                    let used_rows = height.min(rows - block * height);
                    let to = &mut out[block * height * stride..];
                    if used == width && used_rows == height {
                        let start = match epilogue {
                            Epilogue::Store => Some((&nothing[..], 0)),
                            Epilogue::Bias(bias) => Some((bias, 0)),
                            Epilogue::Accumulate => None,
                        };
                        run(start, to, stride);
                        continue;
                    }
                    // Sums begin as those of whole tiles do: a row's result
                    // does not depend on how many rows there are.
                    let mut tile = [T::ZERO; MAX_TILE];
                    let lines = tile.chunks_exact_mut(width).zip(to.chunks(stride));
                    for (line, to) in lines.take(used_rows) {
                        line[..used].copy_from_slice(match epilogue {
                            Epilogue::Store => &nothing[..used],
                            Epilogue::Bias(bias) => bias,
                            Epilogue::Accumulate => &to[..used],
                        });
                    }
                    run(None, &mut tile, width);
                    let lines = to.chunks_mut(stride).zip(tile.chunks_exact(width));
                    for (line, sums) in lines.take(used_rows) {
                        line[..used].copy_from_slice(&sums[..used]);
                    }
                }
            }
        }
    }
}

/// Values of a panel that stay in the first-level cache while all blocks of
/// rows read them.
const TILE_VALUES: usize = 1 << 12;
/// Values of a panel that are read again for every block of rows, at most:
/// they stay in the second-level cache beside the rows.
pub(super) const PANEL_VALUES: usize = 1 << 16;
