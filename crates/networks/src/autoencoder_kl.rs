//! The autoencoder of latent diffusion, diffusers' `AutoencoderKL`.

use crate::NetworkError;
use crate::blocks::{Blocks, Resample, Style};
use crate::fields::{Fields, Size, check_groups, check_range, invalid};
use crate::network::{Architecture, Network};
use crate::unet2d::{Sampler, TimeConditioning};
use alice_calculus::{Graph, GraphError, Padding, Value};
use serde_json::json;

/// The norms', whatever the config says of other networks.
const NORM_EPS: f64 = 1e-6;

/// An `AutoencoderKL` with its weights, usable at any size.
pub type AutoencoderKL = Network<AutoencoderKLConfig>;

/// The config of an `AutoencoderKL`; the fields carry diffusers' names.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are diffusers', documented there")]
pub struct AutoencoderKLConfig {
    /// Height and width of the pictures it was trained on.
    pub sample_size: Option<(usize, usize)>,
    pub in_channels: usize,
    pub out_channels: usize,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub latent_channels: usize,
    pub norm_num_groups: usize,
    /// Latents of a diffusion model are these latents, less `shift_factor`,
    /// times this.
    pub scaling_factor: f64,
    pub shift_factor: f64,
    pub use_quant_conv: bool,
    pub use_post_quant_conv: bool,
    pub mid_block_add_attention: bool,
}

impl Default for AutoencoderKLConfig {
    fn default() -> Self {
        Self {
            sample_size: Some((32, 32)),
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![64],
            layers_per_block: 1,
            latent_channels: 4,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            shift_factor: 0.0,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl AutoencoderKLConfig {
    /// How often a picture is halved: a latent pixel is 2 to this power pixels wide.
    #[must_use]
    pub fn halvings(&self) -> usize {
        self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks ranges and that the fields fit each other.
    ///
    /// # Errors
    /// Naming the first field that does not fit.
    pub fn check(&self) -> Result<(), NetworkError> {
        check_range("in_channels", self.in_channels, 1..=4096)?;
        check_range("out_channels", self.out_channels, 1..=4096)?;
        check_range("latent_channels", self.latent_channels, 1..=4096)?;
        check_range("layers_per_block", self.layers_per_block, 1..=16)?;
        check_range("scaling_factor", self.scaling_factor, 1e-6..=1e6)?;
        check_range("shift_factor", self.shift_factor, -1e6..=1e6)?;
        let blocks = self.block_out_channels.len();
        if !(1..=8).contains(&blocks) {
            let channels = format!("{:?}", self.block_out_channels);
            let wanted = "it needs 1 to 8 entries";
            return Err(invalid("block_out_channels", channels, wanted));
        }
        for &channels in &self.block_out_channels {
            check_range("block_out_channels", channels, 1..=16_384)?;
            check_groups("norm_num_groups", self.norm_num_groups, channels)?;
        }
        Ok(())
    }

    /// The graph of encoder and decoder for latents of `size` = (height, width).
    ///
    /// # Shapes
    /// Inputs: `picture` `[H, W, in_channels]` with sides of 2^halvings pixels
    /// for each latent's, values in -1..1, and `latent` `[h, w, L]`. Outputs:
    /// `moments` `[h, w, 2L]`, means then log variances of the picture's
    /// latent, and `decoded` `[H, W, out_channels]` of the latent. Only what
    /// an output needs has to be fed.
    ///
    /// # Errors
    /// When the config does not pass [`Self::check`] or the size is out of range.
    pub fn graph(&self, size: (usize, usize)) -> Result<Graph, NetworkError> {
        self.check()?;
        let scale = 1_usize << self.halvings();
        let fits = |extent: usize| (1..=16_384 / scale).contains(&extent);
        if !fits(size.0) || !fits(size.1) {
            return Err(NetworkError::Size {
                height: size.0,
                width: size.1,
                why: format!("latent sides must lie between 1 and {}", 16_384 / scale),
            });
        }
        let mut graph = Graph::new();
        let picture = graph.input(
            "picture",
            &[size.0 * scale, size.1 * scale, self.in_channels],
        ); // [H, W, C]
        let latent = graph.input("latent", &[size.0, size.1, self.latent_channels]); // [h, w, L]
        let moments = self.encode(&mut graph, picture)?; // [h, w, 2L]
        let decoded = self.decode(&mut graph, latent)?; // [H, W, C]
        graph.output("moments", moments);
        graph.output("decoded", decoded);
        Ok(graph)
    }

    fn blocks<'a>(&self, graph: &'a mut Graph) -> Blocks<'a> {
        Blocks {
            graph,
            style: Style {
                norm_num_groups: self.norm_num_groups,
                norm_eps: NORM_EPS,
                time_conditioning: TimeConditioning::Shift,
                downsample_padding: 0,
            },
            time: None,
        }
    }

    fn encode(&self, graph: &mut Graph, picture: Value) -> Result<Value, GraphError> {
        let mut blocks = self.blocks(graph);
        let first = self.block_out_channels[0];
        let mut x = blocks.convolution(picture, "encoder.conv_in", first)?; // [H, W, C₀]
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            let name = format!("encoder.down_blocks.{level}");
            for layer in 0..self.layers_per_block {
                let resnet = format!("{name}.resnets.{layer}");
                x = blocks.resnet(x, &resnet, channels, Resample::Keep, 1.0)?; // [H, W, C]
            }
            if level < self.halvings() {
                x = blocks.downsample(x, &name, Sampler::Conv)?; // [H/2, W/2, C]
            }
        }
        x = self.go_through(&mut blocks, x, "encoder.mid_block")?; // [h, w, Cₙ]
        x = blocks.norm(x, "encoder.conv_norm_out", true)?; // [h, w, Cₙ]
        let moments = 2 * self.latent_channels;
        x = blocks.convolution(x, "encoder.conv_out", moments)?; // [h, w, 2L]
        if self.use_quant_conv {
            x = graph.convolution(x, "quant_conv", moments, 1, 1, Padding::all(0), true)?;
        }
        Ok(x)
    }

    fn decode(&self, graph: &mut Graph, latent: Value) -> Result<Value, GraphError> {
        let mut x = latent;
        if self.use_post_quant_conv {
            let channels = self.latent_channels;
            let name = "post_quant_conv";
            x = graph.convolution(x, name, channels, 1, 1, Padding::all(0), true)?; // [h, w, L]
        }
        let mut blocks = self.blocks(graph);
        let last = self.block_out_channels[self.halvings()];
        x = blocks.convolution(x, "decoder.conv_in", last)?; // [h, w, Cₙ]
        x = self.go_through(&mut blocks, x, "decoder.mid_block")?; // [h, w, Cₙ]
        let channels = self.block_out_channels.iter().rev();
        for (block, &channels) in channels.enumerate() {
            let name = format!("decoder.up_blocks.{block}");
            for layer in 0..=self.layers_per_block {
                let resnet = format!("{name}.resnets.{layer}");
                x = blocks.resnet(x, &resnet, channels, Resample::Keep, 1.0)?; // [H, W, C]
            }
            if block < self.halvings() {
                x = blocks.upsample(x, &name, Sampler::Conv, None)?; // [2H, 2W, C]
            }
        }
        x = blocks.norm(x, "decoder.conv_norm_out", true)?; // [H, W, C₀]
        blocks.convolution(x, "decoder.conv_out", self.out_channels) // [H, W, out]
    }

    /// Residual, attention, residual.
    fn go_through(&self, blocks: &mut Blocks, x: Value, name: &str) -> Result<Value, GraphError> {
        let channels = self.block_out_channels[self.halvings()];
        let resnet = |blocks: &mut Blocks, x, layer: usize| {
            let name = format!("{name}.resnets.{layer}");
            blocks.resnet(x, &name, channels, Resample::Keep, 1.0)
        };
        let mut x = resnet(blocks, x, 0)?;
        if self.mid_block_add_attention {
            let name = format!("{name}.attentions.0");
            x = blocks.attention(x, &name, Some(self.norm_num_groups), None, 1.0)?;
        }
        resnet(blocks, x, 1)
    }
}

impl Architecture for AutoencoderKLConfig {
    const FOLDER: &'static str = "vae";

    fn from_json(text: &str) -> Result<Self, NetworkError> {
        let fields = Fields::parse(text)?;
        fields.choose("_class_name", &[("AutoencoderKL", ())], ())?;
        fields.choose("act_fn", &[("silu", ()), ("swish", ())], ())?;
        fields.require("latents_mean", "null")?;
        fields.require("latents_std", "null")?;
        let base = Self::default();
        let count = |field, default: usize| fields.read(field, default, "a whole number");
        let flag = |field, default: bool| fields.read(field, default, "true or false");
        let block_out_channels = fields.read(
            "block_out_channels",
            base.block_out_channels,
            "a list of whole numbers",
        )?;
        for (field, name) in [
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            let blocks = fields.choose_each(field, &[(name, ())], &[()])?.len();
            if blocks != block_out_channels.len() {
                let wanted = format!(
                    "block_out_channels has {} entries, both must agree",
                    block_out_channels.len()
                );
                return Err(invalid(field, format!("{blocks} blocks"), wanted));
            }
        }
        let shift: Option<f64> = fields.read("shift_factor", None, "a number or null")?;
        let config = Self {
            sample_size: fields.read_size("sample_size")?.map(Size::sides),
            in_channels: count("in_channels", base.in_channels)?,
            out_channels: count("out_channels", base.out_channels)?,
            block_out_channels,
            layers_per_block: count("layers_per_block", base.layers_per_block)?,
            latent_channels: count("latent_channels", base.latent_channels)?,
            norm_num_groups: count("norm_num_groups", base.norm_num_groups)?,
            scaling_factor: fields.read("scaling_factor", base.scaling_factor, "a number")?,
            shift_factor: shift.unwrap_or(0.0),
            use_quant_conv: flag("use_quant_conv", true)?,
            use_post_quant_conv: flag("use_post_quant_conv", true)?,
            mid_block_add_attention: flag("mid_block_add_attention", true)?,
        };
        config.check()?;
        Ok(config)
    }

    fn to_json(&self) -> String {
        let blocks = self.block_out_channels.len();
        let config = json!({
            "_class_name": "AutoencoderKL",
            "act_fn": "silu",
            "block_out_channels": self.block_out_channels,
            "down_block_types": vec!["DownEncoderBlock2D"; blocks],
            "in_channels": self.in_channels,
            "latent_channels": self.latent_channels,
            "layers_per_block": self.layers_per_block,
            "mid_block_add_attention": self.mid_block_add_attention,
            "norm_num_groups": self.norm_num_groups,
            "out_channels": self.out_channels,
            "sample_size": self.sample_size.map(Size::write),
            "scaling_factor": self.scaling_factor,
            "shift_factor": (self.shift_factor != 0.0).then_some(self.shift_factor),
            "up_block_types": vec!["UpDecoderBlock2D"; blocks],
            "use_post_quant_conv": self.use_post_quant_conv,
            "use_quant_conv": self.use_quant_conv,
        });
        format!("{config:#}\n")
    }

    fn smallest(&self) -> Result<Graph, NetworkError> {
        self.graph((1, 1))
    }
}
