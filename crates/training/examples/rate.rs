//! Trains a recipe and prints its speed: `rate RECIPE.json [STEPS]`.
use alice_training::{Trainer, TrainingRecipe};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let recipe = std::fs::read_to_string(arguments.next().ok_or("a recipe")?)?;
    let steps: u64 = arguments.next().map_or(Ok(50), |s| s.parse())?;
    let recipe: TrainingRecipe = serde_json::from_str(&recipe)?;
    let mut trainer = Trainer::new(&recipe)?;
    println!("{} parameters", trainer.network().parameters.count());
    let start = Instant::now();
    let mut loss = 0.0;
    for step in 1..=steps {
        loss += trainer.advance()?.loss;
        if step % 10 == 0 {
            let rate = (step as usize * recipe.batch) as f64 / start.elapsed().as_secs_f64();
            println!("step {step}: loss {:.4}, {rate:.1} samples/s", loss / 10.0);
            loss = 0.0;
        }
    }
    Ok(())
}
