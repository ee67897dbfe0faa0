//! Instruments that read a world's factors back from pictures.
//!
//! An [`Instrument`] is a small convolutional regressor, trained on the puppet
//! show. It reads every factor of [`alice_worlds::FACTORS`] from any picture;
//! drawing what it read and comparing tells whether the picture is one of the
//! world ([`Instrument::validity`]). Its errors on pictures that it was not
//! trained on are published with it, as its [`Calibration`].
//!
//! Pictures are `[N, size, size, 3]`, row-major, in −1..1, as diffusion models
//! give them; distances between pictures are in units of 0..1.

mod calibrate;
mod calibration;
mod distance;
mod error;
mod files;
mod instrument;
mod layout;
mod loss;
mod network;
mod perturb;
mod reading;
mod recipe;
mod refine;
mod solve;
mod statistics;
mod train;
mod validity;

pub use calibrate::{calibrate, errors, visible};
pub use calibration::{Calibration, Confusion, DistanceProfile, FactorErrors, Quantiles};
pub use distance::distance;
pub use error::{InstrumentError, Result};
pub use instrument::Instrument;
pub use layout::{Layout, Slot};
pub use perturb::Perturbation;
pub use reading::Reading;
pub use recipe::InstrumentRecipe;
pub use train::{Progress, train};
pub use validity::Validity;
