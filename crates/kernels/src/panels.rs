//! The values of packed matrices, in half precision where that loses nothing,
//! and what makes values such that it does not.

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

/// Rounds values, to the nearest and to even ones, to numbers of IEEE 754's
/// binary16, or where one of them is too large for it, all to bfloat16, which
/// has the range of `f32` and three bits less. Matrices of such numbers are
/// packed in half the memory. Where one is too large even so, all stay.
pub fn round_to_half<T: Real>(values: &mut [T]) {
    if !round(values, T::to_f16, T::from_f16) {
        round(values, T::to_bf16, T::from_bf16);
    }
}

/// Rounds values to those of a narrower format, if all are finite there.
fn round<T: Real, H: Copy + Default>(
    values: &mut [T],
    narrow: fn(&[T], &mut [H]),
    widen: fn(&[H], &mut [T]),
) -> bool {
    let mut halves = vec![H::default(); PART.min(values.len())];
    let mut nearest = |part: &[T], rounded: &mut [T]| {
        narrow(part, &mut halves[..part.len()]);
        widen(&halves[..part.len()], rounded);
    };
    let mut rounded = vec![T::ZERO; PART.min(values.len())];
    for part in values.chunks(PART) {
        let rounded = &mut rounded[..part.len()];
        nearest(part, rounded);
        if !rounded.iter().all(|value| value.is_finite()) {
            return false;
        }
    }
    for part in values.chunks_mut(PART) {
        let rounded = &mut rounded[..part.len()];
        nearest(part, rounded);
        part.copy_from_slice(rounded);
    }
    true
}

/// Values that are narrowed at a time.
const PART: usize = 1 << 12;

/// The values in a narrower format, if none changes.
fn narrowed<T: Real, H: Copy + Default + Send + Sync>(
    values: &[T],
    narrow: fn(&[T], &mut [H]),
    widen: fn(&[H], &mut [T]),
) -> Option<Vec<H>> {
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
    fn values_are_rounded_to_what_fits() {
        let rounded = |last: f32| {
            let mut values = [vec![1.0 / 3.0; 10_000], vec![last]].concat();
            round_to_half(&mut values);
            (values[0], values[10_000], kind(values))
        };
        // The nearest numbers with 11 and with 8 bits.
        let (third, coarse) = (0.333_251_95, 0.333_984_38);
        assert_eq!(rounded(65_519.0), (third, 65_504.0, "f16"));
        assert_eq!(rounded(-65_519.0), (third, -65_504.0, "f16"));
        assert_eq!(rounded(6.5e-8), (third, 2f32.powi(-24), "f16"));
        assert_eq!(rounded(2e-8), (third, 0.0, "f16"));
        // Half-way, the even one.
        assert_eq!(rounded(2049.0), (third, 2048.0, "f16"));
        assert_eq!(rounded(2051.0), (third, 2052.0, "f16"));
        assert_eq!(rounded(65_520.0), (coarse, 65_536.0, "bf16"));
        assert_eq!(rounded(f32::MAX), (1.0 / 3.0, f32::MAX, "full"));
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
