//! Signed-distance shapes: negative inside, in the units of their frame.
//!
//! Only +, −, ×, ÷ and √ are used, which IEEE 754 rounds alike everywhere.

mod combine;

pub(crate) use combine::{Bent, Both, Either, Grown, Outline};

/// An axis-aligned box that contains a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub min: [f32; 2],
    pub max: [f32; 2],
}

impl Bounds {
    fn around(x: f32, y: f32, half_width: f32, half_height: f32) -> Self {
        Self {
            min: [x - half_width, y - half_height],
            max: [x + half_width, y + half_height],
        }
    }

    pub(super) fn grown(self, by: f32) -> Self {
        Self {
            min: self.min.map(|v| v - by),
            max: self.max.map(|v| v + by),
        }
    }
}

/// A shape that can be drawn.
pub(crate) trait Shape {
    /// The signed distance at a point; an estimate that is exact to first
    /// order near the outline is enough for antialiasing.
    fn distance(&self, x: f32, y: f32) -> f32;
    /// A box around the shape.
    fn bounds(&self) -> Bounds;
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// An axis-aligned ellipse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ellipse {
    pub x: f32,
    pub y: f32,
    pub rx: f32,
    pub ry: f32,
}

/// A circle.
pub(crate) fn circle(x: f32, y: f32, radius: f32) -> Ellipse {
    ellipse(x, y, radius, radius)
}

/// An ellipse.
pub(crate) fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> Ellipse {
    Ellipse { x, y, rx, ry }
}

impl Shape for Ellipse {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = ((x - self.x) / self.rx, (y - self.y) / self.ry);
        let level = length(x, y);
        let slope = length(x / self.rx, y / self.ry);
        if slope < 1e-6 {
            return -self.rx.min(self.ry);
        }
        level * (level - 1.0) / slope
    }

    fn bounds(&self) -> Bounds {
        Bounds::around(self.x, self.y, self.rx, self.ry)
    }
}

/// Everything within a radius of a line segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capsule {
    pub from: [f32; 2],
    pub to: [f32; 2],
    pub radius: f32,
}

impl Shape for Capsule {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (px, py) = (x - self.from[0], y - self.from[1]);
        let (dx, dy) = (self.to[0] - self.from[0], self.to[1] - self.from[1]);
        let along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        length(px - dx * along, py - dy * along) - self.radius
    }

    fn bounds(&self) -> Bounds {
        let pick = |f: fn(f32, f32) -> f32| [0, 1].map(|i| f(self.from[i], self.to[i]));
        Bounds {
            min: pick(f32::min),
            max: pick(f32::max),
        }
        .grown(self.radius)
    }
}

/// A box with rounded corners; the half extents include the rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedBox {
    pub x: f32,
    pub y: f32,
    pub half_width: f32,
    pub half_height: f32,
    pub radius: f32,
}

impl Shape for RoundedBox {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let qx = (x - self.x).abs() - self.half_width + self.radius;
        let qy = (y - self.y).abs() - self.half_height + self.radius;
        length(qx.max(0.0), qy.max(0.0)) + qx.max(qy).min(0.0) - self.radius
    }

    fn bounds(&self) -> Bounds {
        Bounds::around(self.x, self.y, self.half_width, self.half_height)
    }
}

/// A triangle with rounded corners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Triangle {
    pub corners: [[f32; 2]; 3],
    pub radius: f32,
}

impl Shape for Triangle {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let [a, b, c] = self.corners;
        let orientation = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        let mut nearest = f32::MAX;
        let mut inside = true;
        for (from, to) in [(a, b), (b, c), (c, a)] {
            let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
            let (px, py) = (x - from[0], y - from[1]);
            inside &= (dx * py - dy * px) * orientation >= 0.0;
            let along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            nearest = nearest.min(length(px - dx * along, py - dy * along));
        }
        (if inside { -nearest } else { nearest }) - self.radius
    }

    fn bounds(&self) -> Bounds {
        let [a, b, c] = self.corners;
        let pick = |f: fn(f32, f32) -> f32| [0, 1].map(|i| f(f(a[i], b[i]), c[i]));
        Bounds {
            min: pick(f32::min),
            max: pick(f32::max),
        }
        .grown(self.radius)
    }
}

/// The band between two parabolas that meet at the corners: a mouth.
///
/// With t = 1 − (x / half_width)², the upper edge is y + sag·(t − ½) and the
/// lower edge lies opening·(1 − (x / half_width)⁴) below it, which makes an open
/// mouth round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Smile {
    pub y: f32,
    pub half_width: f32,
    pub sag: f32,
    pub opening: f32,
    pub thickness: f32,
    /// Height of saw teeth along both edges.
    pub teeth: f32,
}

impl Smile {
    /// Teeth along each edge of a jagged mouth.
    const TEETH: f32 = 4.0;
}

impl Shape for Smile {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let across = x / self.half_width;
        if across.abs() >= 1.0 {
            let corner = self.y - 0.5 * self.sag;
            return length(x.abs() - self.half_width, y - corner) - self.thickness;
        }
        let t = 1.0 - across * across;
        let upper = self.y + self.sag * (t - 0.5);
        let drop = self.opening * (1.0 - (1.0 - t) * (1.0 - t));
        let lower = upper + drop;
        let middle = 0.5 * (upper + lower);
        let half = 0.5 * (lower - upper);
        let bend = self.sag + self.opening * (1.0 - t);
        let mut slope = (2.0 * bend * across / self.half_width).abs();
        let mut saw = 0.0;
        if self.teeth > 0.0 {
            let phase = 0.5 * Self::TEETH * (across + 1.0);
            saw = self.teeth * t * (2.0 * (phase - phase.floor()) - 1.0).abs();
            slope += self.teeth * Self::TEETH / self.half_width;
        }
        let above = (y - middle).abs() - half + saw;
        above / (1.0 + slope * slope).sqrt() - self.thickness
    }

    fn bounds(&self) -> Bounds {
        let reach = 0.5 * self.sag.abs() + self.opening + self.thickness;
        Bounds::around(0.0, self.y, self.half_width + self.thickness, reach)
    }
}
