//! Body, strings, hat and glasses.

use super::{Character, LINE};
use crate::canvas::{Canvas, Frame, Paint, Record};
use crate::color::{Color, dim};
use crate::factors::Species;
use crate::parts::Part;
use crate::shapes::{Capsule, Grown, Outline, RoundedBox, Shape, circle, ellipse};

/// Where the hands are, in the frame of the body.
const HAND: [f32; 2] = [0.7, 0.72];
const SHOULDER: [f32; 2] = [0.32, 0.86];

impl Character {
    fn on_body<R: Record>(
        &self,
        canvas: &mut Canvas<'_, R>,
        part: Part,
        shape: impl Shape + Copy,
        color: Color,
    ) {
        let line = Paint::flat(self.palette.line);
        canvas.fill(&self.body, part, &Grown(shape, 0.6 * LINE), line);
        canvas.fill(&self.body, part, &shape, Paint::flat(color));
    }

    pub(super) fn paint_body<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let palette = &self.palette;
        let puppet = self.factors.species == Species::Puppet;
        for side in [-1.0, 1.0] {
            let arm = Capsule {
                from: [side * SHOULDER[0], SHOULDER[1]],
                to: [side * HAND[0], HAND[1]],
                radius: if puppet { 0.05 } else { 0.085 },
            };
            let sleeve = if puppet {
                palette.skin
            } else {
                palette.clothes
            };
            self.on_body(canvas, Part::Body, arm, sleeve);
            let hand = circle(side * HAND[0], HAND[1], 0.1);
            self.on_body(canvas, Part::Body, hand, palette.skin);
        }
        let neck = Capsule {
            from: [0.0, 0.9],
            to: [
                self.head.origin[0] - self.body.origin[0],
                self.head.origin[1],
            ],
            radius: if puppet { 0.08 } else { 0.13 },
        };
        self.on_body(canvas, Part::Body, neck, dim(palette.skin, 0.85));
        self.on_body(
            canvas,
            Part::Body,
            ellipse(0.0, 1.12, 0.44, 0.38),
            palette.clothes,
        );
        if puppet {
            for side in [-1.0, 1.0] {
                let joint = circle(side * SHOULDER[0], SHOULDER[1], 0.09);
                self.on_body(canvas, Part::Body, joint, palette.soft);
            }
        }
    }

    /// A bar with two strings to the head and two to the hands.
    pub(super) fn paint_strings<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let frame = Frame::upright([0.0; 2], 1.0, 0.65);
        let thread = Paint::flat([0.95, 0.93, 0.86]);
        for side in [-1.0, 1.0] {
            let hand = [side * HAND[0] + self.body.origin[0], HAND[1]];
            let temple = self.head.to_picture([side * 0.5, -0.5]);
            for (top, end) in [(0.86, hand), (0.36, temple)] {
                let string = Capsule {
                    from: [side * top, -1.1],
                    to: end,
                    radius: 0.03,
                };
                canvas.fill(&frame, Part::Strings, &string, thread);
            }
        }
        let bar = RoundedBox {
            x: 0.0,
            y: -0.95,
            half_width: 0.95,
            half_height: 0.05,
            radius: 0.03,
        };
        canvas.fill(&frame, Part::Strings, &bar, Paint::flat([0.5, 0.32, 0.16]));
    }

    pub(super) fn paint_hat<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let (y, width) = (self.layout.hat_y, self.layout.hat_width);
        let felt = [0.17, 0.16, 0.22];
        let crown = RoundedBox {
            x: 0.0,
            y: y - 0.34,
            half_width: 0.72 * width,
            half_height: 0.36,
            radius: 0.06,
        };
        let band = RoundedBox {
            x: 0.0,
            y: y - 0.14,
            half_width: 0.74 * width,
            half_height: 0.09,
            radius: 0.02,
        };
        let brim = RoundedBox {
            x: 0.0,
            y,
            half_width: 1.3 * width,
            half_height: 0.08,
            radius: 0.08,
        };
        let lifted = |color| Paint {
            lift: 0.05,
            ..self.lit(color)
        };
        self.on_head(canvas, Part::Hat, &crown, lifted(felt));
        self.on_head(canvas, Part::Hat, &band, lifted([0.9, 0.75, 0.25]));
        self.on_head(canvas, Part::Hat, &brim, lifted(felt));
    }

    pub(super) fn paint_glasses<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let layout = &self.layout;
        let rim = Paint {
            lift: 0.05,
            ..Paint::flat([0.1, 0.12, 0.3])
        };
        // The rims clear the largest eyes without touching each other.
        let radius = (layout.eye_radius + 0.12).min(layout.eye_x - 0.04);
        for side in [-1.0, 1.0] {
            let lens = circle(side * layout.eye_x, layout.eye_y, radius);
            self.on_head(canvas, Part::Glasses, &Outline(lens, 0.055), rim);
        }
        let bridge = Capsule {
            from: [radius - layout.eye_x, layout.eye_y],
            to: [layout.eye_x - radius, layout.eye_y],
            radius: 0.055,
        };
        self.on_head(canvas, Part::Glasses, &bridge, rim);
    }
}
