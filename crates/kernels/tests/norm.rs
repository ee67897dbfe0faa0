//! Group normalisation with SiLU, and its linear maps, against loops in f64
//! that follow the formulas, for any extents.

mod common;

use alice_kernels::Real;
use alice_kernels::norm::GroupNorm;
use alice_random::Stream;
use common::{apart, dot, length, normals, of, wide};
use proptest::prelude::*;

const EPS: f64 = 1e-5;

/// A normalisation's extents and parameters, and how many items there are
/// with how many tangents and cotangents each.
struct Case {
    n: usize,
    repeat: usize,
    positions: usize,
    size: usize,
    groups: usize,
    silu: bool,
    gain: Vec<f64>,
    bias: Vec<f64>,
}

/// A value with its linear maps, from the definition or from the kernels.
struct Results {
    value: Vec<f64>,
    pushed: Vec<f64>,
    pulled: Vec<f64>,
    to_gain: Vec<f64>,
    to_bias: Vec<f64>,
}

impl Case {
    fn channels(&self) -> usize {
        self.groups * self.size
    }

    fn item(&self) -> usize {
        self.positions * self.channels()
    }

    /// φ and φ′.
    fn activation(&self, y: f64) -> (f64, f64) {
        if !self.silu {
            return (y, 1.0);
        }
        let s = 1.0 / (1.0 + (-y).exp());
        (y * s, s * (1.0 + y * (1.0 - s)))
    }

    fn definition(&self, x: &[f64], dx: &[f64], u: &[f64]) -> Results {
        let channels = self.channels();
        let mut out = Results {
            value: vec![0.0; x.len()],
            pushed: vec![0.0; dx.len()],
            pulled: vec![0.0; u.len()],
            to_gain: vec![0.0; channels],
            to_bias: vec![0.0; channels],
        };
        for (i, group) in (0..self.n).flat_map(|i| (0..self.groups).map(move |g| (i, g))) {
            // Where in an item the values of the group are.
            let places: Vec<usize> = (0..self.item())
                .filter(|at| at % channels / self.size == group)
                .collect();
            let count = places.len() as f64;
            let mean_of =
                |f: &dyn Fn(usize) -> f64| places.iter().map(|&at| f(at)).sum::<f64>() / count;
            let item = &x[i * self.item()..][..self.item()];
            let mean = mean_of(&|at| item[at]);
            let variance = mean_of(&|at| (item[at] - mean).powi(2));
            let inverse = 1.0 / (variance + EPS).sqrt();
            let hat = |at: usize| (item[at] - mean) * inverse;
            let gain = |at: usize| self.gain[at % channels];
            let phi = |at: usize| self.activation(gain(at) * hat(at) + self.bias[at % channels]);
            for &at in &places {
                out.value[i * self.item() + at] = phi(at).0;
            }
            for j in i * self.repeat..(i + 1) * self.repeat {
                let block = j * self.item();
                let (dx, u) = (&dx[block..][..self.item()], &u[block..][..self.item()]);
                let behind = |at: usize| gain(at) * phi(at).1 * u[at];
                let (flat, along) = (mean_of(&|at| dx[at]), mean_of(&|at| hat(at) * dx[at]));
                let (flat_u, along_u) = (mean_of(&behind), mean_of(&|at| hat(at) * behind(at)));
                for &at in &places {
                    let straight = dx[at] - flat - hat(at) * along;
                    out.pushed[block + at] = phi(at).1 * gain(at) * inverse * straight;
                    let straight = behind(at) - flat_u - hat(at) * along_u;
                    out.pulled[block + at] = inverse * straight;
                    out.to_gain[at % channels] += phi(at).1 * u[at] * hat(at);
                    out.to_bias[at % channels] += phi(at).1 * u[at];
                }
            }
        }
        out
    }

    fn found<T: Real>(&self, x: &[f64], dx: &[f64], u: &[f64]) -> Results {
        let (gain, bias) = (of::<T>(&self.gain), of::<T>(&self.bias));
        let norm = GroupNorm {
            positions: self.positions,
            channels: self.channels(),
            groups: self.groups,
            eps: EPS,
            gain: &gain,
            bias: &bias,
            silu: self.silu,
        };
        let x = of::<T>(x);
        let (mut alone, mut value) = (vec![T::ZERO; x.len()], vec![T::ZERO; x.len()]);
        assert!(norm.forward(&x, &mut alone, false).is_none());
        let kept = norm.forward(&x, &mut value, true).expect("kept");
        assert_eq!(wide(&alone), wide(&value), "what is kept changes the value");
        let pushed = norm.pushforward(&kept, &of::<T>(dx));
        let (mut to_gain, mut to_bias) = (vec![T::ZERO; gain.len()], vec![T::ZERO; gain.len()]);
        let gradients = Some((&mut to_gain[..], &mut to_bias[..]));
        let pulled = norm.pullback(&kept, &of::<T>(u), gradients);
        Results {
            value: wide(&value),
            pushed: wide(&pushed),
            pulled: wide(&pulled),
            to_gain: wide(&to_gain),
            to_bias: wide(&to_bias),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn norms_agree_with_the_definition(
        n in 1usize..4, repeat in 1usize..4, positions in 1usize..300, size in 1usize..20,
        groups in 1usize..9, silu in any::<bool>(), seed in 0u64..1000,
    ) {
        // Fewer values may lie so close together that their spread, which f32
        // takes from sums of whole values, has no five digits.
        prop_assume!(positions * size >= 8);
        let channels = groups * size;
        let mut stream = Stream::new(seed, "norm property", 0, 0);
        let [gain, bias] = [(); 2].map(|()| normals(&mut stream, channels));
        let case = Case { n, repeat, positions, size, groups, silu, gain, bias };
        let x = normals(&mut stream, n * case.item());
        let [dx, u] = [(); 2].map(|()| normals(&mut stream, n * repeat * case.item()));
        let exact = case.definition(&x, &dx, &u);
        let double = case.found::<f64>(&x, &dx, &u);
        for (found, tolerance) in [(&case.found::<f32>(&x, &dx, &u), 1e-5), (&double, 1e-12)] {
            for (name, found, exact) in [
                ("value", &found.value, &exact.value),
                ("tangent", &found.pushed, &exact.pushed),
                ("cotangent", &found.pulled, &exact.pulled),
                ("gradient of the gain", &found.to_gain, &exact.to_gain),
                ("gradient of the bias", &found.to_bias, &exact.to_bias),
            ] {
                let error = apart(found, exact);
                prop_assert!(error <= tolerance * length(exact), "{name}: {error}");
            }
        }
        // ⟨A d, u⟩ = ⟨d, Aᵀ u⟩.
        let (forth, back) = (dot(&double.pushed, &u), dot(&dx, &double.pulled));
        let whole = length(&double.pushed) * length(&u);
        prop_assert!((forth - back).abs() <= 1e-12 * whole, "{forth} and {back}");
    }
}
