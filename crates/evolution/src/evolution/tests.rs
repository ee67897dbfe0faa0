use super::*;
use crate::estimate::Guards;
use crate::{FitnessMap, Schedule};

fn peak(points: &[f64], d: usize) -> Vec<f64> {
    let rows = points.chunks(d);
    rows.map(|p| (-p.iter().map(|x| (x - 1.0).powi(2)).sum::<f64>()).exp())
        .collect()
}

fn options() -> Options {
    Options {
        population: 60,
        generations: 12,
        seed: 4,
        ..Options::default()
    }
}

/// A whole run of the equations as they stand; w comes from the same stream.
fn naive_run(d: usize, options: &Options) -> Vec<f64> {
    let n = options.population;
    let mut x = Evolution::new(d, None, options.clone()).unwrap().population;
    let levels = options.schedule.levels(options.generations, 1.0).unwrap();
    for (t, pair) in levels.windows(2).enumerate() {
        let (alpha, next) = (pair[0], pair[1]);
        let scaled: Vec<f64> = x.iter().map(|v| v * options.scaling).collect();
        let fitness = peak(&scaled, d);
        let mut w = vec![0.0; n * d];
        let name = (options.seed, "mutation", t as u64);
        noise::for_each_row(name, d, &mut w, |_, noise, row| {
            row.iter_mut()
                .zip(noise)
                .for_each(|(w, n)| *w = f64::from(*n));
        });
        let sigma = options.mutation * ((1.0 - next) / (1.0 - alpha) * (1.0 - alpha / next)).sqrt();
        let mut moved = x.clone();
        for i in 0..n {
            let (mut z, mut sum) = (1e-9, vec![0.0; d]);
            for j in 0..n {
                let squared: f64 = (0..d)
                    .map(|k| (x[i * d + k] - alpha.sqrt() * x[j * d + k]).powi(2))
                    .sum();
                let kernel = (-squared / (2.0 * (1.0 - alpha))).exp() + 1e-9;
                let weight = (fitness[j] + 1e-9) * kernel;
                z += weight;
                (0..d).for_each(|k| sum[k] += weight * x[j * d + k]);
            }
            for k in 0..d {
                let x0 = sum[k] / z;
                let epsilon = (x[i * d + k] - alpha.sqrt() * x0) / (1.0 - alpha).sqrt();
                moved[i * d + k] = next.sqrt() * x0
                    + (1.0 - next - sigma * sigma).sqrt() * epsilon
                    + sigma * w[i * d + k];
            }
        }
        x = moved;
    }
    x.iter().map(|v| v * options.scaling).collect()
}

fn run(d: usize, options: Options) -> Evolution {
    let mut evolution = Evolution::new(d, None, options).unwrap();
    while !evolution.is_finished() {
        let fitness = peak(&evolution.ask(), d);
        evolution.tell(&fitness).unwrap();
    }
    evolution
}

#[test]
fn a_run_is_the_equations() {
    for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Ddpm] {
        for (d, mutation, scaling) in [(1, 0.0, 1.0), (2, 0.1, 4.0), (12, 1.0, 1.0)] {
            let options = Options {
                schedule,
                mutation,
                scaling,
                ..options()
            };
            let expected = naive_run(d, &options);
            let found = run(d, options).ask();
            let pairs = found.iter().zip(&expected);
            let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 2e-4, "{schedule:?} {d}: {error}");
        }
    }
}

#[test]
fn the_population_climbs() {
    let evolution = run(2, options());
    let mean = |fitness: Vec<f64>| fitness.iter().sum::<f64>() / fitness.len() as f64;
    let start = Evolution::new(2, None, options()).unwrap();
    let (before, after) = (mean(peak(&start.ask(), 2)), mean(peak(&evolution.ask(), 2)));
    assert!(after > 2.0 * before && after > 0.4, "{before} {after}");
    assert_eq!(evolution.generation(), 12);
}

#[test]
fn equal_fitness_is_plain_denoising_without_drift() {
    let mut evolution = Evolution::new(
        2,
        None,
        Options {
            population: 400,
            ..options()
        },
    )
    .unwrap();
    while !evolution.is_finished() {
        evolution.tell(&[1.0; 400]).unwrap();
    }
    let mean = evolution.ask().iter().sum::<f64>() / 800.0;
    assert!(mean.abs() < 0.2, "{mean}");
}

#[test]
fn threads_and_seeds_decide_what_they_should() {
    let in_pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(3, options()).ask())
    };
    assert_eq!(in_pool(1), in_pool(3));
    assert_ne!(
        in_pool(1),
        run(
            3,
            Options {
                seed: 5,
                ..options()
            }
        )
        .ask()
    );
}

#[test]
fn a_saved_run_goes_on_exactly() {
    let mut evolution = Evolution::new(2, None, options()).unwrap();
    for _ in 0..5 {
        let fitness = peak(&evolution.ask(), 2);
        evolution.tell(&fitness).unwrap();
    }
    let bytes = evolution.to_bytes();
    let mut again = Evolution::from_bytes(&bytes, None, &options()).unwrap();
    while !again.is_finished() {
        let fitness = peak(&again.ask(), 2);
        again.tell(&fitness).unwrap();
    }
    assert_eq!(again.ask(), run(2, options()).ask());
    for length in [0, 10, 20, 100, bytes.len() - 1] {
        assert!(Evolution::from_bytes(&bytes[..length], None, &options()).is_err());
    }
    let other = Options {
        seed: 9,
        ..options()
    };
    assert!(Evolution::from_bytes(&bytes, None, &other).is_err());
}

#[test]
fn a_finished_run_takes_no_more_and_goes_on_after_rediffusion() {
    let mut evolution = run(2, options());
    let fitness = peak(&evolution.ask(), 2);
    assert!(evolution.tell(&fitness).is_err());
    let mean = |e: &Evolution| peak(&e.ask(), 2).iter().sum::<f64>() / 60.0;
    let before = mean(&evolution);
    evolution.rediffuse(0.3, 6).unwrap();
    assert!(mean(&evolution) < before);
    while !evolution.is_finished() {
        let fitness = peak(&evolution.ask(), 2);
        evolution.tell(&fitness).unwrap();
    }
    assert!(mean(&evolution) > before - 0.1);
    assert_eq!(evolution.generation(), 18);
    assert!(evolution.rediffuse(0.0, 3).is_err());
}

#[test]
fn another_pass_may_have_other_options() {
    let finished = Options {
        latent: Some(2),
        ..options()
    };
    let bytes = run(3, finished.clone()).to_bytes();
    let other = Options {
        seed: 9,
        schedule: Schedule::Linear,
        mutation: 0.5,
        scaling: 2.0,
        generations: 3,
        ..finished.clone()
    };
    let go_on = |bytes: &[u8], d, options: &Options| {
        Evolution::continued(bytes, d, None, options, 1e-9).map_err(|e| e.to_string())
    };
    let evolution = go_on(&bytes, 3, &other).unwrap();
    assert_eq!((evolution.generation(), evolution.levels.len()), (12, 3));
    // Next to nothing was forgotten: the points are where they were, and the
    // projection is the same.
    let before = run(3, finished.clone());
    let pairs = evolution.ask().into_iter().zip(before.ask());
    let moved = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(moved < 0.15, "{moved}");
    let places = |e: &Evolution| e.latent.as_ref().unwrap().project(&before.population);
    assert_eq!(places(&evolution), places(&before));
    let again = Evolution::from_bytes(&evolution.to_bytes(), None, &other).unwrap();
    assert_eq!(places(&again), places(&before));
    for (d, options, words) in [
        (2, other.clone(), "3 parameters"),
        (
            3,
            Options {
                population: 50,
                ..other.clone()
            },
            "must be 60",
        ),
        (
            3,
            Options {
                latent: None,
                ..other.clone()
            },
            "2 dimensions",
        ),
    ] {
        let error = go_on(&bytes, d, &options).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let mut unfinished = Evolution::new(3, None, finished).unwrap();
    unfinished.tell(&[1.0; 60]).unwrap();
    let error = go_on(&unfinished.to_bytes(), 3, &other).unwrap_err();
    assert!(error.contains("generation 1 of 12"), "{error}");
}

/// 4 / s · s is above 4 for some scalings s.
#[test]
fn constraints_hold_under_every_scaling() {
    for scaling in [0.7, 4.9, 9.1, 29.3, 47.0, 100.3] {
        let options = Options {
            scaling,
            constraint: Some(Constraint::Clamp),
            ..options()
        };
        let evolution = Evolution::new(2, Some(Bounds::cube(2, 4.0)), options).unwrap();
        assert!(evolution.ask().iter().all(|x| x.abs() <= 4.0), "{scaling}");
    }
}

#[test]
fn the_elite_stays_and_constraints_hold() {
    let options = Options {
        elite: 2,
        constraint: Some(Constraint::Reflect),
        ..options()
    };
    let bounds = Bounds::cube(2, 0.8);
    let mut evolution = Evolution::new(2, Some(bounds), options.clone()).unwrap();
    while !evolution.is_finished() {
        let points = evolution.ask();
        assert!(points.iter().all(|x| x.abs() <= 0.8));
        let fitness = peak(&points, 2);
        let best = step::best(&fitness, 2);
        evolution.tell(&fitness).unwrap();
        for i in best {
            assert_eq!(evolution.ask()[2 * i..2 * i + 2], points[2 * i..2 * i + 2]);
        }
    }
    assert!(Evolution::new(2, None, options).is_err());
}

#[test]
fn latent_runs_measure_in_few_dimensions_and_climb() {
    let options = Options {
        latent: Some(2),
        population: 256,
        generations: 25,
        ..options()
    };
    let gentle = |points: &[f64]| -> Vec<f64> {
        let rows = points.chunks(30);
        rows.map(|p| (-p.iter().map(|x| (x - 1.0).powi(2)).sum::<f64>() / 10.0).exp())
            .collect()
    };
    let mut evolution = Evolution::new(30, None, options).unwrap();
    let mean = |fitness: Vec<f64>| fitness.iter().sum::<f64>() / 256.0;
    let before = mean(gentle(&evolution.ask()));
    while !evolution.is_finished() {
        let fitness = gentle(&evolution.ask());
        evolution.tell(&fitness).unwrap();
    }
    let after = mean(gentle(&evolution.ask()));
    assert!(after > 2.0 * before, "{before} {after}");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let refused = |options: Options| Evolution::new(2, None, options).is_err();
    assert!(refused(Options {
        population: 1,
        ..options()
    }));
    assert!(refused(Options {
        generations: 0,
        ..options()
    }));
    assert!(refused(Options {
        mutation: 1.5,
        ..options()
    }));
    assert!(refused(Options {
        mutation: f64::NAN,
        ..options()
    }));
    assert!(refused(Options {
        scaling: 0.0,
        ..options()
    }));
    assert!(refused(Options {
        latent: Some(3),
        ..options()
    }));
    assert!(refused(Options {
        elite: 60,
        ..options()
    }));
    assert!(refused(Options {
        map: FitnessMap::Energy { temperature: -1.0 },
        ..options()
    }));
    assert!(refused(Options {
        guards: Guards {
            kernel: f64::NAN,
            ..Guards::NONE
        },
        ..options()
    }));
    let mut evolution = Evolution::new(2, None, options()).unwrap();
    let before = evolution.ask();
    let mut fitness = vec![1.0; 60];
    for bad in [f64::NAN, -0.1, f64::INFINITY] {
        fitness[7] = bad;
        let error = evolution.tell(&fitness).unwrap_err().to_string();
        assert!(error.contains("individual 7"), "{error}");
    }
    assert!(evolution.tell(&[1.0; 59]).is_err());
    assert_eq!(evolution.ask(), before);
    assert_eq!(evolution.generation(), 0);
}
