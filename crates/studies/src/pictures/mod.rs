//! The drawing kit: pictures, labels and grids as RGB.
//!
//! ```
//! use alice_studies::discover::findings::Pictures;
//! use alice_studies::pictures::{Zoom, contact_sheet};
//!
//! let pictures = Pictures { size: (2, 2), channels: 1, values: vec![0.0; 12] };
//! let labels = ["one", "two", "three"].map(String::from);
//! let sheet = contact_sheet(&pictures, 2, Zoom::times(16), &labels)?;
//! assert!(sheet.width() > 2 * 2 * 16);
//! # Ok::<(), alice_studies::StudyError>(())
//! ```

mod canvas;
mod convert;
mod grid;
pub mod numbers;
pub mod plot;
mod text;

pub use canvas::{Canvas, Rgb};
pub use convert::{Tones, Zoom, to_picture};
pub use grid::{Row, contact_sheet, headed_sheet, strip};
pub use text::{Face, Type, shorten, wrap};

/// The colours of drawn sheets.
pub mod palette {
    use super::Rgb;

    /// Behind everything.
    pub const GROUND: Rgb = [0x15, 0x16, 0x1c];
    /// Lines and bands just above the ground.
    pub const RAISED: Rgb = [0x2a, 0x2c, 0x36];
    /// Words.
    pub const INK: Rgb = [0xf1, 0xee, 0xe6];
    /// Words of less weight; contrast with the ground is above 7.
    pub const SOFT: Rgb = [0xab, 0xad, 0xb8];
    /// What to look at first.
    pub const ACCENT: Rgb = [0xff, 0xb8, 0x4d];
}
