//! Schedules, timesteps and whole sampling sequences against diffusers.
//! The fixtures and the scripts that wrote them are in `fixtures/`.

use alice_diffusion::{
    Ddim, DdimInverse, Ddpm, Eta, FinalSigma, History, Sampler, SamplerKind, ScheduleConfig,
    StepOutput, TimestepSpacing,
};
use serde::Deserialize;
use serde_json::Value;

/// Largest relative error ‖a − b‖/‖b‖ of a state.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Sequence {
    config: Value,
    steps: usize,
    #[serde(default)]
    eta: f64,
    timesteps: Vec<f64>,
    states: Vec<Vec<f64>>,
    originals: Vec<Vec<f64>>,
}

fn model(x: &[f32], t: f64) -> Vec<f32> {
    x.iter()
        .map(|&x| {
            let x = f64::from(x);
            (0.6 * (2.0 * x + t / 1000.0).sin() + 0.1 * x) as f32
        })
        .collect()
}

fn noise(step: usize, dim: usize) -> Vec<f32> {
    (0..dim)
        .map(|j| (1.5 * (1.0 + 12.9898 * j as f64 + 78.233 * step as f64).sin()) as f32)
        .collect()
}

fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let mut difference = found.iter().zip(expected).map(|(a, b)| f64::from(*a) - b);
    norm(&mut difference) / norm(&mut expected.iter().copied())
}

fn compare(fixture: &str, build: impl Fn(&ScheduleConfig, &Sequence) -> Box<dyn Sampler>) {
    let sequences: Vec<Sequence> = serde_json::from_str(fixture).unwrap();
    assert!(sequences.len() > 20);
    let mut worst = 0.0f64;
    for sequence in &sequences {
        let config = ScheduleConfig::from_json(&sequence.config.to_string()).unwrap();
        let sampler = build(&config, sequence);
        assert_eq!(sampler.times(), sequence.timesteps, "{config:?}");
        let mut state: Vec<f32> = vec![0.9, -1.4, 0.2, 2.1, -0.6, 0.05];
        for (step, &timestep) in sequence.timesteps.iter().enumerate() {
            let StepOutput {
                prev_sample,
                pred_original,
            } = sampler
                .step(
                    step,
                    &model(&state, timestep),
                    &state,
                    Some(&noise(step, state.len())),
                    &mut History::default(),
                )
                .unwrap();
            state = prev_sample;
            for (name, found, expected) in [
                ("state", &state, &sequence.states[step]),
                ("x0", &pred_original, &sequence.originals[step]),
            ] {
                let error = relative_error(found, expected);
                worst = worst.max(error);
                assert!(
                    error <= TOLERANCE,
                    "{name} after step {step}: {error:.1e}\n{config:?} eta {}",
                    sequence.eta
                );
            }
        }
    }
    println!("worst relative error {worst:.1e}");
}

#[test]
fn ddim_sequences() {
    compare(
        include_str!("fixtures/sequences/ddim.json"),
        |config, case| Box::new(Ddim::new(config, case.steps, Eta::Constant(case.eta)).unwrap()),
    );
}

#[test]
fn ddpm_sequences() {
    compare(
        include_str!("fixtures/sequences/ddpm.json"),
        |config, case| Box::new(Ddpm::new(config, case.steps).unwrap()),
    );
}

#[test]
fn ddim_inverse_sequences() {
    compare(
        include_str!("fixtures/sequences/ddim_inverse.json"),
        |config, case| Box::new(DdimInverse::new(config, case.steps).unwrap()),
    );
}

#[test]
fn schedule_tables() {
    #[derive(Deserialize)]
    struct Table {
        config: Value,
        t: Vec<usize>,
        betas: Vec<f64>,
        alphas_cumprod: Vec<f64>,
    }
    let tables: Vec<Table> =
        serde_json::from_str(include_str!("fixtures/schedules/schedules.json")).unwrap();
    for table in &tables {
        let config = ScheduleConfig::from_json(&table.config.to_string()).unwrap();
        let schedule = config.schedule().unwrap();
        for (i, &t) in table.t.iter().enumerate() {
            let (beta, alpha_bar) = (schedule.betas()[t], schedule.alphas_cumprod()[t]);
            let expected = (table.betas[i], table.alphas_cumprod[i]);
            let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-10 * expected;
            assert!(
                close(beta, expected.0) && close(alpha_bar, expected.1),
                "t {t}: beta {beta:e}, alpha bar {alpha_bar:e}, expected {expected:?}\n{config:?}"
            );
        }
    }
    assert_eq!(tables.len(), 8);
}

#[test]
fn timestep_tables() {
    #[derive(Deserialize)]
    struct Grid {
        spacing: TimestepSpacing,
        steps: usize,
        offset: usize,
        timesteps: Vec<usize>,
    }
    let grids: Vec<Grid> =
        serde_json::from_str(include_str!("fixtures/schedules/timesteps.json")).unwrap();
    for grid in &grids {
        let mut found = grid
            .spacing
            .timesteps(1000, grid.steps, grid.offset)
            .unwrap();
        if grid.steps == 1000 {
            found.drain(3..997);
        }
        assert_eq!(found, grid.timesteps, "{:?} {}", grid.spacing, grid.steps);
    }
    assert!(grids.len() > 40);
}

#[derive(Deserialize)]
struct SolverSequence {
    config: Value,
    steps: usize,
    times: Vec<f64>,
    initial_deviation: f64,
    states: Vec<Vec<f64>>,
}

/// Levels are interpolated in f64 here and in the fixtures; the network's times
/// differ by rounding alone.
#[test]
fn solvers_of_higher_order() {
    let fixture = include_str!("fixtures/sequences/solvers.json");
    let sequences: Vec<SolverSequence> = serde_json::from_str(fixture).unwrap();
    assert!(sequences.len() > 100);
    let (mut worst, mut seen) = (0.0f64, std::collections::BTreeMap::new());
    for sequence in &sequences {
        let config = ScheduleConfig::from_json(&sequence.config.to_string()).unwrap();
        let kind = SamplerKind::of(&config).unwrap();
        let eta = Eta::Constant(0.0);
        let sampler = kind.build(&config, sequence.steps, eta, false).unwrap();
        let name = format!("{} {config:?} {} steps", kind.name(), sequence.steps);
        *seen.entry(kind.name()).or_insert(0) += 1;
        assert_eq!(sampler.times().len(), sequence.times.len(), "{name}");
        for (found, expected) in sampler.times().iter().zip(&sequence.times) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected} {name}");
        }
        let deviation = sampler.initial_deviation();
        let expected = sequence.initial_deviation;
        assert!(
            (deviation / expected - 1.0).abs() < 1e-6,
            "{deviation} {expected} {name}"
        );
        let start = [0.9, -1.4, 0.2, 2.1, -0.6, 0.05];
        let mut state: Vec<f32> = start.map(|x| (x * deviation) as f32).to_vec();
        let mut history = History::default();
        for (step, expected) in sequence.states.iter().enumerate() {
            let output = model(&state, sequence.times[step]);
            let noise = noise(step, state.len());
            let next = sampler
                .step(step, &output, &state, Some(&noise), &mut history)
                .unwrap();
            state = next.prev_sample;
            // The fixture has every state of Euler's brought to unit variance; the
            // last is given as it is, with the noise that is left where σ does
            // not end at 0.
            let last = kind == SamplerKind::Euler && step + 1 == sequence.states.len();
            let signal = match config.solver.final_sigma {
                FinalSigma::Minimum if last => {
                    config.schedule().unwrap().alpha_bar(0).unwrap().sqrt()
                }
                _ => 1.0,
            };
            let expected: Vec<f64> = expected.iter().map(|x| x / signal).collect();
            let error = relative_error(&state, &expected);
            worst = worst.max(error);
            assert!(error <= TOLERANCE, "step {step}: {error:.1e}\n{name}");
        }
    }
    println!("worst {worst:.1e} of {seen:?}");
    assert_eq!(seen.len(), 8);
}
