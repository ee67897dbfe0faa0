//! Prompts to what conditions a U-Net.

use crate::PipelineError;
use alice_calculus::{Model, Parameters, Tensor};
use alice_networks::{
    ClipText, ClipTextConfig, Family, LoraTarget, ModelLocation, NetworkError, Precision,
};
use alice_runs::disk;
use alice_text::{ClipTokenizer, Tokens};
use std::path::Path;
use std::sync::OnceLock;

/// What a prompt is to a U-Net.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// `[1, T, D]`.
    pub context: Tensor<f32>,
    /// The whole text as one vector, where there is a second encoder.
    pub pooled: Option<Vec<f32>>,
    /// Tokens that did not fit.
    pub cut: usize,
}

impl Condition {
    /// Nothing at all, in the same shape.
    #[must_use]
    pub fn zeros(&self) -> Self {
        Self {
            context: Tensor::zeros(self.context.dims()),
            pooled: self.pooled.as_ref().map(|pooled| vec![0.0; pooled.len()]),
            cut: 0,
        }
    }
}

/// The text encoders of a pipeline folder: one (SD 1 and 2) or two (SDXL).
#[derive(Clone, Debug)]
pub struct TextEncoders {
    encoders: Vec<Encoder>,
}

#[derive(Clone, Debug)]
struct Encoder {
    tokenizer: ClipTokenizer,
    config: ClipTextConfig,
    parameters: Parameters<f32>,
    /// Packed when it first reads a text: a LoRA may change it before.
    model: OnceLock<Model<f32>>,
}

/// An encoder's states of a text.
struct States {
    /// `[T, D]`, row by row.
    values: Vec<f32>,
    channels: usize,
    pooled: Option<Vec<f32>>,
}

impl TextEncoders {
    /// Reads `text_encoder/` and `tokenizer/` and, where they are,
    /// `text_encoder_2/` and `tokenizer_2/`.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit each other.
    pub fn open(folder: &Path) -> Result<Self, PipelineError> {
        Self::at(&ModelLocation::find(folder)?, Precision::Stored)
    }

    /// The text encoders of a model wherever it lies, their weights in this
    /// precision. A single-file checkpoint
    /// has no tokenizer: with CLIP's vocabulary it is the one inside this
    /// program, with another it must lie beside the file as `tokenizer/`.
    ///
    /// # Errors
    /// As [`TextEncoders::open`].
    pub fn at(location: &ModelLocation, precision: Precision) -> Result<Self, PipelineError> {
        let open = |part, tokenizer| Encoder::open(location, part, tokenizer, precision);
        let mut encoders = vec![open("text_encoder", "tokenizer")?];
        if location.has("text_encoder_2") {
            encoders.push(open("text_encoder_2", "tokenizer_2")?);
        }
        Ok(Self { encoders })
    }

    /// The encoders as what a LoRA may change.
    ///
    /// # Errors
    /// Never for encoders that were opened.
    pub fn lora_targets(&mut self) -> Result<Vec<LoraTarget<'_>>, NetworkError> {
        let encoders = self.encoders.iter_mut().enumerate();
        encoders
            .map(|(i, encoder)| {
                encoder.model = OnceLock::new();
                LoraTarget::text(i > 0, &encoder.config, &mut encoder.parameters)
            })
            .collect()
    }

    /// Tokens at a prompt's end that do not fit.
    ///
    /// # Errors
    /// When the tokenizer fails, or a weight is beyond all bounds.
    pub fn cut(&self, prompt: &str) -> Result<usize, PipelineError> {
        let mut cut = 0;
        for encoder in &self.encoders {
            cut = cut.max(encoder.tokenizer.encode(prompt)?.cut);
        }
        Ok(cut)
    }

    /// The condition of a prompt, its brackets taken as weights.
    ///
    /// One encoder gives its last state, normalised; of two, the states before
    /// their last layers stand side by side, and the second one's projection
    /// is the pooled text. Weights multiply the states of their tokens, and
    /// the mean of the whole is kept.
    ///
    /// # Errors
    /// When the tokenizer or the network fails.
    pub fn encode(&self, prompt: &str) -> Result<Condition, PipelineError> {
        let single = self.encoders.len() == 1;
        let mut cut = 0;
        let mut all = Vec::new();
        for encoder in &self.encoders {
            let tokens = encoder.tokenizer.encode(prompt)?;
            cut = cut.max(tokens.cut);
            all.push(encoder.states(&tokens, single)?);
        }
        let positions = all[0].values.len() / all[0].channels;
        if all.iter().any(|s| s.values.len() != positions * s.channels) {
            let why = "the two encoders read texts of different lengths";
            return Err(PipelineError::part("text_encoder_2", why));
        }
        let channels = all.iter().map(|s| s.channels).sum();
        let mut context = Vec::with_capacity(positions * channels);
        for position in 0..positions {
            for states in &all {
                let c = states.channels;
                context.extend_from_slice(&states.values[position * c..][..c]);
            }
        }
        Ok(Condition {
            context: Tensor::new(&[1, positions, channels], context)?,
            pooled: all.pop().and_then(|states| states.pooled),
            cut,
        })
    }
}

impl Encoder {
    fn open(
        location: &ModelLocation,
        part: &'static str,
        tokenizer: &'static str,
        precision: Precision,
    ) -> Result<Self, PipelineError> {
        let folder = match location {
            ModelLocation::Folder(folder) => Some(folder.join(tokenizer)),
            ModelLocation::File(_) | ModelLocation::Control(_) => None,
        };
        let tokenizer = folder.map(|f| ClipTokenizer::open(&f)).transpose()?;
        let network: ClipText = location.network_in(part, precision)?;
        let config = network.config;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => of_checkpoint(location, part, config.vocab_size)?,
        };
        if tokenizer.length() != config.max_position_embeddings {
            let why = format!(
                "it has {} positions and its tokenizer gives {} tokens",
                config.max_position_embeddings,
                tokenizer.length()
            );
            return Err(PipelineError::part(part, why));
        }
        Ok(Self {
            parameters: network.parameters,
            model: OnceLock::new(),
            tokenizer,
            config,
        })
    }

    /// The network, ready to read.
    fn model(&self) -> Result<&Model<f32>, PipelineError> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = Model::new(self.config.graph()?, self.parameters.clone())?;
        Ok(self.model.get_or_init(|| model))
    }

    /// The last states, normalised, or those before the last layer.
    fn states(&self, tokens: &Tokens, last: bool) -> Result<States, PipelineError> {
        if let Some(token) = tokens
            .ids
            .iter()
            .find(|&&token| token as usize >= self.config.vocab_size)
        {
            let why = format!(
                "token {token} is beyond the encoder's vocabulary of {}",
                self.config.vocab_size
            );
            return Err(PipelineError::part("tokenizer", why));
        }
        let model = self.model()?;
        let graph = model.graph();
        let name = if last {
            "last".to_owned()
        } else {
            format!("hidden.{}", self.config.num_hidden_layers - 1)
        };
        let mut outputs = vec![graph.find_output(&name)?];
        if self.config.projection_dim.is_some() {
            outputs.push(graph.find_output("projected")?);
        }
        let ids = tokens.ids.iter().map(|&id| id as f32).collect();
        let ids = Tensor::new(&[1, tokens.ids.len()], ids)?;
        let mut found = model.evaluate(&[("tokens", &ids)], &outputs)?;
        let pooled = (outputs.len() > 1)
            .then(|| found.pop())
            .flatten()
            .map(|projected| {
                let channels = projected.channels();
                let end = self.config.end_position(&tokens.ids);
                projected.data()[end * channels..][..channels].to_vec()
            });
        let states = found.swap_remove(0);
        let channels = states.channels();
        let mut values = states.into_data();
        weigh(&mut values, channels, &tokens.weights);
        Ok(States {
            values,
            channels,
            pooled,
        })
    }
}

/// The tokenizer of a single-file checkpoint's encoder, which reads `tokens`
/// different ones.
fn of_checkpoint(
    location: &ModelLocation,
    part: &'static str,
    tokens: usize,
) -> Result<ClipTokenizer, PipelineError> {
    let family = match location {
        ModelLocation::File(checkpoint) => Some(checkpoint.family()),
        ModelLocation::Folder(_) | ModelLocation::Control(_) => None,
    };
    // open_clip's encoders fill prompts up with zeros, OpenAI's with the end.
    let open = part == "text_encoder_2" || family == Some(Family::StableDiffusion2);
    let padding = if open { "!" } else { "<|endoftext|>" };
    let clip = ClipTokenizer::clip(padding)?;
    if clip.tokens() == tokens {
        return Ok(clip);
    }
    let beside = location.path().with_file_name("tokenizer");
    if disk::is_folder(&beside) {
        return Ok(ClipTokenizer::open(&beside)?.padded_with(padding)?);
    }
    let why = format!(
        "the encoder reads {tokens} tokens, not CLIP's {}, and no tokenizer/ with its vocabulary is beside {}",
        clip.tokens(),
        location.path().display()
    );
    Err(PipelineError::part(part, why))
}

/// Multiplies the state of each token by its weight, then all by the number
/// that keeps their mean.
fn weigh(values: &mut [f32], channels: usize, weights: &[f64]) {
    if weights.iter().all(|&w| w == 1.0) {
        return;
    }
    let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>();
    let before = sum(values);
    for (state, &weight) in values.chunks_exact_mut(channels).zip(weights) {
        state.iter_mut().for_each(|v| *v *= weight as f32);
    }
    let ratio = before / sum(values);
    if ratio.is_finite() {
        values.iter_mut().for_each(|v| *v *= ratio as f32);
    }
}
