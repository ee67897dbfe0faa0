//! The text encoder of Stable Diffusion, transformers' `CLIPTextModel` and
//! `CLIPTextModelWithProjection`.

use crate::NetworkError;
use crate::fields::{Fields, check_range, invalid, name};
use crate::network::{Architecture, Network};
use alice_calculus::{Activation, Graph, GraphError, Value};
use serde_json::{Value as Json, json};

const ACTIVATIONS: [(&str, Activation); 2] = [
    ("quick_gelu", Activation::QuickGelu),
    ("gelu", Activation::Gelu),
];
const CLASSES: [(&str, bool); 2] = [
    ("CLIPTextModel", false),
    ("CLIPTextModelWithProjection", true),
];

/// A CLIP text encoder with its weights.
pub type ClipText = Network<ClipTextConfig>;

/// The config of a CLIP text encoder; the fields carry transformers' names.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the fields are transformers', documented there"
)]
pub struct ClipTextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// Channels of the projection; `None` is a model without one.
    pub projection_dim: Option<usize>,
    /// The token that ends a text. 2, as old files have it by mistake, stands
    /// for the largest token there is.
    pub eos_token_id: usize,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            projection_dim: None,
            eos_token_id: 49_407,
        }
    }
}

impl ClipTextConfig {
    /// Checks ranges and that the fields fit each other.
    ///
    /// # Errors
    /// Naming the first field that does not fit.
    pub fn check(&self) -> Result<(), NetworkError> {
        check_range("vocab_size", self.vocab_size, 1..=1 << 24)?;
        check_range("hidden_size", self.hidden_size, 1..=65_536)?;
        check_range("intermediate_size", self.intermediate_size, 1..=1 << 20)?;
        check_range("num_hidden_layers", self.num_hidden_layers, 1..=256)?;
        let positions = self.max_position_embeddings;
        check_range("max_position_embeddings", positions, 2..=65_536)?;
        check_range(
            "layer_norm_eps",
            self.layer_norm_eps,
            f64::MIN_POSITIVE..=1.0,
        )?;
        if let Some(dim) = self.projection_dim {
            check_range("projection_dim", dim, 1..=65_536)?;
        }
        let heads = self.num_attention_heads;
        if heads == 0 || !self.hidden_size.is_multiple_of(heads) {
            let wanted = format!("it must divide hidden_size, {}", self.hidden_size);
            return Err(invalid("num_attention_heads", heads, wanted));
        }
        Ok(())
    }

    /// The position whose state stands for the whole text: that of the first
    /// token that ends it.
    #[must_use]
    pub fn end_position(&self, tokens: &[u32]) -> usize {
        let eos = if self.eos_token_id == 2 {
            tokens.iter().copied().max().unwrap_or(0)
        } else {
            self.eos_token_id as u32
        };
        tokens.iter().position(|&token| token == eos).unwrap_or(0)
    }

    /// The graph of the encoder.
    ///
    /// # Shapes
    /// Input: `tokens` `[max_position_embeddings]`. Outputs, of T positions:
    /// `hidden.0` … `hidden.L` `[T, hidden_size]`, the embedding and the state
    /// after each layer; `last` `[T, hidden_size]`, the last one normalised;
    /// `projected` `[T, projection_dim]`, where there is a projection.
    ///
    /// # Errors
    /// When the config does not pass [`Self::check`].
    pub fn graph(&self) -> Result<Graph, NetworkError> {
        self.check()?;
        let mut graph = Graph::new();
        let tokens = graph.input("tokens", &[self.max_position_embeddings]); // [T]
        let name = "text_model.embeddings";
        let table = format!("{name}.token_embedding");
        let x = graph.embedding(tokens, &table, self.vocab_size, self.hidden_size)?; // [T, D]
        let mut x = graph.add_table(x, &format!("{name}.position_embedding"))?; // [T, D]
        graph.output("hidden.0", x);
        for layer in 0..self.num_hidden_layers {
            x = self.layer(&mut graph, x, &format!("text_model.encoder.layers.{layer}"))?;
            graph.output(&format!("hidden.{}", layer + 1), x);
        }
        let last = graph.layer_norm(x, "text_model.final_layer_norm", self.layer_norm_eps)?;
        graph.output("last", last);
        if let Some(dim) = self.projection_dim {
            let projected = graph.linear(last, "text_projection", dim, false)?; // [T, P]
            graph.output("projected", projected);
        }
        Ok(graph)
    }

    /// Attention to what was before, then two layers, each after a norm and
    /// around a shortcut, `[T, D]`.
    fn layer(&self, graph: &mut Graph, x: Value, name: &str) -> Result<Value, GraphError> {
        let (channels, eps) = (self.hidden_size, self.layer_norm_eps);
        let h = graph.layer_norm(x, &format!("{name}.layer_norm1"), eps)?;
        let [q, k, v] = ["q", "k", "v"].map(|part| {
            let name = format!("{name}.self_attn.{part}_proj");
            graph.linear(h, &name, channels, true)
        });
        let h = graph.causal_attention(q?, k?, v?, self.num_attention_heads)?;
        let h = graph.linear(h, &format!("{name}.self_attn.out_proj"), channels, true)?;
        let x = graph.add(x, h)?;
        let h = graph.layer_norm(x, &format!("{name}.layer_norm2"), eps)?;
        let fc1 = format!("{name}.mlp.fc1");
        let h = graph.linear(h, &fc1, self.intermediate_size, true)?;
        let h = graph.activation(h, self.hidden_act);
        let h = graph.linear(h, &format!("{name}.mlp.fc2"), channels, true)?;
        graph.add(x, h)
    }
}

impl Architecture for ClipTextConfig {
    const FOLDER: &'static str = "text_encoder";
    const WEIGHTS: &'static str = "model.safetensors";

    /// What stays of the whole CLIP that an encoder was taken from.
    fn ignored(&self) -> &'static [&'static str] {
        let names = &[
            "text_model.embeddings.position_ids",
            "logit_scale",
            "text_projection.weight",
        ];
        match self.projection_dim {
            Some(_) => &names[..2],
            None => names,
        }
    }

    /// transformers 5 writes a `CLIPTextModel` without the prefix.
    fn rename(name: &str) -> Option<String> {
        let parts = ["embeddings.", "encoder.", "final_layer_norm."];
        let bare = parts.iter().any(|part| name.starts_with(part));
        bare.then(|| format!("text_model.{name}"))
    }

    fn from_json(text: &str) -> Result<Self, NetworkError> {
        let fields = Fields::parse(text)?;
        fields.choose("model_type", &[("clip_text_model", ())], ())?;
        let base = Self::default();
        let count = |field, default: usize| fields.read(field, default, "a whole number");
        let projected = match fields.read("architectures", Json::Null, "a list")? {
            Json::Null => Vec::new(),
            _ => fields.choose_each("architectures", &CLASSES, &[])?,
        };
        let config = Self {
            vocab_size: count("vocab_size", base.vocab_size)?,
            hidden_size: count("hidden_size", base.hidden_size)?,
            intermediate_size: count("intermediate_size", base.intermediate_size)?,
            num_hidden_layers: count("num_hidden_layers", base.num_hidden_layers)?,
            num_attention_heads: count("num_attention_heads", base.num_attention_heads)?,
            max_position_embeddings: count(
                "max_position_embeddings",
                base.max_position_embeddings,
            )?,
            hidden_act: fields.choose("hidden_act", &ACTIVATIONS, base.hidden_act)?,
            layer_norm_eps: fields.read("layer_norm_eps", base.layer_norm_eps, "a number")?,
            projection_dim: match projected.first() {
                Some(true) => Some(count("projection_dim", 512)?),
                _ => None,
            },
            eos_token_id: count("eos_token_id", base.eos_token_id)?,
        };
        config.check()?;
        Ok(config)
    }

    fn to_json(&self) -> String {
        let projected = self.projection_dim.is_some();
        let config = json!({
            "architectures": [name(projected, &CLASSES)],
            "eos_token_id": self.eos_token_id,
            "hidden_act": name(self.hidden_act, &ACTIVATIONS),
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "layer_norm_eps": self.layer_norm_eps,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": "clip_text_model",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "projection_dim": self.projection_dim.unwrap_or(512),
            "vocab_size": self.vocab_size,
        });
        format!("{config:#}\n")
    }

    fn smallest(&self) -> Result<Graph, NetworkError> {
        self.graph()
    }
}
