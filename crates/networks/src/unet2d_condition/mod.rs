//! The U-Net with cross-attention, diffusers' `UNet2DConditionModel`.

mod build;
mod config;
mod parse;
mod transformer;

pub(crate) use build::{Inputs, Residuals};
pub use config::{AdditionEmbedding, ConditionBlock, UNet2DConditionConfig};

use crate::NetworkError;
use crate::network::{Architecture, Network};
use alice_calculus::Graph;

/// A `UNet2DConditionModel` with its weights, usable at any size.
pub type UNet2DCondition = Network<UNet2DConditionConfig>;

impl Architecture for UNet2DConditionConfig {
    const FOLDER: &'static str = "unet";

    fn from_json(text: &str) -> Result<Self, NetworkError> {
        UNet2DConditionConfig::from_json(text)
    }

    fn to_json(&self) -> String {
        UNet2DConditionConfig::to_json(self)
    }

    fn smallest(&self) -> Result<Graph, NetworkError> {
        let side = 1 << self.halvings();
        self.graph((side, side), 1)
    }
}

impl UNet2DCondition {
    /// The graph for samples of `size` = (height, width) and a context of
    /// `tokens`, see [`UNet2DConditionConfig::graph`].
    ///
    /// # Errors
    /// Those of [`UNet2DConditionConfig::graph`].
    pub fn graph(&self, size: (usize, usize), tokens: usize) -> Result<Graph, NetworkError> {
        self.config.graph(size, tokens)
    }
}
