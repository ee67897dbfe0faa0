//! The network that steers a U-Net by a picture, diffusers' `ControlNetModel`
//! (Zhang et al., arXiv 2302.05543).
//!
//! It is a copy of the U-Net's encoder. What its blocks leave goes through 1×1
//! convolutions, which training begins at zero, and is added to the U-Net's
//! skip connections and to its mid block.

mod parse;

use crate::NetworkError;
use crate::fields::{check_range, invalid};
use crate::network::{Architecture, Network};
use crate::unet2d_condition::{Inputs, Residuals, UNet2DConditionConfig};
use alice_calculus::{Graph, GraphError, Padding, Value};

/// A `ControlNetModel` with its weights, usable at any size.
pub type ControlNet = Network<ControlNetConfig>;

/// The config of a `ControlNetModel`; the fields carry diffusers' names.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlNetConfig {
    /// The encoder: the config of a U-Net whose way up is not built.
    pub encoder: UNet2DConditionConfig,
    /// Channels of the picture that steers.
    pub conditioning_channels: usize,
    /// Channels of the layers that bring the picture to the size of states,
    /// halving it between each two.
    pub conditioning_embedding_out_channels: Vec<usize>,
}

impl ControlNetConfig {
    /// Pixels of the picture for one of a state, on each side.
    #[must_use]
    pub fn scale(&self) -> usize {
        1 << self
            .conditioning_embedding_out_channels
            .len()
            .saturating_sub(1)
    }

    /// Checks ranges and that the fields fit each other.
    ///
    /// # Errors
    /// Naming the first field that does not fit.
    pub fn check(&self) -> Result<(), NetworkError> {
        self.encoder.check()?;
        let channels = self.conditioning_channels;
        check_range("conditioning_channels", channels, 1..=4096)?;
        let field = "conditioning_embedding_out_channels";
        let layers = &self.conditioning_embedding_out_channels;
        if !(1..=8).contains(&layers.len()) {
            let wanted = "it needs 1 to 8 entries";
            return Err(invalid(field, format!("{layers:?}"), wanted));
        }
        for &channels in layers {
            check_range(field, channels, 1..=16_384)?;
        }
        if !self.encoder.mid_block {
            let wanted = "supported: \"UNetMidBlock2DCrossAttn\"";
            return Err(invalid("mid_block_type", "null", wanted));
        }
        Ok(())
    }

    /// The graph for samples of `size` = (height, width) and a context of
    /// `tokens`.
    ///
    /// # Shapes
    /// Inputs: those of [`UNet2DConditionConfig::graph`] and `control`
    /// `[H·scale, W·scale, conditioning_channels]`, values in 0..1. Outputs:
    /// `residual.0`, `residual.1`, … of the U-Net's skip connections, the
    /// first one first, and `residual.mid` of its mid block.
    ///
    /// # Errors
    /// When the config does not pass [`Self::check`], or the size or the
    /// number of tokens is out of range.
    pub fn graph(&self, size: (usize, usize), tokens: usize) -> Result<Graph, NetworkError> {
        self.check()?;
        let (mut graph, sample, inputs) = self.encoder.begin(size, tokens)?;
        let control = self.input(&mut graph, "control", size);
        let found = self.build(&mut graph, sample, control, &inputs)?;
        for (index, skip) in found.skips.iter().enumerate() {
            graph.output(&format!("residual.{index}"), *skip);
        }
        graph.output("residual.mid", found.mid);
        Ok(graph)
    }

    fn input(&self, graph: &mut Graph, name: &str, size: (usize, usize)) -> Value {
        let scale = self.scale();
        let dims = [size.0 * scale, size.1 * scale, self.conditioning_channels];
        graph.input(name, &dims)
    }

    fn build(
        &self,
        graph: &mut Graph,
        sample: Value,
        control: Value,
        inputs: &Inputs,
    ) -> Result<Residuals, GraphError> {
        let first = self.encoder.block_out_channels[0];
        let x = three(graph, sample, "conv_in", first, 1)?; // [H, W, C₀]
        let hint = self.embed(graph, control)?; // [H, W, C₀]
        let x = graph.add(x, hint)?; // [H, W, C₀]
        let found = self.encoder.encode(graph, x, inputs)?;
        let mut zero = |x: Value, name: &str| {
            let channels = graph.dims(x).last().copied().unwrap_or(0);
            graph.convolution(x, name, channels, 1, 1, Padding::all(0), true)
        };
        let mut skips = Vec::with_capacity(found.skips.len());
        for (index, skip) in found.skips.into_iter().enumerate() {
            skips.push(zero(skip, &format!("controlnet_down_blocks.{index}"))?); // [H, W, C]
        }
        let mid = zero(found.mid, "controlnet_mid_block")?; // [h, w, Cₙ]
        Ok(Residuals { skips, mid })
    }

    /// The picture at the size of states, `[H, W, C₀]`.
    fn embed(&self, graph: &mut Graph, control: Value) -> Result<Value, GraphError> {
        let name = |part: &str| format!("controlnet_cond_embedding.{part}");
        let channels = &self.conditioning_embedding_out_channels;
        let mut x = three(graph, control, &name("conv_in"), channels[0], 1)?; // [8H, 8W, E₀]
        x = graph.silu(x);
        for (level, pair) in channels.windows(2).enumerate() {
            let block = 2 * level;
            x = three(graph, x, &name(&format!("blocks.{block}")), pair[0], 1)?;
            x = graph.silu(x);
            let block = block + 1;
            x = three(graph, x, &name(&format!("blocks.{block}")), pair[1], 2)?; // halved
            x = graph.silu(x);
        }
        let first = self.encoder.block_out_channels[0];
        three(graph, x, &name("conv_out"), first, 1) // [H, W, C₀]
    }

    /// Refuses a U-Net that this network was not made for.
    fn check_fits(&self, unet: &UNet2DConditionConfig) -> Result<(), NetworkError> {
        let encoder = &self.encoder;
        let channels = unet.in_channels - unet.inpainting_channels();
        let one = |count: usize| vec![count];
        for (field, found, wanted) in [
            ("in_channels", one(encoder.in_channels), one(channels)),
            (
                "cross_attention_dim",
                one(encoder.cross_attention_dim),
                one(unet.cross_attention_dim),
            ),
            (
                "block_out_channels",
                encoder.block_out_channels.clone(),
                unet.block_out_channels.clone(),
            ),
            (
                "layers_per_block",
                encoder.layers_per_block.clone(),
                unet.layers_per_block.clone(),
            ),
        ] {
            if found != wanted {
                let wanted = format!("the U-Net that it is to steer has {wanted:?}");
                return Err(invalid(field, format!("{found:?}"), wanted));
            }
        }
        if encoder.addition_embedding != unet.addition_embedding {
            let (found, other) = match encoder.addition_embedding {
                Some(_) => ("text_time", "takes no pooled text of this size"),
                None => ("null", "takes pooled text"),
            };
            let wanted = format!("the U-Net that it is to steer {other}");
            return Err(invalid("addition_embed_type", found, wanted));
        }
        if encoder.class_embedding.is_some() {
            let wanted = "supported beside a U-Net: none";
            return Err(invalid("class_embed_type", "a class", wanted));
        }
        Ok(())
    }
}

/// One graph of a U-Net and of the networks that steer it, each as much as its
/// scale says. Linearising it linearises all of them.
///
/// # Shapes
/// Inputs and outputs: those of [`UNet2DConditionConfig::graph`], and
/// `control.0`, `control.1`, … as [`ControlNetConfig::graph`]'s `control`.
/// Parameters: those of each ControlNet, named `controlnet.0.` and so on, then
/// the U-Net's.
///
/// # Errors
/// Those of either graph, or when a ControlNet was made for another U-Net.
pub fn controlled_graph(
    unet: &UNet2DConditionConfig,
    controls: &[(&ControlNetConfig, f64)],
    size: (usize, usize),
    tokens: usize,
) -> Result<Graph, NetworkError> {
    let (mut graph, sample, inputs) = unet.begin(size, tokens)?;
    let mut sum: Option<Residuals> = None;
    for (index, (config, scale)) in controls.iter().enumerate() {
        config.check()?;
        config.check_fits(unet)?;
        let control = config.input(&mut graph, &format!("control.{index}"), size);
        graph.set_scope(&format!("controlnet.{index}."));
        let mut found = config.build(&mut graph, sample, control, &inputs)?;
        graph.set_scope("");
        for residual in found.skips.iter_mut().chain([&mut found.mid]) {
            *residual = graph.scale(*residual, *scale);
        }
        if let Some(sum) = &sum {
            for (a, b) in found.skips.iter_mut().zip(&sum.skips) {
                *a = graph.add(*b, *a)?;
            }
            found.mid = graph.add(sum.mid, found.mid)?;
        }
        sum = Some(found);
    }
    unet.build(&mut graph, sample, &inputs, sum)?;
    Ok(graph)
}

/// A 3×3 convolution.
fn three(
    graph: &mut Graph,
    x: Value,
    name: &str,
    channels: usize,
    stride: usize,
) -> Result<Value, GraphError> {
    graph.convolution(x, name, channels, 3, stride, Padding::all(1), true)
}

impl Architecture for ControlNetConfig {
    const FOLDER: &'static str = "controlnet";

    fn from_json(text: &str) -> Result<Self, NetworkError> {
        ControlNetConfig::from_json(text)
    }

    fn to_json(&self) -> String {
        ControlNetConfig::to_json(self)
    }

    fn smallest(&self) -> Result<Graph, NetworkError> {
        let side = 1 << self.encoder.halvings();
        self.graph((side, side), 1)
    }
}
