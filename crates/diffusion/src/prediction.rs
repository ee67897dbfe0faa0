//! What the network was trained to predict, and how to turn it into x₀ and ε.
//!
//! With a = √ᾱ, s = √(1 − ᾱ) and x = a·x₀ + s·ε, the velocity is
//! v = a·ε − s·x₀; then x₀ = a·x − s·v and ε = s·x + a·v.
//! Reference: Salimans & Ho, arXiv 2202.00512, Appendix D.

use serde::{Deserialize, Serialize};

/// The quantity a network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise ε.
    Epsilon,
    /// The velocity v = √ᾱ·ε − √(1 − ᾱ)·x₀.
    VPrediction,
    /// The clean sample x₀.
    Sample,
}

impl PredictionType {
    /// The name used in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::VPrediction => "v_prediction",
            Self::Sample => "sample",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Epsilon, Self::VPrediction, Self::Sample]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// x₀ from the network's output at noise level `alpha_bar` and state `x`.
    ///
    /// Not finite for `Epsilon` where `alpha_bar` is 0.
    #[must_use]
    pub fn original(self, alpha_bar: f64, x: f64, output: f64) -> f64 {
        let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        match self {
            Self::Epsilon => (x - s * output) / a,
            Self::VPrediction => a * x - s * output,
            Self::Sample => output,
        }
    }

    /// ε from the network's output at noise level `alpha_bar` and state `x`.
    ///
    /// Not finite for `Sample` where `alpha_bar` is 1.
    #[must_use]
    pub fn epsilon(self, alpha_bar: f64, x: f64, output: f64) -> f64 {
        let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        match self {
            Self::Epsilon => output,
            Self::VPrediction => s * x + a * output,
            Self::Sample => (x - a * output) / s,
        }
    }

    /// What a perfect network would return for clean `x0` and noise `epsilon`:
    /// the training target.
    #[must_use]
    pub fn target(self, alpha_bar: f64, x0: f64, epsilon: f64) -> f64 {
        let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        match self {
            Self::Epsilon => epsilon,
            Self::VPrediction => a * epsilon - s * x0,
            Self::Sample => x0,
        }
    }
}
