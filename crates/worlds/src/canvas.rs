//! Paints shapes onto pixels, back to front, with analytic antialiasing.

use crate::color::Color;
use crate::parts::Part;
use crate::shapes::Shape;

/// Where shapes live: a rotated, scaled copy of the picture, whose own
/// coordinates run from (−1, −1) at the upper left to (1, 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub origin: [f32; 2],
    pub scale: f32,
    pub cosine: f32,
    pub sine: f32,
    /// Depth at the rim: 0 is nearest, 1 the curtain.
    pub depth: f32,
    /// How much nearer the middle is than the rim.
    pub bulge: f32,
}

impl Frame {
    /// An upright frame.
    pub(crate) fn upright(origin: [f32; 2], scale: f32, depth: f32) -> Self {
        Self {
            origin,
            scale,
            cosine: 1.0,
            sine: 0.0,
            depth,
            bulge: 0.0,
        }
    }

    /// From this frame to the picture's coordinates.
    pub(crate) fn to_picture(self, point: [f32; 2]) -> [f32; 2] {
        let [x, y] = point;
        [
            self.origin[0] + self.scale * (x * self.cosine - y * self.sine),
            self.origin[1] + self.scale * (x * self.sine + y * self.cosine),
        ]
    }

    /// A direction of the picture as seen in this frame, unscaled.
    pub(crate) fn turn(self, direction: [f32; 2]) -> [f32; 2] {
        let [x, y] = direction;
        [
            x * self.cosine + y * self.sine,
            y * self.cosine - x * self.sine,
        ]
    }
}

/// How a shape is filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub color: Color,
    /// Brightness gained per unit along x and y.
    pub slope: [f32; 2],
    /// Width of the soft edge beyond that of one pixel.
    pub softness: f32,
    pub opacity: f32,
    /// How far it stands out of the frame's surface, in depth.
    pub lift: f32,
}

impl Paint {
    /// A flat opaque colour.
    pub(crate) fn flat(color: Color) -> Self {
        Self {
            color,
            slope: [0.0; 2],
            softness: 0.0,
            opacity: 1.0,
            lift: 0.0,
        }
    }
}

/// What is written down beside the colours.
pub(crate) trait Record {
    /// A part now covers most of a pixel, at a depth computed on demand.
    fn cover(&mut self, pixel: usize, part: Part, depth: impl FnOnce() -> f32);
}

/// Records nothing: the fast path.
impl Record for () {
    fn cover(&mut self, _: usize, _: Part, _: impl FnOnce() -> f32) {}
}

/// A picture in progress.
pub(crate) struct Canvas<'a, R> {
    pub size: usize,
    /// `[H, W, 3]`.
    pub rgb: &'a mut [f32],
    pub record: &'a mut R,
}

impl<R: Record> Canvas<'_, R> {
    /// The side of a pixel in the picture's coordinates.
    pub(crate) fn pixel(&self) -> f32 {
        2.0 / self.size as f32
    }

    /// Paints one shape over what is there.
    pub(crate) fn fill(&mut self, frame: &Frame, part: Part, shape: &impl Shape, paint: Paint) {
        let pixel = self.pixel();
        let edge = pixel / frame.scale + paint.softness;
        let sharpness = 1.0 / edge;
        let bounds = shape.bounds();
        let corners = [
            [bounds.min[0] - 0.5 * edge, bounds.min[1] - 0.5 * edge],
            [bounds.max[0] + 0.5 * edge, bounds.min[1] - 0.5 * edge],
            [bounds.min[0] - 0.5 * edge, bounds.max[1] + 0.5 * edge],
            [bounds.max[0] + 0.5 * edge, bounds.max[1] + 0.5 * edge],
        ]
        .map(|corner| frame.to_picture(corner));
        let pixels = |axis: usize| {
            let low = corners.iter().fold(f32::MAX, |m, c| m.min(c[axis]));
            let high = corners.iter().fold(f32::MIN, |m, c| m.max(c[axis]));
            // Casts saturate, so what lies outside the picture is cut off.
            let first = ((low + 1.0) / pixel - 0.5).floor() as usize;
            let last = ((high + 1.0) / pixel + 0.5).ceil() as usize;
            first..last.min(self.size)
        };
        let (columns, rows) = (pixels(0), pixels(1));
        let unit = 1.0 / frame.scale;
        for row in rows {
            let dy = (row as f32 + 0.5) * pixel - 1.0 - frame.origin[1];
            for column in columns.clone() {
                let dx = (column as f32 + 0.5) * pixel - 1.0 - frame.origin[0];
                let x = (dx * frame.cosine + dy * frame.sine) * unit;
                let y = (dy * frame.cosine - dx * frame.sine) * unit;
                let coverage = 0.5 - shape.distance(x, y) * sharpness;
                if coverage <= 0.0 {
                    continue;
                }
                let opacity = coverage.min(1.0) * paint.opacity;
                let light = 1.0 + paint.slope[0] * x + paint.slope[1] * y;
                let index = row * self.size + column;
                for (value, channel) in self.rgb[3 * index..3 * index + 3]
                    .iter_mut()
                    .zip(paint.color)
                {
                    *value += (channel * light - *value) * opacity;
                }
                if opacity >= 0.5 {
                    self.record.cover(index, part, || {
                        let dome = (1.0 - 0.5 * (x * x + y * y)).max(0.0);
                        (frame.depth - frame.bulge * dome - paint.lift).clamp(0.0, 1.0)
                    });
                }
            }
        }
    }
}
