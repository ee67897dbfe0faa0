//! Measures an instrument on held-out pictures, prints what it found and
//! writes it beside the weights.
//!
//! `cargo run --release -p alice-instruments --example calibrate -- FOLDER [COUNT]`

use alice_instruments::{DistanceProfile, FactorErrors, Instrument, calibrate};
use std::error::Error;
use std::time::Instant;

const HELD_OUT_SEED: u64 = 314_159;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("name the instrument's folder")?;
    let count = arguments.get(1).map_or(Ok(2_000), |text| text.parse())?;
    let instrument = Instrument::load(folder)?;
    let start = Instant::now();
    let calibration = calibrate(&instrument, HELD_OUT_SEED, count)?;
    eprintln!("calibrated in {:.0} s", start.elapsed().as_secs_f64());
    println!("each factor as read, then as refined");
    for (read, refined) in calibration.factors.iter().zip(&calibration.refined) {
        println!("{}\n{}", errors(read), errors(refined));
    }
    println!(
        "valid up to {:.4}: {}",
        calibration.threshold, calibration.rule
    );
    calibration.distances.iter().for_each(distances);
    println!(
        "without refinement valid up to {:.4}",
        calibration.quick_threshold
    );
    calibration.quick_distances.iter().for_each(distances);
    println!("one factor wrong by half its range");
    calibration.changed_factors.iter().for_each(distances);
    Ok(instrument.with_calibration(calibration).save(folder)?)
}

fn errors(errors: &FactorErrors) -> String {
    let number = |value: Option<f64>| value.map_or("    –".to_owned(), |v| format!("{v:5.3}"));
    let confusion = errors.confusion.map_or(String::new(), |c| {
        let (precision, recall) = (c.precision(), c.recall());
        format!("precision {precision:.3} recall {recall:.3}")
    });
    format!(
        "{:16} visible {:4.2}  error {} visible {}  R² {}  ρ {} visible {}  accuracy {}  {confusion}",
        errors.name,
        errors.visible_share,
        number(errors.error),
        number(errors.error_visible),
        number(errors.r_squared),
        number(errors.spearman),
        number(errors.spearman_visible),
        number(errors.accuracy),
    )
}

fn distances(profile: &DistanceProfile) {
    let q = &profile.quantiles;
    println!(
        "{:45} rejected {:5.1} %  p01 {:.4} p10 {:.4} median {:.4} p90 {:.4} p99 {:.4}",
        profile.kind,
        100.0 * profile.rejected,
        q.p01,
        q.p10,
        q.median,
        q.p90,
        q.p99
    );
}
