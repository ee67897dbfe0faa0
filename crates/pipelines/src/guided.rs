//! A conditional U-Net as a denoiser, with classifier-free guidance.

use crate::PipelineError;
use crate::text::Condition;
use alice_calculus::{Model, Tensor, Value};
use alice_diffusion::{BoxError, Denoiser};
use alice_networks::UNet2DConditionConfig;

/// How strongly a prompt counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// w in n + w · (p − n), with p and n the predictions for the prompt and
    /// for the negative prompt (Ho and Salimans 2022). At 1 the negative
    /// prompt is not evaluated.
    pub scale: f64,
    /// How far the guided prediction's deviation is brought back to that of p,
    /// from 0 to 1 (Lin et al. 2024, section 3.4).
    pub rescale: f64,
}

/// A conditional U-Net at one size, with a prompt and a negative prompt.
#[derive(Clone, Debug)]
pub struct GuidedDenoiser<'a> {
    model: &'a Model<f32>,
    prediction: Value,
    dims: Vec<usize>,
    guidance: Guidance,
    /// Of the prompt, then of the negative prompt if it is needed.
    conditions: Vec<Vec<(&'static str, Tensor<f32>)>>,
}

impl<'a> GuidedDenoiser<'a> {
    /// Joins a model of `config` with its conditions. `pixels` = (height,
    /// width) of the pictures is what networks with pooled text are told as
    /// original and target size.
    ///
    /// # Errors
    /// When the conditions are of another shape than the network's, or the
    /// network needs an input that a prompt does not give.
    pub fn new(
        model: &'a Model<f32>,
        config: &UNet2DConditionConfig,
        positive: &Condition,
        negative: &Condition,
        pixels: (usize, usize),
        guidance: Guidance,
    ) -> Result<Self, PipelineError> {
        if config.class_embedding.is_some() || config.time_cond_proj_dim.is_some() {
            let why = "it needs a class or an embedded guidance scale, which prompts do not give";
            return Err(PipelineError::part("unet", why));
        }
        let graph = model.graph();
        let dims = graph.dims(graph.find_input("sample")?).to_vec();
        let tokens = graph.dims(graph.find_input("context")?).to_vec();
        let guided = guidance.scale != 1.0;
        let wanted = [Some(positive), Some(negative).filter(|_| guided)];
        let mut conditions = Vec::new();
        for condition in wanted.into_iter().flatten() {
            let found = &condition.context.dims()[1..];
            if found != tokens {
                let why = format!("it gives {found:?}, the U-Net takes {tokens:?}");
                return Err(PipelineError::part("text_encoder", why));
            }
            let mut inputs = vec![("context", condition.context.clone())];
            if let Some(addition) = config.addition_embedding {
                let pooled = condition.pooled.clone().unwrap_or_default();
                if pooled.len() != addition.text_dim() {
                    let why = format!(
                        "its pooled text has {} channels, the U-Net takes {}",
                        pooled.len(),
                        addition.text_dim()
                    );
                    return Err(PipelineError::part("text_encoder_2", why));
                }
                let (height, width) = (pixels.0 as f32, pixels.1 as f32);
                let sizes = vec![height, width, 0.0, 0.0, height, width];
                inputs.push(("text_embeds", Tensor::new(&[1, pooled.len()], pooled)?));
                inputs.push(("time_ids", Tensor::new(&[1, sizes.len()], sizes)?));
            }
            conditions.push(inputs);
        }
        Ok(Self {
            model,
            prediction: graph.find_output("prediction")?,
            dims,
            guidance,
            conditions,
        })
    }

    /// Values of one state, H · W · C.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dims.iter().product()
    }
}

impl Denoiser for GuidedDenoiser<'_> {
    fn predict(&mut self, x: &[f32], count: usize, timestep: f64) -> Result<Vec<f32>, BoxError> {
        let dims = [&[count], &self.dims[..]].concat();
        let sample = Tensor::new(&dims, x.to_vec())?;
        let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
        let mut found = Vec::new();
        for condition in &self.conditions {
            let mut inputs = vec![("sample", &sample), ("timestep", &time)];
            inputs.extend(condition.iter().map(|(name, value)| (*name, value)));
            let mut outputs = self.model.evaluate(&inputs, &[self.prediction])?;
            found.push(outputs.swap_remove(0).into_data());
        }
        let mut found = found.into_iter();
        let positive = found.next().unwrap_or_default();
        let Some(negative) = found.next() else {
            return Ok(positive);
        };
        let scale = self.guidance.scale as f32;
        let pairs = positive.iter().zip(&negative);
        let mut guided: Vec<f32> = pairs.map(|(p, n)| n + scale * (p - n)).collect();
        if self.guidance.rescale > 0.0 {
            let dim = self.dim();
            let states = guided.chunks_exact_mut(dim).zip(positive.chunks_exact(dim));
            for (guided, positive) in states {
                let ratio = deviation(positive) / deviation(guided).max(f64::MIN_POSITIVE);
                let factor = 1.0 + self.guidance.rescale * (ratio - 1.0);
                guided.iter_mut().for_each(|v| *v *= factor as f32);
            }
        }
        Ok(guided)
    }
}

fn deviation(values: &[f32]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let square = |v: &f32| (f64::from(*v) - mean).powi(2);
    (values.iter().map(square).sum::<f64>() / n).sqrt()
}
