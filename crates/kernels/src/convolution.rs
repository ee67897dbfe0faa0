//! Square convolutions of channels-last pictures and their adjoints.

use crate::Real;
use crate::buffer::Buffer;
use crate::gather::{
    Epilogue, GatherTable, PackedMatrix, is_matrix_large, matrix_gradient, product, product_of_rows,
};
use crate::winograd::{self, Winograd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a class of pixels for which a panel of the weights is read.
const CLASS_ROWS: usize = 192;

/// The extents of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Input height and width.
    pub from: [usize; 2],
    /// Output height and width.
    pub to: [usize; 2],
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between output pixels.
    pub stride: usize,
    /// Zero rows above and zero columns to the left.
    pub before: [usize; 2],
}

impl Convolution {
    /// For each output pixel, the input pixel under each tap.
    #[must_use]
    pub fn forward_table(&self) -> GatherTable {
        if self.is_pointwise() {
            return GatherTable::identity(self.from[0] * self.from[1]);
        }
        let source = |position: usize, tap: usize, axis: usize| {
            (position * self.stride + tap)
                .checked_sub(self.before[axis])
                .filter(|&p| p < self.from[axis])
        };
        self.table(self.to, self.from, source)
    }

    /// For each input pixel, the output pixel that read it under each tap.
    #[must_use]
    pub fn adjoint_table(&self) -> GatherTable {
        if self.is_pointwise() {
            return GatherTable::identity(self.from[0] * self.from[1]);
        }
        let source = |position: usize, tap: usize, axis: usize| {
            (position + self.before[axis])
                .checked_sub(tap)
                .filter(|p| p.is_multiple_of(self.stride))
                .map(|p| p / self.stride)
                .filter(|&p| p < self.to[axis])
        };
        self.table(self.from, self.to, source)
    }

    /// The adjoint in the input of a convolution of stride 1, as a convolution
    /// with the taps backwards.
    fn mirrored(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            input: self.output,
            output: self.input,
            before: self.before.map(|b| self.kernel - 1 - b),
            ..*self
        }
    }

    /// Input pixels by their remainders.
    fn classes(&self) -> Vec<Class> {
        let table = self.adjoint_table();
        let classes = self.stride * self.stride;
        let remainder_of = |at: usize, axis: usize| (at + self.before[axis]) % self.stride;
        (0..classes)
            .map(|index| {
                let remainder = [index / self.stride, index % self.stride];
                let rows: Vec<usize> = (0..self.from[0] * self.from[1])
                    .filter(|row| {
                        let at = [row / self.from[1], row % self.from[1]];
                        (0..2).all(|axis| remainder_of(at[axis], axis) == remainder[axis])
                    })
                    .collect();
                let taps: Vec<usize> = (0..self.kernel * self.kernel)
                    .filter(|tap| {
                        let at = [tap / self.kernel, tap % self.kernel];
                        (0..2).all(|axis| at[axis] % self.stride == remainder[axis])
                    })
                    .collect();
                let table = table.select(&rows, &taps);
                Class { rows, taps, table }
            })
            .collect()
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.before == [0, 0] && self.from == self.to
    }

    fn table(
        &self,
        rows: [usize; 2],
        sources: [usize; 2],
        source: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> GatherTable {
        let taps = self.kernel * self.kernel;
        GatherTable::new(
            rows[0] * rows[1],
            sources[0] * sources[1],
            taps,
            |row, tap| {
                let y = source(row / rows[1], tap / self.kernel, 0)?;
                let x = source(row % rows[1], tap % self.kernel, 1)?;
                Some(y * sources[1] + x)
            },
        )
    }

    /// Weights `[taps, input, output]` for the forward product.
    #[must_use]
    pub fn pack_forward<T: Real>(&self, weight: &[T]) -> PackedMatrix<T> {
        self.pack(weight, Direction::Forward, Layout::Kernel)
    }

    /// The same weights, transposed, for the adjoint in the input.
    #[must_use]
    pub fn pack_adjoint<T: Real>(&self, weight: &[T]) -> PackedMatrix<T> {
        self.pack(weight, Direction::Adjoint, Layout::Kernel)
    }

    fn pack<T: Real>(&self, weight: &[T], direction: Direction, layout: Layout) -> PackedMatrix<T> {
        let taps: Vec<usize> = (0..self.kernel * self.kernel).collect();
        self.pack_taps(weight, &taps, direction, layout)
    }

    fn pack_taps<T: Real>(
        &self,
        weight: &[T],
        taps: &[usize],
        direction: Direction,
        layout: Layout,
    ) -> PackedMatrix<T> {
        let strides = self.strides(direction, layout);
        let (depth, columns) = match direction {
            Direction::Forward => (self.input, self.output),
            Direction::Adjoint => (self.output, self.input),
        };
        PackedMatrix::of_taps(weight, taps, depth, columns, strides)
    }

    /// From one tap, one channel that is summed over, and one channel of the
    /// result to the next.
    fn strides(&self, direction: Direction, layout: Layout) -> [usize; 3] {
        let taps = self.kernel * self.kernel;
        let (tap, input, output) = match layout {
            Layout::Kernel => (self.input * self.output, self.output, 1),
            Layout::File => (1, taps, self.input * taps),
        };
        match direction {
            Direction::Forward => [tap, input, output],
            Direction::Adjoint => [tap, output, input],
        }
    }
}

/// The order of a weight's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[taps, input, output]`.
    Kernel,
    /// `[output, input, taps]`, as PyTorch's files have it.
    File,
}

/// Which of the two products of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// x ↦ y.
    Forward,
    /// u ↦ the adjoint in the input.
    Adjoint,
}

/// How a convolution runs in one direction: what depends on the extents alone.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Convolution,
    direction: Direction,
    route: Route,
}

#[derive(Clone, Debug)]
enum Route {
    Gathered(GatherTable),
    Transformed,
    /// The adjoint of a strided convolution, by the remainders of the input
    /// position: each class of pixels sees its own taps and no others.
    Classes(Vec<Class>),
}

/// Input pixels of one remainder.
#[derive(Clone, Debug)]
struct Class {
    /// Pixels of an item.
    rows: Vec<usize>,
    taps: Vec<usize>,
    table: GatherTable,
}

/// Weights in the order that a [`Plan`] reads.
#[derive(Clone, Debug)]
pub struct PackedWeights<T>(Packed<T>);

#[derive(Clone, Debug)]
enum Packed<T> {
    Gathered(PackedMatrix<T>),
    Transformed(Winograd<T>),
    Classes(Vec<PackedMatrix<T>>),
}

impl<T: Real> PackedWeights<T> {
    /// The same weights in half the memory, if all of them are numbers of a
    /// half-precision format and the plan reads them as they are: products
    /// have the same bits.
    #[must_use]
    pub fn compact(self) -> Self {
        Self(match self.0 {
            Packed::Gathered(matrix) => Packed::Gathered(matrix.compact()),
            Packed::Classes(matrices) => {
                Packed::Classes(matrices.into_iter().map(PackedMatrix::compact).collect())
            }
            // What is transformed is no longer a half-precision number.
            transformed @ Packed::Transformed(_) => transformed,
        })
    }
}

impl Plan {
    /// The quickest way of those that suit the extents of one item. The batch
    /// has no say, so that no item's result depends on its neighbours.
    #[must_use]
    pub fn new(shape: Convolution, direction: Direction) -> Self {
        let route = if winograd::suits(&shape) {
            Route::Transformed
        } else if direction == Direction::Forward {
            Route::Gathered(shape.forward_table())
        } else if shape.stride > 1 {
            Route::Classes(shape.classes())
        } else {
            Route::Gathered(shape.adjoint_table())
        };
        Self {
            shape,
            direction,
            route,
        }
    }

    /// Packs weights.
    ///
    /// # Panics
    /// When there are fewer than the extents need.
    #[must_use]
    pub fn pack<T: Real>(&self, weight: &[T], layout: Layout) -> PackedWeights<T> {
        let (shape, direction) = (&self.shape, self.direction);
        PackedWeights(match &self.route {
            Route::Transformed => {
                let flip = direction == Direction::Adjoint;
                let turned = if flip { shape.mirrored() } else { *shape };
                let strides = shape.strides(direction, layout);
                Packed::Transformed(Winograd::new(turned, weight, strides, flip))
            }
            Route::Gathered(_) => Packed::Gathered(shape.pack(weight, direction, layout)),
            Route::Classes(classes) => {
                let pack = |class: &Class| shape.pack_taps(weight, &class.taps, direction, layout);
                Packed::Classes(classes.iter().map(pack).collect())
            }
        })
    }

    /// out = A x or Aᵀ u, with `weights` packed by an equal plan.
    ///
    /// # Panics
    /// When the extents do not fit, or `weights` are another plan's.
    pub fn product<T: Real>(
        &self,
        n: usize,
        x: &[T],
        weights: &PackedWeights<T>,
        epilogue: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        match (&self.route, &weights.0) {
            (Route::Gathered(table), Packed::Gathered(matrix)) => {
                product(n, table, x, matrix, epilogue, out);
            }
            (Route::Transformed, Packed::Transformed(winograd)) => {
                winograd.product(n, x, epilogue, out);
            }
            (Route::Classes(classes), Packed::Classes(matrices)) => {
                self.by_class(n, x, classes, matrices, epilogue, out);
            }
            _ => panic!("weights packed for another plan"),
        }
    }

    /// gradient += the adjoint of the product in the weights,
    /// `[taps, input, output]`. The sum runs in a fixed order.
    ///
    /// # Panics
    /// When the plan is not a forward one or the extents do not fit.
    pub fn weight_gradient<T: Real>(&self, n: usize, x: &[T], u: &[T], gradient: &mut [T]) {
        assert_eq!(self.direction, Direction::Forward);
        let shape = &self.shape;
        match &self.route {
            Route::Gathered(table) => {
                matrix_gradient(n, table, x, u, shape.input, shape.output, gradient);
            }
            Route::Transformed => winograd::weight_gradient(shape, n, x, u, gradient),
            Route::Classes(_) => unreachable!("only adjoints go by classes"),
        }
    }

    fn by_class<T: Real>(
        &self,
        n: usize,
        u: &[T],
        classes: &[Class],
        matrices: &[PackedMatrix<T>],
        epilogue: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        let Convolution {
            from: [height, width],
            input: channels,
            stride,
            ..
        } = self.shape;
        let item = height * width * channels;
        assert_eq!(out.len(), n * item);
        let (whole, banded): (Vec<_>, Vec<_>) = classes
            .iter()
            .zip(matrices)
            .partition(|(class, matrix)| is_matrix_large(n * class.rows.len(), matrix));
        for (class, matrix) in whole {
            let len = class.rows.len() * channels;
            let mut part = Buffer::stale(n * len);
            product(n, &class.table, u, matrix, Epilogue::Store, &mut part);
            out.par_chunks_exact_mut(item)
                .zip(part.par_chunks_exact(len.max(1)))
                .for_each(|(out, part)| {
                    for (line, &row) in part.chunks_exact(channels).zip(&class.rows) {
                        epilogue.finish(&mut out[row * channels..][..channels], line);
                    }
                });
        }
        // Bands of lines, with as many rows of each class as a panel should be
        // read for; where items are small, several of them are one task.
        let lines = stride * CLASS_ROWS.div_ceil(width.div_ceil(stride).max(1));
        let pixels = lines.min(height) * width;
        let mut bands: Vec<(usize, Range<usize>, &mut [T])> = out
            .chunks_exact_mut(item.max(1))
            .enumerate()
            .flat_map(|(item, out)| {
                let bands = out.chunks_mut((pixels * channels).max(1)).enumerate();
                bands.map(move |(band, out)| {
                    let first = band * pixels;
                    (item, first..first + out.len() / channels, out)
                })
            })
            .collect();
        let group = (CLASS_ROWS * stride * stride).div_ceil(pixels.max(1));
        let share = bands.len().div_ceil(4 * rayon::current_num_threads());
        bands
            .par_chunks_mut(group.min(share).max(1))
            .for_each(|bands| {
                for (class, matrix) in &banded {
                    class.product(u, matrix, channels, epilogue, bands);
                }
            });
    }
}

impl Class {
    /// The rows of this class in some bands, each with its item and its pixels.
    fn product<T: Real>(
        &self,
        u: &[T],
        matrix: &PackedMatrix<T>,
        channels: usize,
        epilogue: Epilogue<'_, T>,
        bands: &mut [(usize, Range<usize>, &mut [T])],
    ) {
        let within = |pixels: &Range<usize>| {
            let before = |end: usize| self.rows.partition_point(|&row| row < end);
            before(pixels.start)..before(pixels.end)
        };
        let places: Vec<(usize, usize)> = bands
            .iter()
            .flat_map(|(item, pixels, _)| within(pixels).map(|row| (*item, row)))
            .collect();
        let mut part = Buffer::zeros(places.len() * channels);
        if !self.taps.is_empty() {
            product_of_rows(&self.table, u, matrix, &places, &mut part);
        }
        let mut lines = part.chunks_exact(channels);
        for (_, pixels, out) in bands {
            for (&row, line) in self.rows[within(pixels)].iter().zip(&mut lines) {
                let to = &mut out[(row - pixels.start) * channels..][..channels];
                epilogue.finish(to, line);
            }
        }
    }
}

#[cfg(test)]
mod tests;
