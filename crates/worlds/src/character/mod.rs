//! The character: where everything on it sits, and in which colours.
//!
//! Coordinates are those of the head: its centre at 0, its radius about 1, x to
//! the right and y down.

mod costume;
mod face;
mod heads;
mod layout;
mod palette;

use crate::canvas::{Canvas, Frame, Paint, Record};
use crate::color::Color;
use crate::factors::{Factors, Species};
use crate::parts::{Landmark, Part};
use crate::shapes::{Grown, Shape};
use layout::Layout;
use palette::Palette;

/// Half the width of the dark line around shapes.
const LINE: f32 = 0.07;

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
