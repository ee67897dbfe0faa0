//! The solvers against the dense SVD in f64.

mod common;

use alice_geometry::{
    Block, Counted, GeometryError, GolubKahan, LinearMap, Matrix, Spectrum, SubspaceIteration,
    dense_spectrum,
};
use alice_random::Stream;
use common::{matrix, orthonormality, smallest_cosine};

fn spectrum(name: &str, count: usize) -> Vec<f64> {
    let value = |i: f64| match name {
        "1/i" => 1.0 / i,
        "1/sqrt(i)" => 1.0 / i.sqrt(),
        "0.95^i" => 0.95f64.powf(i),
        "clusters" => 1.0 / (1.0 + ((i - 1.0) / 5.0).floor() + 1e-3 * i),
        "tiny" => 1e-12 / i.sqrt(),
        "huge" => 1e12 / i.sqrt(),
        other => unreachable!("{other}"),
    };
    (1..=count).map(|i| value(i as f64)).collect()
}

/// The figures: σ ≤ 1e-4 relative, cosine ≥ 0.999, rows ≤ 1e-5.
fn assert_matches_dense(found: &Spectrum, map: &Matrix, context: &str) {
    let rank = found.singular_values.len();
    let exact = dense_spectrum(map, rank).unwrap();
    assert!(found.converged, "{context}: did not converge");
    for (i, (a, b)) in std::iter::zip(&found.singular_values, &exact.singular_values).enumerate() {
        assert!(
            (a / b - 1.0).abs() <= 1e-4,
            "{context}: σ{i} {a} against {b}"
        );
    }
    for (side, a, b) in [
        ("right", &found.right, &exact.right),
        ("left", &found.left, &exact.left),
    ] {
        let cosine = smallest_cosine(a, b, rank);
        assert!(cosine >= 0.999, "{context}: {side} cosine {cosine}");
        let error = orthonormality(a);
        assert!(error <= 1e-5, "{context}: {side} orthonormality {error}");
    }
    // The pairs belong together: J v = σ u within the residual.
    let image = map.pushforward(&found.right).unwrap();
    for i in 0..rank {
        let error: f64 = std::iter::zip(image.row(i), found.left.row(i))
            .map(|(&a, &u)| (f64::from(a) - found.singular_values[i] * f64::from(u)).powi(2))
            .sum();
        let relative = error.sqrt() / found.singular_values[0];
        assert!(relative <= 2e-4, "{context}: pair {i} off by {relative}");
        assert!(found.residuals[i] <= 1e-4);
    }
}

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

#[test]
fn a_spent_budget_returns_what_it_has() {
    let map = matrix(300, 300, &spectrum("1/sqrt(i)", 300), 10);
    for max_block_products in [2, 5, 12] {
        let solver = GolubKahan {
            max_block_products,
            ..GolubKahan::new(20)
        };
        let found = solver.decompose(&map).unwrap();
        assert!(!found.converged);
        assert!(found.products.blocks() <= max_block_products);
        assert_eq!((found.right.rows(), found.left.rows()), (20, 20));
        assert!(orthonormality(&found.right) <= 1e-5);
    }
}

#[test]
fn bad_parameters_are_named() {
    let map = matrix(20, 30, &spectrum("1/i", 20), 11);
    let message = |solver: GolubKahan| solver.decompose(&map).unwrap_err().to_string();
    assert_eq!(
        message(GolubKahan::new(21)),
        "rank above the dimension: rank 21 of a map from 30 to 20 dimensions; ask for at most 20"
    );
    assert_eq!(
        message(GolubKahan::new(0)),
        "rank is 0; it must be at least 1"
    );
    assert!(message(GolubKahan::new(usize::MAX)).starts_with("rank above"));
    let base = GolubKahan::new(5);
    for (solver, name) in [
        (
            GolubKahan {
                block: 0,
                ..base.clone()
            },
            "block",
        ),
        (
            GolubKahan {
                tolerance: f64::NAN,
                ..base.clone()
            },
            "tolerance",
        ),
        (
            GolubKahan {
                tolerance: 0.0,
                ..base.clone()
            },
            "tolerance",
        ),
        (
            GolubKahan {
                max_basis: 20,
                ..base.clone()
            },
            "max_basis",
        ),
        (
            GolubKahan {
                max_block_products: 1,
                ..base.clone()
            },
            "max_block_products",
        ),
    ] {
        assert!(message(solver).starts_with(name));
    }
    assert!(base.decompose_from(&map, &Block::zeros(1, 29)).is_err());
    let nan = Block::from_vec(1, 30, vec![f32::NAN; 30]).unwrap();
    assert!(
        base.decompose_from(&map, &nan)
            .unwrap_err()
            .to_string()
            .starts_with("start")
    );
    assert!(dense_spectrum(&map, 21).is_err());
    assert!(SubspaceIteration::new(21).decompose(&map).is_err());
}

/// A map that goes wrong on its pullback.
struct Broken(Matrix, &'static str);

impl LinearMap for Broken {
    fn domain(&self) -> usize {
        self.0.domain()
    }

    fn codomain(&self) -> usize {
        self.0.codomain()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        self.0.pushforward(tangents)
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        let mut image = self.0.pullback(cotangents)?;
        match self.1 {
            "infinity" => image.row_mut(1)[3] = f32::INFINITY,
            "shape" => image.truncate(1),
            _ => return Err(GeometryError::map("out of tape")),
        }
        Ok(image)
    }
}

#[test]
fn a_broken_map_is_named() {
    for (fault, expected) in [
        (
            "infinity",
            "pullback: the value in row 1, component 3 is inf",
        ),
        (
            "shape",
            "pullback: number of rows returned is 1, expected 8",
        ),
        ("own", "the linear map failed: out of tape"),
    ] {
        let map = Broken(matrix(20, 30, &spectrum("1/i", 20), 12), fault);
        let error = GolubKahan::new(5).decompose(&map).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn noise_in_the_products_is_borne() {
    /// Products with a relative error of 1e-6, as of a deep f32 network.
    struct Noisy(Matrix);
    impl LinearMap for Noisy {
        fn domain(&self) -> usize {
            self.0.domain()
        }

        fn codomain(&self) -> usize {
            self.0.codomain()
        }

        fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
            Ok(disturb(self.0.pushforward(tangents)?))
        }

        fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
            Ok(disturb(self.0.pullback(cotangents)?))
        }
    }
    fn disturb(mut block: Block) -> Block {
        let size = block.as_slice().iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let mut stream = Stream::new(0, "noise", block.rows() as u64, 0);
        for value in block.as_mut_slice() {
            *value += 1e-6 * size * stream.normal_pair().0 as f32;
        }
        block
    }
    let map = Noisy(matrix(200, 300, &spectrum("1/sqrt(i)", 200), 13));
    let found = GolubKahan::new(50).decompose(&map).unwrap();
    assert_matches_dense(&found, &map.0, "noisy");
}
