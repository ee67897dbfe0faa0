//! The scalar types of the kernels, with functions that vectorise.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

/// Elements that a loop treats at once: one AVX-512 register of f32.
pub(crate) const LANES: usize = 16;

/// f32 for speed, f64 where the kernel is narrow.
pub(crate) trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + faer::traits::ComplexField
{
    const NIL: Self;
    const HUGE: Self;
    fn narrow(value: f64) -> Self;
    fn widen(self) -> f64;
    /// 2ˣ for x ≤ 115, as [`exponential`](Self::exponential) else.
    fn power_of_two(self) -> Self;
    /// eˣ for x ≤ 80: relative error ≤ 3e-7 (f32), 1e-15 (f64). Below −80
    /// (f32) or −650 (f64) it is that of the bound: next to nothing, but far
    /// from the subnormal numbers, which cost a hundred times as much.
    fn exponential(self) -> Self;
}

impl Real for f32 {
    const NIL: Self = 0.0;
    const HUGE: Self = f32::MAX;
    #[inline(always)]
    fn narrow(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // x = n + r with |r| ≤ ½; the minimax polynomial of degree 5 for 2ʳ
        // has the relative error 8e-8. ROUND's low nine bits are 0, so that
        // shifting leaves n alone, which is added to the exponent.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > -115.0 { self } else { -115.0 };
        let shifted = x + ROUND;
        let r = x - (shifted - ROUND);
        let p = 1.327_645_8e-3;
        let p = p * r + 9.675_542e-3;
        let p = p * r + 5.550_713_5e-2;
        let p = p * r + 0.240_221_2;
        let p = p * r + 0.693_146_94;
        let p = p * r + 1.000_000_1;
        f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        // Cephes: x = n ln 2 + r. Adding 1.5·2²³ rounds to the nearest
        // integer, which then stands in the low bits.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > -80.0 { self } else { -80.0 };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let p = 1.987_569_1e-4;
        let p = p * r + 1.398_2e-3;
        let p = p * r + 8.333_452e-3;
        let p = p * r + 4.166_579_6e-2;
        let p = p * r + 1.666_666_5e-1;
        let p = p * r + 0.5;
        let p = p * r * r + r + 1.0;
        let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
        p * f32::from_bits(exponent.wrapping_add(127) << 23)
    }
}

impl Real for f64 {
    const NIL: Self = 0.0;
    const HUGE: Self = f64::MAX;
    #[inline(always)]
    fn narrow(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        (self * std::f64::consts::LN_2).exponential()
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        // As for f32, with 1.5·2⁵² and the Taylor series of degree 13, whose
        // remainder on |r| ≤ ln 2 / 2 is 4e-18.
        const ROUND: f64 = 6_755_399_441_055_744.0;
        let x = if self > -650.0 { self } else { -650.0 };
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_147_180_369_123_8 - n * 1.908_214_929_270_587_7e-10;
        let mut p = 1.0 / 6_227_020_800.0;
        p = p * r + 1.0 / 479_001_600.0;
        p = p * r + 1.0 / 39_916_800.0;
        p = p * r + 1.0 / 3_628_800.0;
        p = p * r + 1.0 / 362_880.0;
        p = p * r + 1.0 / 40_320.0;
        p = p * r + 1.0 / 5_040.0;
        p = p * r + 1.0 / 720.0;
        p = p * r + 1.0 / 120.0;
        p = p * r + 1.0 / 24.0;
        p = p * r + 1.0 / 6.0;
        p = p * r + 0.5;
        p = p * r * r + r + 1.0;
        let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
        p * f64::from_bits(exponent.wrapping_add(1023) << 52)
    }
}

/// Runs a closure compiled for the widest instruction set of this CPU. The
/// closure and what it calls must be `#[inline(always)]` to profit. Products
/// and sums stay separate, so every instruction set gives the same bits.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_accurate() {
        for i in -8000..8000 {
            let x = f64::from(i) * 0.01;
            let error = |value: f64, exact: f64| ((value - exact) / exact).abs();
            let single = (x as f32).exponential();
            assert!(
                error(single.widen(), f64::from(x as f32).exp()) < 3e-7,
                "{x}"
            );
            assert!(error(x.exponential(), x.exp()) < 1e-15, "{x}");
        }
        for i in -11_400..11_400 {
            let x = f64::from(i) * 0.01;
            let error = |value: f64, exact: f64| ((value - exact) / exact).abs();
            let single = (x as f32).power_of_two();
            assert!(
                error(single.widen(), f64::from(x as f32).exp2()) < 3e-7,
                "{x}"
            );
            assert!(error(x.power_of_two(), x.exp2()) < 1e-13, "{x}");
        }
        assert!((-1e9f32).power_of_two() < 1e-34);
        assert!((-1e9f32).exponential() < 1e-34);
        assert!((-1e9f64).exponential() < 1e-280);
        assert_eq!((0f32.exponential(), 0f64.exponential()), (1.0, 1.0));
    }
}
