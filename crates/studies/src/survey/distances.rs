//! The samples' distances beside those that the bounds were drawn from.

use crate::pictures::plot::Rows;
use crate::reader::Reader;
use crate::statistics::Estimate;

/// A plot of the distances of true and of perturbed pictures, and of `sorted`,
/// those of the samples, with both bounds.
pub(super) fn plot(samples: &str, sorted: &[f64], reader: &Reader) -> String {
    let quantile = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
    let own = [0.01, 0.5, 0.99].map(quantile);
    let mut rows = vec![row(samples, own, sorted.len())];
    rows.extend(reader.profiles().iter().map(|profile| {
        let quantiles = &profile.quantiles;
        let ends = [quantiles.p01, quantiles.median, quantiles.p99];
        row(&profile.kind, ends.map(f64::from), profile.pictures)
    }));
    Rows {
        title: "Distance of a picture from the drawing of what was read from it",
        x_label: "median, and 1 to 99 in 100 pictures",
        groups: &[""],
        rows: &rows,
        levels: &[
            ("sound", reader.structural_threshold()),
            ("valid", reader.threshold()),
        ],
    }
    .svg()
}

fn row(name: &str, [low, value, high]: [f64; 3], count: usize) -> (String, Vec<Option<Estimate>>) {
    let range = Estimate {
        value,
        low,
        high,
        count,
    };
    (name.to_owned(), vec![Some(range)])
}
