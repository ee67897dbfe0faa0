//! Training an instrument.

use crate::instrument::Instrument;
use crate::layout::Layout;
use crate::recipe::InstrumentRecipe;
use crate::{InstrumentError, Result, distance, loss, network};
use alice_calculus::{Model, Tensor, gradient};
use alice_random::Stream;
use alice_training::{Optimizer, average, clip_to_norm};
use alice_worlds::render_batch;
use rayon::prelude::*;

/// What a training step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done, this one included.
    pub step: u64,
    /// Steps of the recipe.
    pub steps: u64,
    /// The loss of the batch; about 1 at the start.
    pub loss: f64,
}

/// Trains an instrument. Pictures are never repeated.
///
/// # Errors
/// When a field of the recipe does not make sense, or the loss is no longer a
/// number.
pub fn train(recipe: &InstrumentRecipe, mut progress: impl FnMut(Progress)) -> Result<Instrument> {
    recipe.check()?;
    let layout = Layout::new();
    let graph = network::build(recipe, &layout)?;
    let output = graph.find_output("factors")?;
    let parameters = alice_networks::initialise(&graph, recipe.seed)?;
    let mut optimizer = Optimizer::new(recipe.optimizer, None, &graph);
    let mut mean = parameters.clone();
    let mut model = Model::new(graph, parameters)?;
    for step in 0..recipe.steps {
        let first = step * recipe.batch as u64;
        let range = first..first + recipe.batch as u64;
        let batch = render_batch(&recipe.world, recipe.seed, range, recipe.size)?;
        let targets = loss::targets(&layout, &batch.factors)?;
        let pictures = augment(recipe, first, &batch.rgb);
        let pictures = Tensor::new(&[recipe.batch, recipe.size, recipe.size, 3], pictures)?;
        let (value, mut gradients) =
            gradient(&model, &[("picture", &pictures)], output, |outputs| {
                loss::loss(&layout, outputs, &targets)
            })?;
        let norm = clip_to_norm(&mut gradients, recipe.clip_norm);
        if !(value.is_finite() && norm.is_finite()) {
            return Err(InstrumentError::Diverged { step, loss: value });
        }
        let rate = recipe.learning_rate_at(step);
        optimizer.update(model.parameters_mut(), &gradients, rate);
        average(&mut mean, model.parameters(), recipe.average_decay, step);
        progress(Progress {
            step: step + 1,
            steps: recipe.steps,
            loss: value,
        });
    }
    Instrument::new(recipe.clone(), mean, None)
}

/// Pictures in −1..1, a little blurred and noisy as generated ones are.
fn augment(recipe: &InstrumentRecipe, first: u64, rgb: &[f32]) -> Vec<f32> {
    let size = recipe.size;
    let item = size * size * 3;
    rgb.par_chunks(item)
        .enumerate()
        .flat_map_iter(|(offset, picture)| {
            let mut stream = Stream::new(recipe.seed, "augmentation", first + offset as u64, 0);
            // Half of the pictures stay sharp.
            let share = (f64::from(recipe.blur) * stream.range(-1.0, 1.0).max(0.0)) as f32;
            let deviation = (f64::from(recipe.noise) * stream.uniform()) as f32;
            let blurred = distance::blur(picture, size);
            let noise = stream.normals::<f32>(item);
            let mix = move |((&sharp, soft), noise): ((&f32, f32), f32)| {
                (2.0 * (sharp + share * (soft - sharp)) - 1.0 + deviation * noise).clamp(-1.0, 1.0)
            };
            picture.iter().zip(blurred).zip(noise).map(mix)
        })
        .collect()
}
