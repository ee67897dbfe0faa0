//! A conditional U-Net with a prompt, ready for samplers.

use crate::PipelineError;
use crate::text::Condition;
use alice_calculus::{Device, Tensor};
use alice_diffusion::{Guidance, Network};
use alice_networks::{UNet2DCondition, UNet2DConditionConfig};

/// A U-Net at one size of latents, `[h, w]`, with a prompt and a negative
/// prompt bound to it, on a device. `pixels` = (height, width) of the pictures is what
/// networks with pooled text are told as original and target size.
///
/// # Errors
/// When the conditions are of another shape than the network's, or the network
/// needs an input that a prompt does not give.
pub fn guided(
    device: &dyn Device,
    unet: &UNet2DCondition,
    size: (usize, usize),
    pixels: (usize, usize),
    positive: &Condition,
    negative: &Condition,
    guidance: Guidance,
) -> Result<Network, PipelineError> {
    let graph = unet.graph(size, positive.context.dims()[1])?;
    let mut network = device.load(graph.into(), &unet.parameters)?.into();
    tell(
        &mut network,
        &unet.config,
        pixels,
        positive,
        negative,
        guidance,
    )?;
    Ok(network)
}

/// Other prompts for a network that [`guided`] made: nothing of the network is
/// made anew.
///
/// # Errors
/// Those of [`guided`].
pub fn tell(
    network: &mut Network,
    config: &UNet2DConditionConfig,
    pixels: (usize, usize),
    positive: &Condition,
    negative: &Condition,
    guidance: Guidance,
) -> Result<(), PipelineError> {
    if config.class_embedding.is_some() || config.time_cond_proj_dim.is_some() {
        let why = "it needs a class or an embedded guidance scale, which prompts do not give";
        return Err(PipelineError::part("unet", why));
    }
    let graph = network.graph();
    let tokens = graph.dims(graph.find_input("context")?).to_vec();
    let inputs = |condition: &Condition| -> Result<Vec<(String, Tensor<f32>)>, PipelineError> {
        let found = &condition.context.dims()[1..];
        if found != tokens {
            let why = format!("it gives {found:?}, the U-Net takes {tokens:?}");
            return Err(PipelineError::part("text_encoder", why));
        }
        let mut inputs = vec![("context".to_owned(), condition.context.clone())];
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
            let pooled = Tensor::new(&[1, pooled.len()], pooled)?;
            inputs.push(("text_embeds".to_owned(), pooled));
            let sizes = Tensor::new(&[1, sizes.len()], sizes)?;
            inputs.push(("time_ids".to_owned(), sizes));
        }
        Ok(inputs)
    };
    let (positive, negative) = (inputs(positive)?, inputs(negative)?);
    Ok(network.tell(positive, negative, guidance)?)
}
