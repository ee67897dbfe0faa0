//! Concepts as directions of a cloud of states: found without labels when
//! they are rare, or from a few marked states.

use faer::{Accum, Mat, Par, Side, linalg::matmul::matmul};

use crate::{
    Block, GeometryError,
    numeric::{add_scaled, dot},
};

/// Variances below this share of the largest are rounding noise.
const NOISE: f64 = 1e-7;
/// Fixed-point steps of one search for a direction of large kurtosis.
const SEARCH_STEPS: usize = 60;
/// States from which each search starts, the most remote first.
const STARTS: usize = 40;
/// How far variances are pulled towards their mean in a discriminant.
const SHRINKAGE: f64 = 0.1;

/// The principal components of a cloud of states.
#[derive(Clone, Debug)]
pub struct Components {
    mean: Vec<f32>,
    /// Orthonormal rows `[m, h]`.
    axes: Block,
    /// Standard deviations along them, descending.
    deviations: Vec<f64>,
    /// Whitened coordinates `[N, m]`: mean 0, variance 1, uncorrelated.
    whitened: Mat<f64>,
}

impl Components {
    /// The `count` leading components of the rows of `states` `[N, h]`, fewer
    /// where the states span fewer.
    ///
    /// Cost: 2·N²·h operations for the Gram matrix, O(N³) for its spectrum.
    ///
    /// # Errors
    /// When there are fewer than three states or all are equal, or a value is
    /// not finite.
    pub fn of(states: &Block, count: usize) -> Result<Self, GeometryError> {
        states.check_finite("components")?;
        let (n, h) = (states.rows(), states.dimension());
        if n < 3 || count == 0 {
            return Err(GeometryError::Parameter {
                name: "the number of states",
                value: n.to_string(),
                requirement: "at least 3, for at least one component".into(),
            });
        }
        let mut mean = vec![0.0; h];
        for i in 0..n {
            add_scaled(&mut mean, 1.0 / n as f32, states.row(i));
        }
        let mut centred = states.clone();
        for i in 0..n {
            add_scaled(centred.row_mut(i), -1.0, &mean);
        }
        let columns = centred.columns(); // [h, n]
        let mut gram = Mat::<f32>::zeros(n, n);
        let (over, seq) = (Accum::Replace, Par::Seq);
        matmul(&mut gram, over, columns.transpose(), columns, 1.0, seq);
        let gram = Mat::from_fn(n, n, |i, j| {
            0.5 * (f64::from(gram[(i, j)]) + f64::from(gram[(j, i)])) / n as f64
        });
        let failure = GeometryError::Decomposition {
            rows: n,
            columns: n,
        };
        let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) else {
            return Err(failure);
        };
        let (values, vectors) = (eigen.S(), eigen.U());
        let largest = values[n - 1];
        if largest.is_nan() || largest <= 0.0 {
            return Err(GeometryError::Degenerate {
                operation: "components",
                detail: "all states are equal".into(),
            });
        }
        let kept = (0..count.min(n - 1))
            .take_while(|&i| values[n - 1 - i] > NOISE * largest)
            .count();
        let deviations: Vec<f64> = (0..kept).map(|i| values[n - 1 - i].sqrt()).collect();
        let root = (n as f64).sqrt();
        let whitened = Mat::from_fn(n, kept, |i, k| vectors[(i, n - 1 - k)] * root);
        let mut axes = Block::zeros(kept, h);
        for k in 0..kept {
            for i in 0..n {
                let weight = whitened[(i, k)] / (n as f64 * deviations[k]);
                add_scaled(axes.row_mut(k), weight as f32, centred.row(i));
            }
        }
        Ok(Self {
            mean,
            axes,
            deviations,
            whitened,
        })
    }

    /// Standard deviations along the components, descending.
    #[must_use]
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// The components, orthonormal rows `[m, h]`.
    #[must_use]
    pub fn axes(&self) -> &Block {
        &self.axes
    }

    fn states(&self) -> usize {
        self.whitened.nrows()
    }

    fn count(&self) -> usize {
        self.deviations.len()
    }

    /// yᵢ · w for every state.
    fn along(&self, direction: &[f64]) -> Vec<f64> {
        let product = |i: usize, k: usize| self.whitened[(i, k)] * direction[k];
        let along = |i| (0..self.count()).map(|k| product(i, k)).sum();
        (0..self.states()).map(along).collect()
    }

    /// The concept that a direction of the whitened space measures; its
    /// members lie above the best cut.
    fn concept(
        &self,
        states: &Block,
        direction: &[f64],
        members: Option<Vec<bool>>,
    ) -> Result<Concept, GeometryError> {
        let raw = self.along(direction);
        let members = members.unwrap_or_else(|| {
            let cut = two_means_cut(&raw);
            raw.iter().map(|&v| v > cut).collect()
        });
        let side = |inside: bool| -> Vec<f64> {
            let both = raw.iter().zip(&members);
            both.filter(|(_, m)| **m == inside)
                .map(|(v, _)| *v)
                .collect()
        };
        let (outside, inside) = (side(false), side(true));
        if inside.is_empty() || outside.len() < 2 {
            return Err(GeometryError::Degenerate {
                operation: "a concept",
                detail: format!("{} of {} states show it", inside.len(), raw.len()),
            });
        }
        // In units of those without it: mean 0, deviation 1.
        let centre = mean(&outside);
        let spread = variance(&outside, centre).sqrt().max(f64::MIN_POSITIVE);
        let mut weights = vec![0.0; self.axes.dimension()];
        for (k, weight) in direction.iter().enumerate() {
            let weight = weight / (self.deviations[k] * spread);
            add_scaled(&mut weights, weight as f32, self.axes.row(k));
        }
        let offset = -dot(&weights, &self.mean) - centre / spread;
        let mut difference = vec![0.0; states.dimension()];
        for (i, &member) in members.iter().enumerate() {
            let share = if member {
                1.0 / inside.len() as f32
            } else {
                -1.0 / outside.len() as f32
            };
            add_scaled(&mut difference, share, states.row(i));
        }
        let scores: Vec<f64> = raw.iter().map(|v| (v - centre) / spread).collect();
        let inside = (mean(&inside) - centre) / spread;
        Ok(Concept {
            weights,
            offset,
            difference,
            kurtosis: excess_kurtosis(&scores),
            members,
            strength: inside,
            scores,
        })
    }

    /// The `count` concepts that the fewest states show: uncorrelated
    /// directions of large kurtosis, the largest first; fewer where there are
    /// fewer components.
    ///
    /// A concept that a share p of the states shows gives a projection with an
    /// excess kurtosis of about 1/p − 6, while common factors, spread evenly
    /// over their range, give values below zero. The search is FastICA's fixed
    /// point with deflation (Hyvärinen 1999), from the most remote states.
    ///
    /// # Errors
    /// When no direction has two sides.
    pub fn rarest(&self, states: &Block, count: usize) -> Result<Vec<Concept>, GeometryError> {
        GeometryError::check_extent("rarest", "number of states", states.rows(), self.states())?;
        let row =
            |i: usize| -> Vec<f64> { (0..self.count()).map(|k| self.whitened[(i, k)]).collect() };
        let mut starts: Vec<(f64, usize)> = (0..self.states())
            .map(|i| (row(i).iter().map(|v| v * v).sum::<f64>(), i))
            .collect();
        starts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut found: Vec<Vec<f64>> = Vec::new();
        while found.len() < count.min(self.count()) {
            let searches = starts.iter().take(STARTS);
            let best = searches
                .filter_map(|&(_, start)| self.search(row(start), &found))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, direction)) = best else {
                break;
            };
            found.push(direction);
        }
        let mut concepts = Vec::with_capacity(found.len());
        for mut direction in found {
            // The few are on the positive side.
            let skew: f64 = self.along(&direction).iter().map(|v| v.powi(3)).sum();
            if skew < 0.0 {
                direction.iter_mut().for_each(|v| *v = -*v);
            }
            concepts.push(self.concept(states, &direction, None)?);
        }
        concepts.sort_by(|a, b| b.kurtosis.total_cmp(&a.kurtosis));
        Ok(concepts)
    }

    /// A direction of locally largest kurtosis among those orthogonal to
    /// `others`, with it; `None` where nothing is left of the start.
    fn search(&self, mut direction: Vec<f64>, others: &[Vec<f64>]) -> Option<(f64, Vec<f64>)> {
        let start = inner(&direction, &direction);
        deflate(&mut direction, others);
        if inner(&direction, &direction) <= NOISE * start {
            return None;
        }
        normalise(&mut direction);
        for _ in 0..SEARCH_STEPS {
            let cubes: Vec<f64> = self.along(&direction).iter().map(|v| v.powi(3)).collect();
            let mut next: Vec<f64> = (0..self.count())
                .map(|k| {
                    let products = (0..self.states()).map(|i| self.whitened[(i, k)] * cubes[i]);
                    products.sum::<f64>() / self.states() as f64 - 3.0 * direction[k]
                })
                .collect();
            deflate(&mut next, others);
            normalise(&mut next);
            let turned = inner(&next, &direction);
            direction = next;
            if turned.abs() > 1.0 - 1e-10 {
                break;
            }
        }
        Some((excess_kurtosis(&self.along(&direction)), direction))
    }

    /// The concept that separates the marked states from the rest: Fisher's
    /// discriminant, its covariance pulled a tenth of the way to the identity.
    ///
    /// # Errors
    /// When no state or every state is marked, or the counts differ.
    pub fn contrast(&self, states: &Block, members: &[bool]) -> Result<Concept, GeometryError> {
        const OPERATION: &str = "contrast";
        GeometryError::check_extent(OPERATION, "number of states", states.rows(), self.states())?;
        GeometryError::check_extent(OPERATION, "number of marks", members.len(), self.states())?;
        let m = self.count();
        let counts = [false, true].map(|side| members.iter().filter(|v| **v == side).count());
        if counts.contains(&0) {
            return Err(GeometryError::Degenerate {
                operation: OPERATION,
                detail: format!("{} of {} states are marked", counts[1], members.len()),
            });
        }
        let mut means = [vec![0.0; m], vec![0.0; m]];
        for (i, &member) in members.iter().enumerate() {
            let side = usize::from(member);
            for k in 0..m {
                means[side][k] += self.whitened[(i, k)] / counts[side] as f64;
            }
        }
        let mut within = Mat::<f64>::zeros(m, m);
        for (i, &member) in members.iter().enumerate() {
            let centre = &means[usize::from(member)];
            for a in 0..m {
                for b in 0..m {
                    let product =
                        (self.whitened[(i, a)] - centre[a]) * (self.whitened[(i, b)] - centre[b]);
                    within[(a, b)] += product / members.len() as f64;
                }
            }
        }
        let shrunk = Mat::from_fn(m, m, |a, b| {
            let diagonal = if a == b { SHRINKAGE } else { 0.0 };
            (1.0 - SHRINKAGE) * within[(a, b)] + diagonal
        });
        let difference = Mat::from_fn(m, 1, |k, _| means[1][k] - means[0][k]);
        let Ok(factor) = shrunk.llt(Side::Lower) else {
            return Err(GeometryError::Decomposition {
                rows: m,
                columns: m,
            });
        };
        let solved = faer::linalg::solvers::Solve::solve(&factor, &difference);
        let mut direction: Vec<f64> = (0..m).map(|k| solved[(k, 0)]).collect();
        normalise(&mut direction);
        self.concept(states, &direction, Some(members.to_vec()))
    }
}

/// A concept of a cloud of states: a linear score, and which states show it.
#[derive(Clone, Debug)]
pub struct Concept {
    /// w `[h]`: the score of a state is w · h + offset.
    pub weights: Vec<f32>,
    /// Makes the mean score of the states without the concept 0; their
    /// deviation is 1.
    pub offset: f64,
    /// Mean of the states with the concept minus mean of those without, `[h]`.
    pub difference: Vec<f32>,
    /// Excess kurtosis of the scores.
    pub kurtosis: f64,
    /// Which states show it.
    pub members: Vec<bool>,
    /// Mean score of those that show it.
    pub strength: f64,
    /// Scores of all states.
    pub scores: Vec<f64>,
}

impl Concept {
    /// How much of the concept a state `[h]` shows, in standard deviations of
    /// the states without it.
    #[must_use]
    pub fn score(&self, state: &[f32]) -> f64 {
        dot(&self.weights, state) + self.offset
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn variance(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64
}

fn excess_kurtosis(values: &[f64]) -> f64 {
    let centre = mean(values);
    let square = variance(values, centre);
    let fourth = values.iter().map(|v| (v - centre).powi(4)).sum::<f64>();
    fourth / (values.len().max(1) as f64 * square * square).max(f64::MIN_POSITIVE) - 3.0
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Removes the parts along orthonormal directions.
fn deflate(vector: &mut [f64], directions: &[Vec<f64>]) {
    for direction in directions {
        let along = inner(vector, direction);
        for (v, d) in vector.iter_mut().zip(direction) {
            *v -= along * d;
        }
    }
}

fn normalise(vector: &mut [f64]) {
    let norm = inner(vector, vector).sqrt();
    vector
        .iter_mut()
        .for_each(|v| *v /= norm.max(f64::MIN_POSITIVE));
}

/// The cut between two groups with the least squares within them (Otsu 1979).
fn two_means_cut(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let n = sorted.len() as f64;
    let (mut left, mut best, mut cut) = (0.0, f64::NEG_INFINITY, f64::INFINITY);
    for i in 1..sorted.len() {
        left += sorted[i - 1];
        let (a, b) = (i as f64, n - i as f64);
        // Between-group variance, up to constants.
        let between = left * left / a + (total - left) * (total - left) / b;
        if between > best {
            best = between;
            cut = 0.5 * (sorted[i - 1] + sorted[i]);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    /// 300 states in 40 dimensions: uniform and binary factors, and one rare
    /// concept, mixed by a random matrix.
    fn cloud(share: f64) -> (Block, Vec<bool>) {
        let (n, h, factors) = (300, 40, 9);
        let mut stream = Stream::new(5, "cloud", 0, 0);
        let mixing = Block::normals(factors + 1, h, &mut stream);
        let mut states = Block::zeros(n, h);
        let mut rare = Vec::new();
        for i in 0..n {
            let noise: Vec<f32> = stream.normals(h);
            add_scaled(states.row_mut(i), 0.1, &noise);
            for f in 0..factors {
                let value = stream.range(-1.0, 1.0) as f32;
                let value = if f < 3 { value.signum() } else { value };
                add_scaled(states.row_mut(i), value, mixing.row(f));
            }
            rare.push(stream.uniform() < share);
            if rare[i] {
                add_scaled(states.row_mut(i), 1.5, mixing.row(factors));
            }
        }
        (states, rare)
    }

    #[test]
    fn a_rare_concept_is_found_without_labels() {
        let (states, rare) = cloud(0.05);
        let components = Components::of(&states, 20).unwrap();
        let concepts = components.rarest(&states, 3).unwrap();
        assert_eq!(concepts.len(), 3);
        assert!(concepts[0].kurtosis > 4.0 * concepts[1].kurtosis.max(0.5));
        let found = &concepts[0];
        assert_eq!(found.members, rare);
        assert!(found.kurtosis > 5.0, "{}", found.kurtosis);
        // The score is a function of the state alone.
        for i in 0..states.rows() {
            assert!((found.score(states.row(i)) - found.scores[i]).abs() < 1e-3);
        }
        let few = rare.iter().filter(|r| **r).count();
        assert!((4..30).contains(&few), "{few}");
    }

    #[test]
    fn a_few_marks_find_the_same_concept() {
        let (states, rare) = cloud(0.05);
        let components = Components::of(&states, 20).unwrap();
        let mut left = 4;
        let marks: Vec<bool> = rare
            .iter()
            .map(|&r| {
                left -= i32::from(r && left > 0);
                r && left > 0
            })
            .collect();
        let found = components.contrast(&states, &marks).unwrap();
        let half = 0.5 * found.strength;
        let wrong = (0..rare.len()).filter(|&i| (found.scores[i] > half) != rare[i]);
        assert!(wrong.count() <= 3);
    }

    #[test]
    fn components_whiten() {
        let (states, _) = cloud(0.1);
        let components = Components::of(&states, 6).unwrap();
        for a in 0..6 {
            for b in 0..6 {
                let product = dot(components.axes.row(a), components.axes.row(b));
                assert!((product - f64::from(u8::from(a == b))).abs() < 1e-4);
            }
        }
        let same = Block::from_vec(4, 2, vec![1.0; 8]).unwrap();
        assert!(Components::of(&same, 2).is_err());
        assert!(components.contrast(&states, &vec![false; 300]).is_err());
    }
}
