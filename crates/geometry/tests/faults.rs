//! Bad parameters, broken maps, noise and spent budgets.

mod common;

use alice_geometry::{
    Block, GeometryError, GolubKahan, LinearMap, Matrix, SubspaceIteration, dense_spectrum,
};
use alice_random::Stream;
use common::{assert_matches_dense, matrix, orthonormality, spectrum};

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
                tolerance: 9e-7,
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
