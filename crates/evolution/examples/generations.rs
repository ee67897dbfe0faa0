//! Prints the seconds of one generation, without evaluation, for several
//! populations: the least of some repeats. A number chooses one of them;
//! `crossing` compares the estimate of all pairs with that of neighbours.

use alice_evolution::{Evolution, Method, Options};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cases = [
        (512, 2, None),
        (512, 58, None),
        (512, 58, Some(2)),
        (4096, 2, None),
        (512, 17_410, None),
        (512, 17_410, Some(2)),
        (65_536, 2, None),
    ];
    if std::env::args().nth(1).as_deref() == Some("crossing") {
        return crossing();
    }
    let only: Option<usize> = std::env::args().nth(1).and_then(|n| n.parse().ok());
    for (case, (population, dimension, latent)) in cases.into_iter().enumerate() {
        if only.is_some_and(|only| only != case) {
            continue;
        }
        let options = Options {
            population,
            latent,
            ..Options::default()
        };
        let repeats = if population * dimension < 100_000 {
            20
        } else {
            2
        };
        let least = least(dimension, &options, repeats)?;
        let mean = least.iter().sum::<f64>() / least.len() as f64;
        let (low, high) = least
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(l, h), t| (l.min(*t), h.max(*t)));
        println!(
            "{population} × {dimension}, latent {latent:?}: {:.3} ms ({:.3} to {:.3})",
            1e3 * mean,
            1e3 * low,
            1e3 * high
        );
    }
    Ok(())
}

/// The least seconds of each generation but the last.
fn least(
    dimension: usize,
    options: &Options,
    repeats: usize,
) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let mut least = vec![f64::INFINITY; options.generations - 1];
    for _ in 0..repeats {
        let mut evolution = Evolution::new(dimension, None, options.clone())?;
        for least in &mut least {
            let points = evolution.ask();
            let fitness: Vec<f64> = points
                .chunks(dimension)
                .map(|p| 1.0 / (1.0 + p[0] * p[0]))
                .collect();
            let start = Instant::now();
            evolution.tell(&fitness)?;
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(least)
}

/// From which population on neighbours are faster than all pairs.
fn crossing() -> Result<(), Box<dyn std::error::Error>> {
    for population in [1024, 2048, 4096, 8192, 16_384] {
        for method in [Method::Direct, Method::Neighbours] {
            let options = Options {
                population,
                method,
                ..Options::default()
            };
            let least = least(2, &options, 3)?;
            let mean = least.iter().sum::<f64>() / least.len() as f64;
            let shown: Vec<String> = least.iter().map(|s| format!("{:.2}", 1e3 * s)).collect();
            println!(
                "{population}, {method:?}: {:.3} ms ({})",
                1e3 * mean,
                shown.join(" ")
            );
        }
    }
    Ok(())
}
