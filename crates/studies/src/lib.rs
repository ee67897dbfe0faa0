//! Studies: one module per capability, on one shared core.

mod error;
pub mod jacobian;
pub mod model;
mod progress;

pub use error::StudyError;
pub use jacobian::Jacobian;
pub use model::DiffusionModel;
pub use progress::{Progress, Silent};
