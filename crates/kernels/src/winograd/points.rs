//! The interpolation points, and the transforms that they give.

use crate::Real;
use crate::simd::{LANES, Lanes};
use std::ops::Range;

/// Side of an output tile.
pub(super) const TILE: usize = 4;
/// Side of an input tile.
pub(super) const SIDE: usize = 6;
/// Entries of a tile in the transform domain.
pub(super) const ENTRIES: usize = SIDE * SIDE;
/// The points ±P, ±Q.
const P: f64 = 0.75;
const Q: f64 = 1.5;
/// 1 / Π (a − b) over the other points b, for the points 0, ±P and ±Q.
const SCALE: f64 = 1.0 / (P * P * Q * Q);
const SCALE_P: f64 = 1.0 / (2.0 * P * P * (P * P - Q * Q));
const SCALE_Q: f64 = 1.0 / (2.0 * Q * Q * (Q * Q - P * P));

/// One axis of a transform from N values to [`SIDE`] entries. A type, as a
/// function that is handed over is not compiled for the wide vectors.
pub(super) trait Axis<T, const N: usize> {
    fn entries(values: [Lanes<T>; N]) -> [Lanes<T>; SIDE];
}

/// G w.
pub(super) struct Kernel;
/// Bᵀ d.
pub(super) struct Input;
/// A y.
pub(super) struct Output;

impl<T: Real> Axis<T, 3> for Kernel {
    #[inline(always)]
    fn entries([a, b, c]: [Lanes<T>; 3]) -> [Lanes<T>; SIDE] {
        let (even_p, odd_p) = ((a + c * (P * P)) * SCALE_P, b * (P * SCALE_P));
        let (even_q, odd_q) = ((a + c * (Q * Q)) * SCALE_Q, b * (Q * SCALE_Q));
        [
            a * SCALE,
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            c,
        ]
    }
}

impl<T: Real> Axis<T, SIDE> for Input {
    #[inline(always)]
    fn entries(d: [Lanes<T>; SIDE]) -> [Lanes<T>; SIDE] {
        const PRODUCT: f64 = P * P * Q * Q;
        const SUM: f64 = P * P + Q * Q;
        let (even_p, odd_p) = (d[4] - d[2] * (Q * Q), (d[3] - d[1] * (Q * Q)) * P);
        let (even_q, odd_q) = (d[4] - d[2] * (P * P), (d[3] - d[1] * (P * P)) * Q);
        [
            d[0] * PRODUCT - d[2] * SUM + d[4],
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            d[1] * PRODUCT - d[3] * SUM + d[5],
        ]
    }
}

impl<T: Real> Axis<T, TILE> for Output {
    #[inline(always)]
    fn entries(y: [Lanes<T>; TILE]) -> [Lanes<T>; SIDE] {
        let (even_p, odd_p) = (y[0] + y[2] * (P * P), y[1] * P + y[3] * (P * P * P));
        let (even_q, odd_q) = (y[0] + y[2] * (Q * Q), y[1] * Q + y[3] * (Q * Q * Q));
        [
            y[0],
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            y[3],
        ]
    }
}

/// Aᵀ m.
#[inline(always)]
pub(super) fn output_pixels<T: Real>(m: [Lanes<T>; SIDE]) -> [Lanes<T>; TILE] {
    let (even_p, odd_p) = (m[1] + m[2], m[1] - m[2]);
    let (even_q, odd_q) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + even_p + even_q,
        odd_p * P + odd_q * Q,
        even_p * (P * P) + even_q * (Q * Q),
        odd_p * (P * P * P) + odd_q * (Q * Q * Q) + m[5],
    ]
}

/// Gᵀ m.
#[inline(always)]
pub(super) fn kernel_taps<T: Real>(m: [Lanes<T>; SIDE]) -> [Lanes<T>; 3] {
    let (even_p, odd_p) = ((m[1] + m[2]) * SCALE_P, (m[1] - m[2]) * SCALE_P);
    let (even_q, odd_q) = ((m[3] + m[4]) * SCALE_Q, (m[3] - m[4]) * SCALE_Q);
    [
        m[0] * SCALE + even_p + even_q,
        odd_p * P + odd_q * Q,
        even_p * (P * P) + even_q * (Q * Q) + m[5],
    ]
}

/// Calls `store` with entry 6 i + j, some channels, and their transform of an
/// N×N tile along both axes.
#[inline(always)]
pub(super) fn transform<T: Real, const N: usize, A: Axis<T, N>>(
    pixels: &[[&[T]; N]; N],
    channels: usize,
    mut store: impl FnMut(usize, Range<usize>, Lanes<T>),
) {
    let mut half = [[Lanes::ZERO; N]; SIDE];
    let mut first = 0;
    while first < channels {
        let end = channels.min(first + LANES);
        for x in 0..N {
            let mut column = [Lanes::ZERO; N];
            for y in 0..N {
                column[y] = Lanes::load(&pixels[y][x][first..end]);
            }
            let entries = A::entries(column);
            for y in 0..SIDE {
                half[y][x] = entries[y];
            }
        }
        for y in 0..SIDE {
            let entries = A::entries(half[y]);
            for x in 0..SIDE {
                store(y * SIDE + x, first..end, entries[x]);
            }
        }
        first = end;
    }
}
