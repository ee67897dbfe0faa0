//! One training run of a diffusion model.

use crate::TrainingError;
use crate::optimizer::{Optimizer, average, clip_to_norm};
use crate::recipe::{CheckedRecipe, TrainingRecipe};
use crate::timesteps::TimestepSampler;
use alice_calculus::{Model, Parameters, Tensor, Value, gradient};
use alice_diffusion::{
    Ddim, Draws, Eta, NetworkDenoiser, NoiseSchedule, ScheduleConfig, Trajectory, initial_noise,
};
use alice_networks::{UNet2D, UNet2DConfig};
use alice_random::Stream;
use alice_worlds::render_batch;
use rayon::prelude::*;
use std::ops::ControlFlow;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean squared error of the batch.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The step's learning rate.
    pub learning_rate: f64,
}

/// A training run of a diffusion model on a world.
///
/// Every draw names its stream by the recipe's seed and the step, so that a
/// run that was interrupted and resumed equals one that was not.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(crate) checked: CheckedRecipe,
    schedule: NoiseSchedule,
    prediction: Value,
    pub(crate) model: Model<f32>,
    pub(crate) mean: Parameters<f32>,
    pub(crate) optimizer: Optimizer,
    pub(crate) timesteps: TimestepSampler,
    /// Mean losses of the intervals of [`Trainer::CURVE_INTERVAL`] steps.
    pub(crate) curve: Vec<f64>,
    pub(crate) interval_sum: f64,
}

impl Trainer {
    /// Steps per point of the loss curve.
    pub const CURVE_INTERVAL: u64 = 100;

    /// A run at its first step.
    ///
    /// # Errors
    /// When a part of the recipe does not make sense.
    pub fn new(recipe: &TrainingRecipe) -> Result<Self, TrainingError> {
        let checked = recipe.check()?;
        let schedule = checked.schedule.schedule()?;
        let network = UNet2D::random(checked.network.clone(), recipe.seed)?;
        let graph = network.graph((recipe.size, recipe.size))?;
        let prediction = graph.find_output("prediction")?;
        let optimizer = Optimizer::new(recipe.optimizer, recipe.muon, &graph);
        let train_steps = schedule.train_steps();
        Ok(Self {
            schedule,
            prediction,
            mean: network.parameters.clone(),
            model: Model::new(graph, network.parameters)?,
            optimizer,
            timesteps: TimestepSampler::new(recipe.timesteps, train_steps),
            curve: Vec::new(),
            interval_sum: 0.0,
            checked,
        })
    }

    /// Makes the weights of a network of the same architecture the first ones.
    /// The optimizer and the average begin anew.
    ///
    /// # Errors
    /// When the architecture is not the recipe's.
    pub fn start_from(&mut self, network: &UNet2D) -> Result<(), TrainingError> {
        if network.config != self.checked.network {
            return Err(TrainingError::Recipe {
                field: "network".to_owned(),
                why: "is not the architecture of the model to start from".to_owned(),
            });
        }
        *self.model.parameters_mut() = network.parameters.clone();
        self.mean = network.parameters.clone();
        Ok(())
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &TrainingRecipe {
        &self.checked.recipe
    }

    /// Steps done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.optimizer.updates
    }

    /// Whether the recipe's steps are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.step() >= self.recipe().steps
    }

    /// Mean losses, one per [`Trainer::CURVE_INTERVAL`] steps.
    #[must_use]
    pub fn curve(&self) -> &[f64] {
        &self.curve
    }

    /// The averaged weights as a network.
    #[must_use]
    pub fn network(&self) -> UNet2D {
        UNet2D {
            config: self.network_config().clone(),
            parameters: self.mean.clone(),
        }
    }

    /// The network's config.
    #[must_use]
    pub fn network_config(&self) -> &UNet2DConfig {
        &self.checked.network
    }

    /// The schedule it is trained on.
    #[must_use]
    pub fn schedule_config(&self) -> &ScheduleConfig {
        &self.checked.schedule
    }

    /// One step on one batch.
    ///
    /// # Errors
    /// When the loss is no longer a number; the run is then as before the step.
    pub fn advance(&mut self) -> Result<StepReport, TrainingError> {
        let step = self.step();
        let recipe = &self.checked.recipe;
        let (batch, seed) = (recipe.batch, recipe.seed);
        let side = recipe.size;
        let dim = side * side * 3;
        let first = step * batch as u64;
        let pictures = render_batch(&recipe.world, seed, first..first + batch as u64, side)?;
        let x0: Vec<f32> = pictures.rgb.iter().map(|v| 2.0 * v - 1.0).collect();
        let noise: Vec<f32> = (0..batch)
            .into_par_iter()
            .flat_map_iter(|i| {
                Stream::new(seed, "training noise", i as u64, step).normals::<f32>(dim)
            })
            .collect();
        let (timesteps, weights) = self.timesteps.draw(seed, step, batch);
        let noisy = self.schedule.add_noise(&x0, &noise, &timesteps)?;
        let kind = self.checked.schedule.prediction_type;
        let target = self.schedule.target(kind, &x0, &noise, &timesteps)?;
        let dims = [batch, side, side, 3];
        let sample = Tensor::new(&dims, noisy)?;
        let times = timesteps.iter().map(|&t| t as f32).collect();
        let times = Tensor::new(&[batch, 1], times)?;
        let mut losses = vec![0.0; batch];
        let inputs = [("sample", &sample), ("timestep", &times)];
        let (loss, mut gradients) = gradient(&self.model, &inputs, self.prediction, |predicted| {
            weighted_squares(predicted, &target, &weights, &mut losses)
        })?;
        let gradient_norm = clip_to_norm(&mut gradients, recipe.clip_norm);
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Err(TrainingError::Diverged { step, loss });
        }
        let learning_rate = recipe.learning_rate_at(step);
        let decay = recipe.average_decay;
        self.timesteps.observe(&timesteps, &losses);
        self.optimizer
            .update(self.model.parameters_mut(), &gradients, learning_rate);
        average(&mut self.mean, self.model.parameters(), decay, step);
        self.record(loss);
        Ok(StepReport {
            step: step + 1,
            loss,
            gradient_norm,
            learning_rate,
        })
    }

    fn record(&mut self, loss: f64) {
        self.interval_sum += loss;
        if self.step().is_multiple_of(Self::CURVE_INTERVAL) {
            self.curve
                .push(self.interval_sum / Self::CURVE_INTERVAL as f64);
            self.interval_sum = 0.0;
        }
    }

    /// `count` DDIM samples of the averaged weights, `[count, H, W, 3]` in -1..1,
    /// always from the same noise.
    ///
    /// # Errors
    /// When the number of steps does not fit the schedule, or the weights give
    /// numbers that are not finite.
    pub fn samples(&self, count: usize, steps: usize) -> Result<Vec<f32>, TrainingError> {
        let model = Model::new(self.model.graph().clone(), self.mean.clone())?;
        let mut denoiser = NetworkDenoiser::new(&model)?;
        let sampler = Ddim::new(&self.checked.schedule, steps, Eta::Constant(0.0))?;
        let draws = Draws {
            seed: self.recipe().seed,
            first_item: 0,
        };
        let noise = initial_noise(draws, count, denoiser.dim());
        let trajectory = Trajectory::new(&sampler, draws);
        Ok(trajectory.run(&mut denoiser, noise, count, &mut |_| {
            ControlFlow::Continue(())
        })?)
    }
}

/// Mean over items of weight · mean squared error, and its gradient; also
/// each item's own mean squared error.
fn weighted_squares(
    predicted: &Tensor<f32>,
    target: &[f32],
    weights: &[f64],
    losses: &mut [f64],
) -> (f64, Tensor<f32>) {
    let item = predicted.item_len();
    let mut cotangent = predicted.clone();
    let count = predicted.data().len() as f64;
    cotangent
        .data_mut()
        .par_chunks_mut(item)
        .zip(target.par_chunks(item))
        .zip(weights.par_iter().zip(losses.par_iter_mut()))
        .for_each(|((values, target), (&weight, loss))| {
            let factor = (2.0 * weight / count) as f32;
            let mut squares = 0.0;
            for (v, &t) in values.iter_mut().zip(target) {
                let difference = *v - t;
                squares += f64::from(difference) * f64::from(difference);
                *v = factor * difference;
            }
            *loss = squares / item as f64;
        });
    let total: f64 = losses.iter().zip(weights).map(|(l, w)| l * w).sum();
    (total / losses.len() as f64, cotangent)
}
