//! Small instruments: layout, training, files and bad input.

use alice_instruments::{
    Instrument, InstrumentError, InstrumentRecipe, Layout, calibrate, distance, train, visible,
};
use alice_worlds::{FACTORS, Factors, PuppetShow, factor_index, render_batch};

fn tiny() -> InstrumentRecipe {
    InstrumentRecipe {
        size: 16,
        channels: vec![8, 16],
        features: 16,
        batch: 16,
        steps: 60,
        warmup: 5,
        learning_rate: 1e-2,
        ..InstrumentRecipe::puppets_32().unwrap()
    }
}

fn pictures(size: usize, count: u64) -> Vec<f32> {
    let batch = render_batch(&PuppetShow::default(), 5, 0..count, size).unwrap();
    batch.rgb.iter().map(|v| 2.0 * v - 1.0).collect()
}

#[test]
fn every_output_belongs_to_one_factor() {
    let layout = Layout::new();
    assert_eq!(layout.slots().len(), FACTORS.len());
    let mut next = 0;
    for (slot, spec) in layout.slots().iter().zip(FACTORS) {
        assert_eq!((slot.name, slot.start), (spec.name, next));
        next += slot.len;
    }
    assert_eq!(layout.len(), next);
    let names = layout.names();
    assert_eq!(names.len(), next);
    for name in [
        "species.frog",
        "smile",
        "hue.cos",
        "hue.sin",
        "haunted.logit",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn training_lowers_the_loss_and_repeats() {
    let mut losses = Vec::new();
    let first = train(&tiny(), |progress| losses.push(progress.loss)).unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (start, end) = (mean(&losses[..10]), mean(&losses[50..]));
    assert!(end < 0.85 * start, "{start} to {end}");
    let again = train(&tiny(), |_| ()).unwrap();
    let pictures = pictures(16, 3);
    assert_eq!(
        first.read(&pictures).unwrap(),
        again.read(&pictures).unwrap()
    );
}

#[test]
fn files_bring_the_instrument_back() {
    let recipe = InstrumentRecipe { steps: 2, ..tiny() };
    let instrument = train(&recipe, |_| ()).unwrap();
    let pictures = pictures(16, 70);
    let missing = instrument.validity(&pictures).unwrap_err();
    assert!(matches!(missing, InstrumentError::NotCalibrated));
    let calibration = calibrate(&instrument, 3, 8).unwrap();
    let instrument = instrument.with_calibration(calibration);
    let folder = tempfile::tempdir().unwrap();
    instrument.save(folder.path()).unwrap();
    let back = Instrument::load(folder.path()).unwrap();
    assert_eq!(back.recipe(), &recipe);
    assert_eq!(back.calibration(), instrument.calibration());
    let read = instrument.read(&pictures).unwrap();
    assert_eq!(back.read(&pictures).unwrap(), read);
    // Item i does not depend on the batch.
    let last = &pictures[69 * 16 * 16 * 3..];
    assert_eq!(back.read(last).unwrap()[0], read[69]);
}

#[test]
fn broken_files_are_errors() {
    let recipe = InstrumentRecipe { steps: 1, ..tiny() };
    let folder = tempfile::tempdir().unwrap();
    train(&recipe, |_| ()).unwrap().save(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("instrument.json")).unwrap();
    let bytes = std::fs::read(folder.path().join("instrument.safetensors")).unwrap();
    assert!(Instrument::from_bytes(&text, &bytes).is_ok());
    assert!(Instrument::from_bytes(&text, &bytes[..bytes.len() - 9]).is_err());
    assert!(Instrument::from_bytes("{", &bytes).is_err());
    for (from, to, expected) in [
        ("smile", "grin", "reads other factors"),
        ("\"size\": 16", "\"size\": 24", "features.weight"),
        ("\"size\": 16", "\"size\": 18", "halve"),
        ("\"recipe\"", "\"receipt\"", "receipt"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let error = Instrument::from_bytes(&changed, &bytes).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(Instrument::load(folder.path().join("nowhere")).is_err());
}

#[test]
fn what_is_not_a_picture_is_an_error() {
    let recipe = InstrumentRecipe { steps: 1, ..tiny() };
    let instrument = train(&recipe, |_| ()).unwrap();
    assert_eq!(instrument.read(&[]).unwrap(), []);
    let mut pictures = pictures(16, 2);
    let error = instrument.read(&pictures[1..]).unwrap_err();
    assert!(error.to_string().contains("16×16×3"), "{error}");
    pictures[16 * 16 * 3 + 7] = f32::NAN;
    let error = instrument.read_refined(&pictures).unwrap_err();
    assert!(
        matches!(
            error,
            InstrumentError::NotFinite {
                picture: 1,
                index: 7,
                ..
            }
        ),
        "{error}"
    );
    // Far outside the range is cut off.
    let (huge, white) = (vec![1e30; 16 * 16 * 3], vec![1.0; 16 * 16 * 3]);
    assert_eq!(
        instrument.read(&huge).unwrap(),
        instrument.read(&white).unwrap()
    );
}

#[test]
fn recipes_that_make_no_sense_are_refused() {
    type Change = fn(&mut InstrumentRecipe);
    let changes: [(&str, Change); 8] = [
        ("size", |r| r.size = 4),
        ("channels", |r| r.channels = vec![]),
        ("channels", |r| r.channels = vec![8; 5]),
        ("channels and features", |r| r.features = 12),
        ("batch", |r| r.batch = 0),
        ("steps", |r| r.steps = 0),
        ("learning_rate", |r| r.learning_rate = f64::NAN),
        ("noise and blur", |r| r.noise = -1.0),
    ];
    for (field, change) in changes {
        let mut recipe = tiny();
        change(&mut recipe);
        let error = train(&recipe, |_| ()).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn closed_eyes_hide_the_gaze() {
    let gaze = factor_index("gaze").unwrap();
    let open = Factors {
        eye_openness: 1.0,
        eye_size: 1.0,
        ..Factors::default()
    };
    let closed = Factors {
        eye_openness: 0.0,
        ..open
    };
    assert!(visible(&open, gaze, 32).unwrap());
    assert!(!visible(&closed, gaze, 32).unwrap());
    assert!(visible(&open, FACTORS.len(), 32).is_err());
}

#[test]
fn distances_are_those_of_the_worst_window() {
    let side = 16;
    let black = vec![0.0; side * side * 3];
    let mut patch = black.clone();
    assert_eq!(distance(&black, &patch, side), 0.0);
    for row in 4..8 {
        patch[(row * side + 4) * 3..(row * side + 8) * 3].fill(1.0);
    }
    let near = distance(&black, &patch, side);
    assert!((0.5..1.0).contains(&near), "{near}");
    assert!((distance(&black, &vec![0.25; black.len()], side) - 0.25).abs() < 1e-6);
}
