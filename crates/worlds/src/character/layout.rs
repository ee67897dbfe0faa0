//! Where the features of each species' face sit, in head coordinates.

use super::scaled;
use crate::factors::{Factors, Species};

/// Where the features of a face sit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub eye_x: f32,
    pub eye_y: f32,
    pub eye_radius: f32,
    pub nose_y: f32,
    pub mouth_y: f32,
    pub mouth_width: f32,
    pub brow_y: f32,
    pub hat_y: f32,
    pub hat_width: f32,
    pub chin_y: f32,
}

impl Layout {
    pub(super) fn new(factors: &Factors) -> Self {
        let usual = Self {
            eye_x: 0.4,
            eye_y: -0.12,
            eye_radius: 0.25,
            nose_y: 0.22,
            mouth_y: 0.54,
            mouth_width: 0.5,
            brow_y: -0.44,
            hat_y: -0.72,
            hat_width: 0.5,
            chin_y: 0.85,
        };
        let layout = match factors.species {
            Species::Cat => Self {
                eye_x: 0.44,
                eye_radius: 0.28,
                nose_y: 0.24,
                chin_y: 0.8,
                ..usual
            },
            Species::Person => Self {
                eye_x: 0.36,
                eye_y: -0.06,
                hat_y: -0.78,
                hat_width: 0.58,
                ..usual
            },
            Species::Puppet => Self {
                eye_x: 0.36,
                eye_y: -0.08,
                mouth_y: 0.6,
                mouth_width: 0.42,
                hat_y: -0.8,
                hat_width: 0.56,
                ..usual
            },
            Species::Horse => Self {
                eye_x: 0.42,
                eye_y: -0.32,
                eye_radius: 0.24,
                nose_y: 0.56,
                mouth_y: 0.8,
                mouth_width: 0.36,
                brow_y: -0.6,
                hat_y: -0.88,
                hat_width: 0.42,
                chin_y: 1.0,
            },
            Species::Frog => Self {
                eye_x: 0.55,
                eye_y: -0.52,
                eye_radius: 0.29,
                nose_y: 0.06,
                mouth_y: 0.42,
                mouth_width: 0.8,
                brow_y: -0.9,
                hat_y: -0.7,
                hat_width: 0.4,
                chin_y: 0.85,
            },
        };
        Self {
            eye_radius: layout.eye_radius * scaled(factors.eye_size, 0.32),
            ..layout
        }
    }
}
