//! Large populations in the plane: the sums are smooth on the kernel's scale.
//!
//! Space is cut into cells as wide as the kernel (distances d have the exponent
//! −d² of 2, and cells have the side at which that is 1/e). A cell with many individuals takes the sums at
//! 10 × 10 Chebyshev nodes and interpolates; a cell with few takes them at each
//! individual; both over the sources within reach only. Sources out of reach
//! have kernel values below e^(−36) = 2.4e-16, and interpolation errs by at most
//! 1e-7 of the mass in reach. An individual whose own sums are not 10⁵ times
//! these errors takes the next more exact way, all pairs in the end. A test
//! with 3,000 individuals keeps x̂₀ within 3e-5 of the equations.

use super::combine::Totals;
use super::direct::{Columns, finish, sums, width};
use super::{Cloud, Guards};
use crate::real::vectorized;
use rayon::prelude::*;

/// The side of a cell, 1/√ln 2.
const SIDE: f64 = 1.201_122_408_786_449_8;
/// Chebyshev nodes along each axis.
const NODES: usize = 10;
/// Cells on each side that are in reach.
const REACH: i64 = 6;
/// e^(−36): six cells away.
const BEYOND: f64 = 2.4e-16;
/// Error of an interpolated sum, in units of the mass in reach.
const INTERPOLATION: f64 = 1e-7;
/// Error of a mean that is allowed.
const TOLERANCE: f64 = 1e-5;

type Key = (i64, i64);

/// (row, column) of the cell of a place.
fn cell([x, y]: [f64; 2]) -> Key {
    ((y / SIDE).floor() as i64, (x / SIDE).floor() as i64)
}

/// Indices sorted by the cells of their places, and these cells.
fn sorted(places: &[[f64; 2]]) -> (Vec<u32>, Vec<Key>) {
    let mut order: Vec<(Key, u32)> = (0u32..).zip(places).map(|(i, p)| (cell(*p), i)).collect();
    order.par_sort_unstable();
    order.into_iter().map(|(key, i)| (i, key)).unzip()
}

pub(super) fn estimate(cloud: &Cloud<'_>, alpha: f64, guards: Guards, out: &mut [f64]) {
    let (scale, root) = (width(alpha), alpha.sqrt());
    let rows = || cloud.points.chunks_exact(2);
    let targets: Vec<[f64; 2]> = rows().map(|r| [scale * r[0], scale * r[1]]).collect();
    let sources: Vec<[f64; 2]> = targets.iter().map(|t| t.map(|x| root * x)).collect();
    let (target_order, target_cells) = sorted(&targets);
    let (source_order, source_cells) = sorted(&sources);
    let problem = Plane {
        cloud,
        guards,
        unit: scale * root,
        totals: Totals::of(cloud),
        targets,
        sources,
        source_order,
        source_cells,
    };
    let mut starts: Vec<usize> = (0..target_cells.len())
        .filter(|&i| i == 0 || target_cells[i] != target_cells[i - 1])
        .collect();
    starts.push(target_cells.len());
    let found: Vec<(u32, [f64; 2])> = starts
        .par_windows(2)
        .with_max_len(1)
        .flat_map_iter(|ends| {
            let members = &target_order[ends[0]..ends[1]];
            problem.solve(target_cells[ends[0]], members)
        })
        .collect();
    let mut unresolved = Vec::new();
    for (i, mean) in found {
        out[2 * i as usize..][..2].copy_from_slice(&mean);
        if mean[0].is_nan() {
            unresolved.push(i);
        }
    }
    problem.all_pairs(&unresolved, out);
}

struct Plane<'a> {
    cloud: &'a Cloud<'a>,
    guards: Guards,
    /// Sources are points times this.
    unit: f64,
    totals: Totals,
    targets: Vec<[f64; 2]>,
    sources: Vec<[f64; 2]>,
    source_order: Vec<u32>,
    source_cells: Vec<Key>,
}

impl Plane<'_> {
    /// x̂₀ of the members of a cell; NaN where all pairs are needed.
    fn solve(&self, key: Key, members: &[u32]) -> Vec<(u32, [f64; 2])> {
        // The middle of the cell is the origin, which keeps f32 exact.
        let middle = [key.1, key.0].map(|k| (k as f64 + 0.5) * SIDE);
        let near = self.near(key, middle);
        let mass_in_reach: f64 = near.weights.iter().map(|q| f64::from(*q)).sum();
        let grid = (members.len() > NODES * NODES).then(|| Grid::new(&near));
        let solve = |&i: &u32| {
            let target = self.targets[i as usize];
            let local = [target[0] - middle[0], target[1] - middle[1]];
            let mut found = None;
            if let Some(grid) = &grid {
                let sums = grid.interpolate(local);
                if mass_in_reach * INTERPOLATION < TOLERANCE * sums[0] {
                    found = Some(sums);
                }
            }
            let [mass, x, y] = found.unwrap_or_else(|| sums_at(local, &near));
            if self.totals.mass * BEYOND >= TOLERANCE * mass {
                return (i, [f64::NAN; 2]);
            }
            let moment = [x + middle[0] * mass, y + middle[1] * mass];
            (i, self.mean(i, 0.0, mass, &moment))
        };
        members.iter().map(solve).collect()
    }

    fn mean(&self, i: u32, shift: f64, mass: f64, moment: &[f64; 2]) -> [f64; 2] {
        let row = &self.cloud.points[2 * i as usize..][..2];
        let mut out = [0.0; 2];
        finish(
            &mut out,
            row,
            shift,
            mass,
            moment,
            self.unit,
            &self.totals,
            self.guards,
        );
        out
    }

    /// The sources in reach of a cell, relative to its middle.
    fn near(&self, (row, column): Key, middle: [f64; 2]) -> Columns<f32, 2> {
        let mut near = Columns::with_capacity(1024);
        for row in row - REACH..=row + REACH {
            let start = self
                .source_cells
                .partition_point(|key| *key < (row, column - REACH));
            let end = start
                + self.source_cells[start..].partition_point(|key| *key <= (row, column + REACH));
            for &j in &self.source_order[start..end] {
                let source = self.sources[j as usize];
                let local = [source[0] - middle[0], source[1] - middle[1]];
                near.push(
                    local.map(|x| x as f32),
                    self.cloud.weights[j as usize] as f32,
                );
            }
        }
        near.pad();
        near
    }

    /// The estimate of few individuals over all sources.
    fn all_pairs(&self, members: &[u32], out: &mut [f64]) {
        let found: Vec<[f64; 2]> = members
            .par_iter()
            .map_init(
                || Columns::<f64, 2>::with_capacity(self.sources.len()),
                |columns, &i| {
                    let target = self.targets[i as usize];
                    if columns.weights.is_empty() {
                        for (source, q) in self.sources.iter().zip(self.cloud.weights) {
                            columns.push(*source, *q);
                        }
                        columns.pad();
                    }
                    let squared =
                        |s: &[f64; 2]| (target[0] - s[0]).powi(2) + (target[1] - s[1]).powi(2);
                    let counted = self.sources.iter().zip(self.cloud.weights);
                    let nearest = counted
                        .filter(|(_, q)| **q > 0.0)
                        .map(|(s, _)| squared(s))
                        .fold(f64::MAX, f64::min);
                    let (mass, moment) = vectorized(
                        #[inline(always)]
                        || sums(&target, nearest, columns),
                    );
                    self.mean(i, nearest, mass, &moment)
                },
            )
            .collect();
        for (&i, mean) in members.iter().zip(found) {
            out[2 * i as usize..][..2].copy_from_slice(&mean);
        }
    }
}

fn sums_at(target: [f64; 2], near: &Columns<f32, 2>) -> [f64; 3] {
    let target = target.map(|x| x as f32);
    let (mass, moment) = vectorized(
        #[inline(always)]
        || sums(&target, 0.0, near),
    );
    [mass, moment[0], moment[1]]
}

/// Position of a Chebyshev node in a cell, from its middle.
fn node(k: usize) -> f64 {
    0.5 * SIDE * ((k as f64 + 0.5) * std::f64::consts::PI / NODES as f64).cos()
}

/// The sums at the nodes of a cell.
struct Grid {
    nodes: [f64; NODES],
    values: Vec<[f64; 3]>,
}

impl Grid {
    fn new(near: &Columns<f32, 2>) -> Self {
        let nodes = std::array::from_fn(node);
        let places = (0..NODES * NODES).map(|k| [nodes[k % NODES], nodes[k / NODES]]);
        Self {
            nodes,
            values: places.map(|place| sums_at(place, near)).collect(),
        }
    }

    fn interpolate(&self, [x, y]: [f64; 2]) -> [f64; 3] {
        let (across, up) = (self.basis(x), self.basis(y));
        let mut sums = [0.0; 3];
        for (row, up) in self.values.chunks_exact(NODES).zip(up) {
            for (values, across) in row.iter().zip(across) {
                for k in 0..3 {
                    sums[k] += up * across * values[k];
                }
            }
        }
        sums
    }

    /// The Lagrange polynomials at x, in their barycentric form.
    fn basis(&self, x: f64) -> [f64; NODES] {
        if let Some(hit) = self.nodes.iter().position(|node| *node == x) {
            return std::array::from_fn(|k| f64::from(u8::from(k == hit)));
        }
        let weights: [f64; NODES] = std::array::from_fn(|k| {
            let angle = (k as f64 + 0.5) * std::f64::consts::PI / NODES as f64;
            let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
            sign * angle.sin() / (x - self.nodes[k])
        });
        let total: f64 = weights.iter().sum();
        weights.map(|w| w / total)
    }
}
