//! What can go wrong with an instrument.

use thiserror::Error;

/// The result of reading, training or loading.
pub type Result<T, E = InstrumentError> = std::result::Result<T, E>;

/// An error of a recipe, of pictures or of an instrument's files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstrumentError {
    /// A field of the recipe does not make sense.
    #[error("the instrument's recipe: {field} {why}")]
    Recipe {
        /// The field.
        field: &'static str,
        /// What it must be.
        why: String,
    },
    /// The values do not make whole pictures of the instrument's size.
    #[error(
        "{found} values are not whole pictures of {size}×{size}×3 = {each} values, which this instrument reads"
    )]
    Pictures {
        /// The side that the instrument reads, in pixels.
        size: usize,
        /// Values per picture.
        each: usize,
        /// Values given.
        found: usize,
    },
    /// A picture holds NaN or infinity.
    #[error("picture {picture} is not a picture: its value {index} is {value}")]
    NotFinite {
        /// The picture's index in the batch.
        picture: usize,
        /// The value's index in the picture.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The instrument's description is not what this version writes.
    #[error(
        "{origin} does not describe an instrument of this version: {why}. Train the instrument again"
    )]
    Description {
        /// The file, or a name for bytes in memory.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// The instrument has not been calibrated.
    #[error(
        "this instrument has no calibration, so it cannot say what is valid: calibrate it first"
    )]
    NotCalibrated,
    /// The loss is no longer a number.
    #[error("the loss is {loss} at step {step}: training diverged. Lower the learning rate")]
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
    /// See [`alice_worlds::WorldError`].
    #[error(transparent)]
    World(#[from] alice_worlds::WorldError),
    /// See [`alice_runs::Error`].
    #[error(transparent)]
    Run(#[from] alice_runs::Error),
}
