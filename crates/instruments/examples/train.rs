//! Trains the instrument that is shipped with `puppets-32`.
//!
//! `cargo run --release -p alice-instruments --example train -- FOLDER [STEPS]`

use alice_instruments::{FactorErrors, InstrumentRecipe, calibrate, train};
use std::error::Error;
use std::time::Instant;

const HELD_OUT_SEED: u64 = 314_159;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("name a folder to write to")?;
    let mut recipe = InstrumentRecipe::puppets_32()?;
    if let Some(steps) = arguments.get(1) {
        recipe.steps = steps.parse()?;
    }
    let start = Instant::now();
    let mut sum = 0.0;
    let instrument = train(&recipe, |progress| {
        sum += progress.loss;
        if progress.step % 50 == 0 || progress.step == progress.steps {
            let seconds = start.elapsed().as_secs_f64();
            eprintln!(
                "step {}: loss {:.4}, {seconds:.0} s",
                progress.step,
                sum / 50.0
            );
            sum = 0.0;
        }
    })?;
    instrument.save(folder)?;
    let start = Instant::now();
    let calibration = calibrate(&instrument, HELD_OUT_SEED, 2_000)?;
    eprintln!("calibrated in {:.0} s", start.elapsed().as_secs_f64());
    for (read, refined) in calibration.factors.iter().zip(&calibration.refined) {
        println!("{}", row(read));
        println!("{}", row(refined));
    }
    println!("threshold {:.4}", calibration.threshold);
    for profile in &calibration.distances {
        let q = &profile.quantiles;
        println!(
            "{:50} rejected {:5.1} %  p01 {:.4} p10 {:.4} median {:.4} p90 {:.4} p99 {:.4}",
            profile.kind,
            100.0 * profile.rejected,
            q.p01,
            q.p10,
            q.median,
            q.p90,
            q.p99
        );
    }
    Ok(instrument.with_calibration(calibration).save(folder)?)
}

fn row(errors: &FactorErrors) -> String {
    let number = |value: Option<f64>| value.map_or("    –".to_owned(), |v| format!("{v:5.3}"));
    format!(
        "{:16} visible {:4.2}  error {} visible {}  R² {}  ρ {} visible {}  accuracy {}  {}",
        errors.name,
        errors.visible_share,
        number(errors.error),
        number(errors.error_visible),
        number(errors.r_squared),
        number(errors.spearman),
        number(errors.spearman_visible),
        number(errors.accuracy),
        errors.confusion.map_or(String::new(), |c| format!(
            "precision {:.3} recall {:.3}",
            c.precision(),
            c.recall()
        ))
    )
}
