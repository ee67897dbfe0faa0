//! A conditional U-Net with a prompt, ready for samplers.

use crate::PipelineError;
use crate::text::Condition;
use alice_calculus::{Device, GraphError, Tensor};
use alice_diffusion::{Guidance, Network};
use alice_networks::{ControlNet, UNet2DCondition, UNet2DConditionConfig, controlled_graph};

/// A ControlNet and what it is shown.
#[derive(Clone, Debug)]
pub struct Control<'a> {
    /// The network.
    pub network: &'a ControlNet,
    /// The picture `[1, H, W, C]`, values in 0..1.
    pub picture: Tensor<f32>,
    /// How much of what it says counts.
    pub scale: f64,
}

/// A U-Net at one size of latents, `[h, w]`, with a prompt and a negative
/// prompt bound to it, on a device. `pixels` = (height, width) of the pictures
/// is what networks with pooled text are told as original and target size.
/// ControlNets are part of its graph, and steer it under both prompts.
///
/// # Errors
/// When the conditions are of another shape than the network's, a ControlNet
/// or its picture does not fit, or the network needs an input that a prompt
/// does not give.
pub fn guided(
    device: &dyn Device,
    unet: &UNet2DCondition,
    controls: &[Control<'_>],
    size: (usize, usize),
    pixels: (usize, usize),
    positive: &Condition,
    negative: &Condition,
    guidance: Guidance,
) -> Result<Network, PipelineError> {
    let tokens = positive.context.dims()[1];
    let configs: Vec<_> = controls
        .iter()
        .map(|control| (&control.network.config, control.scale))
        .collect();
    let graph = controlled_graph(&unet.config, &configs, size, tokens)?;
    let mut networks = controls.iter().map(|control| &control.network.parameters);
    let parameters = match networks.next() {
        None => unet.parameters.clone(),
        Some(first) => networks
            .fold(first.clone(), |all, next| all.join(next))
            .join(&unet.parameters),
    };
    let mut network: Network = device.load(graph.into(), &parameters)?.into();
    for (index, control) in controls.iter().enumerate() {
        network.bind(&format!("control.{index}"), control.picture.clone())?;
    }
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
    if config.class_embedding.is_some() {
        let why = "it needs a class, which prompts do not give";
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
        if let Some(dim) = config.time_cond_proj_dim {
            let scale = embed_scale(guidance.scale, dim)?;
            inputs.push(("timestep_cond".to_owned(), scale));
        }
        Ok(inputs)
    };
    let (positive, negative) = (inputs(positive)?, inputs(negative)?);
    // A network that is told its guidance has it distilled into one evaluation.
    let guidance = match config.time_cond_proj_dim {
        Some(_) => Guidance {
            scale: 1.0,
            rescale: 0.0,
        },
        None => guidance,
    };
    Ok(network.tell(positive, negative, guidance)?)
}

/// A guidance scale w as distilled networks are told it, `[1, dim]`: sines,
/// then cosines, of 1000 · (w − 1) at falling frequencies (Meng et al., arXiv
/// 2210.03142), in the precision of diffusers, which large angles show.
fn embed_scale(scale: f64, dim: usize) -> Result<Tensor<f32>, GraphError> {
    let half = dim / 2;
    let fall = 10_000f32.ln() / half.saturating_sub(1).max(1) as f32;
    let angle = |k: usize| 1000.0 * (scale - 1.0) as f32 * (-fall * k as f32).exp();
    let sines = (0..half).map(|k| angle(k).sin());
    let cosines = (0..half).map(|k| angle(k).cos());
    let mut values: Vec<f32> = sines.chain(cosines).collect();
    values.resize(dim, 0.0);
    Tensor::new(&[1, dim], values)
}
