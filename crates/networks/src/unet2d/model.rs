//! A U-Net with its weights.

use super::{BlockType, UNet2DConfig, build_unet2d};
use crate::NetworkError;
use crate::network::{Architecture, Network};
use alice_calculus::Graph;

/// A `UNet2DModel` with its weights, usable at any size its architecture allows.
pub type UNet2D = Network<UNet2DConfig>;

impl Architecture for UNet2DConfig {
    const FOLDER: &'static str = "unet";

    fn from_json(text: &str) -> Result<Self, NetworkError> {
        UNet2DConfig::from_json(text)
    }

    fn to_json(&self) -> String {
        UNet2DConfig::to_json(self)
    }

    fn smallest(&self) -> Result<Graph, NetworkError> {
        self.check()?;
        let side = 1 << self.halvings();
        build_unet2d(self, (side, side))
    }
}

impl UNet2D {
    /// The graph for samples of `size` = (height, width), see [`build_unet2d`].
    ///
    /// # Errors
    /// Those of [`build_unet2d`].
    pub fn graph(&self, size: (usize, usize)) -> Result<Graph, NetworkError> {
        build_unet2d(&self.config, size)
    }

    /// What the network is, in a few lines of text.
    #[must_use]
    pub fn describe(&self) -> String {
        self.config.describe(self.parameters.count())
    }
}

impl UNet2DConfig {
    /// The number of weights of a network of this config.
    ///
    /// # Errors
    /// When the config does not pass [`UNet2DConfig::check`].
    pub fn parameter_count(&self) -> Result<usize, NetworkError> {
        let graph = self.smallest()?;
        Ok(graph.parameters().iter().map(|spec| spec.kind.len()).sum())
    }

    fn describe(&self, count: usize) -> String {
        let size = self
            .sample_size
            .map_or("any size".to_owned(), |(h, w)| format!("{h}×{w}"));
        let mut lines = vec![format!(
            "UNet2DModel: {size}, {} → {} channels, {count} parameters",
            self.in_channels, self.out_channels
        )];
        let kind = |types: &[BlockType], level: usize, names: &[(&'static str, BlockType)]| {
            let found = names
                .iter()
                .find(|(_, kind)| types.get(level) == Some(kind));
            found.map_or("", |(name, _)| *name)
        };
        let levels = self.block_out_channels.len();
        for (level, channels) in self.block_out_channels.iter().enumerate() {
            lines.push(format!(
                "  1/{}: {channels} channels, layers: {}, {}, {}",
                1_usize << level,
                self.layers_per_block,
                kind(&self.down_block_types, level, &BlockType::DOWN),
                kind(&self.up_block_types, levels - 1 - level, &BlockType::UP),
            ));
        }
        lines.join("\n")
    }
}
