//! Prints the seconds of one generation, without evaluation, for several
//! populations: the least of some repeats.

use alice_evolution::{Evolution, Options};
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
    let only: Option<usize> = std::env::args().nth(1).and_then(|n| n.parse().ok());
    for (case, (population, dimension, latent)) in cases.into_iter().enumerate() {
        if only.is_some_and(|only| only != case) {
            continue;
        }
        let generations = 25;
        let options = Options {
            population,
            generations,
            latent,
            ..Options::default()
        };
        let repeats = if population * dimension < 100_000 {
            20
        } else {
            2
        };
        let mut least = vec![f64::INFINITY; generations - 1];
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
