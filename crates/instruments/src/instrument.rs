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
use alice_worlds::render;
use rayon::prelude::*;

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
    pub(crate) recipe: InstrumentRecipe,
    pub(crate) layout: Layout,
    pub(crate) model: Model<f32>,
    pub(crate) calibration: Option<Calibration>,
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

    /// Reads pictures `[N, size, size, 3]` in −1..1; what is beyond is cut off.
    ///
    /// # Errors
    /// When the values are not whole pictures, or not finite.
    pub fn read(&self, pictures: &[f32]) -> Result<Vec<Reading>> {
        let item = self.check(pictures)?;
        let mut readings = Vec::with_capacity(pictures.len() / item);
        let output = self.model.graph().find_output("factors")?;
        for chunk in pictures.chunks(BATCH * item) {
            let side = self.size();
            let seen = chunk.iter().map(|v| v.clamp(-1.0, 1.0)).collect();
            let batch = Tensor::new(&[chunk.len() / item, side, side, 3], seen)?;
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
    /// world: whether drawing what was read, refined, comes close to them.
    ///
    /// # Errors
    /// As [`Instrument::read`], and when the instrument is not calibrated.
    pub fn validity(&self, pictures: &[f32]) -> Result<Vec<Validity>> {
        let threshold = self.calibrated()?.threshold;
        self.judge(self.read_refined(pictures)?, pictures, threshold)
    }

    /// As [`Instrument::validity`] with readings that are not refined: about
    /// ten times as fast, with a threshold of its own, and coarser.
    ///
    /// # Errors
    /// As [`Instrument::validity`].
    pub fn quick_validity(&self, pictures: &[f32]) -> Result<Vec<Validity>> {
        let threshold = self.calibrated()?.quick_threshold;
        self.judge(self.read(pictures)?, pictures, threshold)
    }

    fn calibrated(&self) -> Result<&Calibration> {
        self.calibration
            .as_ref()
            .ok_or(InstrumentError::NotCalibrated)
    }

    /// Readings of pictures, judged by a threshold.
    pub(crate) fn judge(
        &self,
        readings: Vec<Reading>,
        pictures: &[f32],
        threshold: f32,
    ) -> Result<Vec<Validity>> {
        let item = self.size() * self.size() * 3;
        readings
            .into_par_iter()
            .zip(pictures.par_chunks(item))
            .map(|(reading, picture)| {
                let drawn = render(&reading.factors, self.size())?;
                let distance = distance(&drawn.rgb, &unit_range(picture), self.size());
                Ok(Validity {
                    reading,
                    distance,
                    valid: distance <= threshold,
                })
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
