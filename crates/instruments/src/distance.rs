//! How far apart two pictures are.

/// Side of the windows of [`distance`], as a share of the picture's side.
const WINDOWS: usize = 4;

/// The distance of two pictures `[size, size, 3]`, in units of their values:
/// the difference is blurred by 3×3 binomial weights, which forgives pixel
/// noise, and the distance is its root mean square in the worst of the
/// overlapping windows of a quarter of the side, which does not forgive a
/// wrong eye in a right face.
#[must_use]
pub fn distance(a: &[f32], b: &[f32], size: usize) -> f32 {
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let blurred = blur(&difference, size);
    let window = (size / WINDOWS).max(1);
    let stride = (window / 2).max(1);
    let starts = || (0..=size - window).step_by(stride);
    let mut worst = 0f32;
    for row in starts() {
        for column in starts() {
            let squares: f32 = (row..row + window)
                .map(|r| {
                    let from = (r * size + column) * 3;
                    blurred[from..from + 3 * window]
                        .iter()
                        .map(|v| v * v)
                        .sum::<f32>()
                })
                .sum();
            worst = worst.max(squares);
        }
    }
    (worst / (window * window * 3) as f32).sqrt()
}

/// A picture `[size, size, 3]` blurred by 3×3 binomial weights; the border
/// repeats.
pub(crate) fn blur(picture: &[f32], size: usize) -> Vec<f32> {
    let across = blur_axis(picture, size, 3, 3 * size);
    blur_axis(&across, size, 3 * size, 3)
}

/// Blurs along the axis of one stride; `other` is that of the other axis.
fn blur_axis(values: &[f32], size: usize, stride: usize, other: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for line in 0..size {
        for place in 0..size {
            let at = line * other + place * stride;
            let before = if place == 0 { at } else { at - stride };
            let after = if place + 1 == size { at } else { at + stride };
            for channel in 0..3 {
                out[at + channel] = 0.5 * values[at + channel]
                    + 0.25 * (values[before + channel] + values[after + channel]);
            }
        }
    }
    out
}
