//! The instrument that is shipped keeps its promises, on pictures that are
//! neither those of its training nor those of its calibration.

use alice_instruments::{FactorErrors, Instrument, Perturbation, errors};
use alice_worlds::{Batch, FactorKind, PuppetShow, render_batch};
use std::sync::LazyLock;

const SEED: u64 = 77;

static INSTRUMENT: LazyLock<Instrument> = LazyLock::new(|| Instrument::bundled().unwrap());

fn batch(count: u64) -> Batch {
    render_batch(
        &PuppetShow::new(0.1).unwrap(),
        SEED,
        0..count,
        INSTRUMENT.size(),
    )
    .unwrap()
}

/// Bounds on the errors, in the factors' units, where a factor can be seen.
fn check(errors: &[FactorErrors], continuous: f64, circular: f64, accuracy: f64) {
    for (errors, slot) in errors.iter().zip(INSTRUMENT.layout().slots()) {
        let name = slot.name;
        match slot.kind {
            FactorKind::Continuous { low, high } => {
                let error = errors.error_visible.unwrap() / f64::from(high - low);
                assert!(error < continuous, "{name}: {error}");
            }
            FactorKind::Circular => {
                let error = errors.error_visible.unwrap();
                assert!(error < circular, "{name}: {error}");
            }
            FactorKind::Binary | FactorKind::Categorical { .. } => {
                let right = errors.accuracy.unwrap();
                assert!(right >= accuracy, "{name}: {right}");
            }
        }
    }
}

#[test]
fn readings_are_within_the_stated_bounds() {
    let batch = batch(200);
    let pictures = Perturbation::None.apply(&batch, SEED);
    let read = INSTRUMENT.read(&pictures).unwrap();
    check(
        &errors(&INSTRUMENT, &batch.factors, &read).unwrap(),
        0.12,
        0.02,
        0.97,
    );
    let refined = INSTRUMENT.read_refined(&pictures).unwrap();
    check(
        &errors(&INSTRUMENT, &batch.factors, &refined).unwrap(),
        0.02,
        0.01,
        0.98,
    );
    for (read, refined) in read.iter().zip(&refined) {
        assert_eq!(read.raw, refined.raw);
        refined.factors.validate().unwrap();
    }
}

#[test]
fn validity_tells_true_pictures_from_perturbed_ones() {
    let batch = batch(60);
    for kind in Perturbation::ALL {
        let judged = INSTRUMENT.validity(&kind.apply(&batch, SEED)).unwrap();
        let valid = judged.iter().filter(|v| v.valid).count() as f64 / judged.len() as f64;
        if kind.should_be_valid() {
            assert!(valid >= 0.95, "{}: {valid} valid", kind.name());
        } else {
            assert!(valid <= 0.1, "{}: {valid} valid", kind.name());
        }
    }
}

#[test]
fn the_quick_look_is_coarser_but_sees_what_is_gross() {
    let batch = batch(100);
    let share = |kind: Perturbation| {
        let judged = INSTRUMENT
            .quick_validity(&kind.apply(&batch, SEED))
            .unwrap();
        judged.iter().filter(|v| v.valid).count() as f64 / judged.len() as f64
    };
    assert!(share(Perturbation::None) >= 0.95);
    assert!(share(Perturbation::Halves) <= 0.05);
    assert!(share(Perturbation::Flipped) <= 0.05);
}

#[test]
fn the_calibration_is_of_this_world() {
    let calibration = INSTRUMENT.calibration().unwrap();
    assert_ne!(calibration.seed, INSTRUMENT.recipe().seed);
    assert!(calibration.pictures >= 1_000);
    let haunted = calibration.factor("haunted").unwrap().confusion.unwrap();
    assert!(
        haunted.recall() >= 0.95 && haunted.precision() >= 0.95,
        "{haunted:?}"
    );
    for profile in &calibration.distances {
        assert_eq!(profile.histogram.iter().sum::<usize>(), profile.pictures);
        assert_eq!(
            profile.should_be_valid,
            profile.rejected < 0.5,
            "{}",
            profile.kind
        );
    }
}
