//! The published full-loop sums of diffusers' scheduler tests.
//!
//! sample = arange(768)/768 shaped (3, 8, 8, 4), axes permuted to (4, 3, 8, 8)
//! (elementwise sums do not see the order); the "model" is x·t/(t + 1).

use std::ops::ControlFlow;

use alice_diffusion::{
    Ddim, DdimInverse, Draws, Eta, PredictionType, Sampler, ScheduleConfig, TimestepSpacing,
    Trajectory,
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
        .steps(first..sampler.timesteps().len())
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
