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
    let items = values.chunks_exact(rows * columns);
    for (from, to) in items.zip(out.chunks_exact_mut(rows * columns)) {
        for (column, line) in to.chunks_exact_mut(rows).enumerate() {
            for (row, value) in line.iter_mut().enumerate() {
                *value = from[row * columns + column];
            }
        }
    }
    out
}
