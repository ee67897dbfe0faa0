//! An instrument's two files.

use crate::calibration::Calibration;
use crate::instrument::Instrument;
use crate::layout::Layout;
use crate::recipe::InstrumentRecipe;
use crate::{InstrumentError, Result, network};
use alice_networks::{load_parameters, store_parameters};
use alice_runs::{TensorFile, atomic, disk};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file of the weights.
const WEIGHTS: &str = "instrument.safetensors";
/// The file of everything else.
const DESCRIPTION: &str = "instrument.json";
/// The description beside the weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    recipe: InstrumentRecipe,
    outputs: Vec<String>,
    calibration: Option<Calibration>,
}

impl Instrument {
    /// The instrument that is shipped, for pictures of 32×32.
    ///
    /// # Errors
    /// When the world changed since it was trained.
    pub fn bundled() -> Result<Self> {
        Self::from_bytes(
            include_str!("../../../models/puppets-32/instrument/instrument.json"),
            include_bytes!("../../../models/puppets-32/instrument/instrument.safetensors"),
        )
    }

    /// An instrument from the contents of its two files.
    ///
    /// # Errors
    /// When a file is broken, or of another version of the world.
    pub fn from_bytes(description: &str, weights: &[u8]) -> Result<Self> {
        let weights = TensorFile::from_bytes(WEIGHTS, weights)?;
        Self::assemble(DESCRIPTION, description, weights)
    }

    /// Reads an instrument from its folder.
    ///
    /// # Errors
    /// When a file is missing, broken, or of another version of the world.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join(DESCRIPTION);
        let description = disk::read_text(&path)?;
        let weights = TensorFile::read(folder.as_ref().join(WEIGHTS))?;
        Self::assemble(&path.display().to_string(), &description, weights)
    }

    fn assemble(origin: &str, description: &str, weights: TensorFile) -> Result<Self> {
        let refuse = |why: String| InstrumentError::Description {
            origin: origin.to_owned(),
            why,
        };
        let Description {
            recipe,
            outputs,
            calibration,
        } = serde_json::from_str(description).map_err(|error| refuse(error.to_string()))?;
        recipe.check()?;
        let layout = Layout::new();
        if outputs != layout.names() {
            return Err(refuse("it reads other factors".to_owned()));
        }
        if calibration.as_ref().is_some_and(|c| !c.fits()) {
            return Err(refuse("it was calibrated on other factors".to_owned()));
        }
        let graph = network::build(&recipe, &layout)?;
        let parameters = load_parameters(&graph, weights)?;
        Self::new(recipe, parameters, calibration)
    }

    /// Writes `instrument.safetensors` and `instrument.json` into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let path = folder.as_ref().join(DESCRIPTION);
        let description = Description {
            recipe: self.recipe.clone(),
            outputs: self.layout.names(),
            calibration: self.calibration.clone(),
        };
        let mut text = serde_json::to_string_pretty(&description).map_err(|error| {
            InstrumentError::Description {
                origin: path.display().to_string(),
                why: error.to_string(),
            }
        })?;
        text.push('\n');
        store_parameters(self.model.graph(), self.model.parameters())?
            .write(folder.as_ref().join(WEIGHTS))?;
        Ok(atomic::write(&path, text.as_bytes())?)
    }
}
