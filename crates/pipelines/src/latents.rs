//! Between latents and pictures.

use crate::PipelineError;
use crate::pass::Pass;
use crate::tiling::Tiling;
use alice_calculus::{Device, Parameters, Tensor};
use alice_networks::{AutoencoderKL, AutoencoderKLConfig, ModelLocation, Precision};
use std::collections::BTreeMap;
use std::path::Path;

/// An autoencoder as diffusion models use it: latents are centred and scaled.
#[derive(Clone, Debug)]
pub struct Latents {
    pub(crate) config: AutoencoderKLConfig,
    pub(crate) parameters: Parameters<f32>,
}

impl Latents {
    /// Reads `vae/`.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit.
    pub fn open(folder: &Path) -> Result<Self, PipelineError> {
        Self::at(&ModelLocation::find(folder)?, Precision::Stored)
    }

    /// The autoencoder of a model wherever it lies, its weights in this precision.
    ///
    /// # Errors
    /// As [`Latents::open`].
    pub fn at(location: &ModelLocation, precision: Precision) -> Result<Self, PipelineError> {
        let network: AutoencoderKL = location.network_in("vae", precision)?;
        Ok(Self {
            config: network.config,
            parameters: network.parameters,
        })
    }

    /// Pixels of a picture for one of a latent, on each side.
    #[must_use]
    pub fn scale(&self) -> usize {
        1 << self.config.halvings()
    }

    /// Channels of a latent.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.config.latent_channels
    }

    /// Refuses tiles that are no whole number of latent pixels.
    ///
    /// # Errors
    /// Says what they must be a multiple of.
    pub fn check(&self, tiling: Tiling) -> Result<(), PipelineError> {
        tiling.latent_side(self.scale()).map(drop)
    }

    /// Pictures `[N, H, W, 3]` in about -1..1 of latents `[N, h, w, L]`, one
    /// after the other to bound memory, large ones as `tiling` says.
    ///
    /// # Errors
    /// When the latents are of another shape.
    pub fn decode(
        &self,
        device: &dyn Device,
        latents: &Tensor<f32>,
        tiling: Tiling,
    ) -> Result<Tensor<f32>, PipelineError> {
        self.decode_by(device, latents, tiling, &mut None)
    }

    /// The same, by the network that is kept where it is of the right size.
    pub(crate) fn decode_by(
        &self,
        device: &dyn Device,
        latents: &Tensor<f32>,
        tiling: Tiling,
        kept: &mut Option<Pass>,
    ) -> Result<Tensor<f32>, PipelineError> {
        let (scaling, shift) = self.scaling_and_shift();
        let values = latents.data().iter().map(|v| v / scaling + shift).collect();
        let latents = Tensor::new(latents.dims(), values)?;
        let scales = [1, self.scale()];
        let names = ("latent", "decoded");
        self.run(device, &latents, names, scales, tiling, kept)
    }

    /// Latents `[N, h, w, L]` of pictures `[N, H, W, 3]` in -1..1: the means
    /// of their distributions; large ones as `tiling` says.
    ///
    /// # Errors
    /// When the pictures are of another shape, or their sides are no
    /// multiples of [`Self::scale`].
    pub fn encode(
        &self,
        device: &dyn Device,
        pictures: &Tensor<f32>,
        tiling: Tiling,
    ) -> Result<Tensor<f32>, PipelineError> {
        let scales = [self.scale(), 1];
        let names = ("picture", "moments");
        let moments = self.run(device, pictures, names, scales, tiling, &mut None)?;
        let (scaling, shift) = self.scaling_and_shift();
        let channels = self.channels();
        let means = moments.data().chunks_exact(2 * channels);
        let values = means
            .flat_map(|m| m[..channels].iter().map(|v| (v - shift) * scaling))
            .collect();
        let dims = moments.dims();
        Ok(Tensor::new(&[dims[0], dims[1], dims[2], channels], values)?)
    }

    /// What an inpainting network is told, `[1, h, w, 1 + L]`: by latent pixel
    /// whether it is drawn anew, 1 or 0, and the latents of `picture`
    /// `[1, H, W, 3]`, which is grey (0) where it is.
    ///
    /// # Errors
    /// As [`Latents::encode`]; when `anew` is of another size.
    pub fn inpainting(
        &self,
        device: &dyn Device,
        picture: &Tensor<f32>,
        anew: &[bool],
        tiling: Tiling,
    ) -> Result<Tensor<f32>, PipelineError> {
        let rest = self.encode(device, picture, tiling)?;
        let channels = self.channels();
        let (height, width) = (rest.dims()[1], rest.dims()[2]);
        if rest.batch() != 1 || height * width != anew.len() {
            let why = format!(
                "it has {} cells, and the latents {height}×{width}",
                anew.len()
            );
            return Err(PipelineError::part("the mask", why));
        }
        let mut values = Vec::with_capacity(anew.len() * (1 + channels));
        for (cell, anew) in rest.data().chunks_exact(channels).zip(anew) {
            values.push(f32::from(u8::from(*anew)));
            values.extend_from_slice(cell);
        }
        Ok(Tensor::new(&[1, height, width, 1 + channels], values)?)
    }

    /// What an inpainting network is told where all is drawn anew, at latents
    /// of `size` = (height, width).
    ///
    /// # Errors
    /// As [`Latents::encode`].
    pub fn all_anew(
        &self,
        device: &dyn Device,
        size: (usize, usize),
        tiling: Tiling,
    ) -> Result<Tensor<f32>, PipelineError> {
        let (scale, colours) = (self.scale(), self.config.in_channels);
        let (height, width) = (size.0 * scale, size.1 * scale);
        let grey = Tensor::zeros(&[1, height, width, colours]);
        self.inpainting(device, &grey, &vec![true; size.0 * size.1], tiling)
    }

    fn scaling_and_shift(&self) -> (f32, f32) {
        let config = &self.config;
        (config.scaling_factor as f32, config.shift_factor as f32)
    }

    /// One network over items, whole or in tiles. `scales` are the widths of a
    /// latent pixel in what goes in and in what comes out.
    fn run(
        &self,
        device: &dyn Device,
        items: &Tensor<f32>,
        names: (&'static str, &'static str),
        scales: [usize; 2],
        tiling: Tiling,
        kept: &mut Option<Pass>,
    ) -> Result<Tensor<f32>, PipelineError> {
        let &[count, height, width, _] = items.dims() else {
            let why = format!("needs [N, H, W, C], not {:?}", items.dims());
            return Err(PipelineError::part("vae", why));
        };
        let scale = scales[0];
        if !height.is_multiple_of(scale) || !width.is_multiple_of(scale) {
            let why = format!("sides of {height}×{width} pixels must be multiples of {scale}");
            return Err(PipelineError::part("the picture", why));
        }
        let size = (height / scale, width / scale);
        let Some(tiles) = tiling.cut(self.scale(), size)? else {
            let pass = Pass::keep(kept, self, device, size, names)?;
            let mut values = Vec::new();
            for i in 0..count {
                values.extend(pass.run(&items.items(i..i + 1))?.into_data());
            }
            return Ok(Tensor::new(&pass.dims(count), values)?);
        };
        // A network for each size of tile, one after the other to bound memory.
        let mut done: Vec<_> = (0..count).map(|_| BTreeMap::new()).collect();
        for (size, places) in tiles.by_size() {
            let pass = Pass::keep(kept, self, device, size, names)?;
            for (i, done) in done.iter_mut().enumerate() {
                let item = items.items(i..i + 1);
                for &place in &places {
                    done.insert(place, pass.run(&tiles.cut(&item, place, scale)?)?);
                }
            }
        }
        let (mut values, mut channels) = (Vec::new(), 0);
        for done in done {
            let mut rows: Vec<Vec<_>> = Vec::new();
            for ((_, column), tile) in done {
                channels = tile.channels();
                if column == 0 {
                    rows.push(Vec::new());
                }
                if let Some(row) = rows.last_mut() {
                    row.push(tile);
                }
            }
            values.extend(tiles.join(rows, scales[1]));
        }
        let dims = [count, size.0 * scales[1], size.1 * scales[1], channels];
        Ok(Tensor::new(&dims, values)?)
    }
}
