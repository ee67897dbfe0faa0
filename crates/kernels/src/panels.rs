//! The values of packed matrices, in half precision where that loses nothing.

use crate::Real;
use crate::buffer::Buffer;
use half::{bf16, f16};
use rayon::prelude::*;
use std::ops::Range;

/// Values of a packed matrix. Checkpoints are often stored in half precision;
/// their matrices stay so in memory and are widened a part at a time, when
/// that part is in cache.
#[derive(Clone, Debug)]
pub(crate) enum Panels<T> {
    /// As they are.
    Full(Vec<T>),
    /// All of them are numbers of IEEE 754's binary16.
    F16(Vec<f16>),
    /// All of them are numbers of bfloat16.
    Bf16(Vec<bf16>),
}

impl<T: Real> Panels<T> {
    /// In half precision, if every value is a number of such a format.
    pub(crate) fn compact(self) -> Self {
        let Self::Full(values) = &self else {
            return self;
        };
        if let Some(halves) = narrowed(values, T::to_f16, T::from_f16) {
            return Self::F16(halves);
        }
        if let Some(halves) = narrowed(values, T::to_bf16, T::from_bf16) {
            return Self::Bf16(halves);
        }
        self
    }

    /// Bytes of the values.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Full(values) => size_of_val(values.as_slice()),
            Self::F16(values) => size_of_val(values.as_slice()),
            Self::Bf16(values) => size_of_val(values.as_slice()),
        }
    }

    /// Room to widen `len` values, none where they are read in place.
    pub(crate) fn buffer(&self, len: usize) -> Buffer<T> {
        match self {
            Self::Full(_) => Buffer::stale(0),
            _ => Buffer::stale(len),
        }
    }

    /// Some of the values; `buffer` holds at least as many, if it was made
    /// with room for them.
    pub(crate) fn values<'a>(&'a self, range: Range<usize>, buffer: &'a mut [T]) -> &'a [T] {
        match self {
            Self::Full(values) => &values[range],
            Self::F16(values) => {
                let buffer = &mut buffer[..range.len()];
                T::from_f16(&values[range], buffer);
                buffer
            }
            Self::Bf16(values) => {
                let buffer = &mut buffer[..range.len()];
                T::from_bf16(&values[range], buffer);
                buffer
            }
        }
    }
}

/// The values in a narrower format, if none changes.
fn narrowed<T: Real, H: Copy + Default + Send + Sync>(
    values: &[T],
    narrow: fn(&[T], &mut [H]),
    widen: fn(&[H], &mut [T]),
) -> Option<Vec<H>> {
    const PART: usize = 1 << 12;
    let survive = |values: &[T], halves: &mut [H]| {
        narrow(values, halves);
        let mut back = Buffer::stale(values.len());
        widen(halves, &mut back);
        // Equal zeros may differ in their sign, which no sum shows.
        *back == *values
    };
    // Most matrices that do not fit show it at once.
    let first = &values[..values.len().min(64)];
    if !survive(first, &mut vec![H::default(); first.len()]) {
        return None;
    }
    let mut halves = vec![H::default(); values.len()];
    let parts = halves.par_chunks_mut(PART).zip(values.par_chunks(PART));
    let all = parts.map(|(halves, values)| survive(values, halves));
    all.all(|survived| survived).then_some(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: Vec<f32>) -> &'static str {
        match Panels::Full(values).compact() {
            Panels::Full(_) => "full",
            Panels::F16(_) => "f16",
            Panels::Bf16(_) => "bf16",
        }
    }

    #[test]
    fn halves_are_recognised() {
        let of = |last: f32| [vec![0.5; 10_000], vec![last]].concat();
        assert_eq!(kind(of(65504.0)), "f16");
        assert_eq!(kind(of(6e-8)), "full");
        assert_eq!(kind(of(-0.333_251_95)), "f16");
        assert_eq!(kind(of(1e30)), "full");
        assert_eq!(kind(of(f32::from_bits(0x7149_0000))), "bf16");
        assert_eq!(kind(of(0.333_333_34)), "full");
        assert_eq!(kind(of(f32::NAN)), "full");
        assert_eq!(kind(Vec::new()), "f16");
    }

    #[test]
    fn halves_are_widened_to_the_same_values() {
        let values: Vec<f32> = (0..4_000).map(|i| i as f32 / 1024.0 - 2.0).collect();
        let halves = Panels::Full(values.clone()).compact();
        assert_eq!(2 * halves.bytes(), Panels::Full(values.clone()).bytes());
        let mut buffer = halves.buffer(77);
        assert_eq!(halves.values(1000..1077, &mut buffer), &values[1000..1077]);
        let doubles: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
        let halves = Panels::Full(doubles.clone()).compact();
        let mut buffer = halves.buffer(77);
        assert_eq!(halves.values(1000..1077, &mut buffer), &doubles[1000..1077]);
    }
}
