//! The character: where everything on it sits, and in which colours.
//!
//! Coordinates are those of the head: its centre at 0, its radius about 1, x to
//! the right and y down.

mod costume;
mod face;
mod heads;

use crate::canvas::{Canvas, Frame, Paint, Record};
use crate::color::{Color, dim, hue_color, mix};
use crate::factors::{Factors, Species};
use crate::parts::{Landmark, Part};
use crate::shapes::{Grown, Shape};

/// Half the width of the dark line around shapes.
const LINE: f32 = 0.07;

/// Where the features of a face sit.
#[derive(Clone, Copy, Debug)]
struct Layout {
    eye_x: f32,
    eye_y: f32,
    eye_radius: f32,
    nose_y: f32,
    mouth_y: f32,
    mouth_width: f32,
    brow_y: f32,
    hat_y: f32,
    hat_width: f32,
    chin_y: f32,
}

/// The colours of a character.
#[derive(Clone, Copy, Debug)]
struct Palette {
    skin: Color,
    /// Muzzle, belly, inside of the ears.
    soft: Color,
    /// Hair, mane.
    hair: Color,
    nose: Color,
    clothes: Color,
    line: Color,
}

/// A character ready to be painted.
pub(crate) struct Character {
    factors: Factors,
    head: Frame,
    body: Frame,
    layout: Layout,
    palette: Palette,
    /// Brightness gained per unit in the frame of the head.
    shading: [f32; 2],
}

/// A size factor in [−1, 1] as a multiple of the usual size.
fn scaled(factor: f32, swing: f32) -> f32 {
    1.0 + swing * factor
}

impl Character {
    /// Arranges a character; the factors have been checked.
    pub(crate) fn new(factors: &Factors) -> Self {
        let angle = 0.32 * factors.tilt;
        // A long muzzle needs room below.
        let middle = match factors.species {
            Species::Horse => 0.0,
            _ => 0.1,
        };
        let head = Frame {
            origin: [0.16 * factors.head_x, middle + 0.12 * factors.head_y],
            scale: 0.61 * scaled(factors.head_size, 0.17),
            cosine: libm::cosf(angle),
            sine: libm::sinf(angle),
            depth: 0.5,
            bulge: 0.3,
        };
        Self {
            factors: *factors,
            head,
            body: Frame::upright([0.1 * factors.head_x, 0.0], 1.0, 0.6),
            layout: Layout::new(factors),
            palette: Palette::new(factors),
            shading: head.turn([0.26 * factors.light, -0.13]),
        }
    }

    /// Paints the character, back to front.
    pub(crate) fn paint<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        if self.factors.strings {
            self.paint_strings(canvas);
        }
        self.paint_body(canvas);
        self.paint_head(canvas);
        self.paint_eyes(canvas);
        self.paint_nose(canvas);
        self.paint_mouth(canvas);
        self.paint_brows(canvas);
        if self.factors.glasses {
            self.paint_glasses(canvas);
        }
        if self.factors.hat {
            self.paint_hat(canvas);
        }
    }

    /// Named points of the face, in pixels.
    pub(crate) fn landmarks(&self, size: usize) -> Vec<Landmark> {
        let l = &self.layout;
        let corner = l.mouth_y - 0.5 * self.mouth_sag();
        [
            ("head", [0.0, 0.0]),
            ("left_eye", [-l.eye_x, l.eye_y]),
            ("right_eye", [l.eye_x, l.eye_y]),
            ("nose", [0.0, l.nose_y]),
            ("mouth_left", [-self.mouth_width(), corner]),
            ("mouth", [0.0, l.mouth_y + 0.5 * self.mouth_sag()]),
            ("mouth_right", [self.mouth_width(), corner]),
            ("chin", [0.0, l.chin_y]),
        ]
        .map(|(name, point)| {
            let [x, y] = self.head.to_picture(point);
            let pixels = |v: f32| 0.5 * (v + 1.0) * size as f32;
            Landmark {
                name,
                x: pixels(x),
                y: pixels(y),
            }
        })
        .to_vec()
    }

    /// A colour lit as the head is.
    fn lit(&self, color: Color) -> Paint {
        Paint {
            slope: self.shading,
            ..Paint::flat(color)
        }
    }

    /// Paints a shape on the head.
    fn on_head<R: Record>(
        &self,
        canvas: &mut Canvas<'_, R>,
        part: Part,
        shape: &impl Shape,
        paint: Paint,
    ) {
        canvas.fill(&self.head, part, shape, paint);
    }

    /// Paints a lit shape on the head with a dark line around it.
    fn lined<R: Record>(
        &self,
        canvas: &mut Canvas<'_, R>,
        part: Part,
        shape: impl Shape + Copy,
        color: Color,
    ) {
        self.on_head(
            canvas,
            part,
            &Grown(shape, LINE),
            Paint::flat(self.palette.line),
        );
        self.on_head(canvas, part, &shape, self.lit(color));
    }
}

impl Layout {
    fn new(factors: &Factors) -> Self {
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

impl Palette {
    fn new(factors: &Factors) -> Self {
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
