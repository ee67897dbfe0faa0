//! The `parameters` text, as A1111's web UI writes it.

use crate::VERSION;
use std::fmt;

/// How a picture was sampled, in the terms other programs share.
///
/// ```
/// use alice_runs::Parameters;
/// let parameters = Parameters {
///     prompt: "a cat with a small nose".into(),
///     steps: Some(20),
///     sampler: Some("DDIM".into()),
///     seed: Some(1),
///     size: Some((32, 32)),
///     ..Parameters::default()
/// };
/// assert!(parameters.to_string().starts_with(
///     "a cat with a small nose\nSteps: 20, Sampler: DDIM, Seed: 1, Size: 32x32, Version: Alice"
/// ));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// What the picture should show; empty for an unconditional model.
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: String,
    /// Sampling steps.
    pub steps: Option<usize>,
    /// The sampler's name.
    pub sampler: Option<String>,
    /// The strength of classifier-free guidance.
    pub guidance: Option<f64>,
    /// The seed.
    pub seed: Option<u64>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// The model's content hash; its short form is written.
    pub model_hash: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// Anything else, in this order.
    pub others: Vec<(String, String)>,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if !self.prompt.is_empty() {
            writeln!(f, "{}", self.prompt)?;
        }
        if !self.negative_prompt.is_empty() {
            writeln!(f, "Negative prompt: {}", self.negative_prompt)?;
        }
        let known = [
            ("Steps", self.steps.map(|n| n.to_string())),
            ("Sampler", self.sampler.clone()),
            ("CFG scale", self.guidance.map(|x| x.to_string())),
            ("Seed", self.seed.map(|n| n.to_string())),
            (
                "Size",
                self.size.map(|(width, height)| format!("{width}x{height}")),
            ),
            (
                "Model hash",
                self.model_hash
                    .as_deref()
                    .map(|h| crate::hash::short(h).to_owned()),
            ),
            ("Model", self.model.clone()),
        ];
        for (key, value) in known {
            if let Some(value) = value {
                write!(f, "{key}: {}, ", quoted(&value))?;
            }
        }
        for (key, value) in &self.others {
            write!(f, "{key}: {}, ", quoted(value))?;
        }
        write!(f, "Version: Alice {VERSION}")
    }
}

/// A value with a comma, a colon or a line feed is written as a JSON string.
fn quoted(value: &str) -> String {
    if value.contains([',', ':', '\n', '"']) {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}
