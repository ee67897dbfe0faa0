//! Means and shares with their 95 % intervals.

use crate::pictures::numbers;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};
use std::fmt;

/// How often an interval is to hold the true value.
const LEVEL: f64 = 0.95;
/// The normal quantile of a two-sided 95 % interval.
const QUANTILE: f64 = 1.959_963_985;

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// What it is estimated from: independent items.
    pub count: usize,
}

impl Estimate {
    /// A value that nothing says the spread of.
    #[must_use]
    pub fn alone(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
            count: 1,
        }
    }

    /// The mean of independent values, with Student's t interval. Nothing for
    /// no values; no interval around a single one.
    #[must_use]
    pub fn mean(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let value = average(values);
        Some(match half_width(values) {
            Some(half) => Self {
                value,
                low: value - half,
                high: value + half,
                count: values.len(),
            },
            None => Self::alone(value),
        })
    }

    /// The mean of a symmetric function of two different items of `0..count`.
    /// Pairs are not independent, items are: the interval is that of the
    /// jackknife, which leaves out one item at a time, with Student's t (Arvesen
    /// 1969). Two items make one pair, and no interval.
    #[must_use]
    pub fn pairs(count: usize, of: impl Fn(usize, usize) -> f64) -> Option<Self> {
        if count < 2 {
            return None;
        }
        // Sum over the pairs that an item is in.
        let mut own = vec![0.0; count];
        for i in 0..count {
            for j in i + 1..count {
                let value = of(i, j);
                own[i] += value;
                own[j] += value;
            }
        }
        let n = count as f64;
        let sum = own.iter().sum::<f64>() / 2.0;
        let value = sum / (n * (n - 1.0) / 2.0);
        if count == 2 {
            return Some(Self::alone(value));
        }
        let without = |own: &f64| (sum - own) / ((n - 1.0) * (n - 2.0) / 2.0);
        let pseudo: Vec<f64> = own
            .iter()
            .map(|own| n * value - (n - 1.0) * without(own))
            .collect();
        let mean = Self::mean(&pseudo)?;
        Some(Self { value, ..mean })
    }

    /// The ratio of the means of two values of the same independent items, with
    /// the interval of Fieller (1954). Nothing where the interval of the
    /// denominator holds zero: that of the ratio has no bounds then.
    #[must_use]
    pub fn ratio(numerators: &[f64], denominators: &[f64]) -> Option<Self> {
        let count = numerators.len();
        if count < 2 || denominators.len() != count {
            return None;
        }
        let (a, b) = (average(numerators), average(denominators));
        let n = count as f64;
        // t² times the covariance of the means.
        let t = student(count - 1);
        let covariance = |x: &[f64], y: &[f64]| {
            let (mx, my) = (average(x), average(y));
            let products = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my));
            t * t * products.sum::<f64>() / (n - 1.0) / n
        };
        let aa = a * a - covariance(numerators, numerators);
        let ab = a * b - covariance(numerators, denominators);
        let bb = b * b - covariance(denominators, denominators);
        // Where (a − r b)² ≤ t² var(a − r b): bb r² − 2 ab r + aa ≤ 0.
        let root = (ab * ab - aa * bb).max(0.0).sqrt();
        (bb > 0.0).then(|| Self {
            value: a / b,
            low: (ab - root) / bb,
            high: (ab + root) / bb,
            count,
        })
    }

    /// The estimate of what cannot lie outside of `least..=most`: its interval
    /// ends there.
    #[must_use]
    pub fn within(self, least: f64, most: f64) -> Self {
        Self {
            low: self.low.max(least).min(self.value),
            high: self.high.min(most).max(self.value),
            ..self
        }
    }

    /// The estimate of what cannot be negative.
    #[must_use]
    pub fn not_negative(self) -> Self {
        self.within(0.0, f64::INFINITY)
    }

    /// The share of `successes` among `count` independent trials, with the
    /// interval of Wilson (1927), which is honest for few trials and at 0 and 1.
    #[must_use]
    pub fn share(successes: usize, count: usize) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let (p, z) = (successes as f64 / n, QUANTILE);
        let scale = 1.0 + z * z / n;
        let middle = (p + z * z / (2.0 * n)) / scale;
        let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        Some(Self {
            value: p,
            low: if successes == 0 { 0.0 } else { middle - half },
            high: if successes == count {
                1.0
            } else {
                middle + half
            },
            count,
        })
    }

    /// The estimate in another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            low: factor * self.low,
            high: factor * self.high,
            count: self.count,
        }
    }
}

impl fmt::Display for Estimate {
    /// `value (low–high)` with as many decimals as asked for, or two, and
    /// `value (low to high)` where an end is negative; the value alone where a
    /// single item says nothing of the spread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(2);
        let [value, low, high] =
            [self.value, self.low, self.high].map(|v| numbers::fixed(v, places));
        if self.count < 2 && self.low == self.high {
            return f.write_str(&value);
        }
        // A dash beside a minus is hard to read.
        let signed = low.starts_with('−') || high.starts_with('−');
        let to = if signed { " to " } else { "–" };
        write!(f, "{value} ({low}{to}{high})")
    }
}

/// Half of the 95 % interval of a mean of independent values, by Student's t;
/// nothing for fewer than two.
#[must_use]
pub fn half_width(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let (n, mean) = (values.len() as f64, average(values));
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some(student(values.len() - 1) * (squares / (n - 1.0) / n).sqrt())
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile t of a two-sided 95 % interval with so many degrees of freedom,
/// at least one.
///
/// With t = √ν tan θ the share P(|T| < t) is a finite sum of powers of cos θ
/// (Abramowitz & Stegun 26.7.3 and 26.7.4), which rises with θ.
fn student(degrees: usize) -> f64 {
    let share = |theta: f64| {
        let (sine, cosine) = theta.sin_cos();
        let odd = degrees % 2;
        let mut term = if odd == 1 { cosine } else { 1.0 };
        let mut sum = 0.0;
        // Powers of the cosine from 1 or 0 to ν − 2.
        for power in (odd..degrees - 1).step_by(2) {
            sum += term;
            term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        }
        match odd {
            1 => FRAC_2_PI * (theta + sine * sum),
            _ => sine * sum,
        }
    };
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if share(middle) < LEVEL {
            low = middle;
        } else {
            high = middle;
        }
    }
    (degrees as f64).sqrt() * low.tan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_random::Stream;

    #[test]
    fn one_item_has_no_interval() {
        let shown = |values: &[f64]| format!("{:.1}", Estimate::mean(values).unwrap());
        assert_eq!(shown(&[0.7]), "0.7");
        assert_eq!(shown(&[0.7, 0.7]), "0.7 (0.7–0.7)");
        assert!(format!("{}", Estimate::share(1, 1).unwrap()).contains('–'));
    }

    #[test]
    fn a_share_has_the_interval_of_the_textbook() {
        // Wilson's interval for 9 of 10 is (0.596, 0.982).
        let found = Estimate::share(9, 10).unwrap();
        assert!((found.low - 0.5958).abs() < 5e-4 && (found.high - 0.9821).abs() < 5e-4);
        let none = Estimate::share(0, 64).unwrap();
        assert!(none.low == 0.0 && (none.high - 0.0566).abs() < 5e-4);
        assert!(Estimate::share(0, 0).is_none());
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, t) in [
            (1, 12.7062),
            (2, 4.3027),
            (3, 3.1824),
            (4, 2.7764),
            (7, 2.3646),
            (30, 2.0423),
            (99, 1.9842),
            (5000, 1.9604),
        ] {
            assert!((student(degrees) - t).abs() < 1e-4, "{degrees}");
        }
    }

    #[test]
    fn the_interval_of_a_mean_shrinks() {
        let mut stream = Stream::new(4, "values", 0, 0);
        let values: Vec<f64> = stream.normals(900);
        let few = Estimate::mean(&values[..100]).unwrap();
        let many = Estimate::mean(&values).unwrap();
        // ± 1.96 / √n for unit deviation.
        assert!(((few.high - few.low) / 2.0 - 0.196).abs() < 0.05);
        assert!(((many.high - many.low) / 2.0 - 0.0653).abs() < 0.01);
        assert!(Estimate::mean(&[]).is_none());
    }

    /// How many of 4000 intervals of `make` hold `truth`.
    fn coverage(truth: f64, make: impl Fn(&mut Stream) -> Option<Estimate>) -> f64 {
        const REPETITIONS: u64 = 4000;
        let held = (0..REPETITIONS).filter(|&repetition| {
            let found = make(&mut Stream::new(9, "coverage", repetition, 0));
            found.is_some_and(|e| e.low <= truth && truth <= e.high)
        });
        held.count() as f64 / REPETITIONS as f64
    }

    #[test]
    fn intervals_of_few_items_hold_what_they_say() {
        for n in [3, 4, 8] {
            let mean = coverage(0.0, |stream| Estimate::mean(&stream.normals(n)));
            assert!((0.93..0.97).contains(&mean), "mean of {n}: {mean}");
        }
        // Distances that each item shifts, with noise of each pair.
        for n in [4, 8, 12] {
            let pairs = coverage(0.0, |stream| {
                let items: Vec<f64> = stream.normals(n);
                let noise: Vec<f64> = stream.normals(n * n);
                Estimate::pairs(n, |i, j| items[i] + items[j] + noise[i * n + j])
            });
            assert!((0.93..=1.0).contains(&pairs), "pairs of {n}: {pairs}");
        }
        // (1 + a) / (3 + b), a and b correlated; the denominator is never near 0.
        let ratio = coverage(1.0 / 3.0, |stream| {
            let (a, b): (Vec<f64>, Vec<f64>) = (stream.normals(8), stream.normals(8));
            let above: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 1.0 + a + b).collect();
            let below: Vec<f64> = b.iter().map(|b| 3.0 + b).collect();
            Estimate::ratio(&above, &below)
        });
        assert!((0.93..0.97).contains(&ratio), "ratio: {ratio}");
    }

    #[test]
    fn pairs_are_weighed_by_their_items() {
        let same = Estimate::pairs(5, |_, _| 2.0).unwrap();
        assert!((same.high - same.low).abs() < 1e-12 && (same.value - 2.0).abs() < 1e-12);
        let found = Estimate::pairs(3, |i, j| (i + j) as f64).unwrap();
        assert!((found.value - 2.0).abs() < 1e-12);
        assert!(found.low < 1.0 && 3.0 < found.high);
        let shares = found.within(0.0, 2.5);
        assert_eq!((shares.low, shares.high), (found.low.max(0.0), 2.5));
        // One pair says nothing of the spread.
        assert_eq!(
            format!("{:.1}", Estimate::pairs(2, |_, _| 1.0).unwrap()),
            "1.0"
        );
        assert!(Estimate::pairs(1, |_, _| 1.0).is_none());
    }

    #[test]
    fn a_ratio_needs_a_denominator_that_is_not_zero() {
        let found = Estimate::ratio(&[2.0, 3.0, 4.0], &[4.0, 6.0, 8.0]).unwrap();
        assert!((found.low - 0.5).abs() < 1e-6 && (found.high - 0.5).abs() < 1e-6);
        let either = [3.0, -2.0, 1.0];
        assert!(Estimate::mean(&either).unwrap().low < 0.0);
        assert!(Estimate::ratio(&[1.0, 1.0, 1.0], &either).is_none());
    }

    #[test]
    fn ends_below_zero_are_told_from_the_dash() {
        let shown = |low, high| {
            let found = Estimate {
                value: 0.5 * (low + high),
                low,
                high,
                count: 3,
            };
            found.to_string()
        };
        assert_eq!(shown(-0.78, -0.46), "−0.62 (−0.78 to −0.46)");
        assert_eq!(shown(-0.2, 0.4), "0.10 (−0.20 to 0.40)");
        assert_eq!(shown(-0.001, 0.401), "0.20 (0.00–0.40)");
    }
}
