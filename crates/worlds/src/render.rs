//! Pictures, alone or with everything that is true about them.

use crate::canvas::{Canvas, Record};
use crate::character::Character;
use crate::error::WorldError;
use crate::factors::Factors;
use crate::parts::{Landmark, Part};
use crate::stage;

/// The smallest side of a picture, in pixels.
pub const MIN_SIZE: usize = 8;
/// The largest side of a picture, in pixels.
pub const MAX_SIZE: usize = 2048;

/// A square picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The side, in pixels.
    pub size: usize,
    /// Values in [0, 1], `[H, W, 3]`.
    pub rgb: Vec<f32>,
}

impl Picture {
    /// The picture in 8 bits per channel, `[H, W, 3]`.
    #[must_use]
    pub fn to_rgb8(&self) -> Vec<u8> {
        self.rgb
            .iter()
            .map(|&value| (value * 255.0 + 0.5) as u8)
            .collect()
    }
}

/// A picture with what is true about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// What is seen.
    pub picture: Picture,
    /// From 0 (nearest) to 1 (the curtain), `[H, W]`.
    pub depth: Vec<f32>,
    /// The label of the [`Part`] that covers each pixel, `[H, W]`.
    pub parts: Vec<u8>,
    /// Named points of the face, whether visible or not.
    pub landmarks: Vec<Landmark>,
}

impl Scene {
    /// The pixels that a part covers, `[H, W]`.
    #[must_use]
    pub fn mask(&self, part: Part) -> Vec<bool> {
        self.parts.iter().map(|&p| p == part.label()).collect()
    }
}

struct Maps {
    depth: Vec<f32>,
    parts: Vec<u8>,
}

impl Record for Maps {
    fn cover(&mut self, pixel: usize, part: Part, depth: impl FnOnce() -> f32) {
        self.parts[pixel] = part.label();
        self.depth[pixel] = depth();
    }
}

/// Draws a picture.
///
/// # Errors
/// When the size cannot be drawn or a factor is outside its range.
pub fn render(factors: &Factors, size: usize) -> Result<Picture, WorldError> {
    check_size(size)?;
    factors.validate()?;
    let mut rgb = vec![0.0; size * size * 3];
    draw_into(factors, size, &mut rgb);
    Ok(Picture { size, rgb })
}

/// Draws a picture, the same as [`render`], with its depth, parts and
/// landmarks.
///
/// # Errors
/// When the size cannot be drawn or a factor is outside its range.
pub fn render_scene(factors: &Factors, size: usize) -> Result<Scene, WorldError> {
    check_size(size)?;
    factors.validate()?;
    let mut rgb = vec![0.0; size * size * 3];
    let mut maps = Maps {
        depth: vec![1.0; size * size],
        parts: vec![Part::Curtain.label(); size * size],
    };
    let character = draw(factors, size, &mut rgb, &mut maps);
    Ok(Scene {
        picture: Picture { size, rgb },
        depth: maps.depth,
        parts: maps.parts,
        landmarks: character.landmarks(size),
    })
}

pub(crate) fn check_size(size: usize) -> Result<(), WorldError> {
    if (MIN_SIZE..=MAX_SIZE).contains(&size) {
        Ok(())
    } else {
        Err(WorldError::Size {
            size,
            low: MIN_SIZE,
            high: MAX_SIZE,
        })
    }
}

/// Draws checked factors into `rgb`, `[size, size, 3]`.
pub(crate) fn draw_into(factors: &Factors, size: usize, rgb: &mut [f32]) {
    draw(factors, size, rgb, &mut ());
}

fn draw(factors: &Factors, size: usize, rgb: &mut [f32], record: &mut impl Record) -> Character {
    let mut canvas = Canvas { size, rgb, record };
    let character = Character::new(factors);
    stage::paint(&mut canvas, factors);
    character.paint(&mut canvas);
    for value in canvas.rgb.iter_mut() {
        *value = value.clamp(0.0, 1.0);
    }
    character
}
