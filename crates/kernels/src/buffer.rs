//! Arrays whose memory is used again: fresh memory costs page faults, and
//! zeros that nobody reads.

use crate::Real;
use rayon::prelude::*;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Bytes that one thread keeps for later, at most.
const KEPT: usize = 64 << 20;
/// Values from which on it pays to keep an array.
const LEAST: usize = 1 << 10;

/// An array whose memory goes back to a pool of the thread that drops it.
pub struct Buffer<T> {
    /// `len` values and whatever lies behind them.
    values: Vec<T>,
    len: usize,
    recycle: fn(Vec<T>),
}

/// Arrays of one thread that wait to be used again, the oldest first.
#[derive(Debug, Default)]
pub struct Pool<T> {
    kept: Vec<Vec<T>>,
    bytes: usize,
}

impl<T> Pool<T> {
    /// An empty pool.
    pub(crate) const fn new() -> Self {
        Self {
            kept: Vec::new(),
            bytes: 0,
        }
    }

    /// The smallest array of at least `len` values that does not waste more
    /// than it holds.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let lengths = self.kept.iter().map(Vec::len).enumerate();
        let fitting = lengths.filter(|&(_, found)| found >= len && found <= 2 * len);
        let (index, _) = fitting.min_by_key(|&(_, found)| found)?;
        let values = self.kept.remove(index);
        self.bytes -= size_of_val(values.as_slice());
        Some(values)
    }

    fn give(&mut self, values: Vec<T>) {
        let bytes = size_of_val(values.as_slice());
        if values.len() < LEAST || bytes > KEPT {
            return;
        }
        self.bytes += bytes;
        self.kept.push(values);
        while self.bytes > KEPT {
            self.bytes -= size_of_val(self.kept.remove(0).as_slice());
        }
    }
}

impl<T: Real> Buffer<T> {
    /// An array of `len` values left over from earlier use, for callers that
    /// write every one of them. With debug assertions they are NaN, so that a
    /// value that was not written shows.
    #[must_use]
    pub fn stale(len: usize) -> Self {
        let mut buffer = Self::find(len).unwrap_or_else(|| vec![T::ZERO; len].into());
        if cfg!(debug_assertions) {
            buffer.fill(T::from_f64(f64::NAN));
        }
        buffer
    }

    /// An array of `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let Some(mut buffer) = Self::find(len) else {
            return vec![T::ZERO; len].into();
        };
        buffer.fill(T::ZERO);
        buffer
    }

    /// The values alone.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<T> {
        let mut values = std::mem::take(&mut self.values);
        values.truncate(self.len);
        values
    }

    fn find(len: usize) -> Option<Self> {
        let values = (len >= LEAST)
            .then(|| T::with_pool(|pool| pool.take(len)).flatten())
            .flatten()?;
        Some(Self {
            values,
            len,
            recycle: recycle::<T>,
        })
    }
}

fn recycle<T: Real>(values: Vec<T>) {
    T::with_pool(|pool| pool.give(values));
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        (self.recycle)(std::mem::take(&mut self.values));
    }
}

impl<T: Real> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self {
            len: values.len(),
            values,
            recycle: recycle::<T>,
        }
    }
}

impl<T: Real> From<&[T]> for Buffer<T> {
    fn from(values: &[T]) -> Self {
        let Some(mut buffer) = Self::find(values.len()) else {
            return values.to_vec().into();
        };
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T: Clone> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self {
            values: self.to_vec(),
            len: self.len,
            recycle: self.recycle,
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The part of a new array that is not written yet.
pub(crate) struct Room<'a, T> {
    free: &'a mut [T],
}

impl<T: Real> Room<'_, T> {
    /// Writes the next values.
    ///
    /// # Panics
    /// When there is no room for them.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[T]) {
        let (next, free) = std::mem::take(&mut self.free).split_at_mut(values.len());
        next.copy_from_slice(values);
        self.free = free;
    }
}

/// An array of `len` values, of which `fill` writes those of part i in order;
/// all parts but the last have `part` values.
pub(crate) fn filled<T: Real>(
    len: usize,
    part: usize,
    fill: impl Fn(usize, &mut Room<'_, T>) + Sync,
) -> Buffer<T> {
    let mut values = Buffer::stale(len);
    values
        .par_chunks_mut(part.max(1))
        .enumerate()
        .for_each(|(index, free)| {
            let mut room = Room { free };
            fill(index, &mut room);
            debug_assert!(room.free.is_empty(), "every value of a part is written");
        });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, whose pool no other test fills.
    fn alone(test: fn()) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn memory_is_used_again() {
        alone(|| {
            let first = Buffer::from(vec![1f32; 5_000]);
            let at = first.as_ptr();
            drop(first);
            // Far smaller and larger ones are made anew.
            assert_ne!(Buffer::<f32>::zeros(2_000).as_ptr(), at);
            assert_ne!(Buffer::<f32>::zeros(5_001).as_ptr(), at);
            let again = Buffer::<f32>::zeros(4_000);
            assert_eq!(again.as_ptr(), at);
            assert_eq!(*again, [0.0; 4_000]);
            // What lay behind is still there, and no one else's.
            drop(again);
            assert_eq!(Buffer::from(&[2f32; 5_000][..]).as_ptr(), at);
        });
    }

    #[test]
    fn what_is_kept_is_bounded() {
        alone(|| {
            for _ in 0..3 {
                let many: Vec<_> = (0..40).map(|_| Buffer::<f32>::zeros(1 << 20)).collect();
                drop(many);
            }
            let bytes = f32::with_pool(|pool| (pool.bytes, pool.kept.len()));
            assert_eq!(bytes, Some((KEPT, 16)));
            drop(Buffer::<f32>::zeros(KEPT));
            assert_eq!(f32::with_pool(|pool| pool.bytes), Some(KEPT));
        });
    }

    #[test]
    fn values_survive() {
        let buffer: Buffer<f32> = Buffer::from(vec![1.0, 2.0]);
        assert_eq!(buffer.clone(), buffer);
        assert_eq!(buffer.clone().into_vec(), [1.0, 2.0]);
        assert_eq!(format!("{buffer:?}"), "[1.0, 2.0]");
        if cfg!(debug_assertions) {
            assert!(Buffer::<f32>::stale(3).iter().all(|v| v.is_nan()));
        }
    }
}
