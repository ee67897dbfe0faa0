//! Between latents and pictures.

use crate::PipelineError;
use alice_calculus::{Device, Parameters, Tensor};
use alice_networks::{AutoencoderKL, AutoencoderKLConfig, ModelLocation};
use std::path::Path;

/// An autoencoder as diffusion models use it: latents are centred and scaled.
#[derive(Clone, Debug)]
pub struct Latents {
    config: AutoencoderKLConfig,
    parameters: Parameters<f32>,
}

impl Latents {
    /// Reads `vae/`.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit.
    pub fn open(folder: &Path) -> Result<Self, PipelineError> {
        Self::at(&ModelLocation::find(folder)?)
    }

    /// The autoencoder of a model wherever it lies.
    ///
    /// # Errors
    /// As [`Latents::open`].
    pub fn at(location: &ModelLocation) -> Result<Self, PipelineError> {
        let network: AutoencoderKL = location.network("vae")?;
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

    /// Pictures `[N, H, W, 3]` in about -1..1 of latents `[N, h, w, L]`, one
    /// after the other to bound memory.
    ///
    /// # Errors
    /// When the latents are of another shape.
    pub fn decode(
        &self,
        device: &dyn Device,
        latents: &Tensor<f32>,
    ) -> Result<Tensor<f32>, PipelineError> {
        let (scaling, shift) = self.scaling_and_shift();
        let values = latents.data().iter().map(|v| v / scaling + shift).collect();
        let latents = Tensor::new(latents.dims(), values)?;
        self.run(device, &latents, ("latent", "decoded"), 1)
    }

    /// Latents `[N, h, w, L]` of pictures `[N, H, W, 3]` in -1..1: the means
    /// of their distributions.
    ///
    /// # Errors
    /// When the pictures are of another shape, or their sides are no
    /// multiples of [`Self::scale`].
    pub fn encode(
        &self,
        device: &dyn Device,
        pictures: &Tensor<f32>,
    ) -> Result<Tensor<f32>, PipelineError> {
        let moments = self.run(device, pictures, ("picture", "moments"), self.scale())?;
        let (scaling, shift) = self.scaling_and_shift();
        let channels = self.channels();
        let means = moments.data().chunks_exact(2 * channels);
        let values = means
            .flat_map(|m| m[..channels].iter().map(|v| (v - shift) * scaling))
            .collect();
        let dims = moments.dims();
        Ok(Tensor::new(&[dims[0], dims[1], dims[2], channels], values)?)
    }

    fn scaling_and_shift(&self) -> (f32, f32) {
        let config = &self.config;
        (config.scaling_factor as f32, config.shift_factor as f32)
    }

    /// One network over items whose sides are `scale` times those of latents.
    fn run(
        &self,
        device: &dyn Device,
        items: &Tensor<f32>,
        (input, output): (&str, &str),
        scale: usize,
    ) -> Result<Tensor<f32>, PipelineError> {
        let &[count, height, width, _] = items.dims() else {
            let why = format!("needs [N, H, W, C], not {:?}", items.dims());
            return Err(PipelineError::part("vae", why));
        };
        if !height.is_multiple_of(scale) || !width.is_multiple_of(scale) {
            let why = format!("sides of {height}×{width} pixels must be multiples of {scale}");
            return Err(PipelineError::part("the picture", why));
        }
        let graph = self.config.graph((height / scale, width / scale))?;
        let output = graph.find_output(output)?;
        let dims = graph.dims(output).to_vec();
        let model = device.load(graph.into(), &self.parameters)?;
        let mut values = Vec::with_capacity(count * dims.iter().product::<usize>());
        for i in 0..count {
            let item = items.items(i..i + 1);
            let found = model.evaluate(&[(input, &item)], &[output])?;
            for value in found {
                values.extend(value.into_data());
            }
        }
        Ok(Tensor::new(&[&[count], &dims[..]].concat(), values)?)
    }
}
