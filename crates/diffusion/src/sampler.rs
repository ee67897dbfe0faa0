//! What every sampler is.

use crate::error::{Error, Result, check_length};
use crate::schedule::NoiseSchedule;

/// The result of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// The state after the step (for an inversion: the noisier one).
    pub prev_sample: Vec<f32>,
    /// x̂₀ as the step used it (clipped if the configuration clips).
    pub pred_original: Vec<f32>,
}

/// A sampler: a grid of timesteps and a pure step between them.
pub trait Sampler: Send + Sync {
    /// The training schedule.
    fn schedule(&self) -> &NoiseSchedule;

    /// The timesteps in the order in which they are visited.
    fn timesteps(&self) -> &[usize];

    /// Whether the step at `timestep` draws noise.
    fn uses_noise(&self, timestep: usize) -> bool;

    /// One step from the state `sample` at `timestep`.
    ///
    /// # Shapes
    /// All slices have one and the same length: any batch of any shape.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Timestep`], [`Error::OffGrid`],
    /// [`Error::NoiseMissing`] for a stochastic step without noise.
    fn step(
        &self,
        model_output: &[f32],
        timestep: usize,
        sample: &[f32],
        noise: Option<&[f32]>,
    ) -> Result<StepOutput>;

    /// On a descending grid: the index of the first timestep that is at most
    /// `timestep`; the number of steps if there is none. Steps `..index` lead
    /// down towards `timestep`, steps `index..` go on from there.
    fn index_at(&self, timestep: usize) -> usize {
        let grid = self.timesteps();
        grid.iter()
            .position(|&t| t <= timestep)
            .unwrap_or(grid.len())
    }
}

/// Applies `formula(x, model output, noise) → (next state, x̂₀)` to every value.
pub(crate) fn each_value(
    model_output: &[f32],
    sample: &[f32],
    noise: Option<&[f32]>,
    formula: impl Fn(f64, f64, f64) -> (f64, f64),
) -> Result<StepOutput> {
    check_length("the model output", sample.len(), model_output.len())?;
    if let Some(noise) = noise {
        check_length("the noise", sample.len(), noise.len())?;
    }
    let mut output = StepOutput {
        prev_sample: Vec::with_capacity(sample.len()),
        pred_original: Vec::with_capacity(sample.len()),
    };
    for j in 0..sample.len() {
        let z = noise.map_or(0.0, |noise| f64::from(noise[j]));
        let (next, original) = formula(f64::from(sample[j]), f64::from(model_output[j]), z);
        output.prev_sample.push(next as f32);
        output.pred_original.push(original as f32);
    }
    Ok(output)
}

/// The noise of a stochastic step, none for a deterministic one.
pub(crate) fn required_noise(
    stochastic: bool,
    noise: Option<&[f32]>,
    timestep: usize,
) -> Result<Option<&[f32]>> {
    match (stochastic, noise) {
        (true, None) => Err(Error::NoiseMissing { timestep }),
        (true, noise) => Ok(noise),
        (false, _) => Ok(None),
    }
}
