//! `train`: train a diffusion model on a world.

mod write;

use crate::device::DeviceKind;
use crate::model::{DiffusionModel, require};
use crate::pictures::numbers;
use crate::{Progress, StudyError};
use alice_runs::{ModelReference, Recipe, RunFolder, RunState, disk};
use alice_training::{Trainer, TrainingRecipe};
use alice_worlds::{Factors, render};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use write::{seconds_before, write_curve, write_model, write_samples};

/// The recipe of the bundled model's first stage.
const BUNDLED_RECIPE: &str = include_str!("../../../models/puppets-32/training.json");
const CHECKPOINT: &str = "checkpoint.safetensors";
/// What `train` is told on the command line.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct TrainOptions {
    /// The training recipe, JSON [default: the first of the bundled model's four stages]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Steps, instead of the recipe's
    #[arg(long)]
    pub steps: Option<u64>,
    /// A model to go on from, folder or `puppets-32` [default: random weights]
    #[arg(long, value_name = "MODEL")]
    pub start: Option<PathBuf>,
    /// Where the arithmetic is done; training knows the processor only
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceKind,
}

/// What `train` does: its options with the recipe read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TrainArguments {
    /// The training recipe.
    pub recipe: TrainingRecipe,
    /// The model whose weights are the first ones; random weights if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ModelReference>,
    /// Where the arithmetic is done.
    pub device: DeviceKind,
}

impl TrainOptions {
    /// Reads the recipe. A `seed` replaces the recipe's.
    ///
    /// # Errors
    /// When the recipe or the model to start from cannot be read.
    pub fn read(self, seed: Option<u64>) -> Result<TrainArguments, StudyError> {
        let mut recipe: TrainingRecipe = match &self.recipe {
            Some(path) => disk::read_json(path)?,
            None => serde_json::from_str(BUNDLED_RECIPE)
                .map_err(|e| StudyError::argument("the bundled recipe", e.to_string()))?,
        };
        recipe.steps = self.steps.unwrap_or(recipe.steps);
        recipe.seed = seed.unwrap_or(recipe.seed);
        let start = match &self.start {
            Some(name) => Some(DiffusionModel::named(name)?.reference),
            None => None,
        };
        Ok(TrainArguments {
            recipe,
            start,
            device: self.device,
        })
    }
}

/// What `train` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainReport {
    /// The model's name.
    pub name: String,
    /// The network's weights.
    pub parameters: usize,
    /// Steps in all.
    pub steps: u64,
    /// Steps that an earlier session had done.
    pub resumed_at: u64,
    /// Pictures seen in all.
    pub pictures: u64,
    /// Mean loss of the last interval of the curve.
    pub loss: Option<f64>,
    /// Seconds of training in all sessions.
    pub seconds: f64,
    /// The model's folder, relative to the run folder, in diffusers' layout.
    pub model: &'static str,
}

impl fmt::Display for TrainReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{}: {} parameters, {} on {} pictures",
            self.name,
            self.parameters,
            numbers::counted(self.steps, "step"),
            self.pictures
        )?;
        if self.resumed_at > 0 {
            write!(f, ", resumed at step {}", self.resumed_at)?;
        }
        if let Some(loss) = self.loss {
            write!(f, "\nloss {loss:.5}")?;
        }
        write!(
            f,
            "\n{}; the model is in {}/",
            match self.seconds {
                short if short < 120.0 => format!("{short:.0} seconds"),
                middle if middle < 7200.0 => format!("{:.0} minutes", middle / 60.0),
                long => format!("{:.1} hours", long / 3600.0),
            },
            self.model
        )
    }
}

/// Refuses recipes that make no run.
///
/// # Errors
/// Names the field.
pub fn check(arguments: &TrainArguments) -> Result<(), StudyError> {
    if arguments.device != DeviceKind::Cpu {
        return Err(StudyError::argument(
            "--device wgpu",
            "training computes on the processor only. Use --device cpu",
        ));
    }
    let recipe = &arguments.recipe;
    let trainer = first(arguments)?;
    render(&Factors::default(), recipe.size)?;
    let config = trainer.network_config();
    let size = (recipe.size, recipe.size);
    if config.sample_size.is_some_and(|sides| sides != size) {
        return Err(StudyError::argument(
            "the recipe's network",
            "must have the recipe's size as its sample_size: the model draws pictures of that size",
        ));
    }
    if (config.in_channels, config.out_channels) != (3, 3) || config.class_embedding.is_some() {
        return Err(StudyError::argument(
            "the recipe's network",
            "must have in_channels 3, out_channels 3 and no class embedding, as pictures need",
        ));
    }
    Ok(())
}

/// The run at its first step.
fn first(arguments: &TrainArguments) -> Result<Trainer, StudyError> {
    let mut trainer = Trainer::new(&arguments.recipe)?;
    if let Some(start) = &arguments.start {
        let model = DiffusionModel::named(Path::new(&start.name))?;
        require(&model.reference, start)?;
        trainer.start_from(model.pixel_network()?)?;
    }
    Ok(trainer)
}

/// Whether the run in a folder is this training, interrupted or shorter.
#[must_use]
pub fn can_resume(folder: &Path, arguments: &TrainArguments) -> bool {
    let state = RunFolder::state(folder);
    let Ok(recipe) = Recipe::find(folder) else {
        return false;
    };
    let Ok(before) = recipe.arguments::<TrainArguments>(folder) else {
        return false;
    };
    let longer = before.recipe.steps < arguments.recipe.steps;
    // The fields that a checkpoint lets differ.
    let comparable = TrainingRecipe {
        steps: arguments.recipe.steps,
        cooldown: arguments.recipe.cooldown,
        checkpoint_every: arguments.recipe.checkpoint_every,
        sheet_every: arguments.recipe.sheet_every,
        ..before.recipe
    };
    recipe.verb == "train"
        && before.start == arguments.start
        && comparable == arguments.recipe
        && (state == RunState::Interrupted || (state == RunState::Complete && longer))
}

/// Refuses a checkpoint that is broken or of another recipe.
///
/// # Errors
/// Names the checkpoint and what is wrong with it.
pub fn check_checkpoint(folder: &Path, arguments: &TrainArguments) -> Result<(), StudyError> {
    let checkpoint = folder.join(CHECKPOINT);
    if disk::is_file(&checkpoint) {
        Trainer::resume(&arguments.recipe, &checkpoint)?;
    }
    Ok(())
}

/// Trains, from the folder's checkpoint if there is one, and writes the model.
///
/// # Errors
/// When the recipe or the checkpoint does not make sense, training diverges,
/// the folder cannot be written, or the user asks to stop.
pub fn run(
    arguments: &TrainArguments,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<TrainReport, StudyError> {
    let recipe = &arguments.recipe;
    let checkpoint = folder.announce(CHECKPOINT)?;
    let mut trainer = if disk::is_file(&checkpoint) {
        Trainer::resume(recipe, &checkpoint)?
    } else {
        first(arguments)?
    };
    let resumed_at = trainer.step();
    let before = seconds_before(folder, resumed_at);
    let clock = Instant::now();
    progress.begin("training", recipe.steps.saturating_sub(resumed_at));
    let mut loss = Smoothed::default();
    while !trainer.is_done() {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let report = trainer.advance()?;
        let rate =
            (report.step - resumed_at) as f64 * recipe.batch as f64 / clock.elapsed().as_secs_f64();
        let loss = loss.add(report.loss);
        progress.note(&format!("loss {loss:.4}, {rate:.1} samples/s"));
        progress.advance(1);
        if report.step.is_multiple_of(recipe.sheet_every) {
            write_samples(
                folder,
                &trainer,
                &format!("samples/step-{:06}.png", report.step),
            )?;
        }
        if report.step.is_multiple_of(recipe.checkpoint_every) || trainer.is_done() {
            trainer.save(&checkpoint)?;
            write_curve(folder, &trainer, before + clock.elapsed().as_secs_f64())?;
        }
    }
    write_samples(folder, &trainer, "samples.png")?;
    write_model(folder, &trainer)?;
    Ok(TrainReport {
        name: recipe.name.clone(),
        parameters: trainer.network().parameters.count(),
        steps: trainer.step(),
        resumed_at,
        pictures: trainer.step() * recipe.batch as u64,
        loss: trainer.curve().last().copied(),
        seconds: before + clock.elapsed().as_secs_f64(),
        model: "model",
    })
}

/// An exponential mean that forgets about 50 steps back.
#[derive(Default)]
struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    fn add(&mut self, value: f64) -> f64 {
        const KEEP: f64 = 0.98;
        self.sum = KEEP * self.sum + value;
        self.weight = KEEP * self.weight + 1.0;
        self.sum / self.weight
    }
}
