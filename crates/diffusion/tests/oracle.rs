//! The published full-loop sums of diffusers' scheduler tests.
//!
//! sample = arange(768)/768 shaped (3, 8, 8, 4), axes permuted to (4, 3, 8, 8)
//! (elementwise sums do not see the order); the "model" is x·t/(t + 1).

use std::ops::ControlFlow;

use alice_diffusion::{
    Ddim, DdimInverse, Draws, Eta, FinalSigma, History, PredictionType, Sampler, SamplerKind,
    ScheduleConfig, SolverConfig, TimestepSpacing, Trajectory,
};

const COUNT: usize = 768;

fn start() -> Vec<f32> {
    (0..COUNT).map(|i| i as f32 / COUNT as f32).collect()
}

fn run(sampler: &dyn Sampler, state: Vec<f32>, first: usize) -> (f64, f64) {
    let mut model = |x: &[f32], _: usize, t: f64| {
        Ok(x.iter()
            .map(|&x| (f64::from(x) * t / (t + 1.0)) as f32)
            .collect())
    };
    let end = Trajectory::new(sampler, Draws::default())
        .steps(first..sampler.times().len())
        .run(&mut model, state, 1, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let sum: f64 = end.iter().map(|&x| f64::from(x).abs()).sum();
    (sum, sum / COUNT as f64)
}

fn assert_close(found: (f64, f64), sum: f64, mean: f64) {
    assert!((found.0 - sum).abs() < 1e-2, "sum {} != {sum}", found.0);
    assert!((found.1 - mean).abs() < 1e-3, "mean {} != {mean}", found.1);
}

fn ddim(config: &ScheduleConfig) -> Ddim {
    Ddim::new(config, 10, Eta::Constant(0.0)).unwrap()
}

#[test]
fn ddim_full_loop() {
    let config = ScheduleConfig::default();
    assert_close(run(&ddim(&config), start(), 0), 172.0067, 0.223967);
}

#[test]
fn ddim_v_prediction() {
    let config = ScheduleConfig {
        prediction_type: PredictionType::VPrediction,
        ..ScheduleConfig::default()
    };
    assert_close(run(&ddim(&config), start(), 0), 52.5302, 0.0684);
}

#[test]
fn ddim_set_alpha_to_one() {
    for (one, sum, mean) in [(true, 149.8295, 0.1951), (false, 149.0784, 0.1941)] {
        let config = ScheduleConfig {
            set_alpha_to_one: one,
            beta_start: 0.01,
            ..ScheduleConfig::default()
        };
        assert_close(run(&ddim(&config), start(), 0), sum, mean);
    }
}

#[test]
fn ddim_with_added_noise() {
    let sampler = ddim(&ScheduleConfig::default());
    let noise: Vec<f32> = start().into_iter().rev().collect();
    let timestep = sampler.timesteps()[8];
    let state = sampler
        .schedule()
        .add_noise(&start(), &noise, &[timestep])
        .unwrap();
    assert_close(run(&sampler, state, 8), 354.5418, 0.4616);
}

#[test]
fn ddim_inverse() {
    for (prediction_type, sum, mean) in [
        (PredictionType::Epsilon, 671.6816, 0.8746),
        (PredictionType::VPrediction, 1394.2185, 1.8154),
    ] {
        let config = ScheduleConfig {
            prediction_type,
            ..ScheduleConfig::default()
        };
        let inverse = DdimInverse::new(&config, 10).unwrap();
        assert_close(run(&inverse, start(), 0), sum, mean);
    }
}

#[test]
fn ddim_variances() {
    let sampler = ddim(&ScheduleConfig::default());
    for (timestep, previous, variance) in [
        (0, 0, 0.0),
        (420, 400, 0.14771),
        (980, 960, 0.32460),
        (487, 486, 0.00979),
        (999, 998, 0.02),
    ] {
        let found = sampler.variance(timestep, Some(previous)).unwrap();
        assert!((found - variance).abs() < 1e-5, "{timestep}: {found}");
    }
}

#[test]
fn steps_offset_shifts_the_grid() {
    let grid = TimestepSpacing::Leading.timesteps(1000, 5, 1).unwrap();
    assert_eq!(grid, [801, 601, 401, 201, 1]);
}

/// From noise of the sampler's own deviation, or from evaluation `first` with
/// noise added to what stands for a picture.
fn solve(kind: SamplerKind, config: &ScheduleConfig, first: Option<usize>) -> (f64, f64) {
    let eta = Eta::Constant(0.0);
    let sampler = kind.build(config, 10, eta, false).unwrap();
    let mut state = start();
    if let Some(first) = first {
        // Exploding samplers' tests noise y = x·σ_max, not x.
        let alpha_bar = sampler.alpha_bar(first).unwrap();
        let exploding = sampler.initial_deviation() < 1.0;
        let largest =
            ((1.0 - sampler.alpha_bar(0).unwrap()) / sampler.alpha_bar(0).unwrap()).sqrt();
        let scale = if exploding { largest } else { 1.0 };
        let noise = state.clone().into_iter().rev();
        let noised = state.iter().zip(noise).map(|(x, z)| {
            alpha_bar.sqrt() * scale * f64::from(*x) + (1.0 - alpha_bar).sqrt() * f64::from(z)
        });
        state = noised.map(|v| v as f32).collect();
    } else {
        let deviation = sampler.initial_deviation() as f32;
        state.iter_mut().for_each(|x| *x *= deviation);
    }
    if sampler.initial_deviation() == 1.0 {
        return run(sampler.as_ref(), state, first.unwrap_or(0));
    }
    // Exploding samplers' tests step from the scaled state that the network
    // saw, x in the place of y.
    let mut history = History::default();
    for index in first.unwrap_or(0)..sampler.times().len() {
        let t = sampler.times()[index];
        let output: Vec<f32> = state
            .iter()
            .map(|&x| (f64::from(x) * t / (t + 1.0)) as f32)
            .collect();
        let signal = sampler.alpha_bar(index).unwrap().sqrt() as f32;
        let scaled: Vec<f32> = state.iter().map(|x| x * signal).collect();
        let next = sampler.step(index, &output, &scaled, None, &mut history);
        state = next.unwrap().prev_sample;
    }
    let sum: f64 = state.iter().map(|&x| f64::from(x).abs()).sum();
    (sum, sum / COUNT as f64)
}

fn v_prediction(config: &ScheduleConfig) -> ScheduleConfig {
    ScheduleConfig {
        prediction_type: PredictionType::VPrediction,
        ..config.clone()
    }
}

#[test]
fn pndm() {
    let config = ScheduleConfig {
        set_alpha_to_one: false,
        ..ScheduleConfig::default()
    };
    assert_close(solve(SamplerKind::Pndm, &config, None), 198.1318, 0.2580);
    let v = v_prediction(&config);
    assert_close(solve(SamplerKind::Pndm, &v, None), 67.3986, 0.0878);
}

#[test]
fn euler_and_heun() {
    let config = ScheduleConfig {
        num_train_timesteps: 1100,
        clip_sample: false,
        ..ScheduleConfig::default()
    };
    let v = v_prediction(&config);
    for (kind, plain, turned, noised, first) in [
        (
            SamplerKind::Euler,
            (10.0807, 0.0131),
            0.0002,
            (57062.9297, 74.3007),
            8,
        ),
        (
            SamplerKind::Heun,
            (0.1233, 0.0002),
            0.0,
            (75074.8906, 97.7538),
            16,
        ),
    ] {
        assert_close(solve(kind, &config, None), plain.0, plain.1);
        assert_close(solve(kind, &v, None), turned, 0.0);
        let (sum, mean) = solve(kind, &config, Some(first));
        // The sums are kept in single precision there.
        assert!((sum / noised.0 - 1.0).abs() < 3e-6, "{} {sum}", kind.name());
        assert!((mean - noised.1).abs() < 1e-3, "{} {mean}", kind.name());
    }
}

#[test]
fn dpm_solver_and_unipc() {
    let solver = SolverConfig {
        final_sigma: FinalSigma::Minimum,
        lower_order_final: false,
        ..SolverConfig::default()
    };
    let config = ScheduleConfig {
        solver,
        ..ScheduleConfig::default()
    };
    let mut other = config.clone();
    other.solver.lower_order_final = true;
    for (kind, config, mean, turned, noised, first) in [
        (
            SamplerKind::DpmMultistep,
            config,
            0.3301,
            0.2251,
            318.4111,
            5,
        ),
        (SamplerKind::UniPc, other, 0.2464, 0.1014, 315.5757, 8),
    ] {
        let near = |found: f64, wanted: f64, bound: f64| {
            assert!(
                (found - wanted).abs() < bound,
                "{} {found} {wanted}",
                kind.name()
            );
        };
        near(solve(kind, &config, None).1, mean, 1e-3);
        near(solve(kind, &v_prediction(&config), None).1, turned, 1e-3);
        near(solve(kind, &config, Some(first)).0, noised, 1e-2);
    }
}
