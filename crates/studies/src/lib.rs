//! Studies: one module per capability, on one shared core.

mod bottleneck;
mod clean;
pub mod discover;
pub mod edit;
mod error;
pub mod evolve;
pub mod global;
mod input;
pub mod invert;
pub mod jacobian;
mod latent_model;
pub mod measure;
pub mod model;
mod page;
pub mod pictures;
mod points;
pub mod predict;
mod progress;
mod raster;
pub mod reader;
pub mod replay;
pub mod responses;
pub mod sample;
pub mod sampling;
pub mod study;
pub mod survey;
pub mod train;
pub mod transport;
pub mod treat;
pub mod walk;
pub mod world;

pub use error::StudyError;
pub use input::InputFile;
pub use jacobian::Jacobian;
pub use model::DiffusionModel;
pub use progress::{Progress, Silent};
