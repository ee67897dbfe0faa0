//! Conversions, batch independence, partial runs, cancelling and errors.

use std::ops::ControlFlow;

use alice_diffusion::{
    BoxError, Ddim, DdimInverse, Ddpm, Draws, Error, Eta, History, NoiseSchedule, PredictionType,
    Sampler, SamplerKind, ScheduleConfig, StepReport, TimestepSpacing, Trajectory, initial_noise,
    invert,
};

const DIM: usize = 5;

fn quiet(_: &StepReport<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn model(x: &[f32], _: usize, t: f64) -> Result<Vec<f32>, BoxError> {
    Ok(x.iter().map(|x| (x + t as f32 * 1e-3).sin()).collect())
}

fn run(sampler: &dyn Sampler, first_item: u64, count: usize) -> Vec<f32> {
    let draws = Draws {
        seed: 11,
        first_item,
    };
    Trajectory::new(sampler, draws)
        .run(
            &mut model,
            initial_noise(draws, count, DIM),
            count,
            &mut quiet,
        )
        .unwrap()
}

fn samplers() -> Vec<Box<dyn Sampler>> {
    let config = ScheduleConfig::default();
    vec![
        Box::new(Ddpm::new(&config, 20).unwrap()),
        Box::new(Ddim::new(&config, 20, Eta::Constant(0.7)).unwrap()),
        Box::new(Ddim::new(&config, 20, Eta::Constant(0.0)).unwrap()),
    ]
}

#[test]
fn conversions_invert_the_targets() {
    let (x0, noise) = ([0.3f32, -1.2, 0.0, 2.0], [1.1f32, 0.4, -0.9, 0.2]);
    let schedule = NoiseSchedule::cosine(100).unwrap();
    let timesteps = [3, 80];
    let sample = schedule.add_noise(&x0, &noise, &timesteps).unwrap();
    for prediction in [
        PredictionType::Epsilon,
        PredictionType::VPrediction,
        PredictionType::Sample,
    ] {
        let output = schedule
            .target(prediction, &x0, &noise, &timesteps)
            .unwrap();
        let original = schedule
            .predicted_original(prediction, &sample, &output, &timesteps)
            .unwrap();
        let epsilon = schedule
            .predicted_epsilon(prediction, &sample, &output, &timesteps)
            .unwrap();
        for j in 0..4 {
            assert!((original[j] - x0[j]).abs() < 2e-6, "{prediction:?}");
            assert!((epsilon[j] - noise[j]).abs() < 1e-5, "{prediction:?}");
        }
    }
    let alpha_bar = schedule.alpha_bar(80).unwrap();
    let snr = schedule.snr(80).unwrap();
    assert!((snr * (1.0 - alpha_bar) - alpha_bar).abs() < 1e-12);
}

#[test]
fn items_may_share_the_noise_of_the_first() {
    let sampler = Ddpm::new(&ScheduleConfig::default(), 20).unwrap();
    let draws = Draws {
        seed: 11,
        first_item: 4,
    };
    let start = initial_noise(draws, 1, DIM);
    let alike = Trajectory::new(&sampler, draws).with_the_same_noise();
    let batch = alike.run(&mut model, start.repeat(3), 3, &mut quiet);
    let batch = batch.unwrap();
    let alone = run(&sampler, 4, 1);
    assert!(batch.chunks(DIM).all(|item| item == alone));
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let config = ScheduleConfig::default();
    let eta = Eta::Constant(0.0);
    let all = SamplerKind::ALL.map(|kind| kind.build(&config, 20, eta, false).unwrap());
    for sampler in all.into_iter().chain(samplers()) {
        let batch = run(sampler.as_ref(), 0, 6);
        for i in 0..6 {
            let alone = run(sampler.as_ref(), i as u64, 1);
            assert_eq!(alone, batch[i * DIM..(i + 1) * DIM]);
        }
        assert_eq!(run(sampler.as_ref(), 2, 3), batch[2 * DIM..5 * DIM]);
    }
}

/// From a timestep of the grid as the grid goes on, from another with the noise
/// of that one.
#[test]
fn ddim_begins_anywhere() {
    let config = ScheduleConfig::default();
    let ddim = Ddim::new(&config, 20, Eta::Constant(0.0)).unwrap();
    let on_grid = ddim.clone().beginning_at(600).unwrap();
    assert_eq!(on_grid.timesteps(), &ddim.timesteps()[7..]);
    let between = ddim.clone().beginning_at(625).unwrap();
    assert_eq!(between.timesteps()[..2], [625, 575]);
    assert_eq!(between.timesteps().last(), Some(&25));
    // A network that knows the picture leads back to it from either.
    let (picture, noise) = (0.4f32, -1.3f32);
    for sampler in [&on_grid, &between] {
        let schedule = config.schedule().unwrap();
        let first = sampler.timesteps()[0];
        let signal = schedule.alpha_bar(first).unwrap();
        let mut x = (signal.sqrt() as f32) * picture + ((1.0 - signal).sqrt() as f32) * noise;
        for index in 0..sampler.timesteps().len() {
            let step = sampler.step(index, &[noise], &[x], None, &mut History::default());
            x = step.unwrap().prev_sample[0];
        }
        let last = schedule.alpha_bar(0).unwrap();
        let left = (1.0 - last).sqrt() as f32 * noise;
        assert!((x - picture - left).abs() < 0.02, "{x}");
    }
    assert!(ddim.beginning_at(1000).is_err());
}

#[test]
fn stopping_and_going_on_equals_going_through() {
    for sampler in samplers() {
        let whole = run(sampler.as_ref(), 0, 2);
        let draws = Draws {
            seed: 11,
            first_item: 0,
        };
        let trajectory = Trajectory::new(sampler.as_ref(), draws);
        let middle = sampler.index_at(600.0);
        assert_eq!(sampler.times()[middle], 600.0);
        let mut state = initial_noise(draws, 2, DIM);
        for range in [0..middle, middle..20] {
            state = trajectory
                .clone()
                .steps(range)
                .run(&mut model, state, 2, &mut quiet)
                .unwrap();
        }
        assert_eq!(state, whole);
    }
}

#[test]
fn the_stochastic_tail_begins_where_it_says() {
    let eta = Eta::Tail {
        eta: 1.0,
        fraction: 0.2,
    };
    let sampler = Ddim::new(&ScheduleConfig::default(), 10, eta).unwrap();
    let stochastic: Vec<usize> = (0..10).filter(|&i| sampler.uses_noise(i)).collect();
    let timesteps: Vec<usize> = stochastic.iter().map(|&i| sampler.timesteps()[i]).collect();
    assert_eq!(timesteps, [200, 100, 0]);
    assert_eq!(sampler.index_at(200.0), 7);
}

#[test]
fn an_observer_sees_every_step_and_can_stop() {
    let sampler = &samplers()[2];
    let mut seen = Vec::new();
    let error = Trajectory::new(sampler.as_ref(), Draws::default())
        .run(&mut model, vec![0.5; DIM], 1, &mut |report| {
            assert_eq!(report.range, (0, 20));
            assert_eq!(report.sample.len(), DIM);
            assert_eq!(report.original.len(), DIM);
            seen.push((report.step, report.time));
            if report.step == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap_err();
    assert_eq!(seen, [(0, 950.0), (1, 900.0), (2, 850.0)]);
    assert!(matches!(
        error,
        Error::Cancelled {
            step: 2,
            time: 850.0
        }
    ));
}

#[test]
fn a_model_that_returns_nan_is_named_with_step_and_item() {
    let mut broken = |x: &[f32], _: usize, t: f64| {
        let mut output = x.to_vec();
        if t == 850.0 {
            output[2 * DIM + 1] = f32::NAN;
        }
        Ok(output)
    };
    let sampler = &samplers()[0];
    let error = Trajectory::new(sampler.as_ref(), Draws::default())
        .run(&mut broken, vec![0.1; 3 * DIM], 3, &mut quiet)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model's output is not finite at step 2 (timestep 850), item 2"
    );
    let inverse = DdimInverse::new(&ScheduleConfig::default(), 20).unwrap();
    let error = invert(
        &mut broken,
        &inverse,
        vec![0.1; 3 * DIM],
        3,
        0..20,
        1,
        &mut quiet,
    )
    .unwrap_err();
    assert!(matches!(
        error,
        Error::NotFinite {
            step: 17,
            time: 850.0,
            item: 2,
            ..
        }
    ));
}

#[test]
fn a_state_that_overflows_is_an_error() {
    let config = ScheduleConfig {
        clip_sample: false,
        ..ScheduleConfig::default()
    };
    let sampler = Ddim::new(&config, 10, Eta::Constant(0.0)).unwrap();
    let mut huge = |x: &[f32], _: usize, _: f64| Ok(vec![f32::MAX; x.len()]);
    let error = Trajectory::new(&sampler, Draws::default())
        .run(&mut huge, vec![0.1; DIM], 1, &mut quiet)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the state is not finite at step")
    );
}

#[test]
fn a_failing_or_wrong_sized_model_is_an_error() {
    let sampler = &samplers()[0];
    let trajectory = Trajectory::new(sampler.as_ref(), Draws::default());
    let mut failing = |_: &[f32], _: usize, _: f64| Err(BoxError::from("out of paint"));
    let error = trajectory
        .run(&mut failing, vec![0.1; DIM], 1, &mut quiet)
        .unwrap_err();
    assert!(matches!(error, Error::Model { step: 0, .. }));
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "out of paint"
    );
    let mut short = |x: &[f32], _: usize, _: f64| Ok(x[1..].to_vec());
    let error = trajectory
        .run(&mut short, vec![0.1; DIM], 1, &mut quiet)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Length {
            expected: DIM,
            found: 4,
            ..
        }
    ));
}

#[test]
fn bad_requests_are_errors() {
    let config = ScheduleConfig::default();
    for steps in [0, 1001] {
        assert!(matches!(
            Ddpm::new(&config, steps),
            Err(Error::Steps { .. })
        ));
        assert!(matches!(
            Ddim::new(&config, steps, Eta::Constant(0.0)),
            Err(Error::Steps { .. })
        ));
        assert!(DdimInverse::new(&config, steps).is_err());
    }
    for eta in [
        Eta::Constant(-0.1),
        Eta::Constant(f64::NAN),
        Eta::Tail {
            eta: 1.0,
            fraction: 1.5,
        },
    ] {
        assert!(matches!(
            Ddim::new(&config, 10, eta),
            Err(Error::Parameter { .. })
        ));
    }
    let offset = ScheduleConfig {
        steps_offset: usize::MAX,
        ..config.clone()
    };
    assert!(matches!(
        Ddpm::new(&offset, 10),
        Err(Error::Timestep { .. })
    ));
    let linspace = ScheduleConfig {
        timestep_spacing: Some(TimestepSpacing::Linspace),
        ..config.clone()
    };
    assert!(DdimInverse::new(&linspace, 10).is_err());
    let both_ways = linspace.invertible();
    assert_eq!(
        DdimInverse::new(&both_ways, 10).unwrap().timesteps()[9],
        900
    );
    assert_eq!(config.invertible(), config);
    let zero_signal = ScheduleConfig {
        rescale_betas_zero_snr: true,
        timestep_spacing: Some(TimestepSpacing::Trailing),
        ..config.clone()
    };
    assert!(matches!(
        Ddpm::new(&zero_signal, 10),
        Err(Error::ZeroSignal { timestep: 999 })
    ));

    let sampler = Ddpm::new(&config, 10).unwrap();
    let x = [0.0f32; 4];
    for (output, index, noise) in [
        (&x[..3], 0, Some(&x[..])),
        (&x[..], 0, None),
        (&x[..], 0, Some(&x[..3])),
        (&x[..], 10, Some(&x[..])),
    ] {
        let history = &mut History::default();
        assert!(sampler.step(index, output, &x, noise, history).is_err());
    }
    for kind in SamplerKind::ALL {
        let eta = Eta::Constant(0.0);
        assert!(kind.build(&config, 0, eta, false).is_err(), "{kind:?}");
        assert!(kind.build(&config, 1001, eta, false).is_err(), "{kind:?}");
        let sampler = kind.build(&config, 10, eta, false).unwrap();
        let (count, history) = (sampler.times().len(), &mut History::default());
        let step = sampler.step(count, &x, &x, Some(&x), history);
        assert!(matches!(step, Err(Error::Evaluation { .. })), "{kind:?}");
        let step = sampler.step(0, &x[..3], &x, Some(&x), history);
        assert!(matches!(step, Err(Error::Length { .. })), "{kind:?}");
        if sampler.uses_noise(0) {
            let step = sampler.step(0, &x, &x, None, history);
            assert!(matches!(step, Err(Error::NoiseMissing { .. })), "{kind:?}");
            let step = sampler.step(0, &x, &x, Some(&x[..3]), history);
            assert!(matches!(step, Err(Error::Length { .. })), "{kind:?}");
        }
    }
    let trajectory = Trajectory::new(&sampler, Draws::default());
    for (values, count) in [(5, 2), (0, 0), (4, 0), (0, 1)] {
        assert!(matches!(
            trajectory.run(&mut model, vec![0.0; values], count, &mut quiet),
            Err(Error::Batch { .. })
        ));
    }
    #[allow(clippy::reversed_empty_ranges, reason = "the bad range under test")]
    for range in [0..11, 7..3] {
        assert!(matches!(
            trajectory
                .clone()
                .steps(range)
                .run(&mut model, vec![0.0; 4], 1, &mut quiet),
            Err(Error::Range { .. })
        ));
    }
    let schedule = sampler.schedule();
    assert!(schedule.add_noise(&x, &x[..2], &[1]).is_err());
    assert!(schedule.add_noise(&x, &x, &[1, 2, 3]).is_err());
    assert!(schedule.add_noise(&x, &x, &[]).is_err());
    assert!(schedule.add_noise(&x, &x, &[1000]).is_err());
}

/// Also from the middle, where the samplers with a memory have none yet.
#[test]
fn runs_begin_where_a_step_begins() {
    let config = ScheduleConfig {
        clip_sample: false,
        ..ScheduleConfig::default()
    };
    for kind in SamplerKind::ALL {
        let eta = Eta::Constant(0.0);
        let sampler = kind.build(&config, 20, eta, false).unwrap();
        let count = sampler.times().len();
        assert_eq!(sampler.index_of_strength(1.0), 0, "{kind:?}");
        assert_eq!(sampler.index_of_strength(0.0), count, "{kind:?}");
        let start = sampler.index_of_strength(0.5);
        assert!(sampler.begins_step(start), "{kind:?}");
        assert_eq!(sampler.index_at(sampler.times()[start]), start, "{kind:?}");
        let share = sampler.times()[start] / 1000.0;
        assert!((0.35..0.6).contains(&share), "{kind:?} {share}");
        // A model that knows the answer: ε of the state, given x₀ = 0.7.
        let levels: Vec<(f64, f64)> = (0..count)
            .map(|i| (sampler.times()[i], sampler.alpha_bar(i).unwrap()))
            .collect();
        let mut exact = |x: &[f32], _: usize, t: f64| -> Result<Vec<f32>, BoxError> {
            let (_, a) = levels
                .iter()
                .find(|(time, _)| *time == t)
                .ok_or("no level")?;
            let epsilon = |x: &f32| (f64::from(*x) - a.sqrt() * 0.7) / (1.0 - a).sqrt();
            Ok(x.iter().map(|x| epsilon(x) as f32).collect())
        };
        let alpha_bar = sampler.alpha_bar(start).unwrap();
        let noised = (alpha_bar.sqrt() * 0.7 + (1.0 - alpha_bar).sqrt() * 1.3) as f32;
        let end = Trajectory::new(sampler.as_ref(), Draws::default())
            .steps(start..count)
            .run(&mut exact, vec![noised; DIM], 1, &mut quiet)
            .unwrap();
        // PNDM's Runge-Kutta evaluations lie a little off its levels.
        assert!((end[0] - 0.7).abs() < 0.02, "{kind:?} {}", end[0]);
    }
}
