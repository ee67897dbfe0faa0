//! From values to RGB bytes, and from one size to another.

use crate::StudyError;
use crate::discover::findings::Pictures;
use alice_runs::Picture;

/// A value that is not a number is shown, not hidden.
const NOT_A_NUMBER: u8 = 255;

/// How values become bytes: −scale..scale → 0..255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tones {
    scale: f32,
}

impl Tones {
    /// Pictures with 1 or 3 channels lie in −1..1. Other channels are latents
    /// without a fixed range: their largest magnitude becomes full scale, the
    /// same for all pictures.
    #[must_use]
    pub fn of(pictures: &Pictures) -> Self {
        if matches!(pictures.channels, 1 | 3) {
            return Self { scale: 1.0 };
        }
        let finite = pictures.values.iter().filter(|v| v.is_finite());
        let largest = finite.fold(0.0_f32, |m, v| m.max(v.abs()));
        Self {
            scale: if largest > 0.0 { largest } else { 1.0 },
        }
    }

    fn byte(self, value: f32) -> u8 {
        ((value / self.scale + 1.0) * 127.5)
            .round()
            .clamp(0.0, 255.0) as u8
    }

    /// Red, green and blue of one pixel: grey for one channel, the first
    /// three for more, and magenta where a value is not a number.
    fn pixel(self, channels: &[f32]) -> [u8; 3] {
        let at = |c: usize| channels.get(c).copied();
        let shown = if channels.len() == 1 {
            [at(0); 3]
        } else {
            [at(0), at(1), at(2)]
        };
        if shown.iter().flatten().any(|v| v.is_nan()) {
            return [NOT_A_NUMBER, 0, NOT_A_NUMBER];
        }
        shown.map(|v| self.byte(v.unwrap_or(0.0)))
    }
}

/// One picture of a set as RGB.
///
/// # Errors
/// When there is none of this index, or pictures have no pixels.
pub fn to_picture(pictures: &Pictures, index: usize, tones: Tones) -> Result<Picture, StudyError> {
    if pictures.item_len() == 0 || index >= pictures.len() {
        let why = format!("there is no picture {index} of {}", pictures.len());
        return Err(StudyError::argument("pictures", why));
    }
    let values = pictures.get(index).chunks_exact(pictures.channels);
    let rgb = values.flat_map(|pixel| tones.pixel(pixel)).collect();
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (height, width) = pictures.size;
    Ok(Picture::new(side(width), side(height), rgb)?)
}

/// A whole number of times larger or smaller, so that pixels stay even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoom {
    times: usize,
    over: usize,
}

impl Zoom {
    /// As it is.
    pub const ONE: Self = Self { times: 1, over: 1 };

    /// Each pixel becomes `times` × `times`.
    #[must_use]
    pub fn times(times: usize) -> Self {
        Self {
            times: times.max(1),
            over: 1,
        }
    }

    /// `over` × `over` pixels become their mean.
    #[must_use]
    pub fn over(over: usize) -> Self {
        Self {
            times: 1,
            over: over.max(1),
        }
    }

    /// The largest zoom at which `size` (height, width) fits into `room`.
    #[must_use]
    pub fn fit(size: (usize, usize), room: (usize, usize)) -> Self {
        let (size, room) = (
            (size.0.max(1), size.1.max(1)),
            (room.0.max(1), room.1.max(1)),
        );
        let times = (room.0 / size.0).min(room.1 / size.1);
        if times > 0 {
            return Self::times(times);
        }
        Self::over(size.0.div_ceil(room.0).max(size.1.div_ceil(room.1)))
    }

    /// The size after it, (height, width).
    #[must_use]
    pub fn of(self, size: (usize, usize)) -> (usize, usize) {
        let scaled = |n: usize| n.div_ceil(self.over) * self.times;
        (scaled(size.0), scaled(size.1))
    }

    /// Zooms a picture.
    ///
    /// # Errors
    /// When the result is larger than pictures may be.
    pub fn apply(self, picture: &Picture) -> Result<Picture, StudyError> {
        if self == Self::ONE {
            return Ok(picture.clone());
        }
        let size = (picture.height() as usize, picture.width() as usize);
        let (height, width) = self.of(size);
        let mut rgb = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            for x in 0..width {
                let cell = (y / self.times, x / self.times);
                rgb.extend_from_slice(&mean(picture.rgb(), size, cell, self.over));
            }
        }
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Picture::new(side(width), side(height), rgb)?)
    }
}

/// The mean of one cell of `over` × `over` pixels, cut off at the edge.
fn mean(rgb: &[u8], size: (usize, usize), cell: (usize, usize), over: usize) -> [u8; 3] {
    let (mut sum, mut count) = ([0_u64; 3], 0_u64);
    for y in cell.0 * over..((cell.0 + 1) * over).min(size.0) {
        for x in cell.1 * over..((cell.1 + 1) * over).min(size.1) {
            let at = 3 * (y * size.1 + x);
            for (sum, value) in sum.iter_mut().zip(&rgb[at..at + 3]) {
                *sum += u64::from(*value);
            }
            count += 1;
        }
    }
    sum.map(|s| ((s + count / 2) / count.max(1)) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(channels: usize, values: &[f32]) -> Pictures {
        Pictures {
            size: (1, values.len() / channels),
            channels,
            values: values.to_vec(),
        }
    }

    fn rgb(channels: usize, values: &[f32]) -> Vec<u8> {
        let pictures = pictures(channels, values);
        to_picture(&pictures, 0, Tones::of(&pictures))
            .unwrap()
            .into_rgb()
    }

    #[test]
    fn values_become_bytes() {
        assert_eq!(rgb(3, &[-1.0, 0.0, 1.0]), [0, 128, 255]);
        assert_eq!(rgb(1, &[-1.0, 7.0]), [0, 0, 0, 255, 255, 255]);
        assert_eq!(rgb(3, &[f32::NAN, 0.0, 0.0]), [255, 0, 255]);
        assert_eq!(rgb(1, &[f32::INFINITY, f32::NEG_INFINITY])[2..4], [255, 0]);
        // Latents: the largest magnitude is full scale; two channels leave blue grey.
        assert_eq!(rgb(4, &[-8.0, 0.0, 8.0, 2.0]), [0, 128, 255]);
        assert_eq!(rgb(2, &[-4.0, 4.0]), [0, 255, 128]);
    }

    #[test]
    fn a_missing_picture_is_an_error() {
        let none = pictures(3, &[]);
        assert!(to_picture(&none, 0, Tones::of(&none)).is_err());
        let one = pictures(1, &[0.0]);
        assert!(to_picture(&one, 1, Tones::of(&one)).is_err());
    }

    #[test]
    fn zoom_keeps_pixels_even() {
        let picture = Picture::new(2, 1, vec![0, 0, 0, 200, 100, 50]).unwrap();
        let large = Zoom::times(2).apply(&picture).unwrap();
        assert_eq!((large.width(), large.height()), (4, 2));
        assert_eq!(large.rgb()[6..9], [200, 100, 50]);
        let small = Zoom::over(2).apply(&picture).unwrap();
        assert_eq!(
            (small.width(), small.height(), small.rgb()),
            (1, 1, &[100, 50, 25][..])
        );
        assert_eq!(Zoom::fit((32, 32), (140, 140)), Zoom::times(4));
        assert_eq!(Zoom::fit((256, 256), (140, 140)), Zoom::over(2));
        assert_eq!(Zoom::over(2).of((5, 4)), (3, 2));
    }
}
