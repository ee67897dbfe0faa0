//! An architecture with its weights.

use crate::folder::CONFIG;
use crate::location::ModelLocation;
use crate::weights::Weights;
use crate::{NetworkError, initialise, store_parameters};
use alice_calculus::{Graph, Parameters};
use alice_runs::{TensorFile, atomic};
use std::path::Path;

/// What a `config.json` describes.
pub trait Architecture: Clone {
    /// The subfolder of a pipeline that holds such a network.
    const FOLDER: &'static str;
    /// The file of its weights there.
    const WEIGHTS: &'static str = crate::folder::WEIGHTS;

    /// Tensors of its files that are no weights of it.
    #[must_use]
    fn ignored(&self) -> &'static [&'static str] {
        &[]
    }

    /// The graph's name of a tensor that some files name otherwise.
    #[must_use]
    fn rename(_name: &str) -> Option<String> {
        None
    }

    /// Reads diffusers' `config.json`. Missing fields take diffusers'
    /// defaults, unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not a JSON object, or naming the first field whose
    /// value is not supported or does not fit the others.
    fn from_json(text: &str) -> Result<Self, NetworkError>;

    /// The `config.json` from which diffusers builds this network.
    fn to_json(&self) -> String;

    /// A graph of the least size: its parameters are those of every size.
    ///
    /// # Errors
    /// When the config makes no network.
    fn smallest(&self) -> Result<Graph, NetworkError>;
}

/// An architecture with its weights, usable at any size it allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<A> {
    /// The architecture.
    pub config: A,
    /// The weights, for the graph of any size.
    pub parameters: Parameters<f32>,
}

impl<A: Architecture> Network<A> {
    /// Random weights to train from, as [`initialise`] draws them.
    ///
    /// # Errors
    /// When the config makes no network.
    pub fn random(config: A, seed: u64) -> Result<Self, NetworkError> {
        let parameters = initialise(&config.smallest()?, seed)?;
        Ok(Self { config, parameters })
    }

    /// The network of a `config.json` and a weights file.
    ///
    /// # Errors
    /// Those of [`Architecture::from_json`] and [`crate::load_parameters`].
    pub fn from_parts(config: &str, weights: TensorFile) -> Result<Self, NetworkError> {
        Self::with_weights(A::from_json(config)?, weights.into())
    }

    pub(crate) fn with_weights(config: A, mut weights: Weights) -> Result<Self, NetworkError> {
        for name in config.ignored() {
            weights.remove(name);
        }
        weights.rename_all(A::rename);
        let parameters = weights.load(&config.smallest()?)?;
        Ok(Self { config, parameters })
    }

    /// Reads a network's folder or the pipeline folder around it, or whatever
    /// else [`ModelLocation::find`] finds.
    ///
    /// # Errors
    /// When files are missing, broken or do not fit; the error names the file.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, NetworkError> {
        ModelLocation::find(folder)?.network(A::FOLDER)
    }

    /// Writes a folder that diffusers' `from_pretrained` reads.
    ///
    /// # Errors
    /// When the folder cannot be written. Each file is whole or absent.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), NetworkError> {
        let folder = folder.as_ref();
        self.weights()?.write(folder.join(A::WEIGHTS))?;
        atomic::write(folder.join(CONFIG), self.config.to_json().as_bytes())?;
        Ok(())
    }

    /// The weights as a file.
    ///
    /// # Errors
    /// When the parameters are another network's.
    pub fn weights(&self) -> Result<TensorFile, NetworkError> {
        store_parameters(&self.config.smallest()?, &self.parameters)
    }
}
