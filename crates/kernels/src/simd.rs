//! Run-time choice of the instruction set for loops that vectorise by themselves.

use crate::Real;
use rayon::prelude::*;
use std::ops::{Add, Mul, Sub};

/// Runs a closure compiled for the widest instruction set of this CPU. The
/// closure and what it calls must be `#[inline(always)]` to profit.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Slices of `len` values, or `count` empty ones when there are no values.
pub(crate) fn slices_mut<T: Real>(
    values: &mut [T],
    len: usize,
    count: usize,
) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let mut slices: Vec<&mut [T]> = values.chunks_mut(len).collect();
    slices.resize_with(count, Default::default);
    slices.into_par_iter()
}

/// Neighbouring values that go through a formula together. Loops over lanes
/// stay vectors where a loop over channels is too short to become one.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<T>(pub(crate) [T; LANES]);

/// As many as the widest vector holds.
pub(crate) const LANES: usize = 16;

impl<T: Real> Lanes<T> {
    pub(crate) const ZERO: Self = Self([T::ZERO; LANES]);

    /// The first values, with zeros behind the last.
    #[inline(always)]
    pub(crate) fn load(from: &[T]) -> Self {
        match from.first_chunk() {
            Some(whole) => Self(*whole),
            None => Self::load_part(from),
        }
    }

    // Apart: inlined, it would be merged with a whole vector's way into one copy
    // of any length, which calls the C library with the registers put away.
    #[inline(never)]
    fn load_part(from: &[T]) -> Self {
        let mut lanes = Self::ZERO;
        lanes.0[..from.len()].copy_from_slice(from);
        lanes
    }

    #[inline(always)]
    pub(crate) fn store(self, to: &mut [T]) {
        match to.first_chunk_mut() {
            Some(whole) => *whole = self.0,
            None => self.store_part(to),
        }
    }

    #[inline(never)]
    fn store_part(&self, to: &mut [T]) {
        to.copy_from_slice(&self.0[..to.len()]);
    }
}

/// Copies a vector, or as much of it as there is.
#[inline(always)]
pub(crate) fn copy_vector<T: Real>(from: &[T], to: &mut [T]) {
    // Apart, as `load_part` is.
    #[inline(never)]
    fn copy_part<T: Real>(from: &[T], to: &mut [T]) {
        let len = LANES.min(from.len()).min(to.len());
        to[..len].copy_from_slice(&from[..len]);
    }
    match (from.first_chunk::<LANES>(), to.first_chunk_mut::<LANES>()) {
        (Some(from), Some(to)) => *to = *from,
        _ => copy_part(from, to),
    }
}

/// One value or a vector of them, for formulas that are written once: loops
/// over channels go by whole vectors, and over what is left by single values.
pub(crate) trait Part<T>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// The values from `at` on.
    fn read(from: &[T], at: usize) -> Self;
    /// Writes them from `at` on.
    fn write(self, to: &mut [T], at: usize);
}

impl<T: Real> Part<T> for T {
    #[inline(always)]
    fn read(from: &[T], at: usize) -> Self {
        from[at]
    }
    #[inline(always)]
    fn write(self, to: &mut [T], at: usize) {
        to[at] = self;
    }
}

impl<T: Real> Part<T> for Lanes<T> {
    #[inline(always)]
    fn read(from: &[T], at: usize) -> Self {
        Self(*from[at..].first_chunk().expect("a whole vector"))
    }
    #[inline(always)]
    fn write(self, to: &mut [T], at: usize) {
        *to[at..].first_chunk_mut().expect("a whole vector") = self.0;
    }
}

/// Calls `whole` where vectors of `len` values begin, and `single` for each
/// value behind the last.
#[inline(always)]
pub(crate) fn by_lanes<S>(
    len: usize,
    state: &mut S,
    whole: impl Fn(&mut S, usize),
    single: impl Fn(&mut S, usize),
) {
    let mut at = 0;
    while at + LANES <= len {
        whole(state, at);
        at += LANES;
    }
    for at in at..len {
        single(state, at);
    }
}

impl<T: Real> Mul for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] *= other.0[i];
        }
        self
    }
}

impl<T: Real> Add for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] += other.0[i];
        }
        self
    }
}

impl<T: Real> Sub for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for i in 0..LANES {
            self.0[i] = self.0[i] - other.0[i];
        }
        self
    }
}

/// Times a number.
impl<T: Real> Mul<f64> for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(mut self, factor: f64) -> Self {
        for i in 0..LANES {
            self.0[i] *= T::from_f64(factor);
        }
        self
    }
}
