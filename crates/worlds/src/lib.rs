//! Procedural worlds with known ground truth.
//!
//! The first world is the *puppet show*: small RGB pictures of a stage with
//! one character, drawn from signed-distance shapes with analytic
//! antialiasing. Every factor of a picture is known, and the same seed and
//! index give the same bytes on every machine and at any thread count.
//!
//! ```
//! use alice_worlds::{PuppetShow, caption_en, render};
//!
//! let show = PuppetShow::default();
//! let factors = show.sample_factors(7, 0);
//! let picture = render(&factors, 32)?;
//! assert_eq!(picture.rgb.len(), 32 * 32 * 3);
//! println!("{}", caption_en(&factors));
//! # Ok::<(), alice_worlds::WorldError>(())
//! ```

mod canvas;
mod captions;
mod character;
mod color;
mod error;
mod factor_table;
mod factors;
mod parts;
mod render;
mod sampling;
mod shapes;
mod stage;

pub use captions::{caption_en, caption_zh};
pub use error::WorldError;
pub use factor_table::{FACTORS, FactorKind, FactorSpec, factor_index};
pub use factors::{Factors, Species};
pub use parts::{Landmark, Part};
pub use render::{MAX_SIZE, MIN_SIZE, Picture, Scene, render, render_scene};
pub use sampling::{Batch, PuppetShow, render_batch, traverse};
