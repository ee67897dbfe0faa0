//! The scalar types of the kernels.

use crate::buffer::Pool;
use crate::microkernel::MicroKernel;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::cell::RefCell;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// `f32` for work, `f64` to check it.
pub trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + Debug
    + Display
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
    /// Widens to `f64`.
    fn to_f64(self) -> f64;
    /// √x.
    #[must_use]
    fn sqrt(self) -> Self;
    /// eˣ, in a form that vectorises. f32: relative error ≤ 2e-7 for
    /// |x| ≤ 87, clamped beyond.
    #[must_use]
    fn exp(self) -> Self;
    /// The error function, in a form that vectorises. f32: absolute error ≤ 5e-7.
    #[must_use]
    fn erf(self) -> Self;
    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Rounds to half precision.
    #[doc(hidden)]
    fn to_f16(from: &[Self], to: &mut [f16]);
    /// Widens from half precision.
    #[doc(hidden)]
    fn from_f16(from: &[f16], to: &mut [Self]);
    /// Rounds to bfloat16.
    #[doc(hidden)]
    fn to_bf16(from: &[Self], to: &mut [bf16]);
    /// Widens from bfloat16.
    #[doc(hidden)]
    fn from_bf16(from: &[bf16], to: &mut [Self]);
    /// The microkernel for matrices of `columns` columns on this machine.
    #[doc(hidden)]
    fn microkernel(columns: usize) -> MicroKernel<Self>;
    /// Uses the arrays of this type that this thread keeps; not at all once
    /// the thread ends.
    #[doc(hidden)]
    fn with_pool<R>(work: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R>;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        // Cephes: x = n·ln 2 + r, a polynomial in r, the exponent set by bits.
        // Adding 1.5·2²³ rounds to the nearest integer, which then stands in
        // the low bits. Fused multiply-adds, as every vector path has them.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.0, 88.0);
        let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = n.mul_add(-0.693_359_4, x);
        let r = n.mul_add(2.121_944_4e-4, r);
        let p = 1.987_569_1e-4f32;
        let p = p.mul_add(r, 1.398_2e-3);
        let p = p.mul_add(r, 8.333_452e-3);
        let p = p.mul_add(r, 4.166_579_6e-2);
        let p = p.mul_add(r, 1.666_666_5e-1);
        let p = p.mul_add(r, 0.5);
        let p = p.mul_add(r * r, r) + 1.0;
        let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
        p * f32::from_bits(exponent.wrapping_add(127) << 23)
    }
    #[inline(always)]
    fn erf(self) -> Self {
        // Abramowitz and Stegun 7.1.26.
        let x = self.abs();
        let t = 1.0 / (1.0 + 0.327_591_1 * x);
        let p = 1.061_405_4f32;
        let p = p.mul_add(t, -1.453_152_1);
        let p = p.mul_add(t, 1.421_413_8);
        let p = p.mul_add(t, -0.284_496_72);
        let p = p.mul_add(t, 0.254_829_6);
        (1.0 - p * t * Real::exp(-x * x)).copysign(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    fn to_f16(from: &[Self], to: &mut [f16]) {
        to.convert_from_f32_slice(from);
    }
    fn from_f16(from: &[f16], to: &mut [Self]) {
        from.convert_to_f32_slice(to);
    }
    fn to_bf16(from: &[Self], to: &mut [bf16]) {
        to.convert_from_f32_slice(from);
    }
    fn from_bf16(from: &[bf16], to: &mut [Self]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }
    fn microkernel(columns: usize) -> MicroKernel<Self> {
        MicroKernel::detect(columns)
    }
    fn with_pool<R>(work: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R> {
        thread_local!(static POOL: RefCell<Pool<f32>> = const { RefCell::new(Pool::new()) });
        POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn erf(self) -> Self {
        libm::erf(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    fn to_f16(from: &[Self], to: &mut [f16]) {
        to.convert_from_f64_slice(from);
    }
    fn from_f16(from: &[f16], to: &mut [Self]) {
        from.convert_to_f64_slice(to);
    }
    fn to_bf16(from: &[Self], to: &mut [bf16]) {
        to.convert_from_f64_slice(from);
    }
    fn from_bf16(from: &[bf16], to: &mut [Self]) {
        from.convert_to_f64_slice(to);
    }
    fn microkernel(_columns: usize) -> MicroKernel<Self> {
        MicroKernel::portable()
    }
    fn with_pool<R>(work: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R> {
        thread_local!(static POOL: RefCell<Pool<f64>> = const { RefCell::new(Pool::new()) });
        POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_in_single_precision() {
        for i in -8700..=8800 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp();
            let error = (f64::from(Real::exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "exp({x}): {error}");
        }
        assert_eq!(Real::exp(0f32), 1.0);
        assert!(Real::exp(-1e9f32) < 1e-37);
    }

    #[test]
    fn erf_is_accurate_in_single_precision() {
        for step in -1000..=1000 {
            let x = f64::from(step) / 200.0;
            let error = (Real::erf(x as f32) - libm::erf(x) as f32).abs();
            assert!(error < 5e-7, "{x} {error}");
        }
    }
}
