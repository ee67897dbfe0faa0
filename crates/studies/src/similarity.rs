//! How alike two pictures look.

/// Side of the window and deviation of its weights, in pixels.
const WINDOW: usize = 11;
const DEVIATION: f64 = 1.5;
/// (0.01 L)² and (0.03 L)² for values of range L = 1.
const STABLE: (f64, f64) = (1e-4, 9e-4);

/// The structural similarity of two pictures `[H, W, 3]` in −1..1, at most 1:
/// the mean over all whole windows, of 11 × 11 pixels with Gaussian weights,
/// of the index of Wang et al. (IEEE TIP 2004) on the luma of ITU-R BT.601.
///
/// Smaller pictures are one window.
#[must_use]
pub fn ssim(a: &[f32], b: &[f32], size: (usize, usize)) -> f64 {
    let (a, b) = (luma(a), luma(b));
    let (across, down) = (weights(size.1), weights(size.0));
    let (mut sum, mut count) = (0.0, 0.0);
    for top in 0..=size.0 - down.len() {
        for left in 0..=size.1 - across.len() {
            let mut moments = [0.0; 5];
            for (i, v) in down.iter().enumerate() {
                for (j, w) in across.iter().enumerate() {
                    let at = (top + i) * size.1 + left + j;
                    let (x, y, w) = (a[at], b[at], v * w);
                    for (moment, value) in moments.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                        *moment += w * value;
                    }
                }
            }
            sum += index(moments);
            count += 1.0;
        }
    }
    sum / count
}

/// The index of one window from E x, E y, E x², E y², E x y.
fn index([x, y, xx, yy, xy]: [f64; 5]) -> f64 {
    let (means, deviations) = (x * x + y * y, xx - x * x + yy - y * y);
    (2.0 * x * y + STABLE.0) * (2.0 * (xy - x * y) + STABLE.1)
        / ((means + STABLE.0) * (deviations + STABLE.1))
}

/// Grey values in 0..1; what is beyond is cut off, as in a file.
fn luma(picture: &[f32]) -> Vec<f64> {
    let unit = |v: f32| f64::from(0.5 * v + 0.5).clamp(0.0, 1.0);
    picture
        .chunks_exact(3)
        .map(|p| 0.299 * unit(p[0]) + 0.587 * unit(p[1]) + 0.114 * unit(p[2]))
        .collect()
}

/// Gaussian weights of a window in a side of so many pixels.
fn weights(side: usize) -> Vec<f64> {
    let length = WINDOW.min(side);
    let middle = (length as f64 - 1.0) / 2.0;
    let weight = |i: usize| (-0.5 * ((i as f64 - middle) / DEVIATION).powi(2)).exp();
    let total: f64 = (0..length).map(weight).sum();
    (0..length).map(|i| weight(i) / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(value: f64) -> Vec<f32> {
        vec![(2.0 * value - 1.0) as f32; 16 * 16 * 3]
    }

    #[test]
    fn flat_pictures_follow_the_formula() {
        let found = ssim(&grey(0.5), &grey(0.7), (16, 16));
        let expected = (2.0 * 0.35 + 1e-4) / (0.25 + 0.49 + 1e-4);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn a_picture_is_like_itself_and_unlike_its_negative() {
        let ramp: Vec<f32> = (0..16 * 16 * 3)
            .map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0)
            .collect();
        let negative: Vec<f32> = ramp.iter().map(|v| -v).collect();
        assert!((ssim(&ramp, &ramp, (16, 16)) - 1.0).abs() < 1e-12);
        assert!(ssim(&ramp, &negative, (16, 16)) < -0.5);
        // One window.
        assert!((ssim(&ramp[..192], &ramp[..192], (8, 8)) - 1.0).abs() < 1e-12);
    }
}
