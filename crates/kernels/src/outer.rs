//! Sums of outer products in tiles, for gradients of matrices.
#![allow(
    unsafe_code,
    reason = "pointers to rows of a slice; each call says where they are from"
)]

use crate::Real;
use crate::buffer::Buffer;
use crate::microkernel::{MAX_ROWS, MicroKernel};
use crate::simd::{LANES, copy_vector, vectorized};

// A vector holds a column of a tile.
const _: () = assert!(MAX_ROWS <= LANES);

/// A row that is not there: it counts as zeros.
pub(crate) const ABSENT: usize = usize::MAX;
/// Rows that are summed at a time: a panel of so many stays in the first-level
/// cache.
pub(crate) const STRIP: usize = 128;

/// Blocks of channels that are copied together.
const GROUP: usize = 8;

/// The right factor of a strip.
pub(crate) enum Right<'a, T> {
    /// Where it is, its rows so many values apart.
    InPlace(&'a [T], usize),
    /// `[panels, rows, columns of a tile]`.
    Packed(Buffer<T>),
}

/// The extents of a sum Σ a[row]ᵀ b[row], `[depth, columns]`, in tiles.
#[derive(Clone, Copy)]
pub(crate) struct OuterSum<T> {
    kernel: MicroKernel<T>,
    depth: usize,
    columns: usize,
}

impl<T: Real> OuterSum<T> {
    pub(crate) fn new(depth: usize, columns: usize) -> Self {
        Self {
            kernel: T::microkernel(columns),
            depth,
            columns,
        }
    }

    /// Rows and columns of a tile.
    pub(crate) fn tile(&self) -> [usize; 2] {
        [self.kernel.rows_per_tile, self.kernel.columns_per_tile]
    }

    /// Tiles below and beside each other.
    pub(crate) fn tiles(&self) -> [usize; 2] {
        let [height, width] = self.tile();
        [self.depth.div_ceil(height), self.columns.div_ceil(width)]
    }

    /// Values of the sum, `[blocks, panels, height, width]`.
    pub(crate) fn len(&self) -> usize {
        self.tile().into_iter().chain(self.tiles()).product()
    }

    /// The right factor of a strip of rows that are `stride` apart.
    pub(crate) fn right<'a>(&self, values: &'a [T], rows: usize, stride: usize) -> Right<'a, T> {
        if self.columns == self.kernel.columns_per_tile {
            return Right::InPlace(values, stride);
        }
        self.pack((0..rows).map(|row| &values[row * stride..]))
    }

    /// The right factor of a strip, from its rows.
    pub(crate) fn pack<'a>(
        &self,
        rows: impl ExactSizeIterator<Item = &'a [T]>,
    ) -> Right<'static, T> {
        let ([_, width], [_, panels]) = (self.tile(), self.tiles());
        assert!(rows.len() <= STRIP);
        let len = rows.len() * width;
        let mut packed = Buffer::stale(panels * len);
        vectorized(
            #[inline(always)]
            || {
                // Row by row, as memory is read fastest.
                for (index, row) in rows.enumerate() {
                    for panel in 0..panels {
                        // Beyond the last column, whatever lies there: it falls
                        // on columns that nobody reads. A last vector may write
                        // into the next line, which comes later.
                        let to = &mut packed[panel * len..(panel + 1) * len];
                        for at in (0..width).step_by(LANES) {
                            let from = row.get(panel * width + at..).unwrap_or_default();
                            copy_vector(from, &mut to[index * width + at..]);
                        }
                    }
                }
            },
        );
        Right::Packed(packed)
    }

    /// Adds the products of a strip to `sums`: `starts` has the places of the
    /// left rows in `left`, or [`ABSENT`].
    pub(crate) fn add(&self, left: &[T], starts: &[usize], right: &Right<'_, T>, sums: &mut [T]) {
        let ([height, width], [blocks, panels]) = (self.tile(), self.tiles());
        let rows = starts.len();
        assert!(rows <= STRIP && sums.len() == self.len());
        if rows == 0 {
            return;
        }
        let area = height * width;
        // Blocks of channels that several panels read are copied together: their
        // rows lie pages apart. So is the last, incomplete one, to full width.
        let copies = panels > 1 || !self.depth.is_multiple_of(height);
        // An odd number of vectors, so that a block's rows do not fall on the same
        // lines of the cache.
        let line = if copies {
            (GROUP.min(blocks) | 1) * LANES
        } else {
            0
        };
        let mut copied = Buffer::stale(rows * line);
        let zeros = [T::ZERO; LANES];
        let mut pointers = [zeros.as_ptr(); STRIP];
        let pointers = &mut pointers[..rows];
        for (group, tiles) in sums.chunks_mut(GROUP * panels * area).enumerate() {
            let first = group * GROUP * height;
            if copies {
                copy_blocks(
                    left,
                    starts,
                    first,
                    height,
                    tiles.len() / (panels * area),
                    &mut copied,
                );
            }
            for (block, tiles) in tiles.chunks_exact_mut(panels * area).enumerate() {
                for (row, (pointer, &start)) in pointers.iter_mut().zip(starts).enumerate() {
                    *pointer = if copies {
                        copied[row * line + block * LANES..][..height].as_ptr()
                    } else if start == ABSENT {
                        zeros.as_ptr()
                    } else {
                        left[start + first + block * height..][..height].as_ptr()
                    };
                }
                for (panel, tile) in tiles.chunks_exact_mut(area).enumerate() {
                    let (right, stride) = match right {
                        Right::InPlace(values, stride) => (*values, *stride),
                        Right::Packed(values) => (&values[panel * rows * width..], width),
                    };
                    // SAFETY: each is of `height` values of `left` or `copied`, or
                    // of 16 `zeros`; no tile is higher than that.
                    unsafe { self.kernel.run_outer(pointers, right, stride, tile) };
                }
            }
        }
    }

    /// Calls `take` with each value of the sum and its place in `out`, whose
    /// rows are `stride` apart.
    pub(crate) fn finish(
        &self,
        sums: &[T],
        out: &mut [T],
        stride: usize,
        take: impl Fn(&mut T, T),
    ) {
        let ([height, width], [_, panels]) = (self.tile(), self.tiles());
        for (index, tile) in sums.chunks_exact(height * width).enumerate() {
            let (block, panel) = (index / panels, index % panels);
            let used = width.min(self.columns - panel * width);
            let rows = height.min(self.depth - block * height);
            for (i, line) in tile.chunks_exact(width).take(rows).enumerate() {
                let start = (block * height + i) * stride + panel * width;
                for (to, &sum) in out[start..start + used].iter_mut().zip(line) {
                    take(to, sum);
                }
            }
        }
    }
}

/// Copies `count` blocks of `height` channels of each row, from the channel
/// `first` on, to vectors `[rows, blocks of a group]`. What lies behind the last
/// channel is copied along: it falls on rows of the tile that nobody reads.
fn copy_blocks<T: Real>(
    values: &[T],
    starts: &[usize],
    first: usize,
    height: usize,
    count: usize,
    to: &mut [T],
) {
    let line = to.len() / starts.len().max(1);
    vectorized(
        #[inline(always)]
        || {
            for (&start, line) in starts.iter().zip(to.chunks_exact_mut(line)) {
                for (block, vector) in line.chunks_exact_mut(LANES).take(count).enumerate() {
                    if start == ABSENT {
                        vector.fill(T::ZERO);
                    } else {
                        copy_vector(&values[start + first + block * height..], vector);
                    }
                }
            }
        },
    );
}
