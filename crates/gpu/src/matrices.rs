//! Matrix products: convolutions and linear maps, and those of attention.

use crate::arrays::Array;
use crate::kernel::Kernel;
use crate::product::{Factors, Tile};
use crate::recorder::{MOST_GROUPS, Recorder};
use alice_calculus::GraphError;

/// A convolution, or a linear map as one of a kernel of one pixel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution(pub(crate) alice_calculus::Convolution);

impl Convolution {
    /// The convolution of `n` pictures x with `[side², input, output]`.
    pub(crate) fn forward(
        &self,
        recorder: &mut Recorder<'_>,
        n: usize,
        x: &Array,
        weight: &Array,
        bias: Option<&Array>,
    ) -> Result<Array, GraphError> {
        self.product(recorder, n, x, weight, bias, false)
    }

    /// Its adjoint, of `n` pictures of cotangents.
    pub(crate) fn adjoint(
        &self,
        recorder: &mut Recorder<'_>,
        n: usize,
        u: &Array,
        weight: &Array,
    ) -> Result<Array, GraphError> {
        self.product(recorder, n, u, weight, None, true)
    }

    fn product(
        &self,
        recorder: &mut Recorder<'_>,
        n: usize,
        x: &Array,
        weight: &Array,
        bias: Option<&Array>,
        adjoint: bool,
    ) -> Result<Array, GraphError> {
        let shape = &self.0;
        let (from, to, depth, columns) = if adjoint {
            (shape.to, shape.from, shape.output, shape.input)
        } else {
            (shape.from, shape.to, shape.input, shape.output)
        };
        // Rows of the weights are those of `input`.
        let strides = if adjoint { [1, depth] } else { [columns, 1] };
        let rows = n * to[0] * to[1];
        let out = recorder.array(rows * columns)?;
        let extents = [
            rows,
            columns,
            depth,
            strides[0],
            strides[1],
            shape.kernel * shape.kernel,
            shape.kernel,
            shape.stride,
            shape.before[0],
            shape.before[1],
            from[0],
            from[1],
            to[0],
            to[1],
            usize::from(adjoint),
            usize::from(bias.is_some()),
        ]
        .map(|value| value as u32);
        let tile = Tile::of(to[0] * to[1], columns);
        let (tile_rows, tile_columns) = tile.extents();
        let row_tiles = rows.div_ceil(tile_rows);
        let groups = [
            columns.div_ceil(tile_columns),
            row_tiles.min(MOST_GROUPS),
            row_tiles.div_ceil(MOST_GROUPS),
        ];
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        let kernel = Kernel::Product(Factors::Gathered, tile);
        recorder.run(kernel, groups, &extents, &out, &inputs);
        Ok(out)
    }
}

/// Matrices inside an array: one for each item and head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrices<'a> {
    pub(crate) array: &'a Array,
    /// Items of the product that share one.
    pub(crate) repeat: usize,
    pub(crate) item: usize,
    pub(crate) head: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) first: usize,
}

impl Matrices<'_> {
    pub(crate) fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// result ← factor · left · right, or added to it; `[rows, columns]` with
/// `depth` between them, for each of `items` and `heads`. The result's
/// columns are neighbours.
pub(crate) fn multiply(
    recorder: &mut Recorder<'_>,
    [rows, columns, depth]: [usize; 3],
    [items, heads]: [usize; 2],
    left: Matrices<'_>,
    right: Matrices<'_>,
    result: Matrices<'_>,
    factor: f64,
    add: bool,
) {
    let extents = [
        rows,
        columns,
        depth,
        right.row,
        right.column,
        heads,
        left.repeat,
        right.repeat,
        left.item,
        left.head,
        left.row,
        left.column,
        left.first,
        right.item,
        right.head,
        right.first,
        result.item,
        result.head,
        result.row,
        result.first,
        usize::from(add),
    ];
    let mut extents: Vec<u32> = extents.iter().map(|&value| value as u32).collect();
    extents.push((factor as f32).to_bits());
    let tile = Tile::of(rows, columns);
    let (tile_rows, tile_columns) = tile.extents();
    let groups = [
        columns.div_ceil(tile_columns),
        rows.div_ceil(tile_rows),
        items * heads,
    ];
    let kernel = Kernel::Product(Factors::Batched, tile);
    let inputs = [left.array, right.array];
    recorder.run(kernel, groups, &extents, result.array, &inputs);
}
