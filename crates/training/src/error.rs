//! What can go wrong in training.

use thiserror::Error;

/// An error of a recipe, a checkpoint or a training run.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A field of the recipe does not make sense.
    #[error("the recipe's {field} {why}")]
    Recipe {
        /// The field.
        field: String,
        /// What it must be.
        why: String,
    },
    /// A checkpoint is of another recipe.
    #[error("the checkpoint {path} was made by another recipe: {why}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What differs.
        why: String,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss is {loss} at step {step}: training diverged. Lower the learning rate or resume an earlier checkpoint"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// See [`alice_calculus::GraphError`].
    #[error(transparent)]
    Graph(#[from] alice_calculus::GraphError),
    /// See [`alice_networks::NetworkError`].
    #[error(transparent)]
    Network(#[from] alice_networks::NetworkError),
    /// See [`alice_diffusion::Error`].
    #[error(transparent)]
    Diffusion(#[from] alice_diffusion::Error),
    /// See [`alice_worlds::WorldError`].
    #[error(transparent)]
    World(#[from] alice_worlds::WorldError),
    /// See [`alice_runs::Error`].
    #[error(transparent)]
    Run(#[from] alice_runs::Error),
}
