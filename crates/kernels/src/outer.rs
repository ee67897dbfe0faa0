//! Sums of outer products in tiles, for gradients of matrices.
#![allow(
    unsafe_code,
    reason = "pointers to gathered rows; each call says where they are from"
)]

use crate::Real;
use crate::buffer::Buffer;
use crate::microkernel::MicroKernel;

/// Sums of outer products Σ a[row]ᵀ b[row], `[depth, columns]`, in tiles.
pub(crate) struct OuterSum<T: Real> {
    kernel: MicroKernel<T>,
    depth: usize,
    columns: usize,
    /// `[panels, blocks, rows_per_tile, columns_per_tile]`.
    tiles: Buffer<T>,
}

impl<T: Real> OuterSum<T> {
    pub(crate) fn zeros(depth: usize, columns: usize) -> Self {
        let kernel = T::microkernel(columns);
        let tiles =
            depth.div_ceil(kernel.rows_per_tile) * columns.div_ceil(kernel.columns_per_tile);
        Self {
            kernel,
            depth,
            columns,
            tiles: Buffer::zeros(tiles * kernel.rows_per_tile * kernel.columns_per_tile),
        }
    }

    /// Adds some rows of a and b, their strides apart.
    pub(crate) fn add(&mut self, rows: usize, a: &[T], a_stride: usize, b: &[T], b_stride: usize) {
        let (height, width) = (self.kernel.rows_per_tile, self.kernel.columns_per_tile);
        let (blocks, tail) = (self.depth.div_ceil(height), self.depth % height);
        let mut packed = Buffer::zeros(rows * width);
        let mut edge = Buffer::zeros(rows * height);
        let mut pointers = Vec::with_capacity(rows);
        let tiles = self.tiles.chunks_exact_mut(blocks * height * width);
        for (panel, tiles) in tiles.enumerate() {
            let used = width.min(self.columns - panel * width);
            for (row, line) in packed.chunks_exact_mut(width).enumerate() {
                line[..used].copy_from_slice(&b[row * b_stride + panel * width..][..used]);
                line[used..].fill(T::ZERO);
            }
            for (block, tile) in tiles.chunks_exact_mut(height * width).enumerate() {
                pointers.clear();
                if tail > 0 && block + 1 == blocks {
                    for (row, line) in edge.chunks_exact_mut(height).enumerate() {
                        line[..tail].copy_from_slice(&a[row * a_stride + block * height..][..tail]);
                        pointers.push(line.as_ptr());
                    }
                } else {
                    let start = |row: usize| row * a_stride + block * height;
                    pointers
                        .extend((0..rows).map(|row| a[start(row)..start(row) + height].as_ptr()));
                }
                // SAFETY: each is of `height` values of `a` or of `edge`.
                unsafe { self.kernel.run_outer(&pointers, &packed, tile) };
            }
        }
    }

    /// out = factor · the sums, in rows `stride` apart.
    pub(crate) fn write(&self, factor: T, out: &mut [T], stride: usize) {
        let (height, width) = (self.kernel.rows_per_tile, self.kernel.columns_per_tile);
        let blocks = self.depth.div_ceil(height);
        for (panel, tiles) in self.tiles.chunks_exact(blocks * height * width).enumerate() {
            let used = width.min(self.columns - panel * width);
            let lines = tiles.chunks_exact(width).take(self.depth);
            for (row, line) in lines.enumerate() {
                let to = &mut out[row * stride + panel * width..][..used];
                for (t, &v) in to.iter_mut().zip(line) {
                    *t = factor * v;
                }
            }
        }
    }
}
