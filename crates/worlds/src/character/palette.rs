//! The colours of each species, and how a haunted face drains them.

use crate::color::{Color, dim, hue_color, mix};
use crate::factors::{Factors, Species};

/// The colours of a character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub skin: Color,
    /// Muzzle, belly, inside of the ears.
    pub soft: Color,
    /// Hair, mane.
    pub hair: Color,
    pub nose: Color,
    pub clothes: Color,
    pub line: Color,
}

impl Palette {
    pub(super) fn new(factors: &Factors) -> Self {
        let hue = |value: f32, chroma: f32| hue_color(factors.hue, value, chroma);
        let furry = Self {
            skin: hue(0.68, 0.24),
            soft: hue(0.9, 0.08),
            hair: hue(0.4, 0.2),
            nose: [0.93, 0.45, 0.5],
            clothes: hue(0.5, 0.22),
            line: hue(0.2, 0.08),
        };
        let palette = match factors.species {
            Species::Cat | Species::Frog => furry,
            Species::Horse => Self {
                skin: hue(0.58, 0.22),
                soft: hue(0.8, 0.1),
                hair: hue(0.24, 0.12),
                nose: hue(0.84, 0.1),
                ..furry
            },
            Species::Person => Self {
                skin: [0.97, 0.8, 0.68],
                soft: [0.97, 0.8, 0.68],
                hair: hue(0.42, 0.26),
                nose: [0.9, 0.58, 0.5],
                clothes: hue(0.6, 0.28),
                line: [0.3, 0.18, 0.15],
            },
            Species::Puppet => Self {
                skin: [0.88, 0.67, 0.42],
                soft: [0.95, 0.8, 0.58],
                hair: hue(0.48, 0.3),
                nose: [0.8, 0.26, 0.2],
                clothes: hue(0.6, 0.3),
                line: [0.28, 0.15, 0.06],
            },
        };
        if !factors.haunted {
            return palette;
        }
        let pale = [0.83, 0.86, 0.84];
        Self {
            skin: mix(palette.skin, pale, 0.85),
            soft: mix(palette.soft, pale, 0.7),
            hair: mix(palette.hair, dim(pale, 0.35), 0.5),
            nose: mix(palette.nose, dim(pale, 0.6), 0.8),
            line: [0.1, 0.1, 0.12],
            ..palette
        }
    }
}
