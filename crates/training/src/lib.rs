//! Losses, optimiser, averaging and resumable training.

mod adamw;
mod checkpoint;
mod error;
mod muon;
mod optimizer;
mod recipe;
mod timesteps;
mod trainer;

pub use adamw::AdamWConfig;
pub use error::TrainingError;
pub use muon::MuonConfig;
pub use optimizer::{Optimizer, average, clip_to_norm};
pub use recipe::TrainingRecipe;
pub use timesteps::TimestepSampling;
pub use trainer::{StepReport, Trainer};
