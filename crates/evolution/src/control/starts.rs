//! The random numbers that Gymnasium's starts are drawn from: NumPy's
//! `Generator(PCG64(SeedSequence(seed)))`.
//!
//! They are not one of Alice's streams because they have to be NumPy's: a
//! policy that solves the episode of a seed here solves it in Gymnasium.
//! O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
//! Algorithms for Random Number Generation", 2014.

/// PCG64: a 128-bit linear congruential generator whose output is a folded and
/// rotated state (XSL-RR).
pub(super) struct Pcg64 {
    state: u128,
    increment: u128,
}

impl Pcg64 {
    /// NumPy's generator for an integer seed.
    pub(super) fn new(seed: u64) -> Self {
        let words = seed_sequence(seed);
        let wide = |high: u64, low: u64| (u128::from(high) << 64) | u128::from(low);
        let mut generator = Self {
            state: 0,
            increment: (wide(words[2], words[3]) << 1) | 1,
        };
        generator.advance();
        generator.state = generator.state.wrapping_add(wide(words[0], words[1]));
        generator.advance();
        generator
    }

    fn advance(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        self.state = self
            .state
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(self.increment);
    }

    fn bits(&mut self) -> u64 {
        self.advance();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// `Generator.uniform(low, high)`.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        low + (high - low) * unit
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_sequence(seed: u64) -> [u64; 4] {
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(constant);
        value ^ (value >> 16)
    };
    let mix = |x: u32, y: u32| {
        let mixed = x
            .wrapping_mul(0xca01_f9dd)
            .wrapping_sub(y.wrapping_mul(0x4973_f715));
        mixed ^ (mixed >> 16)
    };
    let mut pool = [
        hash(seed as u32),
        hash((seed >> 32) as u32),
        hash(0),
        hash(0),
    ];
    for source in 0..4 {
        for target in 0..4 {
            if source != target {
                pool[target] = mix(pool[target], hash(pool[source]));
            }
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    let mut half = |index: usize| {
        let value = pool[index % 4] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(constant);
        u64::from(value ^ (value >> 16))
    };
    let mut words = [0; 4];
    for (index, word) in words.iter_mut().enumerate() {
        let low = half(2 * index);
        *word = low | (half(2 * index + 1) << 32);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_numpys() {
        // np.random.SeedSequence(s).generate_state(4, np.uint64) and
        // np.random.default_rng(s).random(), NumPy 2.4.
        let cases = [
            (
                0,
                [
                    0xdb2c_d7e7_b0f4_78be,
                    0xabf4_641a_2c71_ba49,
                    0x20c6_ed6d_9d7b_8d41,
                    0x2c40_99de_223c_39d4,
                ],
                [0.6369616873214543, 0.2697867137638703],
            ),
            (
                (1 << 40) + 5,
                [
                    0xdae4_1755_e08a_170b,
                    0x8415_abe8_7ecd_cb2c,
                    0x2525_c5b4_4b91_18d0,
                    0x42c2_793f_3392_bed3,
                ],
                [0.004739459374490829, 0.3725845824112115],
            ),
        ];
        for (seed, words, draws) in cases {
            assert_eq!(seed_sequence(seed), words);
            let mut generator = Pcg64::new(seed);
            assert_eq!(draws.map(|_| generator.uniform(0.0, 1.0)), draws);
        }
    }
}
