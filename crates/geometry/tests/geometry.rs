//! Metric, spans, transport and the Grassmannian, against closed forms.

mod common;

use std::f64::consts::FRAC_PI_2;

use alice_geometry::{
    Block, GolubKahan, LinearMap, Matrix, Pooled, Span, TangentBasis, dense_spectrum,
    grassmann::{distance, frechet_mean, principal_angles},
    pullback_length, transport,
};
use alice_random::Stream;
use common::{matrix, smallest_cosine};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs().max(1.0)
}

fn random(rows: usize, dimension: usize, seed: u64) -> Block {
    Block::normals(rows, dimension, &mut Stream::new(seed, "test block", 0, 0))
}

#[test]
fn the_film_example() {
    // h₁ = x₁² + x₂, h₂ = x₁ + x₂ at (2, 3): J = [2x₁ 1; 1 1].
    let map = Matrix::from_vec(2, 2, vec![4.0, 1.0, 1.0, 1.0]).unwrap();
    let v = Block::from_vec(1, 2, vec![0.3, 0.7]).unwrap();
    let image = map.pushforward(&v).unwrap();
    assert!(close(image.row(0)[0].into(), 1.9, 1e-6));
    assert!(close(image.row(0)[1].into(), 1.0, 1e-6));
    let length = 1.9f64.hypot(1.0);
    assert!(close(pullback_length(&map, &v).unwrap()[0], length, 1e-6));
    // The full basis measures the same length without the map.
    let basis = TangentBasis::from(GolubKahan::new(2).decompose(&map).unwrap());
    assert!(close(basis.length_within(v.row(0)).unwrap(), length, 1e-6));
    // σ² are the roots of s² − 19 s + 9: trace and determinant of JᵀJ.
    let root = (19.0f64 * 19.0 - 36.0).sqrt();
    let expected = [((19.0 + root) / 2.0).sqrt(), ((19.0 - root) / 2.0).sqrt()];
    for (found, expected) in std::iter::zip(basis.singular_values(), expected) {
        assert!(close(*found, expected, 1e-6));
    }
}

#[test]
fn the_pooled_spectrum_is_that_of_the_pooled_matrix() {
    let values: Vec<f64> = (1..=48).map(|i| 1.0 / f64::from(i)).collect();
    let map = matrix(48, 70, &values, 1);
    let mut sums = vec![0.0f32; 6 * 70];
    for (at, &value) in map.as_slice().iter().enumerate() {
        sums[at / 70 / 8 * 70 + at % 70] += value;
    }
    let expected = dense_spectrum(&Matrix::from_vec(6, 70, sums).unwrap(), 6).unwrap();
    let pooled = Pooled::new(&map, 6).unwrap();
    let exact = dense_spectrum(&pooled, 6).unwrap();
    assert_eq!(exact.products.vectors(), 6);
    let iterated = GolubKahan::new(6).decompose(&pooled).unwrap();
    for found in [exact, iterated] {
        for i in 0..6 {
            assert!(close(
                found.singular_values[i],
                expected.singular_values[i],
                1e-5
            ));
        }
        assert!(smallest_cosine(&found.right, &expected.right, 6) > 0.999_999);
    }
}

#[test]
fn transport_onto_the_same_basis_is_the_identity() {
    let values: Vec<f64> = (1..=20).map(|i| 1.0 / f64::from(i)).collect();
    let basis = TangentBasis::from(dense_spectrum(&matrix(30, 40, &values, 2), 5).unwrap());
    for i in 0..5 {
        let carried = transport(basis.left().row(i), &basis).unwrap();
        for (a, b) in std::iter::zip(&carried, basis.right().row(i)) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}

#[test]
fn transport_turns_with_the_basis() {
    // Destination turned by 90° in H: u₁ = e₂, so e₁ finds only v₂.
    let right = Block::from_vec(2, 3, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
    let left = Block::from_vec(2, 3, vec![0.0, 1.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
    let basis = TangentBasis::new(vec![2.0, 1.0], right, left).unwrap();
    assert_eq!(
        transport(&[3.0, 0.0, 1.0], &basis).unwrap(),
        [0.0, 1.0, 0.0]
    );
    let error = transport(&[0.0, 0.0, 1.0], &basis).unwrap_err();
    assert!(error.to_string().contains("orthogonal"));
    assert!(transport(&[0.0, 0.0, 0.0], &basis).is_err());
    assert!(transport(&[f32::NAN, 0.0, 0.0], &basis).is_err());
    assert!(transport(&[1.0], &basis).is_err());
}

#[test]
fn a_tangent_basis_is_checked() {
    let rows = Block::zeros(2, 3);
    assert!(TangentBasis::new(vec![1.0], rows.clone(), rows.clone()).is_err());
    assert!(TangentBasis::new(vec![1.0, 2.0], rows.clone(), rows.clone()).is_err());
    assert!(TangentBasis::new(vec![1.0, f64::NAN], rows.clone(), rows.clone()).is_err());
    assert!(TangentBasis::new(vec![2.0, 1.0], rows.clone(), rows).is_ok());
}

fn line(angle: f64) -> Span {
    let (sine, cosine) = angle.sin_cos();
    Span::of(&Block::from_vec(1, 3, vec![cosine as f32, sine as f32, 0.0]).unwrap()).unwrap()
}

#[test]
fn angles_between_lines() {
    for angle in [0.0, 1e-7, 1e-3, 0.5, 0.785, 0.786, 1.2, FRAC_PI_2] {
        let found = distance(&line(0.0), &line(angle)).unwrap();
        let slack = if angle < 0.1 { 1e-6 * angle } else { 1e-7 };
        assert!((found - angle).abs() <= slack, "{found} against {angle}");
    }
}

#[test]
fn a_subspace_of_another_rank() {
    let plane = Span::of(&random(2, 5, 3)).unwrap();
    let whole = Span::of(&random(5, 5, 4)).unwrap();
    for angle in principal_angles(&whole, &plane).unwrap() {
        assert!(angle < 1e-7);
    }
    assert!(distance(&whole, &plane).is_err());
}

#[test]
fn dependent_rows_span_less() {
    let mut rows = random(3, 6, 5);
    let copy = rows.row(0).to_vec();
    rows.row_mut(2).copy_from_slice(&copy);
    assert_eq!(Span::of(&rows).unwrap().rank(), 2);
    assert_eq!(Span::of(&Block::zeros(2, 6)).unwrap().rank(), 0);
}

#[test]
fn the_mean_of_a_fan_of_lines_is_its_middle() {
    let mean = frechet_mean(&[line(0.1), line(0.3), line(0.8)]).unwrap();
    assert!(mean.converged);
    assert!(distance(&mean.span, &line(0.4)).unwrap() < 1e-6);
    assert!(frechet_mean(&[]).is_err());
}

#[test]
fn the_mean_is_stationary() {
    // Four subspaces around a centre: no neighbour has a smaller sum.
    let centre = random(3, 12, 6);
    let spans: Vec<Span> = (0..4)
        .map(|i| {
            let mut rows = centre.clone();
            let noise = random(3, 12, 7 + i);
            for (value, noise) in std::iter::zip(rows.as_mut_slice(), noise.as_slice()) {
                *value += 0.3 * noise;
            }
            Span::of(&rows).unwrap()
        })
        .collect();
    let mean = frechet_mean(&spans).unwrap();
    assert!(mean.converged, "{mean:?}");
    let cost = |at: &Span| -> f64 {
        spans
            .iter()
            .map(|span| distance(at, span).unwrap().powi(2))
            .sum()
    };
    let least = cost(&mean.span);
    for seed in 20..30 {
        let mut rows = mean.span.orthonormal();
        let noise = random(3, 12, seed);
        for (value, noise) in std::iter::zip(rows.as_mut_slice(), noise.as_slice()) {
            *value += 0.01 * noise;
        }
        assert!(cost(&Span::of(&rows).unwrap()) > least);
    }
}

/// Where subspaces share less, the energy is flat and unit steps are slow.
#[test]
fn a_mean_of_subspaces_that_are_far_apart_converges() {
    for (count, k, noise) in [(4, 8, 0.8), (12, 20, 0.6)] {
        let mut centre = Span::of(&random(k, 400, 40)).unwrap().orthonormal();
        for row in 0..k {
            let weight = 1.0 - 0.85 * row as f32 / (k - 1) as f32;
            centre.row_mut(row).iter_mut().for_each(|v| *v *= weight);
        }
        let spans: Vec<Span> = (0..count)
            .map(|i| {
                let mut rows = centre.clone();
                let random = random(k, 400, 41 + i);
                for (value, random) in std::iter::zip(rows.as_mut_slice(), random.as_slice()) {
                    *value += noise * random / 20.0;
                }
                Span::of(&rows).unwrap()
            })
            .collect();
        let mean = frechet_mean(&spans).unwrap();
        let (steps, last) = (mean.iterations, mean.last_step);
        let told = format!("{count}, {k}, {noise}: {last:.1e} after {steps}");
        assert!(mean.converged && steps < 60, "{told}");
    }
}

/// `.cargo/config.toml` fixes the seed of all property tests.
#[test]
fn every_run_draws_the_same_cases() {
    let draw = || {
        let mut runner = TestRunner::default();
        [0; 4].map(|_| any::<u64>().new_tree(&mut runner).unwrap().current())
    };
    let why = "PROPTEST_RNG_SEED is not set: run the tests by cargo, inside the repository";
    assert_eq!(draw(), draw(), "{why}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn products_are_adjoint(h in 1usize..20, n in 1usize..20, r in 1usize..5, seed: u64) {
        let map = Matrix::from_vec(h, n, random(h, n, seed).into_vec()).unwrap();
        let pooled = Pooled::new(&map, 1).unwrap();
        let maps: [&dyn LinearMap; 2] = [&map, &pooled];
        for map in maps {
            let v = random(r, n, seed ^ 1);
            let u = random(r, map.codomain(), seed ^ 2);
            let (jv, jtu) = (map.pushforward(&v).unwrap(), map.pullback(&u).unwrap());
            for i in 0..r {
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    std::iter::zip(a, b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
                };
                let (a, b) = (dot(jv.row(i), u.row(i)), dot(v.row(i), jtu.row(i)));
                let size = dot(jv.row(i), jv.row(i)).sqrt() * dot(u.row(i), u.row(i)).sqrt();
                prop_assert!((a - b).abs() <= 1e-5 * size.max(1.0), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn a_projection_splits_orthogonally(k in 1usize..6, seed: u64) {
        let span = Span::of(&random(k, 12, seed)).unwrap();
        let vectors = random(3, 12, seed ^ 1);
        let (mut inside, mut outside) = (vectors.clone(), vectors.clone());
        span.project(&mut inside).unwrap();
        span.remove(&mut outside).unwrap();
        let mut again = inside.clone();
        span.project(&mut again).unwrap();
        let mut nothing = outside.clone();
        span.project(&mut nothing).unwrap();
        for i in 0..vectors.as_slice().len() {
            let sum = inside.as_slice()[i] + outside.as_slice()[i];
            prop_assert!((sum - vectors.as_slice()[i]).abs() < 1e-5);
            prop_assert!((again.as_slice()[i] - inside.as_slice()[i]).abs() < 1e-5);
            prop_assert!(nothing.as_slice()[i].abs() < 1e-5);
        }
    }

    #[test]
    fn distance_is_a_metric(k in 1usize..5, seed: u64) {
        let spans: Vec<Span> =
            (0..3).map(|i| Span::of(&random(k, 9, seed ^ i)).unwrap()).collect();
        let d = |a: usize, b: usize| distance(&spans[a], &spans[b]).unwrap();
        prop_assert!(d(0, 0) < 1e-7);
        prop_assert!((d(0, 1) - d(1, 0)).abs() < 1e-7);
        prop_assert!(d(0, 2) <= d(0, 1) + d(1, 2) + 1e-7);
        prop_assert!(d(0, 1) <= (k as f64).sqrt() * FRAC_PI_2 + 1e-12);
        // Another basis of the same subspace is the same point.
        let mut mixed = random(k, 9, seed);
        for row in 1..k {
            let before = mixed.row(row - 1).to_vec();
            for (value, other) in std::iter::zip(mixed.row_mut(row), before) {
                *value += 2.0 * other;
            }
        }
        prop_assert!(distance(&Span::of(&mixed).unwrap(), &spans[0]).unwrap() < 1e-4);
    }

    #[test]
    fn the_mean_of_two_is_halfway(k in 1usize..4, seed: u64) {
        let first = random(k, 10, seed);
        let mut second = first.clone();
        for (value, noise) in
            std::iter::zip(second.as_mut_slice(), random(k, 10, seed ^ 1).as_slice())
        {
            *value += 0.1 * noise;
        }
        let spans = [Span::of(&first).unwrap(), Span::of(&second).unwrap()];
        let mean = frechet_mean(&spans).unwrap();
        let whole = distance(&spans[0], &spans[1]).unwrap();
        prop_assert!(mean.converged);
        prop_assert!((distance(&spans[0], &mean.span).unwrap() - whole / 2.0).abs() < 1e-6);
        prop_assert!((distance(&spans[1], &mean.span).unwrap() - whole / 2.0).abs() < 1e-6);
    }
}
