//! The instrument itself.

use crate::calibration::Calibration;
use crate::distance::distance;
use crate::layout::Layout;
use crate::reading::Reading;
use crate::recipe::InstrumentRecipe;
use crate::refine::refine;
use crate::validity::Validity;
use crate::{InstrumentError, Result, network};
use alice_calculus::{Model, Parameters, Tensor};
use alice_networks::{load_parameters, store_parameters};
use alice_runs::{TensorFile, atomic, disk};
use alice_worlds::render;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file of the weights.
const WEIGHTS: &str = "instrument.safetensors";
/// The file of everything else.
const DESCRIPTION: &str = "instrument.json";
/// Pictures that the network sees at once.
const BATCH: usize = 64;

/// Reads the factors of the puppet show from pictures.
///
/// ```
/// use alice_instruments::Instrument;
/// use alice_worlds::{PuppetShow, render_batch};
///
/// let instrument = Instrument::bundled()?;
/// let batch = render_batch(&PuppetShow::default(), 1, 0..4, instrument.size())?;
/// let pictures: Vec<f32> = batch.rgb.iter().map(|v| 2.0 * v - 1.0).collect();
/// for (reading, truth) in instrument.read(&pictures)?.iter().zip(&batch.factors) {
///     assert_eq!(reading.factors.species, truth.species);
/// }
/// # Ok::<(), alice_instruments::InstrumentError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Instrument {
    recipe: InstrumentRecipe,
    layout: Layout,
    model: Model<f32>,
    calibration: Option<Calibration>,
}

/// The description beside the weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    recipe: InstrumentRecipe,
    outputs: Vec<String>,
    calibration: Option<Calibration>,
}

impl Instrument {
    /// An instrument from its weights.
    pub(crate) fn new(
        recipe: InstrumentRecipe,
        parameters: Parameters<f32>,
        calibration: Option<Calibration>,
    ) -> Result<Self> {
        let layout = Layout::new();
        let model = Model::new(network::build(&recipe, &layout)?, parameters)?;
        Ok(Self {
            recipe,
            layout,
            model,
            calibration,
        })
    }

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

    /// The same instrument with another calibration.
    #[must_use]
    pub fn with_calibration(self, calibration: Calibration) -> Self {
        Self {
            calibration: Some(calibration),
            ..self
        }
    }

    /// Side of the pictures that it reads, in pixels.
    #[must_use]
    pub fn size(&self) -> usize {
        self.recipe.size
    }

    /// How it was trained.
    #[must_use]
    pub fn recipe(&self) -> &InstrumentRecipe {
        &self.recipe
    }

    /// Which of [`Reading::raw`] belong to which factor.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its errors, when they were measured.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Reads pictures `[N, size, size, 3]` in −1..1.
    ///
    /// # Errors
    /// When the values are not whole pictures, or not finite.
    pub fn read(&self, pictures: &[f32]) -> Result<Vec<Reading>> {
        let item = self.check(pictures)?;
        let mut readings = Vec::with_capacity(pictures.len() / item);
        let output = self.model.graph().find_output("factors")?;
        for chunk in pictures.chunks(BATCH * item) {
            let side = self.size();
            let batch = Tensor::new(&[chunk.len() / item, side, side, 3], chunk.to_vec())?;
            let outputs = self.model.evaluate(&[("picture", &batch)], &[output])?;
            for row in outputs
                .iter()
                .flat_map(|o| o.data().chunks(self.layout.len()))
            {
                let raw = self.in_units(row);
                readings.push(Reading::from_raw(&self.layout, raw)?);
            }
        }
        Ok(readings)
    }

    /// Reads pictures `[N, size, size, 3]` in −1..1, then moves what was read
    /// until drawing it comes closest to the picture. [`Reading::raw`] stays
    /// what the network read.
    ///
    /// # Errors
    /// As [`Instrument::read`].
    pub fn read_refined(&self, pictures: &[f32]) -> Result<Vec<Reading>> {
        let readings = self.read(pictures)?;
        let item = self.size() * self.size() * 3;
        readings
            .into_par_iter()
            .zip(pictures.par_chunks(item))
            .map(|(reading, picture)| {
                refine(&self.layout, reading, &unit_range(picture), self.size())
            })
            .collect()
    }

    /// Whether pictures `[N, size, size, 3]` in −1..1 are pictures of the
    /// world: whether drawing what was read comes close to them.
    ///
    /// # Errors
    /// As [`Instrument::read`], and when the instrument is not calibrated.
    pub fn validity(&self, pictures: &[f32]) -> Result<Vec<Validity>> {
        let calibration = self.calibration.as_ref();
        let threshold = calibration.ok_or(InstrumentError::NotCalibrated)?.threshold;
        let found = self.distances(pictures)?.into_iter();
        Ok(found
            .map(|(reading, distance)| Validity {
                reading,
                distance,
                valid: distance <= threshold,
            })
            .collect())
    }

    /// Refined readings with the distances between them, drawn, and the pictures.
    pub(crate) fn distances(&self, pictures: &[f32]) -> Result<Vec<(Reading, f32)>> {
        let item = self.size() * self.size() * 3;
        self.read_refined(pictures)?
            .into_par_iter()
            .zip(pictures.par_chunks(item))
            .map(|(reading, picture)| {
                let drawn = render(&reading.factors, self.size())?;
                let distance = distance(&drawn.rgb, &unit_range(picture), self.size());
                Ok((reading, distance))
            })
            .collect()
    }

    /// Values per picture, when the values are finite and whole pictures.
    fn check(&self, pictures: &[f32]) -> Result<usize> {
        let each = self.size() * self.size() * 3;
        if !pictures.len().is_multiple_of(each) {
            return Err(InstrumentError::Pictures {
                size: self.size(),
                each,
                found: pictures.len(),
            });
        }
        match pictures.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(InstrumentError::NotFinite {
                picture: at / each,
                index: at % each,
                value: pictures[at],
            }),
            None => Ok(each),
        }
    }

    /// The network's outputs in the factors' units.
    fn in_units(&self, outputs: &[f32]) -> Vec<f32> {
        let mut raw = outputs.to_vec();
        for slot in self.layout.slots() {
            let (mean, deviation) = slot.standard();
            for value in &mut raw[slot.start..slot.start + slot.len] {
                *value = mean + deviation * *value;
            }
        }
        raw
    }
}

/// From −1..1 to 0..1; beyond is cut off, as in a file.
pub(crate) fn unit_range(picture: &[f32]) -> Vec<f32> {
    picture
        .iter()
        .map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0))
        .collect()
}
