//! Reading and writing `scheduler_config.json`.

use alice_diffusion::{
    BetaSchedule, DpmAlgorithm, Error, Eta, FinalSigma, PredictionType, SamplerKind,
    ScheduleConfig, SigmaSpacing, SolverConfig, SolverType, TimestepSpacing, VarianceType,
};

#[test]
fn reads_a_published_configuration() {
    let config = ScheduleConfig::from_json(
        r#"{
            "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0",
            "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
            "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true,
            "steps_offset": 1, "trained_betas": null, "clip_sample": false
        }"#,
    )
    .unwrap();
    let expected = ScheduleConfig {
        class_name: "PNDMScheduler".into(),
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: BetaSchedule::ScaledLinear,
        clip_sample: false,
        set_alpha_to_one: false,
        steps_offset: 1,
        solver: SolverConfig {
            skip_prk_steps: true,
            ..SolverConfig::default()
        },
        ..ScheduleConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.timesteps(5).unwrap(), [801, 601, 401, 201, 1]);
}

#[test]
fn an_empty_configuration_takes_the_defaults() {
    let config = ScheduleConfig::from_json("{}").unwrap();
    assert_eq!(config, ScheduleConfig::default());
    let schedule = config.schedule().unwrap();
    assert_eq!(schedule.train_steps(), 1000);
    assert!((schedule.betas()[0] - 1e-4).abs() < 1e-15);
    assert!((schedule.betas()[999] - 0.02).abs() < 1e-15);
}

#[test]
fn writes_what_it_reads() {
    let config = ScheduleConfig {
        class_name: "DDIMScheduler".into(),
        num_train_timesteps: 3,
        beta_start: 0.001,
        beta_end: 0.3,
        beta_schedule: BetaSchedule::Cosine,
        trained_betas: Some(vec![0.1, 0.2, 0.3]),
        prediction_type: PredictionType::VPrediction,
        clip_sample: false,
        clip_sample_range: 2.5,
        set_alpha_to_one: false,
        steps_offset: 1,
        timestep_spacing: Some(TimestepSpacing::Trailing),
        rescale_betas_zero_snr: true,
        variance_type: VarianceType::FixedLarge,
        solver: SolverConfig::default(),
    };
    let solver = SolverConfig {
        sigma_spacing: SigmaSpacing::Karras,
        final_sigma: FinalSigma::Minimum,
        order: 3,
        solver_type: SolverType::Bh1,
        lower_order_final: false,
        euler_at_final: true,
        lambda_min: Some(-4.5),
        skip_prk_steps: true,
        original_inference_steps: 25,
        timestep_scaling: 3.0,
        ..SolverConfig::default()
    };
    let solving = ScheduleConfig {
        class_name: "UniPCMultistepScheduler".into(),
        solver,
        ..config.clone()
    };
    let stochastic = ScheduleConfig {
        class_name: "DPMSolverMultistepScheduler".into(),
        solver: SolverConfig {
            sigma_spacing: SigmaSpacing::Exponential,
            algorithm: DpmAlgorithm::Stochastic,
            solver_type: SolverType::Heun,
            ..SolverConfig::default()
        },
        ..config.clone()
    };
    for config in [config, solving, stochastic, ScheduleConfig::default()] {
        let text = config.to_json().unwrap();
        assert_eq!(ScheduleConfig::from_json(&text).unwrap(), config);
    }
    let text = ScheduleConfig::default().to_json().unwrap();
    assert!(text.contains("\"variance_type\": \"fixed_small\""));
    assert!(
        !text.contains("set_alpha_to_one"),
        "DDPM does not know it: {text}"
    );
}

#[test]
fn absent_values_are_the_class_s_own() {
    let of = |class: &str| ScheduleConfig::from_json(&format!(r#"{{"_class_name":"{class}"}}"#));
    // From the signatures of diffusers' schedulers.
    for (class, start, end, betas, clips) in [
        ("DDIMScheduler", 1e-4, 0.02, BetaSchedule::Linear, true),
        (
            "EulerDiscreteScheduler",
            1e-4,
            0.02,
            BetaSchedule::Linear,
            false,
        ),
        (
            "HeunDiscreteScheduler",
            0.00085,
            0.012,
            BetaSchedule::Linear,
            false,
        ),
        (
            "LCMScheduler",
            0.00085,
            0.012,
            BetaSchedule::ScaledLinear,
            false,
        ),
    ] {
        let config = of(class).unwrap();
        assert_eq!(
            (config.beta_start, config.beta_end),
            (start, end),
            "{class}"
        );
        assert_eq!(config.beta_schedule, betas, "{class}");
        assert_eq!(config.clip_sample, clips, "{class}");
    }
}

#[test]
fn infinity_is_a_value() {
    for infinity in ["-Infinity", "\"-Infinity\""] {
        let text = format!(r#"{{"lambda_min_clipped": {infinity}}}"#);
        let config = ScheduleConfig::from_json(&text).unwrap();
        assert_eq!(config.solver.lambda_min, Some(f64::NEG_INFINITY));
    }
    let none = ScheduleConfig::from_json(r#"{"lambda_min_clipped": null}"#).unwrap();
    assert_eq!(none.solver.lambda_min, None);
    let error = ScheduleConfig::from_json(r#"{"lambda_min_clipped": true}"#).unwrap_err();
    assert!(error.to_string().contains("lambda_min_clipped"), "{error}");
}

#[test]
fn values_that_change_the_numbers_are_named() {
    for (text, field, value) in [
        (
            r#"{"beta_schedule": "laplace"}"#,
            "beta_schedule",
            "laplace",
        ),
        (r#"{"prediction_type": "flow"}"#, "prediction_type", "flow"),
        (
            r#"{"variance_type": "learned_range"}"#,
            "variance_type",
            "learned_range",
        ),
        (
            r#"{"timestep_spacing": "karras"}"#,
            "timestep_spacing",
            "karras",
        ),
        (
            r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#,
            "_class_name",
            "FlowMatchEulerDiscreteScheduler",
        ),
    ] {
        let error = ScheduleConfig::from_json(text).unwrap_err();
        assert!(
            matches!(&error, Error::Unsupported { field: f, value: v, .. } if *f == field && v == value),
            "{error}"
        );
        assert!(error.to_string().contains(field) && error.to_string().contains(value));
    }
}

/// A field counts where the sampler that has it is built, and nowhere else.
#[test]
fn fields_count_for_their_samplers() {
    use SamplerKind::{Ddim, DpmMultistep, DpmMultistepSde, Euler, EulerAncestral, Heun, UniPc};
    for (text, refused, built) in [
        (
            r#"{"interpolation_type": "log_linear"}"#,
            vec![Euler],
            vec![Ddim, Heun, UniPc, EulerAncestral],
        ),
        (
            r#"{"thresholding": true}"#,
            vec![Ddim, DpmMultistep, UniPc],
            vec![Euler, Heun, SamplerKind::Pndm],
        ),
        (
            r#"{"algorithm_type": "dpmsolver"}"#,
            vec![DpmMultistep, DpmMultistepSde],
            vec![Ddim, UniPc],
        ),
        (r#"{"solver_order": 7}"#, vec![UniPc], vec![Ddim, Euler]),
    ] {
        let config = ScheduleConfig::from_json(text).unwrap();
        let build = |kind: SamplerKind| kind.build(&config, 10, Eta::Constant(0.0), false);
        for kind in refused {
            let error = build(kind).err().unwrap().to_string();
            assert!(error.contains(kind.name()), "{error}");
            assert!(error.contains(&text[2..10]), "{error}");
        }
        for kind in built {
            assert!(build(kind).is_ok(), "{text} {kind:?}");
        }
        let again = ScheduleConfig::from_json(&config.to_json().unwrap()).unwrap();
        assert_eq!(again.solver, config.solver);
    }
}

/// As many steps as leave room for the offset.
#[test]
fn too_many_steps_say_how_many_there_may_be() {
    let text = r#"{"steps_offset": 1, "timestep_spacing": "leading"}"#;
    let config = ScheduleConfig::from_json(text).unwrap();
    assert!(config.timesteps(999).is_ok());
    let error = config.timesteps(1000).unwrap_err().to_string();
    assert!(error.contains("between 1 and 999"), "{error}");
    let far = ScheduleConfig {
        steps_offset: 1000,
        ..config
    };
    let error = far.timesteps(10).unwrap_err().to_string();
    assert!(error.contains("1000 training steps"), "{error}");
}

#[test]
fn nonsense_is_an_error() {
    for text in [
        "",
        "[1]",
        "{",
        r#"{"beta_start": "a"}"#,
        r#"{"beta_start": -0.1}"#,
        r#"{"beta_end": 1.5}"#,
        r#"{"beta_start": 0.0, "beta_schedule": "linear"}"#,
        r#"{"num_train_timesteps": 0}"#,
        r#"{"num_train_timesteps": 1000000000000}"#,
        r#"{"num_train_timesteps": -5}"#,
        r#"{"trained_betas": [0.1, 0.2]}"#,
        r#"{"trained_betas": [], "num_train_timesteps": 0}"#,
        r#"{"beta_start": 1e-30}"#,
        r#"{"trained_betas": [0.1, 1.0, 0.1], "num_train_timesteps": 3}"#,
        r#"{"clip_sample_range": 0.0}"#,
        r#"{"num_train_timesteps": 1, "rescale_betas_zero_snr": true}"#,
    ] {
        let error = ScheduleConfig::from_json(text).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
