//! What a final population is worth: the paper's measures.

use std::collections::HashMap;

/// Individuals that count as the best.
pub const ELITE: usize = 64;
/// The side of the cells of [`quality_diversity`].
pub const CELL: f64 = 1.0;
/// They lie between this, below and above zero.
const HALF_WIDTH: f64 = 4.0;

/// The cell of a coordinate along one axis: cells are `width` wide and have
/// their middles at the multiples of it, and coordinates beyond `low` and
/// `high` are in the cell of the nearest end. Whole, unless x is not a number.
#[must_use]
pub fn cell(x: f64, low: f64, high: f64, width: f64) -> f64 {
    (x.clamp(low, high) / width).round()
}

/// Indices of the `count` points of highest fitness, best first; all if there
/// are fewer.
#[must_use]
pub fn best(fitness: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..fitness.len()).collect();
    order.sort_by(|a, b| fitness[*b].total_cmp(&fitness[*a]));
    order.truncate(count);
    order
}

/// The mean; 0 of nothing. Finite where all values are, however large.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let sum: f64 = values.iter().sum();
    if sum.is_finite() {
        return sum / count;
    }
    // Shares round upward; a mean lies between the values.
    let shares: f64 = values.iter().map(|value| value / count).sum();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    shares.max(low).min(high)
}

/// Mean fitness of the best 64.
#[must_use]
pub fn elite_fitness(fitness: &[f64]) -> f64 {
    let best = best(fitness, ELITE);
    mean(&best.iter().map(|i| fitness[*i]).collect::<Vec<_>>())
}

/// Shannon entropy, in bits, of the cells round(10 x) that hold the 64 points
/// of highest `rank`; at most log₂ 64 = 6. `points` is `[n, d]`.
#[must_use]
pub fn entropy(points: &[f64], dimension: usize, rank: &[f64]) -> f64 {
    let best = best(rank, ELITE);
    let mut cells: HashMap<Vec<i64>, usize> = HashMap::new();
    for &i in &best {
        let point = &points[i * dimension..][..dimension];
        let cell = point.iter().map(|x| (10.0 * x).round() as i64).collect();
        *cells.entry(cell).or_default() += 1;
    }
    // Sorted, so that the sum does not depend on the map's order.
    let mut counts: Vec<usize> = cells.into_values().collect();
    counts.sort_unstable();
    let share = |count: usize| count as f64 / best.len() as f64;
    let bits: f64 = counts.iter().map(|c| -share(*c) * share(*c).log2()).sum();
    bits.max(0.0)
}

/// Quality and diversity: the sum, over the unit [`cell`]s of ±4 that hold a
/// point, of the best fitness in the cell. `points` is `[n, d]`.
///
/// Cells are those of round(x), as those of [`entropy`] are; points outside of
/// ±4 are in the nearest cell at its side. Of ten definitions that were tried
/// this one reproduces the five published scores (docs/evolution.md). They are
/// also the cells in which [`MapElites`](crate::baselines::MapElites) keeps its
/// elites. A sum beyond the largest number is that number.
#[must_use]
pub fn quality_diversity(points: &[f64], dimension: usize, fitness: &[f64]) -> f64 {
    let mut cells: HashMap<Vec<i64>, f64> = HashMap::new();
    for (point, fitness) in points.chunks_exact(dimension).zip(fitness) {
        if point.iter().any(|x| x.is_nan()) {
            continue;
        }
        let along = |x: &f64| cell(*x, -HALF_WIDTH, HALF_WIDTH, CELL) as i64;
        let best = cells
            .entry(point.iter().map(along).collect())
            .or_insert(f64::NEG_INFINITY);
        *best = best.max(*fitness);
    }
    let mut scores: Vec<f64> = cells.into_values().collect();
    scores.sort_by(f64::total_cmp);
    scores.iter().sum::<f64>().clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_counts_the_cells_of_the_best() {
        // 64 points in 64 cells, and many bad ones in one.
        let mut points: Vec<f64> = (0..64).flat_map(|i| [f64::from(i) * 0.1, 0.0]).collect();
        points.extend([0.0; 200]);
        let rank: Vec<f64> = (0..164).map(|i| if i < 64 { 1.0 } else { 0.0 }).collect();
        assert!((entropy(&points, 2, &rank) - 6.0).abs() < 1e-12);
        assert_eq!(entropy(&[0.0; 128], 2, &[1.0; 64]), 0.0);
        let halves: Vec<f64> = (0..64).map(|i| f64::from(i % 2)).collect();
        assert!((entropy(&halves, 1, &[1.0; 64]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn quality_takes_the_best_of_each_cell() {
        let points = [
            0.4,
            0.6,
            0.1,
            1.4,
            -3.5,
            2.0,
            4.4,
            4.0,
            3.6,
            3.9,
            1e300,
            0.0,
            4.6,
            0.1,
            f64::NAN,
            0.0,
        ];
        let fitness = [0.2, 0.7, 0.1, 0.4, 0.3, 0.05, 0.06, 9.0];
        let score = quality_diversity(&points, 2, &fitness);
        assert!((score - (0.7 + 0.1 + 0.4 + 0.06)).abs() < 1e-12, "{score}");
    }

    #[test]
    fn huge_values_have_a_mean_and_a_score() {
        let huge = [1e308; 100];
        assert!((elite_fitness(&huge) / 1e308 - 1.0).abs() < 1e-12);
        assert_eq!(mean(&[f64::MAX; 3]), f64::MAX);
        assert_eq!(mean(&[f64::MIN; 7]), f64::MIN);
        assert_eq!((mean(&[]), mean(&[1.0, 2.0])), (0.0, 1.5));
        let points: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(quality_diversity(&points, 2, &huge[..4]), f64::MAX);
    }

    #[test]
    fn the_best_are_the_first_of_equals() {
        assert_eq!(best(&[0.1, 0.9, 0.9, 0.5], 3), [1, 2, 3]);
        assert_eq!(elite_fitness(&[0.25, 0.75]), 0.5);
    }
}
