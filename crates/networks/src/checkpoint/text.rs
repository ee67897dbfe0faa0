//! The text encoders of a single-file checkpoint: transformers' CLIP under a
//! prefix, or open_clip's, whose attention has one matrix for q, k and v.

use super::unet::replace_start;
use super::{Family, Shapes};
use crate::weights::View;
use crate::{ClipTextConfig, NetworkError};
use alice_calculus::Activation;
use alice_runs::TensorReader;

/// Channels of a head of every CLIP text encoder in use.
const HEAD: usize = 64;

/// Names of open_clip for what transformers names otherwise.
const OPEN_ENDS: [(&str, &str); 4] = [
    (
        "text_model.embeddings.token_embedding.weight",
        "token_embedding.weight",
    ),
    (
        "text_model.embeddings.position_embedding.weight",
        "positional_embedding",
    ),
    ("text_model.final_layer_norm.", "ln_final."),
    ("text_projection.weight", "text_projection"),
];
const OPEN_LAYER: [(&str, &str); 5] = [
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
    ("self_attn.out_proj.", "attn.out_proj."),
];

/// Where a text encoder is, and in whose names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    pub(super) prefix: &'static str,
    /// Of open_clip instead of transformers.
    open: bool,
    /// Whether transformers' names begin with `text_model.`.
    named: bool,
    /// Whether the projection is used.
    projected: bool,
}

impl Encoder {
    /// The encoder that is `part` of a pipeline.
    pub(super) fn find(reader: &TensorReader, family: Family, part: &str) -> Option<Self> {
        let open = |prefix, projected| Self {
            prefix,
            open: true,
            named: true,
            projected,
        };
        let closed = |prefix| Self {
            prefix,
            open: false,
            named: true,
            projected: false,
        };
        let candidates = match (part, family) {
            ("text_encoder", Family::StableDiffusionXl) => {
                vec![closed("conditioner.embedders.0.transformer.")]
            }
            ("text_encoder_2", Family::StableDiffusionXl) => {
                vec![open("conditioner.embedders.1.model.", true)]
            }
            ("text_encoder", _) => vec![
                closed("cond_stage_model.transformer."),
                open("cond_stage_model.model.", false),
            ],
            _ => Vec::new(),
        };
        candidates.into_iter().find_map(|mut encoder| {
            let table = match encoder.open {
                true => "token_embedding.weight",
                false => "text_model.embeddings.token_embedding.weight",
            };
            let shapes = Shapes {
                reader,
                prefix: encoder.prefix,
                names: None,
            };
            if shapes.has(table) {
                return Some(encoder);
            }
            encoder.named = false;
            let bare = "embeddings.token_embedding.weight";
            (!encoder.open && shapes.has(bare)).then_some(encoder)
        })
    }

    /// The original name of a parameter that transformers calls `name`, and
    /// which part of that tensor it is.
    pub(super) fn original_name(self, name: &str) -> Option<(String, View)> {
        if !self.open {
            let name = match self.named {
                true => name,
                false => name.strip_prefix("text_model.")?,
            };
            return Some((name.to_owned(), View::Whole));
        }
        if let Some(found) = replace_start(name, &OPEN_ENDS) {
            let view = match found.as_str() {
                "text_projection" => View::Transposed,
                _ => View::Whole,
            };
            return Some((found, view));
        }
        let rest = name.strip_prefix("text_model.encoder.layers.")?;
        let (layer, rest) = rest.split_once('.')?;
        let block = format!("transformer.resblocks.{layer}");
        if let Some(rest) = replace_start(rest, &OPEN_LAYER) {
            return Some((format!("{block}.{rest}"), View::Whole));
        }
        let (part, kind) = rest.strip_prefix("self_attn.")?.split_once("_proj.")?;
        let third = ["q", "k", "v"].iter().position(|p| *p == part)?;
        Some((format!("{block}.attn.in_proj_{kind}"), View::Third(third)))
    }

    /// The config that the shapes tell.
    pub(super) fn config(self, shapes: Shapes) -> Result<ClipTextConfig, NetworkError> {
        let tensor = |name: &str| self.original_name(name).map_or(String::new(), |(n, _)| n);
        let table = tensor("text_model.embeddings.token_embedding.weight");
        let hidden = shapes.extent(&table, 1)?;
        let first = "text_model.encoder.layers.0.mlp.fc1.weight";
        let layer = |i| tensor(&format!("text_model.encoder.layers.{i}.layer_norm1.weight"));
        let layers = shapes.count(layer);
        let positions = tensor("text_model.embeddings.position_embedding.weight");
        let vocabulary = shapes.extent(&table, 0)?;
        let config = ClipTextConfig {
            vocab_size: vocabulary,
            hidden_size: hidden,
            intermediate_size: shapes.extent(&tensor(first), 0)?,
            // SD 2 reads the state before the last layer, so diffusers leaves
            // that layer out; SDXL says so in its pipeline.
            num_hidden_layers: match self.open && !self.projected {
                true => layers.saturating_sub(1),
                false => layers,
            },
            num_attention_heads: (hidden / HEAD).max(1),
            max_position_embeddings: shapes.extent(&positions, 0)?,
            hidden_act: match self.open {
                true => Activation::Gelu,
                false => Activation::QuickGelu,
            },
            projection_dim: match self.projected {
                true => Some(shapes.extent("text_projection", 1)?),
                false => None,
            },
            eos_token_id: vocabulary.saturating_sub(1),
            ..ClipTextConfig::default()
        };
        config
            .check()
            .map_err(|error| error.at(shapes.reader.path()))?;
        Ok(config)
    }

    /// How the names of tensors begin that the encoder does not use.
    pub(super) fn skipped(self, config: &ClipTextConfig) -> Vec<String> {
        let mut skipped = vec!["logit_scale".to_owned(), "attn_mask".to_owned()];
        let bare = "embeddings.position_ids";
        skipped.extend([bare.to_owned(), format!("text_model.{bare}")]);
        if !self.projected {
            skipped.push("text_projection".to_owned());
        }
        if self.open {
            let last = config.num_hidden_layers;
            skipped.push(format!("transformer.resblocks.{last}."));
        }
        skipped
    }
}
