//! Concepts as directions of a cloud of states: found without labels when
//! they are rare, or from a few marked states.

use faer::{Accum, Mat, Par, Side, linalg::matmul::matmul};

use crate::{
    Block, GeometryError,
    numeric::{add_scaled, dot},
};
use alice_random::Stream;

/// Variances below this share of the largest are rounding noise.
const NOISE: f64 = 1e-7;
/// Steps in which a group must settle.
const SETTLING_STEPS: usize = 20;
/// Fewest states of a group.
const SMALLEST: usize = 6;

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

    /// The concept that a direction of the whitened space measures.
    fn concept(
        &self,
        states: &Block,
        direction: &[f64],
        members: &[bool],
    ) -> Result<Concept, GeometryError> {
        let raw = self.along(direction);
        let (inside, outside) = sides(&raw, members);
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
        let separation = standard_distance(&inside, &outside);
        Ok(Concept {
            weights,
            offset,
            difference,
            separation,
            members: members.to_vec(),
            strength: (mean(&inside) - centre) / spread,
            scores,
        })
    }

    /// The concepts that few states show, at most `largest` of them, the one
    /// that stands apart most first.
    ///
    /// From the neighbourhood of each state in turn: a group gives Fisher's
    /// discriminant, and along it the cut that best tells the uppermost states
    /// from the rest gives the next group, until the group stays (cost: O(N·m + N log N) a step). Most starts
    /// grow beyond `largest`, into what is common; the groups that stay small
    /// are concepts of their own.
    ///
    /// # Errors
    /// When no group stays small.
    pub fn rarest(&self, states: &Block, largest: usize) -> Result<Vec<Concept>, GeometryError> {
        const OPERATION: &str = "the search for a rare concept";
        GeometryError::check_extent(OPERATION, "number of states", states.rows(), self.states())?;
        let groups = self.groups(largest);
        if groups.is_empty() {
            return Err(GeometryError::Degenerate {
                operation: OPERATION,
                detail: format!(
                    "no group of at most {largest} of {} states stands apart",
                    self.states()
                ),
            });
        }
        let mut concepts = groups
            .iter()
            .map(|group| self.contrast(states, group))
            .collect::<Result<Vec<_>, _>>()?;
        concepts.sort_by(|a, b| b.separation.total_cmp(&a.separation));
        Ok(concepts)
    }

    /// Most starts of [`Self::rarest`].
    pub const STARTS: usize = 512;

    /// The groups that stay small, each once.
    fn groups(&self, largest: usize) -> Vec<Vec<bool>> {
        let stride = self.states().div_ceil(Self::STARTS);
        let mut groups: Vec<Vec<bool>> = Vec::new();
        for start in (0..self.states()).step_by(stride) {
            if let Some(group) = self.settle(self.neighbours(start), None, largest)
                && !groups.contains(&group)
            {
                groups.push(group);
            }
        }
        groups
    }

    /// The largest separation that [`Self::rarest`] finds in clouds of
    /// independent normal numbers, of as many states and components: what stands
    /// apart no further than this may be noise. 0 when none of `clouds` has a
    /// group that stays small.
    ///
    /// With many states for each component there are none; with few, the
    /// discriminant can set any few of them apart. Cost: that of `rarest`, for
    /// each cloud.
    #[must_use]
    pub fn separation_of_noise(&self, largest: usize, clouds: usize) -> f64 {
        let (n, m) = (self.states(), self.count());
        let found = (0..clouds as u64).flat_map(|cloud| {
            let mut stream = Stream::new(0, "a cloud without concepts", cloud, 0);
            let noise = Self {
                whitened: whitened_noise(n, m, &mut stream),
                ..self.clone()
            };
            let separations = noise.groups(largest).into_iter().map(|group| {
                let (inside, outside) = sides(&noise.along(&noise.discriminant(&group)), &group);
                standard_distance(&inside, &outside)
            });
            separations.collect::<Vec<_>>()
        });
        found.fold(0.0, f64::max)
    }

    /// All states, at most `largest`, that show what the marked ones have in
    /// common, found as in [`Self::rarest`]; `None` where the group does not stay
    /// small.
    ///
    /// # Errors
    /// When the counts differ, or no state or every state is marked.
    pub fn like(&self, marks: &[bool], largest: usize) -> Result<Option<Vec<bool>>, GeometryError> {
        self.check_marks("like", marks)?;
        Ok(self.settle(marks.to_vec(), Some(marks), largest))
    }

    /// How far the marked states stand apart from all others along their own
    /// discriminant: the separation of their [`Self::contrast`].
    ///
    /// Any few states stand apart along a direction of their own, the further
    /// the fewer they are and the more components there are, so this means
    /// something only beside that of as many others of the same cloud.
    ///
    /// # Errors
    /// When the counts differ, or no state or every state is marked.
    pub fn separation(&self, marks: &[bool]) -> Result<f64, GeometryError> {
        self.check_marks("separation", marks)?;
        let (inside, outside) = sides(&self.along(&self.discriminant(marks)), marks);
        Ok(standard_distance(&inside, &outside))
    }

    fn check_marks(&self, operation: &'static str, marks: &[bool]) -> Result<(), GeometryError> {
        GeometryError::check_extent(operation, "number of marks", marks.len(), self.states())?;
        let marked = marks.iter().filter(|mark| **mark).count();
        if (1..marks.len()).contains(&marked) {
            return Ok(());
        }
        Err(GeometryError::Degenerate {
            operation,
            detail: format!("{marked} of {} states are marked", marks.len()),
        })
    }

    /// A state and those closest to it.
    fn neighbours(&self, state: usize) -> Vec<bool> {
        let mut group = vec![false; self.states()];
        for i in self.closest(|k| self.whitened[(state, k)], SMALLEST) {
            group[i] = true;
        }
        group
    }

    /// The `count` states closest to a place in the whitened space.
    fn closest(&self, place: impl Fn(usize) -> f64, count: usize) -> Vec<usize> {
        let distance = |i: usize| -> f64 {
            let square = |k| (self.whitened[(i, k)] - place(k)).powi(2);
            (0..self.count()).map(square).sum()
        };
        let mut order: Vec<(f64, usize)> = (0..self.states()).map(|i| (distance(i), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.into_iter().take(count).map(|(_, i)| i).collect()
    }

    /// The `count` states of the cloud that are nearest to a state `[h]` in the
    /// whitened space, by index, the nearest first.
    ///
    /// Cost: O(m·(h + N)).
    ///
    /// # Errors
    /// When the state is of another dimension.
    pub fn nearest(&self, state: &[f32], count: usize) -> Result<Vec<usize>, GeometryError> {
        let dimension = self.axes.dimension();
        GeometryError::check_extent("nearest", "dimension", state.len(), dimension)?;
        let mut centred = state.to_vec();
        add_scaled(&mut centred, -1.0, &self.mean);
        let at = |k: usize| dot(self.axes.row(k), &centred) / self.deviations[k];
        let place: Vec<f64> = (0..self.count()).map(at).collect();
        Ok(self.closest(|k| place[k], count))
    }

    /// The group that a group settles at; `None` when it grows beyond
    /// `largest` or never settles. The states `always` stay in.
    fn settle(
        &self,
        mut group: Vec<bool>,
        always: Option<&[bool]>,
        largest: usize,
    ) -> Option<Vec<bool>> {
        let least = SMALLEST.min(largest);
        for _ in 0..SETTLING_STEPS {
            let direction = self.discriminant(&group);
            let scores = self.along(&direction);
            let uppermost = best_cut(&scores, least, largest + 1)?;
            let mut next: Vec<bool> = scores.iter().map(|s| *s >= uppermost).collect();
            for (next, always) in next.iter_mut().zip(always.into_iter().flatten()) {
                *next |= always;
            }
            if next.iter().filter(|member| **member).count() > largest {
                return None;
            }
            if next == group {
                return Some(group);
            }
            group = next;
        }
        None
    }

    /// The concept that separates the marked states from the rest, by Fisher's
    /// discriminant.
    ///
    /// # Errors
    /// When no state or every state is marked, or the counts differ.
    pub fn contrast(&self, states: &Block, members: &[bool]) -> Result<Concept, GeometryError> {
        const OPERATION: &str = "contrast";
        GeometryError::check_extent(OPERATION, "number of states", states.rows(), self.states())?;
        self.check_marks(OPERATION, members)?;
        self.concept(states, &self.discriminant(members), members)
    }

    /// Fisher's discriminant of a group, of unit length. In a whitened space it
    /// is the difference of the means: what varies within the groups is the
    /// identity less a multiple of that difference's square.
    fn discriminant(&self, members: &[bool]) -> Vec<f64> {
        let mut direction = vec![0.0; self.count()];
        let inside = members.iter().filter(|member| **member).count();
        let outside = members.len() - inside;
        for (i, &member) in members.iter().enumerate() {
            let share = if member {
                1.0 / inside.max(1) as f64
            } else {
                -1.0 / outside.max(1) as f64
            };
            for (k, sum) in direction.iter_mut().enumerate() {
                *sum += share * self.whitened[(i, k)];
            }
        }
        normalise(&mut direction);
        direction
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
    /// How far the mean score of those that show it lies from that of the
    /// others, in deviations within the two groups. Unlike the share of the
    /// variance between them it does not prefer the larger of two groups.
    pub separation: f64,
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

/// The values of the members of a group, and of the others.
fn sides(values: &[f64], members: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let side = |inside: bool| {
        let both = values.iter().zip(members);
        both.filter(|(_, m)| **m == inside)
            .map(|(v, _)| *v)
            .collect()
    };
    (side(true), side(false))
}

/// `n` draws of `m` independent normal numbers, whitened: mean 0, variance 1,
/// uncorrelated.
fn whitened_noise(n: usize, m: usize, stream: &mut Stream) -> Mat<f64> {
    let drawn: Vec<f64> = stream.normals(n * m);
    let column = |k: usize| &drawn[k * n..(k + 1) * n];
    let centres: Vec<f64> = (0..m).map(|k| mean(column(k))).collect();
    let centred = Mat::from_fn(n, m, |i, k| column(k)[i] - centres[k]);
    let root = (n as f64).sqrt();
    centred.qr().compute_thin_Q() * faer::Scale(root)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn variance(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64
}

/// The distance of the means of two groups in deviations within them.
fn standard_distance(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (centre_a, centre_b) = (mean(a), mean(b));
    let within = (n * variance(a, centre_a) + m * variance(b, centre_b)) / (n + m);
    (centre_a - centre_b) / within.sqrt().max(f64::MIN_POSITIVE)
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn normalise(vector: &mut [f64]) {
    let norm = inner(vector, vector).sqrt();
    vector
        .iter_mut()
        .for_each(|v| *v /= norm.max(f64::MIN_POSITIVE));
}

/// The least of the uppermost values, `least` to `most` of them, that stand
/// apart best: with the least squares within them and the rest (Otsu 1979).
fn best_cut(values: &[f64], least: usize, most: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (total, n) = (sorted.iter().sum::<f64>(), sorted.len() as f64);
    let mut upper = 0.0;
    let mut best: Option<(f64, f64)> = None;
    for (count, &value) in (1..).zip(&sorted).take(most.min(values.len() - 1)) {
        upper += value;
        let (a, b) = (count as f64, n - count as f64);
        // The squares between the groups, up to a constant.
        let between = upper * upper / a + (total - upper) * (total - upper) / b;
        if count >= least && best.is_none_or(|(found, _)| between > found) {
            best = Some((between, value));
        }
    }
    best.map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
