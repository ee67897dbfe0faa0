//! Populations over the landscape of a function in the plane.

use crate::StudyError;
use crate::pictures::{Canvas, Rgb, palette};
use alice_evolution::metrics;
use alice_evolution::problems::Function;
use alice_runs::Picture;
use rayon::prelude::*;

/// The picture shows ±5, a little more than the domain.
const VIEW: f64 = 5.0;
/// The domain is ±4.
const DOMAIN: f64 = 4.0;
/// Steps of the colours: flat bands read as contours, and compress.
const BANDS: f64 = 14.0;
/// From no fitness to fitness 1. Dark enough that individuals stand out.
const COLORS: [[f64; 3]; 5] = [
    [22.0, 24.0, 36.0],
    [33.0, 44.0, 84.0],
    [34.0, 84.0, 116.0],
    [48.0, 132.0, 128.0],
    [132.0, 184.0, 128.0],
];
const OUTSIDE: Rgb = [0x12, 0x13, 0x19];

/// A square picture of a function's fitness.
pub(super) struct Landscape {
    picture: Picture,
}

impl Landscape {
    /// The landscape with `side` pixels on each side.
    pub fn new(function: Function, side: usize) -> Result<Self, StudyError> {
        let place = |pixel: usize| ((pixel as f64 + 0.5) / side as f64 * 2.0 - 1.0) * VIEW;
        let edge = 2.0 * VIEW / side as f64;
        let color = |index: usize| {
            let (x, y) = (place(index % side), -place(index / side));
            let out = x.abs().max(y.abs()) - DOMAIN;
            match out {
                out if (0.0..edge).contains(&out) => palette::RAISED,
                out if out > 0.0 => OUTSIDE,
                _ => shade(function.fitness(&[x, y])),
            }
        };
        let rgb: Vec<u8> = (0..side * side)
            .into_par_iter()
            .flat_map_iter(color)
            .collect();
        let side = u32::try_from(side).unwrap_or(u32::MAX);
        Ok(Self {
            picture: Picture::new(side, side, rgb)?,
        })
    }

    /// Draws the landscape and individuals `[n, 2]` on it, the best 64 bright.
    pub fn draw(
        &self,
        canvas: &mut Canvas,
        corner: (usize, usize),
        points: &[f64],
        fitness: &[f64],
    ) -> Result<(), StudyError> {
        let side = self.picture.width() as usize;
        // A panel of its own cuts off what lies outside.
        let mut panel = Canvas::new(side, side, OUTSIDE);
        panel.blit(&self.picture, (0, 0));
        let best = metrics::best(fitness, metrics::ELITE);
        let mut is_best = vec![false; fitness.len()];
        best.iter().for_each(|i| is_best[*i] = true);
        let radius = (side as f64 / 180.0).clamp(1.1, 3.0);
        let mut dot = |i: usize, radius: f64, color: Rgb| {
            let pixel = |x: f64| (x / VIEW + 1.0) / 2.0 * side as f64;
            let at = [pixel(points[2 * i]), pixel(-points[2 * i + 1])];
            if at.iter().all(|v| (-9.0..side as f64 + 9.0).contains(v)) {
                panel.stroke(at, at, radius, color);
            }
        };
        for i in (0..fitness.len()).filter(|i| !is_best[*i]) {
            dot(i, radius, palette::INK);
        }
        for &i in best.iter().rev() {
            dot(i, radius + 1.2, palette::GROUND);
            dot(i, radius + 0.4, palette::ACCENT);
        }
        canvas.blit(&panel.into_picture()?, corner);
        Ok(())
    }
}

fn shade(fitness: f64) -> Rgb {
    let level = (fitness.clamp(0.0, 1.0) * BANDS).floor().min(BANDS - 1.0) / (BANDS - 1.0);
    let place = level * (COLORS.len() - 1) as f64;
    let below = (place as usize).min(COLORS.len() - 2);
    let share = place - below as f64;
    std::array::from_fn(|c| {
        let (a, b) = (COLORS[below][c], COLORS[below + 1][c]);
        (a + share * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn individuals_lie_where_they_are() {
        let function = Function::new("rastrigin", None).unwrap();
        let landscape = Landscape::new(function, 100).unwrap();
        let mut canvas = Canvas::new(120, 120, [0; 3]);
        // One in the upper right, one far outside.
        let points = [2.5, 2.5, 1e9, f64::MAX];
        landscape
            .draw(&mut canvas, (10, 10), &points, &[1.0, 0.5])
            .unwrap();
        let rgb = canvas.into_picture().unwrap().into_rgb();
        let at = |x: usize, y: usize| &rgb[3 * (y * 120 + x)..][..3];
        assert_eq!(at(85, 35), palette::ACCENT);
        assert_eq!(at(5, 5), [0; 3]);
        assert_eq!(at(12, 60), OUTSIDE);
    }
}
