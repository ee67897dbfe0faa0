//! Changes of memory layout.

use crate::Real;

/// Transposes each item of a batch, `[n, rows, columns]` → `[n, columns, rows]`.
///
/// # Panics
/// When `values` does not hold n · rows · columns values.
#[must_use]
pub fn permute_items<T: Real>(values: &[T], n: usize, rows: usize, columns: usize) -> Vec<T> {
    assert_eq!(values.len(), n * rows * columns);
    let mut out = vec![T::ZERO; values.len()];
    if rows == 0 || columns == 0 {
        return out;
    }
    // A square of a few cache lines on both sides at a time.
    const SIDE: usize = 32;
    let items = values.chunks_exact(rows * columns);
    for (from, to) in items.zip(out.chunks_exact_mut(rows * columns)) {
        for first_row in (0..rows).step_by(SIDE) {
            for first_column in (0..columns).step_by(SIDE) {
                let block = first_row..rows.min(first_row + SIDE);
                for column in first_column..columns.min(first_column + SIDE) {
                    let line = &mut to[column * rows..(column + 1) * rows];
                    for (row, value) in block.clone().zip(&mut line[block.clone()]) {
                        *value = from[row * columns + column];
                    }
                }
            }
        }
    }
    out
}
