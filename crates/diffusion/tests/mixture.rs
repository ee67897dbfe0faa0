//! Samplers against closed form: a Gaussian mixture, whose noised density is a
//! mixture again and whose ε is known exactly.

use std::ops::ControlFlow;

use alice_diffusion::{
    Ddim, DdimInverse, Ddpm, Draws, Eta, NoiseSchedule, Sampler, SamplerKind, ScheduleConfig,
    SolverConfig, StepReport, TimestepSpacing, Trajectory, initial_noise, invert,
};

/// Σ w_k·N(μ_k, s_k²·1) in `DIM` dimensions.
struct Mixture<const DIM: usize> {
    parts: Vec<(f64, [f64; DIM], f64)>,
}

impl<const DIM: usize> Mixture<DIM> {
    /// ε(x, t) = −√(1 − ᾱ)·∇log p_t(x), where p_t = Σ w_k·N(√ᾱ·μ_k, ᾱ·s_k² + 1 − ᾱ).
    fn epsilon(&self, alpha_bar: f64, x: &[f32]) -> [f64; DIM] {
        let terms: Vec<(f64, [f64; DIM])> = self
            .parts
            .iter()
            .map(|(weight, mean, deviation)| {
                let variance = alpha_bar * deviation * deviation + 1.0 - alpha_bar;
                let delta: [f64; DIM] =
                    std::array::from_fn(|d| f64::from(x[d]) - alpha_bar.sqrt() * mean[d]);
                let distance: f64 = delta.iter().map(|v| v * v).sum();
                let log =
                    weight.ln() - 0.5 * distance / variance - 0.5 * DIM as f64 * variance.ln();
                (log, delta.map(|v| v / variance))
            })
            .collect();
        let largest = terms.iter().map(|t| t.0).fold(f64::MIN, f64::max);
        let total: f64 = terms.iter().map(|t| (t.0 - largest).exp()).sum();
        std::array::from_fn(|d| {
            let score: f64 = terms
                .iter()
                .map(|(log, slope)| (log - largest).exp() / total * slope[d])
                .sum();
            (1.0 - alpha_bar).sqrt() * score
        })
    }

    fn denoiser<'a>(
        &'a self,
        schedule: &'a NoiseSchedule,
    ) -> impl FnMut(&[f32], usize, f64) -> Result<Vec<f32>, alice_diffusion::BoxError> + 'a {
        |x, _, t| {
            let alpha_bar = schedule.alphas_cumprod()[t as usize];
            Ok(x.chunks_exact(DIM)
                .flat_map(|x| self.epsilon(alpha_bar, x))
                .map(|v| v as f32)
                .collect())
        }
    }

    fn run(&self, sampler: &dyn Sampler, count: usize) -> Vec<f32> {
        let draws = Draws {
            seed: 3,
            first_item: 0,
        };
        let deviation = sampler.initial_deviation() as f32;
        let noise = initial_noise(draws, count, DIM);
        let noise = noise.into_iter().map(|z| deviation * z).collect();
        Trajectory::new(sampler, draws)
            .run(
                &mut self.denoiser(sampler.schedule()),
                noise,
                count,
                &mut quiet,
            )
            .unwrap()
    }
}

fn quiet(_: &StepReport<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn unclipped(spacing: TimestepSpacing) -> ScheduleConfig {
    ScheduleConfig {
        clip_sample: false,
        timestep_spacing: Some(spacing),
        ..ScheduleConfig::default()
    }
}

fn line() -> Mixture<1> {
    Mixture {
        parts: vec![(0.3, [-2.0], 0.4), (0.7, [1.5], 0.6)],
    }
}

/// The standard normal distribution function, by Simpson's rule.
fn normal_cdf(x: f64) -> f64 {
    let (low, intervals) = (-9.0f64, 400);
    if x <= low {
        return 0.0;
    }
    let width = (x - low) / f64::from(intervals);
    let density = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    (0..=intervals)
        .map(|i| {
            let weight = match i {
                0 => 1.0,
                i if i == intervals => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * density(low + width * f64::from(i))
        })
        .sum::<f64>()
        * width
        / 3.0
}

/// Kolmogorov–Smirnov distance of samples to the mixture on a line.
fn ks_distance(mixture: &Mixture<1>, samples: &[f32]) -> f64 {
    let mut sorted: Vec<f64> = samples.iter().map(|&x| f64::from(x)).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let cdf: f64 = mixture
                .parts
                .iter()
                .map(|(w, mean, deviation)| w * normal_cdf((x - mean[0]) / deviation))
                .sum();
            (cdf - i as f64 / count)
                .abs()
                .max((cdf - (i + 1) as f64 / count).abs())
        })
        .fold(0.0, f64::max)
}

#[test]
fn samples_follow_the_mixture_on_a_line() {
    let mixture = line();
    let config = unclipped(TimestepSpacing::Trailing);
    let ancestral = |kind: SamplerKind, steps| {
        kind.build(&config, steps, Eta::Constant(0.0), false)
            .unwrap()
    };
    let samplers: [(&str, Box<dyn Sampler>); 6] = [
        (
            "ddim",
            Box::new(Ddim::new(&config, 250, Eta::Constant(0.0)).unwrap()),
        ),
        (
            "ddim, eta 1",
            Box::new(Ddim::new(&config, 250, Eta::Constant(1.0)).unwrap()),
        ),
        (
            "ddim, stochastic tail",
            Box::new(
                Ddim::new(
                    &config,
                    250,
                    Eta::Tail {
                        eta: 1.0,
                        fraction: 0.2,
                    },
                )
                .unwrap(),
            ),
        ),
        ("ddpm", Box::new(Ddpm::new(&config, 1000).unwrap())),
        ("euler a", ancestral(SamplerKind::EulerAncestral, 250)),
        ("dpm++ sde", ancestral(SamplerKind::DpmMultistepSde, 250)),
    ];
    let count = 4_000;
    for (name, sampler) in samplers {
        let samples = mixture.run(sampler.as_ref(), count);
        let distance = ks_distance(&mixture, &samples);
        println!("{name}: KS {distance:.4}");
        // For exact samples P(KS > 1.95/√n) is 0.1 %.
        assert!(
            distance < 1.95 / (count as f64).sqrt(),
            "{name}: {distance}"
        );
    }
}

/// LCM's network is no score: from any level it leads to the end of the flow,
/// which for one Gaussian is known in closed form. What LCM draws with it is
/// right in any number of steps.
#[test]
fn lcm_follows_what_a_consistent_network_says() {
    let (mean, deviation) = (1.5, 0.6);
    let mixture = Mixture {
        parts: vec![(1.0, [mean], deviation)],
    };
    let config = unclipped(TimestepSpacing::Leading);
    let count = 4_000;
    for steps in [1, 2, 4] {
        let eta = Eta::Constant(0.0);
        let sampler = SamplerKind::Lcm.build(&config, steps, eta, false).unwrap();
        let draws = Draws {
            seed: 3,
            first_item: 0,
        };
        let mut network = |x: &[f32], _: usize, t: f64| -> Result<_, alice_diffusion::BoxError> {
            let alpha_bar = sampler.schedule().alphas_cumprod()[t as usize];
            let (signal, noise) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
            let width = (alpha_bar * deviation * deviation + 1.0 - alpha_bar).sqrt();
            let epsilon = |x: &f32| {
                let x = f64::from(*x);
                let end = mean + deviation * (x - signal * mean) / width;
                ((x - signal * end) / noise) as f32
            };
            Ok(x.iter().map(epsilon).collect())
        };
        let samples = Trajectory::new(sampler.as_ref(), draws)
            .run(
                &mut network,
                initial_noise(draws, count, 1),
                count,
                &mut quiet,
            )
            .unwrap();
        let distance = ks_distance(&mixture, &samples);
        println!("lcm in {steps}: KS {distance:.4}");
        assert!(distance < 1.95 / (count as f64).sqrt(), "{distance}");
    }
}

#[test]
fn shares_and_moments_in_the_plane() {
    let mixture = Mixture {
        parts: vec![
            (0.5, [2.0, 0.0], 0.3),
            (0.3, [-1.0, 1.7], 0.3),
            (0.2, [-1.0, -1.7], 0.3),
        ],
    };
    let config = unclipped(TimestepSpacing::Trailing);
    let samplers: [Box<dyn Sampler>; 2] = [
        Box::new(Ddim::new(&config, 100, Eta::Constant(0.0)).unwrap()),
        Box::new(Ddpm::new(&config, 500).unwrap()),
    ];
    let count = 6_000;
    for sampler in samplers {
        let samples = mixture.run(sampler.as_ref(), count);
        for (weight, mean, deviation) in &mixture.parts {
            let near: Vec<[f64; 2]> = samples
                .chunks_exact(2)
                .map(|x| [f64::from(x[0]) - mean[0], f64::from(x[1]) - mean[1]])
                .filter(|d| d[0].hypot(d[1]) < 1.5)
                .collect();
            let members = near.len() as f64;
            let share = members / count as f64;
            assert!((share - weight).abs() < 0.025, "share {share} of {weight}");
            for axis in 0..2 {
                let offset = near.iter().map(|d| d[axis]).sum::<f64>() / members;
                let variance =
                    near.iter().map(|d| (d[axis] - offset).powi(2)).sum::<f64>() / members;
                assert!(offset.abs() < 0.03, "offset {offset}");
                let ratio = variance.sqrt() / deviation;
                assert!((ratio - 1.0).abs() < 0.06, "deviation ratio {ratio}");
            }
        }
    }
}

/// The slope of log error against log step, over step counts that divide T,
/// with a fine schedule so that T itself does not limit the accuracy.
#[test]
fn ddim_is_of_first_order() {
    let mixture = line();
    let train_steps = 16_384;
    let scale = 1000.0 / train_steps as f64;
    let config = ScheduleConfig {
        num_train_timesteps: train_steps,
        beta_start: 1e-4 * scale,
        beta_end: 0.02 * scale,
        ..unclipped(TimestepSpacing::Trailing)
    };
    let end = |steps: usize| {
        let sampler = Ddim::new(&config, steps, Eta::Constant(0.0)).unwrap();
        mixture.run(&sampler, 200)
    };
    let reference = end(train_steps);
    let points: Vec<(f64, f64)> = [64, 128, 256, 512]
        .iter()
        .map(|&steps| {
            let error: f64 = end(steps)
                .iter()
                .zip(&reference)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            ((1.0 / steps as f64).ln(), 0.5 * error.ln())
        })
        .collect();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / count;
    let slope = points
        .iter()
        .map(|p| (p.0 - mean_x) * (p.1 - mean_y))
        .sum::<f64>()
        / points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>();
    println!("slope {slope:.3}");
    assert!((slope - 1.0).abs() < 0.15, "slope {slope}: {points:?}");
}

/// The slope of log error against log step of a sampler, from noise to half of
/// the schedule, against the probability flow dy/dσ = ε̂ integrated finely.
fn order(kind: SamplerKind, solver: &SolverConfig, counts: &[usize]) -> f64 {
    let mixture = line();
    let train_steps = 16_384;
    let scale = 1000.0 / train_steps as f64;
    let spacing = match kind {
        SamplerKind::DpmMultistep | SamplerKind::UniPc => TimestepSpacing::Linspace,
        _ => TimestepSpacing::Trailing,
    };
    let config = ScheduleConfig {
        num_train_timesteps: train_steps,
        beta_start: 1e-4 * scale,
        beta_end: 0.02 * scale,
        solver: solver.clone(),
        ..unclipped(spacing)
    };
    let sigma = |alpha_bar: f64| ((1.0 - alpha_bar) / alpha_bar).sqrt();
    let errors = counts.iter().map(|&count| {
        let eta = Eta::Constant(0.0);
        let sampler = kind.build(&config, count, eta, false).unwrap();
        let end = sampler.index_at(train_steps as f64 / 2.0);
        let first = sampler.alpha_bar(0).unwrap();
        let last = sampler.alpha_bar(end).unwrap();
        let noise = initial_noise(
            Draws {
                seed: 3,
                first_item: 0,
            },
            100,
            1,
        );
        let found = Trajectory::new(sampler.as_ref(), Draws::default())
            .steps(0..end)
            .run(
                &mut mixture.denoiser(sampler.schedule()),
                noise.clone(),
                100,
                &mut quiet,
            )
            .unwrap();
        let (from, to) = (sigma(first).ln(), sigma(last).ln());
        let errors = noise.iter().zip(&found).map(|(x, found)| {
            let slope = |log: f64, y: f64| {
                let sigma = log.exp();
                let alpha_bar = 1.0 / (1.0 + sigma * sigma);
                let x = y * alpha_bar.sqrt();
                sigma * mixture.epsilon(alpha_bar, &[x as f32])[0]
            };
            let steps = 600;
            let h = (to - from) / f64::from(steps);
            let mut y = f64::from(*x) / first.sqrt();
            for i in 0..steps {
                let at = from + f64::from(i) * h;
                let a = slope(at, y);
                let b = slope(at + h / 2.0, y + h / 2.0 * a);
                let c = slope(at + h / 2.0, y + h / 2.0 * b);
                let d = slope(at + h, y + h * c);
                y += h / 6.0 * (a + 2.0 * b + 2.0 * c + d);
            }
            (f64::from(*found) - y * last.sqrt()).abs()
        });
        errors.sum::<f64>() / 100.0
    });
    let errors: Vec<f64> = errors.collect();
    let ends = (errors[0] / errors[counts.len() - 1]).ln();
    let slope = ends / (counts[counts.len() - 1] as f64 / counts[0] as f64).ln();
    println!(
        "{} of order {}: slope {slope:.2}, {errors:?}",
        kind.name(),
        solver.order
    );
    slope
}

/// The order that each method is due. DPM++'s first step is Euler's, whose error
/// is of second order once, so that order 3 is not reached from the start of a
/// run on. UniPC corrects every step, the first too, and gains an order. PNDM's
/// transfer is of second order, whatever its multistep formula is (Liu et al.,
/// arXiv 2202.09778).
#[test]
fn solvers_have_their_order() {
    let solver = |order: usize, skip_prk_steps: bool| SolverConfig {
        order,
        skip_prk_steps,
        lower_order_final: false,
        ..SolverConfig::default()
    };
    for (kind, solver, counts, due) in [
        (SamplerKind::Euler, solver(2, false), [64, 512], 1.0),
        (SamplerKind::Heun, solver(2, false), [64, 256], 2.0),
        (SamplerKind::DpmMultistep, solver(1, false), [64, 512], 1.0),
        (SamplerKind::DpmMultistep, solver(2, false), [64, 256], 2.0),
        (SamplerKind::DpmMultistep, solver(3, false), [64, 256], 2.0),
        (SamplerKind::UniPc, solver(1, false), [64, 256], 2.0),
        (SamplerKind::UniPc, solver(2, false), [64, 256], 3.0),
        (SamplerKind::Pndm, solver(2, true), [64, 256], 2.0),
        (SamplerKind::Pndm, solver(2, false), [64, 256], 2.0),
    ] {
        let slope = order(kind, &solver, &counts);
        assert!((slope - due).abs() < 0.15, "{} {slope}", kind.name());
    }
}

#[test]
fn inversion_and_sampling_make_a_round_trip() {
    let mixture = line();
    let config = unclipped(TimestepSpacing::Leading);
    let pictures = mixture.run(&Ddim::new(&config, 50, Eta::Constant(0.0)).unwrap(), 64);
    let round_trip = |steps: usize, refinements: usize, depth: usize| {
        let inverse = DdimInverse::new(&config, steps).unwrap();
        let sampler = Ddim::new(&config, steps, Eta::Constant(0.0)).unwrap();
        let mut model = mixture.denoiser(sampler.schedule());
        let latent = invert(
            &mut model,
            &inverse,
            pictures.clone(),
            64,
            0..depth,
            refinements,
            &mut quiet,
        )
        .unwrap();
        let back = Trajectory::new(&sampler, Draws::default())
            .steps(steps - depth..steps)
            .run(&mut model, latent, 64, &mut quiet)
            .unwrap();
        // The median: the flow takes points between the modes apart.
        let mut errors: Vec<f64> = (0..64)
            .map(|i| f64::from((back[i] - pictures[i]).abs()))
            .collect();
        errors.sort_by(f64::total_cmp);
        errors[32]
    };
    let (coarse, fine) = (round_trip(50, 0, 50), round_trip(200, 0, 200));
    let refined = round_trip(50, 8, 50);
    let halfway = round_trip(100, 0, 60);
    println!("coarse {coarse:.1e} fine {fine:.1e} refined {refined:.1e} halfway {halfway:.1e}");
    assert!(coarse < 0.1, "{coarse}");
    assert!(fine < 0.5 * coarse, "{fine} {coarse}");
    assert!(halfway < 0.05, "{halfway}");
    assert!(refined < 1e-5, "{refined}");
}
