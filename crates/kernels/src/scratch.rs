//! Working memory that is used again: fresh memory costs page faults, and
//! zeros that nobody reads.

use crate::Real;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Buffers kept for later, at most.
const KEPT: usize = 32;

/// Buffers of one scalar type that wait to be used again.
#[derive(Debug, Default)]
pub struct Pool<T>(Mutex<Vec<Vec<T>>>);

impl<T> Pool<T> {
    /// An empty pool.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

/// A working buffer. Its values are left over from earlier use.
pub(crate) struct Scratch<T: Real> {
    values: Vec<T>,
    len: usize,
}

impl<T: Real> Scratch<T> {
    /// A buffer of `len` arbitrary values.
    pub(crate) fn new(len: usize) -> Self {
        let mut values = Vec::new();
        if let Ok(mut kept) = T::pool().0.lock() {
            let fitting = kept.iter().enumerate().filter(|(_, v)| v.len() >= len);
            let smallest = fitting.min_by_key(|(_, v)| v.len()).map(|(i, _)| i);
            if let Some(index) = smallest {
                values = kept.swap_remove(index);
            }
        }
        if values.len() < len {
            values = vec![T::ZERO; len.next_power_of_two()];
        }
        Self { values, len }
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut scratch = Self::new(len);
        scratch.fill(T::ZERO);
        scratch
    }
}

impl<T: Real> Drop for Scratch<T> {
    fn drop(&mut self) {
        if let Ok(mut kept) = T::pool().0.lock() {
            kept.push(std::mem::take(&mut self.values));
            if kept.len() > KEPT {
                let smallest = (0..kept.len()).min_by_key(|&i| kept[i].len());
                smallest.map(|index| kept.swap_remove(index));
            }
        }
    }
}

impl<T: Real> Deref for Scratch<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T: Real> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}
