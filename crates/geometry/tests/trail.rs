//! Bases along curves of maps against the dense SVD in f64.

mod common;

use alice_geometry::{Block, GolubKahan, Matrix, Trail, dense_spectrum};
use alice_random::Stream;
use common::{assert_matches_dense, matrix, spectrum};

const ROWS: usize = 120;
const COLUMNS: usize = 150;

/// Maps that bend away from the first one, whose values fall with the square
/// root: `step` is the change from one to the next, relative to the first.
fn curve(step: f64, count: usize) -> Vec<Matrix> {
    let values = spectrum("1/sqrt(i)", ROWS);
    let [first, along, bend] = [0, 1, 2].map(|seed| matrix(ROWS, COLUMNS, &values, seed));
    let at = |i: usize| {
        let s = step * i as f64;
        let parts = first
            .as_slice()
            .iter()
            .zip(along.as_slice())
            .zip(bend.as_slice());
        let of = |((a, b), c): ((&f32, &f32), &f32)| {
            let (a, b, c) = (f64::from(*a), f64::from(*b), f64::from(*c));
            (a + s * b + s * s * c) as f32
        };
        Matrix::from_vec(ROWS, COLUMNS, parts.map(of).collect()).unwrap()
    };
    (0..count).map(at).collect()
}

#[test]
fn near_maps_need_few_products() {
    let method = GolubKahan::new(20);
    let mut trail = Trail::default();
    let (mut along, mut cold) = (0, 0);
    for (i, map) in curve(1e-3, 8).iter().enumerate() {
        let found = method.decompose_along(map, &mut trail).unwrap();
        assert_matches_dense(&found, map, &format!("map {i}"));
        if i > 0 {
            along += found.products.vectors();
            cold += method.decompose(map).unwrap().products.vectors();
        }
    }
    assert!(2 * along <= cold, "{along} against {cold}");
}

#[test]
fn far_maps_are_decomposed_as_exactly() {
    let mut trail = Trail::default();
    let method = GolubKahan::new(20);
    for (i, map) in curve(0.2, 5).iter().enumerate() {
        let found = method.decompose_along(map, &mut trail).unwrap();
        assert_matches_dense(&found, map, &format!("map {i}"));
    }
}

/// The same map again, at every size of block, also where the rank is nearly
/// or wholly that of the map.
#[test]
fn every_rank_and_block_follows() {
    let maps = curve(1e-4, 4);
    for (rank, block) in [(1, 8), (3, 8), (20, 1), (20, 64), (118, 8), (120, 8)] {
        let method = GolubKahan {
            block,
            max_basis: rank + 2 * block + 60,
            ..GolubKahan::new(rank)
        };
        let mut trail = Trail::default();
        for map in maps.iter().chain([&maps[3]]) {
            let found = method.decompose_along(map, &mut trail).unwrap();
            assert_matches_dense(&found, map, &format!("rank {rank}, block {block}"));
        }
    }
}

/// A direction that no other is coupled to comes from below all others; only
/// the scout can see it, and it has to turn there first.
#[test]
fn an_uncoupled_direction_is_found_when_it_leads() {
    let method = GolubKahan {
        tolerance: 1e-3,
        ..GolubKahan::new(10)
    };
    let mut trail = Trail::default();
    for step in 0..40 {
        let mut entries = vec![0.0; 60 * 60];
        for i in 0..60 {
            entries[61 * i] = 1.0 / (1.0 + i as f32).sqrt();
        }
        entries[61 * 59] = 0.15 + 0.01 * step as f32;
        let map = Matrix::from_vec(60, 60, entries).unwrap();
        let found = method.decompose_along(&map, &mut trail).unwrap();
        let exact = dense_spectrum(&map, 10).unwrap();
        let bound = if step < 30 { 0.1 } else { 1e-3 };
        for (a, b) in found.singular_values.iter().zip(&exact.singular_values) {
            assert!((a / b - 1.0).abs() < bound, "step {step}: {a} against {b}");
        }
    }
}

#[test]
fn the_same_trail_gives_the_same_bits() {
    let method = GolubKahan::new(12);
    let run = || {
        let mut trail = Trail::default();
        let of = |map| method.decompose_along(map, &mut trail).unwrap().right;
        curve(1e-3, 3).iter().map(of).collect::<Vec<Block>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_trail_of_another_space_is_refused_and_kept() {
    let method = GolubKahan::new(5);
    let mut trail = Trail::default();
    let maps = curve(1e-3, 2);
    method.decompose_along(&maps[0], &mut trail).unwrap();
    let other = Matrix::from_vec(6, 7, Stream::new(0, "trail", 0, 0).normals(42)).unwrap();
    let error = method.decompose_along(&other, &mut trail).unwrap_err();
    assert!(error.to_string().contains("dimension"), "{error}");
    let found = method.decompose_along(&maps[1], &mut trail).unwrap();
    let cold = method.decompose(&maps[1]).unwrap();
    assert!(found.products.vectors() < cold.products.vectors());
    // A trail of fewer vectors than are wanted is a start like any other.
    let found = GolubKahan::new(30).decompose_along(&maps[0], &mut trail);
    assert_matches_dense(&found.unwrap(), &maps[0], "a larger rank");
}
