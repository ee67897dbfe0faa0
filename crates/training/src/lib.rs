//! Losses, optimiser, averaging and resumable training.

mod adamw;
mod checkpoint;
mod error;
mod recipe;
mod timesteps;
mod trainer;

pub use adamw::{AdamW, AdamWConfig, average, clip_to_norm};
pub use error::TrainingError;
pub use recipe::TrainingRecipe;
pub use timesteps::TimestepSampling;
pub use trainer::{StepReport, Trainer};
