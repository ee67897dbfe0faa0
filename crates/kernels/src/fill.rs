//! Arrays made by copying, without zeros that are overwritten at once.
//!
//! With the microkernels, the one reviewed place for `unsafe`.
#![allow(
    unsafe_code,
    reason = "the length of a vector is set once every value is written, which is counted"
)]

use crate::Real;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// The part of a new array that is not written yet.
pub(crate) struct Room<'a, T> {
    free: &'a mut [MaybeUninit<T>],
}

impl<T: Real> Room<'_, T> {
    /// Writes the next values.
    ///
    /// # Panics
    /// When there is no room for them.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[T]) {
        let (next, free) = std::mem::take(&mut self.free).split_at_mut(values.len());
        for (to, &value) in next.iter_mut().zip(values) {
            to.write(value);
        }
        self.free = free;
    }
}

/// An array of `len` values, of which `fill` writes those of part i in order;
/// all parts but the last have `part` values.
///
/// # Panics
/// When `fill` writes fewer or more values than a part has.
pub(crate) fn filled<T: Real>(
    len: usize,
    part: usize,
    fill: impl Fn(usize, &mut Room<'_, T>) + Sync,
) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    values.spare_capacity_mut()[..len]
        .par_chunks_mut(part.max(1))
        .enumerate()
        .for_each(|(index, free)| {
            let mut room = Room { free };
            fill(index, &mut room);
            assert!(room.free.is_empty(), "every value of a part is written");
        });
    // SAFETY: the capacity is at least `len`, and the first `len` values are
    // written: the parts cover them, a `Room` shrinks only by values that it
    // has written, and each was found empty, or the loop had panicked.
    unsafe { values.set_len(len) };
    values
}
