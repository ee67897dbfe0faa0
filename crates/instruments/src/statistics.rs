//! Correlations and quantiles.

use crate::calibration::Quantiles;

/// The share of the variance of `truth` that `read` explains.
pub(crate) fn r_squared(truth: &[f64], read: &[f64]) -> f64 {
    let center = mean(truth);
    let total: f64 = truth.iter().map(|t| (t - center).powi(2)).sum();
    let rest: f64 = truth.iter().zip(read).map(|(t, r)| (t - r).powi(2)).sum();
    if total > 0.0 { 1.0 - rest / total } else { 0.0 }
}

/// Rank correlation; 0 when one side is constant.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (ma, mb) = (mean(&a), mean(&b));
    let cross: f64 = a.iter().zip(&b).map(|(x, y)| (x - ma) * (y - mb)).sum();
    let square = |v: &[f64], m: f64| v.iter().map(|x| (x - m).powi(2)).sum::<f64>();
    let norm = (square(&a, ma) * square(&b, mb)).sqrt();
    if norm > 0.0 { cross / norm } else { 0.0 }
}

/// Ranks from 0; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = |&&i: &&usize| values[i] == values[order[start]];
        let end = start + order[start..].iter().take_while(same).count().max(1);
        for &i in &order[start..end] {
            ranks[i] = 0.5 * (start + end - 1) as f64;
        }
        start = end;
    }
    ranks
}

/// The mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Quantiles by the nearest rank; zeros of nothing.
pub(crate) fn quantiles(values: &[f32]) -> Quantiles {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| {
        let last = sorted.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(0.0)
    };
    Quantiles {
        minimum: at(0.0),
        p01: at(0.01),
        p10: at(0.1),
        median: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        maximum: at(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_sees_order_and_ties() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert!((spearman(&a, &[1.0, 8.0, 27.0, 64.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&a, &[4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert_eq!(spearman(&a, &[1.0; 4]), 0.0);
        // scipy.stats.spearmanr([1, 2, 3, 4], [1, 1, 3, 2])
        assert!((spearman(&a, &[1.0, 1.0, 3.0, 2.0]) - 0.737_864_787).abs() < 1e-8);
    }

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let values: Vec<f32> = (0..=100).rev().map(|v| v as f32).collect();
        let q = quantiles(&values);
        assert_eq!(
            [q.minimum, q.p01, q.p10, q.median, q.p99],
            [0.0, 1.0, 10.0, 50.0, 99.0]
        );
        assert_eq!(quantiles(&[]), Quantiles::default());
    }

    #[test]
    fn explained_variance_of_the_mean_is_none() {
        assert_eq!(r_squared(&[0.0, 2.0], &[1.0, 1.0]), 0.0);
        assert_eq!(r_squared(&[0.0, 2.0], &[0.0, 2.0]), 1.0);
    }
}
