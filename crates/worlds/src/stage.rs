//! Curtain, floor and the pool of light.

use crate::canvas::{Canvas, Record};
use crate::color::{dim, hue_color, mix};
use crate::factors::Factors;
use crate::parts::Part;

/// Where the floor begins.
const FLOOR_Y: f32 = 0.7;

/// Fills the whole canvas.
pub(crate) fn paint<R: Record>(canvas: &mut Canvas<'_, R>, factors: &Factors) {
    let pixel = canvas.pixel();
    let curtain = hue_color(factors.background_hue, 0.42, 0.17);
    let floor = mix([0.62, 0.46, 0.34], curtain, 0.35);
    let light_x = 0.6 * factors.light;
    for column in 0..canvas.size {
        let x = (column as f32 + 0.5) * pixel - 1.0;
        let fold = 1.0 + 0.09 * libm::cosf(4.0 * std::f32::consts::PI * x);
        let curtain = dim(curtain, fold);
        let across = (x - light_x) * (x - light_x);
        for row in 0..canvas.size {
            let y = (row as f32 + 0.5) * pixel - 1.0;
            let pool = (1.0 - 0.45 * (across + 0.6 * (y + 0.2) * (y + 0.2))).max(0.35);
            let on_floor = ((y - FLOOR_Y) / pixel + 0.5).clamp(0.0, 1.0);
            let color = dim(mix(curtain, floor, on_floor), 0.55 + 0.65 * pool);
            let index = row * canvas.size + column;
            canvas.rgb[3 * index..3 * index + 3].copy_from_slice(&color);
            if on_floor >= 0.5 {
                canvas.record.cover(index, Part::Floor, || {
                    1.0 - 0.3 * (y - FLOOR_Y) / (1.0 - FLOOR_Y)
                });
            }
        }
    }
}
