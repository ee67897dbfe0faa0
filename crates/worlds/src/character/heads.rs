//! The shape of each species' head, with ears and hair.

use super::{Character, LINE, scaled};
use crate::canvas::{Canvas, Paint, Record};
use crate::color::{dim, mix};
use crate::factors::Species;
use crate::parts::Part;
use crate::shapes::{Both, Capsule, Either, RoundedBox, Triangle, circle, ellipse};

impl Character {
    /// Paints ears, head and hair.
    pub(super) fn paint_head<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        match self.factors.species {
            Species::Cat => self.paint_cat(canvas),
            Species::Person => self.paint_person(canvas),
            Species::Puppet => self.paint_puppet(canvas),
            Species::Horse => self.paint_horse(canvas),
            Species::Frog => self.paint_frog(canvas),
        }
    }

    fn paint_cat<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let size = scaled(self.factors.ear_size, 0.5);
        for side in [-1.0, 1.0] {
            let ear = |size: f32, radius: f32| Triangle {
                corners: [
                    [side * 0.88, -0.2],
                    [side * (0.72 + 0.12 * size), -0.62 - 0.55 * size],
                    [side * 0.22, -0.62],
                ],
                radius,
            };
            self.lined(canvas, Part::Ear, ear(size, 0.06), self.palette.skin);
            let inner = Triangle {
                corners: [
                    [side * 0.78, -0.5],
                    [side * (0.71 + 0.1 * size), -0.62 - 0.36 * size],
                    [side * 0.45, -0.65],
                ],
                radius: 0.03,
            };
            let pink = mix(self.palette.nose, self.palette.soft, 0.3);
            self.on_head(canvas, Part::Ear, &inner, Paint::flat(pink));
        }
        self.lined(
            canvas,
            Part::Head,
            ellipse(0.0, 0.08, 1.0, 0.82),
            self.palette.skin,
        );
        let cheeks = Either {
            a: ellipse(-0.24, 0.5, 0.36, 0.28),
            b: ellipse(0.24, 0.5, 0.36, 0.28),
            blend: 0.1,
        };
        self.on_head(canvas, Part::Head, &cheeks, self.lit(self.palette.soft));
        for side in [-1.0, 1.0] {
            for (from, to) in [(0.36, 0.28), (0.5, 0.56)] {
                let whisker = Capsule {
                    from: [side * 0.66, from],
                    to: [side * 1.2, to],
                    radius: 0.035,
                };
                self.on_head(
                    canvas,
                    Part::Head,
                    &whisker,
                    Paint::flat([0.97, 0.96, 0.94]),
                );
            }
        }
    }

    fn paint_person<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let size = scaled(self.factors.ear_size, 0.5);
        let face = ellipse(0.0, 0.06, 0.8, 0.88);
        // Hair behind the face, then ears, then a fringe over the forehead.
        self.lined(
            canvas,
            Part::Hair,
            ellipse(0.0, -0.16, 0.94, 0.88),
            self.palette.hair,
        );
        for side in [-1.0, 1.0] {
            let ear = ellipse(side * (0.78 + 0.1 * size), 0.1, 0.19 * size, 0.25 * size);
            self.lined(canvas, Part::Ear, ear, dim(self.palette.skin, 0.95));
        }
        self.lined(canvas, Part::Head, face, self.palette.skin);
        let fringe = Both(
            ellipse(0.0, -0.14, 0.9, 0.86),
            ellipse(0.12, -0.98, 1.2, 0.46),
        );
        self.on_head(canvas, Part::Hair, &fringe, self.lit(self.palette.hair));
    }

    fn paint_puppet<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let size = scaled(self.factors.ear_size, 0.5);
        for side in [-1.0, 1.0] {
            // Turned wooden discs.
            let ear = circle(side * (0.76 + 0.1 * size), 0.0, 0.24 * size);
            self.lined(canvas, Part::Ear, ear, self.palette.soft);
            let peg = circle(side * (0.76 + 0.1 * size), 0.0, 0.08 * size);
            self.on_head(canvas, Part::Ear, &peg, Paint::flat(self.palette.line));
        }
        let block = RoundedBox {
            x: 0.0,
            y: 0.04,
            half_width: 0.78,
            half_height: 0.9,
            radius: 0.42,
        };
        self.lined(canvas, Part::Head, block, self.palette.skin);
        // Hair is a painted cap with a straight edge.
        let cap = Both(
            block,
            RoundedBox {
                x: 0.0,
                y: -1.0,
                half_width: 1.0,
                half_height: 0.36,
                radius: 0.0,
            },
        );
        self.on_head(canvas, Part::Hair, &cap, self.lit(self.palette.hair));
        for side in [-1.0, 1.0] {
            let cheek = Paint {
                softness: 0.08,
                opacity: if self.factors.haunted { 0.0 } else { 0.75 },
                ..Paint::flat([0.9, 0.38, 0.28])
            };
            self.on_head(canvas, Part::Head, &circle(side * 0.56, 0.3, 0.17), cheek);
            // The jaw hangs on hinges below the corners of the mouth.
            let hinge = Capsule {
                from: [side * 0.5, 0.52],
                to: [side * 0.5, 0.94],
                radius: 0.045,
            };
            self.on_head(canvas, Part::Mouth, &hinge, Paint::flat(self.palette.line));
        }
    }

    fn paint_horse<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let size = scaled(self.factors.ear_size, 0.4);
        // The mane falls behind one side of the head.
        self.lined(
            canvas,
            Part::Hair,
            ellipse(0.42, -0.28, 0.5, 0.82),
            self.palette.hair,
        );
        for side in [-1.0, 1.0] {
            let ear = Triangle {
                corners: [
                    [side * 0.62, -0.62],
                    [side * 0.56, -0.78 - 0.56 * size],
                    [side * 0.24, -0.78],
                ],
                radius: 0.08,
            };
            self.lined(canvas, Part::Ear, ear, self.palette.skin);
        }
        let skull = Either {
            a: ellipse(0.0, -0.3, 0.68, 0.66),
            b: RoundedBox {
                x: 0.0,
                y: 0.35,
                half_width: 0.38,
                half_height: 0.62,
                radius: 0.3,
            },
            blend: 0.3,
        };
        self.lined(canvas, Part::Head, skull, self.palette.skin);
        let blaze = ellipse(0.0, -0.1, 0.11, 0.55);
        self.on_head(canvas, Part::Head, &blaze, self.lit([0.96, 0.95, 0.92]));
        let forelock = Triangle {
            corners: [[-0.26, -0.9], [0.28, -0.92], [0.06, -0.52]],
            radius: 0.08,
        };
        self.on_head(canvas, Part::Hair, &forelock, self.lit(self.palette.hair));
    }

    fn paint_frog<R: Record>(&self, canvas: &mut Canvas<'_, R>) {
        let layout = &self.layout;
        let bump = |side: f32| circle(side * layout.eye_x, layout.eye_y, layout.eye_radius + 0.12);
        let head = Either {
            a: ellipse(0.0, 0.24, 1.08, 0.68),
            b: Either {
                a: bump(-1.0),
                b: bump(1.0),
                blend: 0.05,
            },
            blend: 0.15,
        };
        self.lined(canvas, Part::Head, head, self.palette.skin);
        let belly = Both(ellipse(0.0, 0.24, 1.0, 0.62), ellipse(0.0, 0.95, 1.1, 0.62));
        self.on_head(canvas, Part::Head, &belly, self.lit(self.palette.soft));
        let size = scaled(self.factors.ear_size, 0.6);
        for side in [-1.0, 1.0] {
            let drum = circle(side * 0.82, 0.06, 0.17 * size);
            self.on_head(
                canvas,
                Part::Ear,
                &drum,
                Paint::flat(mix(self.palette.hair, self.palette.line, 0.2)),
            );
            let middle = circle(side * 0.82, 0.06, (0.17 * size - LINE).max(0.01));
            self.on_head(canvas, Part::Ear, &middle, self.lit(self.palette.soft));
        }
    }
}
