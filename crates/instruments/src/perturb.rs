//! Pictures that are wrong in a known way.

use crate::Result;
use crate::distance::blur;
use alice_random::Stream;
use alice_worlds::{Batch, FACTORS, FactorKind, render};

/// What is done to true pictures to see whether validity notices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Perturbation {
    /// Nothing.
    None,
    /// Normal noise of this standard deviation, in units of 0..1.
    Noise(f32),
    /// So much of a 3×3 binomial blur.
    Blur(f32),
    /// This share of the next picture shows through.
    Blend(f32),
    /// A square of this share of the side comes from the next picture.
    Patch(f32),
    /// The left half from this picture, the right half from the next.
    Halves,
    /// The picture upside down.
    Flipped,
    /// The colour channels in another order within the middle square of half
    /// the side.
    Recoloured,
}

impl Perturbation {
    /// Those that a calibration measures.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Noise(0.01),
        Self::Noise(0.03),
        Self::Blur(0.25),
        Self::Noise(0.1),
        Self::Noise(0.2),
        Self::Blur(1.0),
        Self::Blend(0.2),
        Self::Blend(0.5),
        Self::Patch(0.25),
        Self::Patch(0.5),
        Self::Halves,
        Self::Flipped,
        Self::Recoloured,
    ];

    /// A name for reports.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::None => "true pictures".to_owned(),
            Self::Noise(deviation) => format!("noise, sd {deviation}"),
            Self::Blur(share) => format!("blur, {share} of 3×3"),
            Self::Blend(share) => format!("{share} of another picture shows through"),
            Self::Patch(side) => format!("a square of {side} of the side from another picture"),
            Self::Halves => "halves of two pictures".to_owned(),
            Self::Flipped => "upside down".to_owned(),
            Self::Recoloured => "a square of half the side in swapped colours".to_owned(),
        }
    }

    /// Whether the pictures are still pictures of the world.
    #[must_use]
    pub fn should_be_valid(self) -> bool {
        match self {
            Self::None => true,
            Self::Noise(deviation) => deviation <= 0.03,
            Self::Blur(share) => share <= 0.25,
            _ => false,
        }
    }

    /// Whether parts of the picture are wrong, as opposed to blurred, noisy or
    /// shone through.
    #[must_use]
    pub fn is_structural(self) -> bool {
        matches!(
            self,
            Self::Patch(_) | Self::Halves | Self::Flipped | Self::Recoloured
        )
    }

    /// The pictures of a batch, in −1..1, perturbed.
    #[must_use]
    pub fn apply(self, batch: &Batch, seed: u64) -> Vec<f32> {
        let (size, item) = (batch.size, batch.size * batch.size * 3);
        let mut out = Vec::with_capacity(batch.rgb.len());
        let pictures: Vec<&[f32]> = batch.rgb.chunks(item).collect();
        for (index, picture) in pictures.iter().enumerate() {
            let other = pictures[(index + 1) % pictures.len()];
            let mut stream = Stream::new(seed, "perturbation", index as u64, 0);
            let perturbed = self.one(picture, other, size, &mut stream);
            out.extend(perturbed.into_iter().map(|v| 2.0 * v.clamp(0.0, 1.0) - 1.0));
        }
        out
    }

    fn one(self, picture: &[f32], other: &[f32], size: usize, stream: &mut Stream) -> Vec<f32> {
        let mix = |other: &[f32], share: f32| -> Vec<f32> {
            let both = picture.iter().zip(other);
            both.map(|(a, b)| a + share * (b - a)).collect()
        };
        match self {
            Self::None => picture.to_vec(),
            Self::Noise(deviation) => {
                let noise = stream.normals::<f32>(picture.len());
                let both = picture.iter().zip(noise);
                both.map(|(v, noise)| v + deviation * noise).collect()
            }
            Self::Blur(share) => mix(&blur(picture, size), share),
            Self::Blend(share) => mix(other, share),
            Self::Patch(share) => {
                let side = ((share * size as f32) as usize).clamp(1, size);
                // Where the face is: the outer eighth is mostly curtain.
                let edge = (size / 8).min(size - side);
                let room = (size - side - edge).max(edge) - edge + 1;
                let (top, left) = (edge + stream.below(room), edge + stream.below(room));
                let inside = |at: usize, from: usize| (from..from + side).contains(&at);
                by_pixel(size, |row, column, at| {
                    let from = inside(row, top) && inside(column, left);
                    if from { other[at] } else { picture[at] }
                })
            }
            Self::Halves => by_pixel(size, |_, column, at| {
                if 2 * column < size {
                    picture[at]
                } else {
                    other[at]
                }
            }),
            Self::Flipped => by_pixel(size, |row, column, at| {
                picture[((size - 1 - row) * size + column) * 3 + at % 3]
            }),
            Self::Recoloured => by_pixel(size, |row, column, at| {
                let middle = |place: usize| (size / 4..size - size / 4).contains(&place);
                let swapped = at - at % 3 + (at + 1) % 3;
                picture[if middle(row) && middle(column) {
                    swapped
                } else {
                    at
                }]
            }),
        }
    }
}

/// A picture from its values, given row, column and index.
fn by_pixel(size: usize, value: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    (0..size * size * 3)
        .map(|at| value(at / 3 / size, at / 3 % size, at))
        .collect()
}

/// The pictures of a batch drawn with one factor changed: continuous and
/// circular ones by half their range, binary ones flipped, categories the
/// next one. In 0..1.
pub(crate) fn one_factor_changed(batch: &Batch, index: usize, share: f32) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(batch.rgb.len());
    for factors in &batch.factors {
        let mut moved = *factors;
        moved.set(
            index,
            changed(FACTORS[index].kind, factors.get(index)?, share),
        )?;
        out.extend(render(&moved, batch.size)?.rgb);
    }
    Ok(out)
}

/// A value that differs by a share of the range, into the range's middle.
pub(crate) fn changed(kind: FactorKind, value: f32, share: f32) -> f32 {
    match kind {
        FactorKind::Continuous { low, high } => {
            let step = share * (high - low);
            if value > 0.5 * (low + high) {
                value - step
            } else {
                value + step
            }
        }
        FactorKind::Circular => value + share,
        FactorKind::Binary => 1.0 - value,
        FactorKind::Categorical { count } => (value + 1.0) % count as f32,
    }
}
