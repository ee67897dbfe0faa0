//! Eyes, brows, mouth and nose.

use super::{Character, scaled};
use crate::canvas::{Canvas, Paint, Record};
use crate::color::dim;
use crate::factors::Species;
use crate::parts::Part;
use crate::shapes::{Bent, Both, Capsule, Ellipse, Grown, Smile, Triangle, circle, ellipse};

const WHITE: [f32; 3] = [0.98, 0.98, 0.96];
const BLACK: [f32; 3] = [0.05, 0.04, 0.06];

impl Character {
    /// How far the middle of the mouth hangs below its corners.
    pub(super) fn mouth_sag(&self) -> f32 {
        let reach = if self.factors.species == Species::Horse {
            0.16
        } else {
            0.28
        };
        reach * self.factors.smile
    }

    /// Half the width of the mouth.
    pub(super) fn mouth_width(&self) -> f32 {
        self.layout.mouth_width * (0.86 + 0.2 * self.factors.smile)
    }

    pub(super) fn paint_eyes<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        for side in [-1.0, 1.0] {
            if self.factors.haunted {
                self.paint_hollow(canvas, side);
            } else {
                self.paint_eye(canvas, side);
            }
        }
    }

    fn paint_eye<R: Record>(&self, canvas: &mut Canvas<'_, R>, side: f32) {
        let layout = &self.layout;
        let open = self.factors.eye_openness;
        let radius = layout.eye_radius;
        let center = side * layout.eye_x;
        // A closing eye bends into the arc of a lid.
        let bent = |shape: Ellipse| Bent {
            shape,
            center,
            amount: (1.0 - open) * -0.35 / radius,
        };
        let height = radius * (0.03 + 1.02 * open);
        let width = radius * (0.85 + 0.15 * open);
        let ball = ellipse(center, layout.eye_y, width, height);
        self.on_head(
            canvas,
            Part::Eye,
            &Grown(bent(ball), 0.07),
            Paint::flat(self.palette.line),
        );
        if open < 0.04 {
            return;
        }
        let iris = if self.factors.species == Species::Cat {
            [0.86, 0.93, 0.55]
        } else {
            WHITE
        };
        self.on_head(canvas, Part::Eye, &bent(ball), Paint::flat(iris));
        let x = center + 0.5 * radius * self.factors.gaze;
        let pupil = match self.factors.species {
            Species::Cat => ellipse(x, layout.eye_y, 0.36 * radius, 0.8 * radius),
            Species::Frog => ellipse(x, layout.eye_y, 0.6 * radius, 0.42 * radius),
            _ => circle(x, layout.eye_y, 0.52 * radius),
        };
        self.on_head(
            canvas,
            Part::Eye,
            &Both(pupil, bent(ball)),
            Paint::flat(BLACK),
        );
    }

    /// An empty socket with a pinprick of light, and a dark tear below it.
    fn paint_hollow<R: Record>(&self, canvas: &mut Canvas<'_, R>, side: f32) {
        let layout = &self.layout;
        let radius = 1.12 * layout.eye_radius;
        let center = side * layout.eye_x;
        let height = radius * (0.55 + 0.6 * self.factors.eye_openness);
        let shadow = Paint {
            softness: 0.2,
            opacity: 0.7,
            ..Paint::flat([0.36, 0.34, 0.4])
        };
        let socket = ellipse(center, layout.eye_y, radius, height);
        self.on_head(canvas, Part::Eye, &Grown(socket, 0.08), shadow);
        let tear = Capsule {
            from: [center, layout.eye_y],
            to: [center + 0.04 * side, layout.eye_y + height + 0.26],
            radius: 0.055,
        };
        self.on_head(canvas, Part::Eye, &tear, Paint::flat([0.16, 0.1, 0.13]));
        self.on_head(canvas, Part::Eye, &socket, Paint::flat([0.02, 0.01, 0.02]));
        let glint = circle(
            center + 0.55 * radius * self.factors.gaze,
            layout.eye_y,
            0.07,
        );
        self.on_head(canvas, Part::Eye, &glint, Paint::flat([0.95, 0.3, 0.25]));
    }

    pub(super) fn paint_brows<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let layout = &self.layout;
        let brow = self.factors.brow;
        let color = if self.factors.haunted {
            BLACK
        } else {
            dim(self.palette.line, 0.8)
        };
        // Large eyes push the brows up.
        let y = layout.brow_y.min(layout.eye_y - layout.eye_radius - 0.16) - 0.04 * brow;
        for side in [-1.0, 1.0] {
            let line = Capsule {
                from: [side * (layout.eye_x - 0.24), y - 0.17 * brow],
                to: [side * (layout.eye_x + 0.22), y + 0.15 * brow],
                radius: 0.065,
            };
            self.on_head(canvas, Part::Brow, &line, Paint::flat(color));
        }
    }

    pub(super) fn paint_mouth<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let smile = self.factors.smile;
        let closed = Smile {
            y: self.layout.mouth_y,
            half_width: self.mouth_width(),
            sag: self.mouth_sag(),
            opening: 0.0,
            thickness: 0.06,
            teeth: 0.0,
        };
        if self.factors.haunted {
            let lips = Smile {
                y: closed.y - 0.14,
                half_width: (1.1 * closed.half_width).max(0.46),
                sag: 0.6 * closed.sag,
                opening: 0.5,
                thickness: 0.05,
                ..closed
            };
            self.on_head(canvas, Part::Mouth, &lips, Paint::flat([0.93, 0.92, 0.86]));
            let dark = Smile {
                opening: 0.52,
                teeth: 0.14,
                thickness: 0.0,
                ..lips
            };
            self.on_head(canvas, Part::Mouth, &dark, Paint::flat([0.04, 0.0, 0.02]));
            return;
        }
        let reach = if self.factors.species == Species::Horse {
            0.18
        } else {
            0.29
        };
        let opening = reach * ((smile - 0.15) / 0.85).max(0.0);
        // The upper lip rises as the mouth opens, so that the chin stays free.
        let open = Smile {
            y: closed.y - 0.4 * opening,
            opening,
            ..closed
        };
        self.on_head(
            canvas,
            Part::Mouth,
            &open,
            Paint::flat(dim(self.palette.line, 0.9)),
        );
        if open.opening > 0.0 {
            let inside = Smile {
                thickness: -0.01,
                ..open
            };
            self.on_head(canvas, Part::Mouth, &inside, Paint::flat([0.85, 0.27, 0.3]));
        }
    }

    pub(super) fn paint_nose<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let y = self.layout.nose_y;
        let nose = self.factors.nose_size;
        let color = self.palette.nose;
        match self.factors.species {
            Species::Cat => {
                let size = 0.19 * scaled(nose, 0.6);
                let tip = Triangle {
                    corners: [
                        [-size, y - 0.55 * size],
                        [size, y - 0.55 * size],
                        [0.0, y + 0.6 * size],
                    ],
                    radius: 0.05,
                };
                self.on_head(canvas, Part::Nose, &tip, Paint::flat(color));
            }
            Species::Person => {
                let size = scaled(nose, 0.6);
                let tip = ellipse(0.0, y, 0.16 * size, 0.2 * size);
                self.on_head(canvas, Part::Nose, &tip, self.lit(color));
            }
            Species::Puppet => {
                let size = scaled(nose, 0.6);
                self.lined(canvas, Part::Nose, circle(0.0, y, 0.19 * size), color);
            }
            Species::Horse => {
                let size = scaled(nose, 0.3);
                let muzzle = ellipse(
                    0.0,
                    0.68 + 0.06 * nose,
                    0.44 * size,
                    0.36 * scaled(nose, 0.16),
                );
                self.lined(canvas, Part::Nose, muzzle, color);
                for side in [-1.0, 1.0] {
                    let nostril = ellipse(side * 0.22 * size, y, 0.07 * size, 0.09 * size);
                    self.on_head(canvas, Part::Nose, &nostril, Paint::flat(self.palette.line));
                }
            }
            Species::Frog => {
                let size = scaled(nose, 0.65);
                for side in [-1.0, 1.0] {
                    let nostril = ellipse(side * 0.2 * size, y, 0.1 * size, 0.075 * size);
                    self.on_head(canvas, Part::Nose, &nostril, Paint::flat(self.palette.line));
                }
            }
        }
    }
}
