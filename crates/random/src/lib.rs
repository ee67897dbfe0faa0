//! Named random streams.
//!
//! There is no global random state in Alice. Every draw names its stream by
//! (seed, purpose, item, step), so that sample `i` is the same at any batch
//! size, thread count or machine.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A reproducible stream of random numbers.
///
/// The generator is ChaCha8, keyed by the four parts of the stream's name.
///
/// ```
/// use alice_random::Stream;
/// let mut a = Stream::new(7, "noise", 3, 0);
/// let mut b = Stream::new(7, "noise", 3, 0);
/// assert_eq!(a.normals::<f32>(4), b.normals::<f32>(4));
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// The stream named by a seed, a purpose, an item and a step.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, item: u64, step: u64) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes()).to_le_bytes());
        key[16..24].copy_from_slice(&item.to_le_bytes());
        key[24..].copy_from_slice(&step.to_le_bytes());
        Self {
            generator: ChaCha8Rng::from_seed(key),
        }
    }

    /// 64 uniform random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A uniform number in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A uniform integer in 0..count (0 when `count` is 0).
    pub fn below(&mut self, count: usize) -> usize {
        // Multiply-shift: the bias is at most count / 2⁶⁴.
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Two independent standard normal numbers (Box–Muller, with `libm` so
    /// that every platform draws the same).
    pub fn normal_pair(&mut self) -> (f64, f64) {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let (sine, cosine) = libm::sincos(std::f64::consts::TAU * self.uniform());
        (radius * cosine, radius * sine)
    }

    /// `count` independent standard normal numbers.
    #[must_use]
    pub fn normals<T: FromF64>(&mut self, count: usize) -> Vec<T> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let (a, b) = self.normal_pair();
            values.push(T::from_f64(a));
            values.push(T::from_f64(b));
        }
        values.truncate(count);
        values
    }
}

/// Floating-point types that a stream can fill.
pub trait FromF64 {
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
}

impl FromF64 for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl FromF64 for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_name_changes_the_stream() {
        let first = |mut stream: Stream| stream.bits();
        let base = first(Stream::new(1, "a", 2, 3));
        assert_eq!(base, first(Stream::new(1, "a", 2, 3)));
        for other in [
            Stream::new(2, "a", 2, 3),
            Stream::new(1, "b", 2, 3),
            Stream::new(1, "a", 3, 3),
            Stream::new(1, "a", 2, 4),
        ] {
            assert_ne!(base, first(other));
        }
    }

    #[test]
    fn normals_have_unit_moments() {
        let values: Vec<f64> = Stream::new(0, "moments", 0, 0).normals(200_000);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let kurtosis = values.iter().map(|v| v.powi(4)).sum::<f64>() / count;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.015, "{variance}");
        assert!((kurtosis - 3.0).abs() < 0.1, "{kurtosis}");
    }

    #[test]
    fn integers_stay_below_their_bound() {
        let mut stream = Stream::new(0, "below", 0, 0);
        let mut seen = [0usize; 5];
        for _ in 0..5_000 {
            seen[stream.below(5)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        assert_eq!(stream.below(0), 0);
    }
}
