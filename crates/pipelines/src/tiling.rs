//! Large pictures through an autoencoder in overlapping tiles.
//!
//! As diffusers' `AutoencoderKL` with tiling: tiles overlap by a quarter, and
//! over the overlap each fades linearly into its neighbours above and to the
//! left. Norms and attention see one tile at a time, so the result is not that
//! of the whole picture, but the memory is that of one tile.

use crate::PipelineError;
use alice_calculus::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;

/// How large pictures go through an autoencoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiling {
    /// Whole up to the pixels of a square of [`Tiling::WHOLE`] a side, in tiles of
    /// that side beyond.
    #[default]
    Auto,
    /// Always whole, whatever memory that takes.
    Never,
    /// In tiles of this many pixels a side wherever a side is longer.
    Tiles(usize),
}

impl Tiling {
    /// The side of the largest square, in pixels, that goes through whole by
    /// default, and so does any picture of no more pixels.
    pub const WHOLE: usize = 1024;

    /// The tiles of pictures of `size` latent pixels, each `scale` pixels wide;
    /// `None` where they go through whole.
    ///
    /// # Errors
    /// Those of [`Self::latent_side`].
    pub(crate) fn cut(
        self,
        scale: usize,
        size: (usize, usize),
    ) -> Result<Option<Tiles>, PipelineError> {
        if self == Self::Auto && size.0 * size.1 <= (Self::WHOLE / scale).pow(2) {
            return Ok(None);
        }
        let side = self.latent_side(scale)?;
        Ok(side.and_then(|side| Tiles::cover(size, side)))
    }

    /// The side of a tile in latent pixels, each `scale` pixels wide.
    ///
    /// # Errors
    /// When a quarter of a tile is no whole number of latent pixels.
    pub(crate) fn latent_side(self, scale: usize) -> Result<Option<usize>, PipelineError> {
        match self {
            Self::Never => Ok(None),
            // Scales are powers of two far below it.
            Self::Auto => Ok(Some((Self::WHOLE / scale).next_multiple_of(4).max(4))),
            Self::Tiles(pixels) if pixels > 0 && pixels.is_multiple_of(4 * scale) => {
                Ok(Some(pixels / scale))
            }
            Self::Tiles(pixels) => {
                let why = format!(
                    "tiles of {pixels} pixels must be a multiple of {}",
                    4 * scale
                );
                Err(PipelineError::part("vae", why))
            }
        }
    }
}

/// A picture cut into tiles, in units that both sides of the autoencoder
/// share: latent pixels.
pub(crate) struct Tiles {
    side: usize,
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
}

impl Tiles {
    /// Covers `size` = (height, width) with tiles of `side`, a multiple of 4;
    /// `None` where one tile holds it.
    pub(crate) fn cover(size: (usize, usize), side: usize) -> Option<Self> {
        if size.0 <= side && size.1 <= side {
            return None;
        }
        let step = side - side / 4;
        let spans = |total: usize| -> Vec<Range<usize>> {
            let starts = (0..total).step_by(step);
            starts.map(|i| i..(i + side).min(total)).collect()
        };
        Some(Self {
            side,
            rows: spans(size.0),
            columns: spans(size.1),
        })
    }

    /// The tiles by their size (height, width): each as (row, column). Tiles of
    /// one size share a network.
    pub(crate) fn by_size(&self) -> BTreeMap<(usize, usize), Vec<(usize, usize)>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (i, rows) in self.rows.iter().enumerate() {
            for (j, columns) in self.columns.iter().enumerate() {
                found
                    .entry((rows.len(), columns.len()))
                    .or_default()
                    .push((i, j));
            }
        }
        found
    }

    /// The part of a picture `[1, H, W, C]` under a tile, each latent pixel
    /// `scale` pixels wide.
    pub(crate) fn cut(
        &self,
        picture: &Tensor<f32>,
        (i, j): (usize, usize),
        scale: usize,
    ) -> Result<Tensor<f32>, PipelineError> {
        let (width, channels) = (picture.dims()[2], picture.channels());
        let (rows, columns) = (&self.rows[i], &self.columns[j]);
        let span = columns.start * scale * channels..columns.end * scale * channels;
        let mut values = Vec::with_capacity(rows.len() * scale * span.len());
        for y in rows.start * scale..rows.end * scale {
            values.extend_from_slice(&picture.data()[y * width * channels..][span.clone()]);
        }
        let dims = [1, rows.len() * scale, columns.len() * scale, channels];
        Ok(Tensor::new(&dims, values)?)
    }

    /// The picture `[H, W, C]` of its tiles, row by row, each latent pixel
    /// `scale` pixels wide.
    pub(crate) fn join(&self, mut tiles: Vec<Vec<Tensor<f32>>>, scale: usize) -> Vec<f32> {
        let extent = self.side / 4 * scale;
        let limit = self.side * scale - extent;
        let mut joined = Vec::new();
        for i in 0..tiles.len() {
            for j in 0..tiles[i].len() {
                // Neighbours fade as they are after their own blending.
                if i > 0 {
                    let (above, below) = tiles.split_at_mut(i);
                    fade_down(&above[i - 1][j], &mut below[0][j], extent);
                }
                if j > 0 {
                    let (left, right) = tiles[i].split_at_mut(j);
                    fade_right(&left[j - 1], &mut right[0], extent);
                }
            }
            let height = tiles[i][0].dims()[1].min(limit);
            for y in 0..height {
                for tile in &tiles[i] {
                    let (width, channels) = (tile.dims()[2], tile.channels());
                    let row = &tile.data()[y * width * channels..][..width * channels];
                    joined.extend_from_slice(&row[..width.min(limit) * channels]);
                }
            }
        }
        joined
    }
}

/// The first rows of `below` begin as the last rows of `above`.
fn fade_down(above: &Tensor<f32>, below: &mut Tensor<f32>, extent: usize) {
    let row = below.dims()[2] * below.channels();
    let extent = extent.min(above.dims()[1]).min(below.dims()[1]);
    let last = &above.data()[(above.dims()[1] - extent) * row..];
    let first = &mut below.data_mut()[..extent * row];
    let rows = first.chunks_exact_mut(row).zip(last.chunks_exact(row));
    for (y, (below, above)) in rows.enumerate() {
        mix(above, below, y as f32 / extent as f32);
    }
}

/// The first columns of `right` begin as the last columns of `left`.
fn fade_right(left: &Tensor<f32>, right: &mut Tensor<f32>, extent: usize) {
    let channels = right.channels();
    let widths = [left.dims()[2], right.dims()[2]];
    let extent = extent.min(widths[0]).min(widths[1]);
    let rows = right
        .data_mut()
        .chunks_exact_mut(widths[1] * channels)
        .zip(left.data().chunks_exact(widths[0] * channels));
    for (right, left) in rows {
        let last = &left[(widths[0] - extent) * channels..];
        for x in 0..extent {
            let pixel = x * channels..(x + 1) * channels;
            mix(
                &last[pixel.clone()],
                &mut right[pixel],
                x as f32 / extent as f32,
            );
        }
    }
}

/// a · (1 − share) + b · share in the place of b.
fn mix(a: &[f32], b: &mut [f32], share: f32) {
    for (a, b) in a.iter().zip(b) {
        *b = a * (1.0 - share) + *b * share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(height: usize, width: usize) -> Tensor<f32> {
        let values = (0..height * width * 2).map(|i| i as f32).collect();
        Tensor::new(&[1, height, width, 2], values).unwrap()
    }

    /// What is cut and joined again is what it was, at every size.
    #[test]
    fn tiles_cover_a_picture() {
        for (size, side) in [((9, 5), 4), ((4, 17), 8), ((12, 12), 8), ((13, 30), 12)] {
            let tiles = Tiles::cover(size, side).unwrap();
            for scale in [1, 2] {
                let picture = ramp(size.0 * scale, size.1 * scale);
                let cut = |i, j| tiles.cut(&picture, (i, j), scale).unwrap();
                let row = |i| (0..tiles.columns.len()).map(|j| cut(i, j)).collect();
                let joined = tiles.join((0..tiles.rows.len()).map(row).collect(), scale);
                let pairs = joined.iter().zip(picture.data());
                assert_eq!(joined.len(), picture.data().len());
                for (a, b) in pairs {
                    assert!((a - b).abs() < 1e-3, "{size:?} {side}: {a} {b}");
                }
            }
        }
        assert!(Tiles::cover((8, 8), 8).is_none());
    }

    #[test]
    fn sides_of_tiles() {
        assert_eq!(Tiling::Auto.latent_side(8).unwrap(), Some(128));
        assert_eq!(Tiling::Never.latent_side(8).unwrap(), None);
        assert_eq!(Tiling::Tiles(512).latent_side(8).unwrap(), Some(64));
        for wrong in [0, 500, 8] {
            assert!(Tiling::Tiles(wrong).latent_side(8).is_err());
        }
        // SDXL's wide sizes have the pixels of its square.
        let tiled = |tiling: Tiling, size| tiling.cut(8, size).unwrap().is_some();
        assert!(!tiled(Tiling::Auto, (96, 168)) && !tiled(Tiling::Auto, (128, 128)));
        assert!(tiled(Tiling::Auto, (128, 136)) && tiled(Tiling::Tiles(512), (96, 168)));
        assert!(!tiled(Tiling::Never, (512, 512)));
    }
}
