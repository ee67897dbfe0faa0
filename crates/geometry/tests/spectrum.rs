//! The solvers against the dense SVD in f64.

mod common;

use alice_geometry::{Block, Counted, GolubKahan, Matrix, SubspaceIteration, dense_spectrum};
use common::{assert_matches_dense, matrix, orthonormality, smallest_cosine, spectrum};

#[test]
fn rank_50_agrees_with_the_dense_svd() {
    for (h, n) in [(240, 240), (400, 150), (120, 500)] {
        for name in ["1/i", "1/sqrt(i)", "0.95^i", "clusters", "tiny", "huge"] {
            let map = matrix(h, n, &spectrum(name, h.min(n)), 1);
            let found = GolubKahan::new(50).decompose(&map).unwrap();
            assert_matches_dense(&found, &map, &format!("{h} × {n}, {name}"));
        }
    }
}

#[test]
fn every_rank_and_block_agrees_with_the_dense_svd() {
    let map = matrix(40, 60, &spectrum("1/i", 40), 2);
    for rank in [1, 2, 7, 39, 40] {
        for block in [1, 3, 8, 64] {
            let solver = GolubKahan {
                block,
                max_basis: rank + 2 * block + 10,
                ..GolubKahan::new(rank)
            };
            let found = solver.decompose(&map).unwrap();
            assert_matches_dense(&found, &map, &format!("rank {rank}, block {block}"));
        }
    }
}

#[test]
fn a_small_basis_restarts_and_converges() {
    let map = matrix(400, 500, &spectrum("1/sqrt(i)", 400), 3);
    for max_basis in [46, 60, 80] {
        let solver = GolubKahan {
            max_basis,
            ..GolubKahan::new(30)
        };
        let found = solver.decompose(&map).unwrap();
        assert_matches_dense(&found, &map, &format!("basis of {max_basis}"));
    }
}

#[test]
fn a_rank_deficient_map_is_completed_with_zeros() {
    for (h, n) in [(90, 90), (200, 60), (60, 200)] {
        let map = matrix(h, n, &spectrum("1/sqrt(i)", 30), 4);
        let found = GolubKahan::new(50).decompose(&map).unwrap();
        let exact = dense_spectrum(&map, 50).unwrap();
        assert!(found.converged);
        for i in 0..50 {
            let (a, b) = (found.singular_values[i], exact.singular_values[i]);
            let close = if i < 30 {
                (a / b - 1.0).abs() <= 1e-4
            } else {
                (0.0..1e-6).contains(&a)
            };
            assert!(close, "σ{i} {a} against {b}");
        }
        for (a, b) in [(&found.right, &exact.right), (&found.left, &exact.left)] {
            assert!(smallest_cosine(a, b, 30) >= 0.999);
            assert!(orthonormality(a) <= 1e-5);
            assert!(a.check_finite("vectors").is_ok());
        }
        assert!(found.products.vectors() <= 120, "{:?}", found.products);
    }
}

#[test]
fn a_zero_map_has_a_zero_spectrum() {
    let map = Matrix::from_vec(30, 20, vec![0.0; 600]).unwrap();
    let found = GolubKahan::new(20).decompose(&map).unwrap();
    assert!(found.converged);
    assert_eq!(found.singular_values, vec![0.0; 20]);
    assert_eq!(found.residuals, vec![0.0; 20]);
    assert!(orthonormality(&found.right) <= 1e-5 && orthonormality(&found.left) <= 1e-5);
}

#[test]
fn repeated_values_are_all_found() {
    // Values repeated more often than the block, in a map that is exhausted.
    let values: Vec<f64> = [vec![2.0; 20], vec![1.0; 20]].concat();
    let map = matrix(60, 70, &values, 5);
    for rank in [10, 20, 30, 40] {
        let found = GolubKahan::new(rank).decompose(&map).unwrap();
        for i in 0..rank {
            let error = found.singular_values[i] / values[i] - 1.0;
            assert!(
                error.abs() <= 1e-4,
                "rank {rank}: {:?}",
                found.singular_values
            );
        }
        assert!(orthonormality(&found.right) <= 1e-5);
    }
}

#[test]
fn few_products_against_the_published_method() {
    let map = Counted::new(matrix(300, 600, &spectrum("1/sqrt(i)", 300), 6));
    let found = GolubKahan::new(50).decompose(&map).unwrap();
    assert_eq!(found.products, map.count());
    let ours = found.products.vectors();
    let published = SubspaceIteration::new(50).decompose(&map).unwrap();
    let theirs = published.products.vectors();
    assert!(ours <= 350, "{ours} vector products");
    // It never stops before its twelfth iteration.
    assert!(theirs >= 1_200, "{theirs} vector products");
    assert!(4 * ours <= theirs, "{ours} against {theirs}");
}

#[test]
fn the_published_method_finds_well_separated_directions() {
    let values: Vec<f64> = (0..60).map(|i| 0.7f64.powi(i)).collect();
    let map = matrix(80, 90, &values, 7);
    let found = SubspaceIteration::new(5).decompose(&map).unwrap();
    let exact = dense_spectrum(&map, 5).unwrap();
    assert!(found.converged);
    // Not before the twelfth iteration.
    assert!((24..100).contains(&found.products.blocks()));
    for i in 0..5 {
        let error = found.singular_values[i] / exact.singular_values[i] - 1.0;
        assert!(error.abs() <= 1e-4);
    }
    assert!(smallest_cosine(&found.right, &exact.right, 5) >= 0.999);
    assert!(smallest_cosine(&found.left, &exact.left, 5) >= 0.999);
}

#[test]
fn a_warm_start_needs_fewer_products() {
    let map = matrix(300, 400, &spectrum("1/i", 300), 8);
    let solver = GolubKahan::new(50);
    let cold = solver.decompose(&map).unwrap();
    let warm = solver.decompose_from(&map, &cold.right).unwrap();
    assert_matches_dense(&warm, &map, "warm");
    assert!(4 * warm.products.vectors() <= 3 * cold.products.vectors());
    // A start of fewer rows than a block, repeated and zero rows among them.
    let mut start = Block::zeros(4, 400);
    start.row_mut(1).copy_from_slice(cold.right.row(0));
    start.row_mut(2).copy_from_slice(cold.right.row(0));
    let found = solver.decompose_from(&map, &start).unwrap();
    assert_matches_dense(&found, &map, "degenerate start");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let map = matrix(100, 120, &spectrum("1/i", 100), 9);
    let solver = GolubKahan::new(10);
    let (a, b) = (
        solver.decompose(&map).unwrap(),
        solver.decompose(&map).unwrap(),
    );
    assert_eq!(a.right, b.right);
    assert_eq!(a.singular_values, b.singular_values);
    let other = GolubKahan { seed: 1, ..solver }.decompose(&map).unwrap();
    assert!(smallest_cosine(&a.right, &other.right, 10) >= 0.999);
    // Signs are fixed by the map, not by the seed.
    let dot: f32 = std::iter::zip(a.right.row(0), other.right.row(0))
        .map(|(x, y)| x * y)
        .sum();
    assert!(dot > 0.99);
}
