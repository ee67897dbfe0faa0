//! A U-Net with its weights.

use super::{BlockType, UNet2DConfig, build_unet2d};
use crate::folder::{CONFIG, ModelFolder, WEIGHTS};
use crate::{NetworkError, initialise, load_parameters, store_parameters};
use alice_calculus::{Graph, Parameters};
use alice_runs::{TensorFile, atomic, disk};
use std::path::Path;

/// A `UNet2DModel` with its weights, usable at any size its architecture allows.
#[derive(Clone, Debug, PartialEq)]
pub struct UNet2D {
    /// The architecture.
    pub config: UNet2DConfig,
    /// The weights, for the graph of any size.
    pub parameters: Parameters<f32>,
}

impl UNet2D {
    /// Random weights to train from, as [`initialise`] draws them.
    ///
    /// # Errors
    /// When the config does not pass [`UNet2DConfig::check`].
    pub fn random(config: UNet2DConfig, seed: u64) -> Result<Self, NetworkError> {
        let parameters = initialise(&smallest(&config)?, seed)?;
        Ok(Self { config, parameters })
    }

    /// The network of a `config.json` and a weights file.
    ///
    /// # Errors
    /// Those of [`UNet2DConfig::from_json`] and [`load_parameters`].
    pub fn from_parts(config: &str, weights: TensorFile) -> Result<Self, NetworkError> {
        let config = UNet2DConfig::from_json(config)?;
        let parameters = load_parameters(&smallest(&config)?, weights)?;
        Ok(Self { config, parameters })
    }

    /// Reads a diffusers U-Net folder or pipeline folder.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit; the error names the file.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let files = ModelFolder::find(folder)?;
        let text = disk::read_text(&files.config)?;
        let config = UNet2DConfig::from_json(&text).map_err(|error| error.at(&files.config))?;
        let weights = TensorFile::read(&files.weights)?;
        let parameters = load_parameters(&smallest(&config)?, weights)?;
        Ok(Self { config, parameters })
    }

    /// Writes a U-Net folder that diffusers' `UNet2DModel.from_pretrained` reads.
    ///
    /// # Errors
    /// When the folder cannot be written. Each file is whole or absent.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), NetworkError> {
        let folder = folder.as_ref();
        self.weights()?.write(folder.join(WEIGHTS))?;
        atomic::write(folder.join(CONFIG), self.config.to_json().as_bytes())?;
        Ok(())
    }

    /// The weights as a file.
    ///
    /// # Errors
    /// When the parameters are another network's.
    pub fn weights(&self) -> Result<TensorFile, NetworkError> {
        store_parameters(&smallest(&self.config)?, &self.parameters)
    }

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
        let graph = smallest(self)?;
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

/// The graph at the smallest size: its parameters are those of every size.
fn smallest(config: &UNet2DConfig) -> Result<Graph, NetworkError> {
    config.check()?;
    let side = 1 << config.halvings();
    build_unet2d(config, (side, side))
}
