//! Prints the seconds of one generation, without evaluation, for several
//! populations: the mean over a run, of the fastest of some runs, with the
//! fastest and slowest generation of that run in brackets. That is what
//! `bench/peer/diffusion_evolution.py` prints of the package. A number chooses
//! one population; `crossing` compares the estimate of all pairs with that of neighbours, and
//! `latent` does where distances are those of a latent plane, errors included.

use alice_evolution::{Cloud, Evolution, Guards, Latent, Method, Options, estimate};
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
    match std::env::args().nth(1).as_deref() {
        Some("crossing") => return crossing(),
        Some("latent") => return latent(),
        _ => {}
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
        let fastest = fastest(dimension, &options, repeats)?;
        let (low, high) = fastest
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(l, h), t| (l.min(*t), h.max(*t)));
        println!(
            "{population} × {dimension}, latent {latent:?}: {:.3} ms ({:.3} to {:.3})",
            1e3 * mean(&fastest),
            1e3 * low,
            1e3 * high
        );
    }
    Ok(())
}

fn mean(seconds: &[f64]) -> f64 {
    seconds.iter().sum::<f64>() / seconds.len() as f64
}

/// Seconds of each generation but the last, of the run that took least.
fn fastest(
    dimension: usize,
    options: &Options,
    repeats: usize,
) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let mut fastest = vec![f64::INFINITY; options.generations - 1];
    for _ in 0..repeats {
        let mut evolution = Evolution::new(dimension, None, options.clone())?;
        let mut run = vec![0.0; fastest.len()];
        for seconds in &mut run {
            let points = evolution.ask();
            let fitness: Vec<f64> = points
                .chunks(dimension)
                .map(|p| 1.0 / (1.0 + p[0] * p[0]))
                .collect();
            let start = Instant::now();
            evolution.tell(&fitness)?;
            *seconds = start.elapsed().as_secs_f64();
        }
        if mean(&run) < mean(&fastest) {
            fastest = run;
        }
    }
    Ok(fastest)
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
            let fastest = fastest(2, &options, 3)?;
            let shown: Vec<String> = fastest.iter().map(|s| format!("{:.2}", 1e3 * s)).collect();
            println!(
                "{population}, {method:?}: {:.3} ms ({})",
                1e3 * mean(&fastest),
                shown.join(" ")
            );
        }
    }
    Ok(())
}

/// Times and differences of the two ways, at generations of a run of policies'
/// size.
fn latent() -> Result<(), Box<dyn std::error::Error>> {
    let dimension = 58;
    let only: Option<usize> = std::env::args().nth(2).and_then(|n| n.parse().ok());
    for population in [2048, 4096, 8192, 16_384, 65_536] {
        if only.is_some_and(|only| only != population) {
            continue;
        }
        let options = Options {
            population,
            latent: Some(2),
            method: Method::Neighbours,
            ..Options::default()
        };
        let projection = Latent::new(dimension, 2, options.seed)?;
        let mut evolution = Evolution::new(dimension, None, options)?;
        // All pairs of the largest take minutes.
        let compared: &[usize] = match population {
            65_536 => &[12],
            _ => &[0, 6, 12, 18, 23],
        };
        let (mut times, mut worst) = ([0.0; 2], 0.0f64);
        let mut shown = Vec::new();
        for generation in 0..24 {
            let points = evolution.ask();
            let fitness: Vec<f64> = points
                .chunks(dimension)
                .map(|p| 1.0 / (1.0 + p[0] * p[0]))
                .collect();
            if compared.contains(&generation) {
                let places = projection.project(&points);
                let cloud = Cloud {
                    places: &places,
                    place_dimension: 2,
                    ..Cloud::new(&points, dimension, &fitness)
                };
                let mut found = Vec::new();
                let mut seconds = [0.0; 2];
                for (k, method) in [Method::Neighbours, Method::Product]
                    .into_iter()
                    .enumerate()
                {
                    let start = Instant::now();
                    found.push(estimate(
                        &cloud,
                        evolution.alpha(),
                        Guards::default(),
                        method,
                    )?);
                    seconds[k] = start.elapsed().as_secs_f64();
                    times[k] += seconds[k] / compared.len() as f64;
                }
                let pairs = found[0].iter().zip(&found[1]);
                worst = pairs.map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
                shown.push(format!("{:.3}/{:.3}", seconds[0], seconds[1]));
            }
            evolution.tell(&fitness)?;
        }
        println!(
            "{population} × {dimension}, latent 2: neighbours {:.3} s, all pairs {:.3} s, \
             difference at most {worst:.1e} ({})",
            times[0],
            times[1],
            shown.join(" ")
        );
    }
    Ok(())
}
