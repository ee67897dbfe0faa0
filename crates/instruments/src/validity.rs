//! Whether a picture is one of the world.

use crate::reading::Reading;

/// What drawing a picture's reading says about the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Validity {
    /// What was read: refined, but for [`crate::Instrument::quick_validity`].
    pub reading: Reading,
    /// The [`crate::distance`] between the picture and what was read, drawn.
    pub distance: f32,
    /// Whether the distance is at most the calibration's threshold for such readings.
    pub valid: bool,
}
