//! `config.json` to [`ControlNetConfig`] and back.

use super::ControlNetConfig;
use crate::NetworkError;
use crate::fields::{Fields, invalid};
use crate::unet2d_condition::{ConditionBlock, UNet2DConditionConfig};
use serde_json::json;

/// Fields that change the network, with the only value we know how to build.
const FIXED: [(&str, &str); 2] = [
    ("controlnet_conditioning_channel_order", "\"rgb\""),
    ("global_pool_conditions", "false"),
];

/// Fields of a U-Net's config that a ControlNet's does not have.
const OF_UNETS: [&str; 7] = [
    "center_input_sample",
    "dropout",
    "out_channels",
    "sample_size",
    "time_cond_proj_dim",
    "time_embedding_dim",
    "up_block_types",
];

impl ControlNetConfig {
    /// Reads diffusers' `config.json`. Missing fields take diffusers'
    /// defaults, unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not a JSON object, or naming the first field whose
    /// value is not supported or does not fit the others.
    pub fn from_json(text: &str) -> Result<Self, NetworkError> {
        let fields = Fields::parse(text)?;
        fields.choose("_class_name", &[("ControlNetModel", ())], ())?;
        for (field, only) in FIXED {
            fields.require(field, only)?;
        }
        let default = UNet2DConditionConfig::default().down_block_types;
        let down = fields.choose_each("down_block_types", &ConditionBlock::DOWN, &default)?;
        let encoder = UNet2DConditionConfig::read(&fields, down.into_iter().rev().collect())?;
        let layers = "a list of whole numbers";
        let config = Self {
            conditioning_channels: fields.read("conditioning_channels", 3, "a whole number")?,
            conditioning_embedding_out_channels: fields.read(
                "conditioning_embedding_out_channels",
                vec![16, 32, 96, 256],
                layers,
            )?,
            encoder: UNet2DConditionConfig {
                // It gives no sample of its own, and has none of these.
                out_channels: encoder.in_channels,
                center_input_sample: false,
                time_cond_proj_dim: None,
                time_embedding_dim: None,
                ..encoder
            },
        };
        let each = &config.encoder.layers_per_block;
        if each.iter().any(|layers| *layers != each[0]) {
            let wanted = "it must be one whole number for all blocks";
            return Err(invalid("layers_per_block", format!("{each:?}"), wanted));
        }
        config.check()?;
        Ok(config)
    }

    /// The `config.json` from which diffusers builds this network.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut fields = self.encoder.to_fields();
        if let Some(fields) = fields.as_object_mut() {
            fields.retain(|name, _| !OF_UNETS.contains(&name.as_str()));
        }
        fields["_class_name"] = json!("ControlNetModel");
        fields["layers_per_block"] = json!(self.encoder.layers_per_block.first());
        fields["conditioning_channels"] = json!(self.conditioning_channels);
        fields["conditioning_embedding_out_channels"] =
            json!(self.conditioning_embedding_out_channels);
        fields["controlnet_conditioning_channel_order"] = json!("rgb");
        fields["global_pool_conditions"] = json!(false);
        format!("{fields:#}\n")
    }
}
