//! A canvas of RGB bytes.

use super::text::{self, Type};
use crate::StudyError;
use alice_runs::Picture;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// A picture being drawn. Whatever lies outside of it is cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A canvas of one colour.
    #[must_use]
    pub fn new(width: usize, height: usize, color: Rgb) -> Self {
        Self {
            width,
            height,
            rgb: color.repeat(width * height),
        }
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Fills a rectangle; `(x, y)` is its upper left corner.
    pub fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), color: Rgb) {
        let right = (x + width).min(self.width);
        for row in y..(y + height).min(self.height) {
            let start = row * self.width;
            for pixel in self.rgb[3 * (start + x.min(right))..3 * (start + right)].chunks_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }

    /// A frame of `thickness` around a rectangle, outside of it.
    pub fn frame(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        thickness: usize,
        color: Rgb,
    ) {
        let (left, top) = (x.saturating_sub(thickness), y.saturating_sub(thickness));
        let across = x - left + width + thickness;
        self.fill((left, top), (across, y - top), color);
        self.fill((left, y + height), (across, thickness), color);
        self.fill((left, y), (x - left, height), color);
        self.fill((x + width, y), (thickness, height), color);
    }

    /// A thick line with round ends, its edges smooth; a disc where both ends
    /// are the same. Ends and radius are in pixels, from the upper left corner.
    pub fn stroke(&mut self, a: [f64; 2], b: [f64; 2], radius: f64, color: Rgb) {
        let (along, reach) = ([b[0] - a[0], b[1] - a[1]], radius + 1.0);
        let squared = along[0] * along[0] + along[1] * along[1];
        let range = |axis: usize, end: usize| {
            let (low, high) = (a[axis].min(b[axis]) - reach, a[axis].max(b[axis]) + reach);
            // Casts of what lies outside saturate.
            (low.floor() as usize)..(high.ceil() as usize).min(end)
        };
        for y in range(1, self.height) {
            for x in range(0, self.width) {
                let to = [x as f64 + 0.5 - a[0], y as f64 + 0.5 - a[1]];
                let share = if squared > 0.0 {
                    ((to[0] * along[0] + to[1] * along[1]) / squared).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let distance = (to[0] - share * along[0]).hypot(to[1] - share * along[1]);
                let coverage = (radius + 0.5 - distance).clamp(0.0, 1.0);
                if coverage > 0.0 {
                    self.mix((x, y), color, coverage as f32);
                }
            }
        }
    }

    /// Puts `coverage` of a colour over a pixel inside.
    fn mix(&mut self, (x, y): (usize, usize), color: Rgb, coverage: f32) {
        let at = 3 * (y * self.width + x);
        for (value, ink) in self.rgb[at..at + 3].iter_mut().zip(color) {
            let mixed = f32::from(*value) * (1.0 - coverage) + f32::from(ink) * coverage;
            *value = mixed.round() as u8;
        }
    }

    /// Copies a picture; `(x, y)` is its upper left corner.
    pub fn blit(&mut self, picture: &Picture, (x, y): (usize, usize)) {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let columns = width.min(self.width.saturating_sub(x));
        for row in 0..height.min(self.height.saturating_sub(y)) {
            let to = 3 * ((y + row) * self.width + x);
            let from = 3 * row * width;
            self.rgb[to..to + 3 * columns]
                .copy_from_slice(&picture.rgb()[from..from + 3 * columns]);
        }
    }

    /// Writes one line; `(x, baseline)` is where it starts.
    pub fn text(&mut self, (x, baseline): (usize, usize), line: &str, style: Type, color: Rgb) {
        text::draw(line, style, |dx, dy, coverage| {
            let (px, py) = (x as i64 + dx, baseline as i64 + dy);
            if px < 0 || py < 0 || px >= self.width as i64 || py >= self.height as i64 {
                return;
            }
            self.mix((px as usize, py as usize), color, coverage);
        });
    }

    /// Writes one line centred on `x`.
    pub fn centred(&mut self, (x, baseline): (usize, usize), line: &str, style: Type, color: Rgb) {
        let start = (x as f32 - style.width(line) / 2.0).round().max(0.0);
        self.text((start as usize, baseline), line, style, color);
    }

    /// The finished picture.
    ///
    /// # Errors
    /// When a side is zero or longer than pictures may be.
    pub fn into_picture(self) -> Result<Picture, StudyError> {
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Picture::new(side(self.width), side(self.height), self.rgb)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::Face;

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(4, 3, [0; 3]);
        canvas.fill((3, 2), (9, 9), [1; 3]);
        canvas.fill((9, 9), (1, 1), [2; 3]);
        let tile = Picture::new(2, 2, vec![7; 12]).unwrap();
        canvas.blit(&tile, (3, 0));
        canvas.blit(&tile, (40, 40));
        canvas.text((2, 1), "wide", Type::new(Face::Bold, 20.0), [9; 3]);
        canvas.frame((0, 0), (4, 3), 2, [5; 3]);
        let picture = canvas.into_picture().unwrap();
        assert_eq!(picture.rgb().len(), 4 * 3 * 3);
    }

    #[test]
    fn a_stroke_covers_its_area() {
        let mut canvas = Canvas::new(60, 40, [0; 3]);
        canvas.stroke([20.0, 20.0], [40.0, 20.0], 5.0, [255; 3]);
        canvas.stroke([-90.0, -9.0], [-90.0, 1e9], 3.0, [255; 3]);
        let rgb = canvas.into_picture().unwrap().into_rgb();
        let area = rgb.iter().map(|v| f64::from(*v)).sum::<f64>() / (3.0 * 255.0);
        let expected = 200.0 + 25.0 * std::f64::consts::PI;
        assert!((area - expected).abs() < 1.0, "{area} {expected}");
    }

    #[test]
    fn a_frame_lies_around_its_rectangle() {
        let mut canvas = Canvas::new(5, 5, [0; 3]);
        canvas.frame((2, 2), (1, 1), 1, [8; 3]);
        let rgb = canvas.into_picture().unwrap().into_rgb();
        let inked = rgb.chunks(3).filter(|p| p[0] == 8).count();
        assert_eq!((inked, rgb[3 * 12]), (8, 0));
    }
}
