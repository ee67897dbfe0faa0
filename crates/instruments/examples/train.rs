//! Trains the instrument that is shipped with `puppets-32`.
//!
//! `cargo run --release -p alice-instruments --example train -- FOLDER [STEPS]`

use alice_instruments::{InstrumentRecipe, train};
use std::error::Error;
use std::time::Instant;

const INTERVAL: u64 = 50;

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
        if progress.step % INTERVAL == 0 {
            let seconds = start.elapsed().as_secs_f64();
            let loss = sum / INTERVAL as f64;
            eprintln!("step {}: loss {loss:.4}, {seconds:.0} s", progress.step);
            sum = 0.0;
        }
    })?;
    Ok(instrument.save(folder)?)
}
