//! Standard normal numbers, fast enough for populations of networks.
//!
//! Rows share a stream in groups of about 64 values; the group depends on the
//! row and on d alone, so the noise of individual i does not depend on the
//! population, the batch or the threads.

use crate::real::vectorized;
use alice_random::Stream;
use rayon::prelude::*;

/// Values that are worth a stream of their own.
const GROUP: usize = 64;
/// Pairs that are drawn at once.
const BATCH: usize = 256;

/// `[rows, d]` standard normal numbers, with the 24 significant bits of f32
/// and tails to 6.7 standard deviations, given row by row to `each`:
/// `each(values of a row, its row of data)`.
pub(crate) fn for_each_row(
    (seed, purpose, step): (u64, &str, u64),
    dimension: usize,
    data: &mut [f64],
    each: impl Fn(usize, &[f32], &mut [f64]) + Sync,
) {
    let rows = GROUP.div_ceil(dimension);
    let groups = data.par_chunks_mut(rows * dimension);
    groups
        .enumerate()
        .for_each_init(Vec::new, |noise: &mut Vec<f32>, (group, data)| {
            let mut stream = Stream::new(seed, purpose, group as u64, step);
            noise.resize(data.len(), 0.0);
            fill(&mut stream, noise);
            let pairs = noise.chunks(dimension).zip(data.chunks_mut(dimension));
            for (i, (noise, row)) in pairs.enumerate() {
                each(group * rows + i, noise, row);
            }
        });
}

fn fill(stream: &mut Stream, values: &mut [f32]) {
    let mut bits = [0u64; BATCH];
    let mut pairs = [[0f32; BATCH]; 2];
    for chunk in values.chunks_mut(2 * BATCH) {
        let count = chunk.len().div_ceil(2);
        bits[..count].iter_mut().for_each(|b| *b = stream.bits());
        vectorized(
            #[inline(always)]
            || transform(&bits, &mut pairs, count),
        );
        let [first, second] = &pairs;
        let (whole, last) = chunk.as_chunks_mut::<2>();
        for (values, (a, b)) in whole.iter_mut().zip(first.iter().zip(second)) {
            *values = [*a, *b];
        }
        if let [last] = last {
            *last = first[whole.len()];
        }
    }
}

/// Box–Muller: 64 random bits become two normal numbers.
#[inline(always)]
fn transform(bits: &[u64; BATCH], pairs: &mut [[f32; BATCH]; 2], count: usize) {
    let [first, second] = pairs;
    for i in 0..count.next_multiple_of(16).min(BATCH) {
        let (low, high) = (bits[i] as u32, (bits[i] >> 32) as u32);
        // (0, 1]: 2⁻³³ at the least, so that the logarithm is finite.
        let uniform = (low as f32 + 0.5) * (1.0 / 4_294_967_296.0);
        let radius = (-2.0 * logarithm(uniform)).sqrt();
        let (sine, cosine) = sine_cosine(high);
        first[i] = radius * cosine;
        second[i] = radius * sine;
    }
}

/// ln x for normal x (Cephes; relative error 1e-7).
#[inline(always)]
fn logarithm(x: f32) -> f32 {
    let bits = x.to_bits();
    // The mantissa in √½..√2.
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = ((shifted as i32) >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let f = mantissa - 1.0;
    let z = f * f;
    let p = 7.037_683_6e-2;
    let p = p * f - 1.151_461e-1;
    let p = p * f + 1.167_699_9e-1;
    let p = p * f - 1.242_014_1e-1;
    let p = p * f + 1.424_932_3e-1;
    let p = p * f - 1.666_805_8e-1;
    let p = p * f + 2.000_071_5e-1;
    let p = p * f - 2.499_999_4e-1;
    let p = p * f + 3.333_333e-1;
    let y = p * f * z - 2.121_944_4e-4 * exponent - 0.5 * z;
    f + y + 0.693_359_4 * exponent
}

/// Sine and cosine of 2π k / 2³² (Cephes, within an eighth of a turn).
#[inline(always)]
fn sine_cosine(k: u32) -> (f32, f32) {
    let quadrant = k.wrapping_add(1 << 29) >> 30;
    let rest = k.wrapping_sub(quadrant << 30) as i32;
    let angle = rest as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = angle * angle;
    let p = (-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1;
    let sine = angle + angle * z * p;
    let p = (2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2;
    let cosine = 1.0 - 0.5 * z + z * z * p;
    let (a, b) = if quadrant & 1 == 0 {
        (sine, cosine)
    } else {
        (cosine, sine)
    };
    let sign = |value: f32, flip: u32| f32::from_bits(value.to_bits() ^ (flip << 31));
    (
        sign(a, quadrant >> 1),
        sign(b, (quadrant ^ (quadrant >> 1)) & 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, rows: usize, dimension: usize) -> Vec<f64> {
        let mut data = vec![0.0; rows * dimension];
        for_each_row((seed, "test", 3), dimension, &mut data, |_, noise, row| {
            for (x, n) in row.iter_mut().zip(noise) {
                *x = f64::from(*n);
            }
        });
        data
    }

    #[test]
    fn the_functions_are_those_of_libm() {
        for i in 0..200_000u32 {
            let k = i.wrapping_mul(2_654_435_761);
            let turn = f64::from(k) / 4_294_967_296.0 * std::f64::consts::TAU;
            let (sine, cosine) = sine_cosine(k);
            assert!((f64::from(sine) - turn.sin()).abs() < 2e-7, "{turn}");
            assert!((f64::from(cosine) - turn.cos()).abs() < 2e-7, "{turn}");
            let x = (k as f32 + 0.5) * (1.0 / 4_294_967_296.0);
            let exact = f64::from(x).ln();
            assert!((f64::from(logarithm(x)) - exact).abs() < 2e-7 * exact.abs().max(1.0));
        }
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        for dimension in [1, 2, 300] {
            let values = normals(5, 240_000 / dimension, dimension);
            let moment =
                |p: i32| values.iter().map(|v| v.powi(p)).sum::<f64>() / values.len() as f64;
            assert!(moment(1).abs() < 0.01, "{}", moment(1));
            assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
            assert!(moment(3).abs() < 0.05, "{}", moment(3));
            assert!((moment(4) - 3.0).abs() < 0.12, "{}", moment(4));
        }
    }

    #[test]
    fn a_row_does_not_depend_on_how_many_there_are() {
        let few = normals(1, 10, 7);
        let many = normals(1, 1000, 7);
        assert_eq!(few, many[..70]);
        assert_ne!(few, normals(2, 10, 7));
    }
}
