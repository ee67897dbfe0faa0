//! The networks of an autoencoder, loaded.

use crate::{Latents, PipelineError, Tiling};
use alice_calculus::{Device, Interpreter, Tensor, Value};
use std::sync::Arc;

/// An autoencoder that makes pictures of latents again and again: the network
/// of the last size stays loaded, and no other.
#[derive(Debug)]
pub struct Decoder {
    latents: Latents,
    device: Arc<dyn Device>,
    kept: Option<Pass>,
}

impl Decoder {
    /// Nothing is loaded until something is decoded.
    #[must_use]
    pub fn new(latents: Latents, device: Arc<dyn Device>) -> Self {
        Self {
            latents,
            device,
            kept: None,
        }
    }

    /// The pictures of [`Latents::decode`], bit by bit.
    ///
    /// # Errors
    /// As [`Latents::decode`].
    pub fn decode(
        &mut self,
        latents: &Tensor<f32>,
        tiling: Tiling,
    ) -> Result<Tensor<f32>, PipelineError> {
        let device = self.device.as_ref();
        self.latents
            .decode_by(device, latents, tiling, &mut self.kept)
    }
}

/// One way through the autoencoder at one size.
#[derive(Debug)]
pub(crate) struct Pass {
    model: Box<dyn Interpreter>,
    /// Of latents.
    size: (usize, usize),
    input: &'static str,
    output: Value,
}

impl Pass {
    /// The way that is kept, or a new one in its place where that is of
    /// another size. Whoever keeps it goes one way only.
    pub fn keep<'a>(
        kept: &'a mut Option<Self>,
        latents: &Latents,
        device: &dyn Device,
        size: (usize, usize),
        (input, output): (&'static str, &'static str),
    ) -> Result<&'a Self, PipelineError> {
        // One of another size leaves memory before the next one enters it.
        let pass = match kept.take().filter(|pass| pass.size == size) {
            Some(pass) => pass,
            None => {
                let graph = latents.config.graph(size)?;
                let output = graph.find_output(output)?;
                Self {
                    model: device.load(graph.into(), &latents.parameters)?,
                    size,
                    input,
                    output,
                }
            }
        };
        Ok(kept.insert(pass))
    }

    /// Extents of what comes out for `count` items.
    pub fn dims(&self, count: usize) -> Vec<usize> {
        [&[count], self.model.graph().dims(self.output)].concat()
    }

    /// One item through the network.
    pub fn run(&self, item: &Tensor<f32>) -> Result<Tensor<f32>, PipelineError> {
        let mut found = self.model.evaluate(&[(self.input, item)], &[self.output])?;
        Ok(found.swap_remove(0))
    }
}
