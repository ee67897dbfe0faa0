//! How many products a rank-50 basis costs, and how good it is, by block
//! size and tolerance; with the published baseline beside it.
//!
//! `cargo run --release -p alice-geometry --example products [n] [h]`
//!
//! The maps are diagonal with known spectra. A random start makes a diagonal
//! map as hard as any other with the same singular values.

use std::time::Instant;

use alice_geometry::{Block, GeometryError, GolubKahan, LinearMap, Spectrum, SubspaceIteration};
use alice_random::Stream;

const RANK: usize = 50;

/// σ as a function of its index, from 1.
type Law = fn(f64) -> f64;

struct Diagonal {
    values: Vec<f32>,
    domain: usize,
    codomain: usize,
}

impl Diagonal {
    fn apply(&self, block: &Block, dimension: usize) -> Block {
        let mut image = Block::zeros(block.rows(), dimension);
        for row in 0..block.rows() {
            for (i, value) in self.values.iter().enumerate() {
                image.row_mut(row)[i] = value * block.row(row)[i];
            }
        }
        image
    }
}

impl LinearMap for Diagonal {
    fn domain(&self) -> usize {
        self.domain
    }

    fn codomain(&self) -> usize {
        self.codomain
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        Ok(self.apply(tangents, self.codomain))
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        Ok(self.apply(cotangents, self.domain))
    }
}

fn main() -> Result<(), GeometryError> {
    let extents: Vec<usize> = std::env::args().skip(1).flat_map(|a| a.parse()).collect();
    let domain = extents.first().copied().unwrap_or(3_072);
    let codomain = extents.get(1).copied().unwrap_or(domain);
    let count = domain.min(codomain);
    let spectra: [(&str, Law); 5] = [
        ("1/i", |i| 1.0 / i),
        ("1/sqrt(i)", |i| 1.0 / i.sqrt()),
        ("0.95^i", |i| 0.95f64.powf(i)),
        ("clusters of 5", |i| {
            1.0 / (1.0 + ((i - 1.0) / 5.0).floor() + 1e-3 * i)
        }),
        ("knee at 20", |i| {
            if i <= 20.0 {
                10.0 / i
            } else {
                0.5 * (i / 20.0).powf(-0.7)
            }
        }),
    ];
    println!("domain {domain}, codomain {codomain}, rank {RANK}");
    println!(
        "{:<14} {:<22} {:>6} {:>7} {:>8} {:>9} {:>9} {:>6}",
        "spectrum", "method", "blocks", "vectors", "seconds", "σ error", "cosine", "conv"
    );
    for (name, spectrum) in spectra {
        let values: Vec<f32> = (1..=count).map(|i| spectrum(i as f64) as f32).collect();
        let map = Diagonal {
            values,
            domain,
            codomain,
        };
        for (block, tolerance) in [
            (5, 1e-4),
            (8, 1e-4),
            (10, 1e-3),
            (10, 1e-4),
            (10, 1e-5),
            (16, 1e-4),
            (25, 1e-4),
        ] {
            let solver = GolubKahan {
                block,
                tolerance,
                ..GolubKahan::new(RANK)
            };
            let start = Instant::now();
            let found = solver.decompose(&map)?;
            report(
                name,
                &format!("b {block:>2}, tol {tolerance:e}"),
                &map,
                &found,
                start,
            );
        }
        let start = Instant::now();
        let found = GolubKahan::new(RANK).decompose(&map)?;
        report(name, "default", &map, &found, start);
        let start = Instant::now();
        let again = GolubKahan::new(RANK).decompose_from(&map, &neighbour(&found.right))?;
        report(name, "default, warm", &map, &again, start);
        if count <= 10_000 {
            let start = Instant::now();
            let found = SubspaceIteration::new(RANK).decompose(&map)?;
            report(name, "subspace iteration", &map, &found, start);
        }
    }
    Ok(())
}

/// The vectors of a basis, each turned by about 0.1 rad: a warm start.
fn neighbour(right: &Block) -> Block {
    let mut stream = Stream::new(0, "neighbour", 0, 0);
    let noise: Vec<f32> = stream.normals(right.as_slice().len());
    let size = 0.1 / (right.dimension() as f32).sqrt();
    let mut start = right.clone();
    for (value, noise) in start.as_mut_slice().iter_mut().zip(noise) {
        *value += size * noise;
    }
    start
}

fn report(name: &str, method: &str, map: &Diagonal, found: &Spectrum, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let error = std::iter::zip(&found.singular_values, &map.values)
        .map(|(s, &t)| (s / f64::from(t) - 1.0).abs())
        .fold(0.0, f64::max);
    println!(
        "{name:<14} {method:<22} {:>6} {:>7} {seconds:>8.3} {error:>9.1e} {:>9.6} {:>6}",
        found.products.blocks(),
        found.products.vectors(),
        smallest_cosine(&found.right),
        found.converged,
    );
}

/// Smallest principal cosine with the span of the first k unit vectors.
fn smallest_cosine(right: &Block) -> f64 {
    let k = right.rows();
    let corner = faer::Mat::from_fn(k, k, |i, j| f64::from(right.row(i)[j]));
    corner.singular_values().map_or(f64::NAN, |s| s[k - 1])
}
