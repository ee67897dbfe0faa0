//! Pictures read back by the instrument of the puppet show.

use crate::StudyError;
use crate::discover::findings::{FactorError, FactorResponse, Pictures, SampleReport};
use crate::model::DiffusionModel;
use crate::responses::{FactorValues, responses};
use alice_instruments::{DistanceProfile, Instrument, Reading, Validity};
use alice_worlds::{FACTORS, FactorKind, caption_en};

/// Reads factors where the pictures are the puppet show's.
#[derive(Clone, Debug)]
pub struct Reader {
    instrument: Instrument,
}

impl Reader {
    /// The bundled instrument, for the bundled model and for models whose
    /// user says that they draw puppets; nothing for other models.
    ///
    /// # Errors
    /// When it is asked for, but the model's pictures are of another size.
    pub fn for_model(model: &DiffusionModel, puppets: bool) -> Result<Option<Self>, StudyError> {
        if !puppets && !model.is_bundled() {
            return Ok(None);
        }
        let instrument = Instrument::bundled()?;
        let side = instrument.size();
        let fits = !model.is_latent() && model.known_size() == Some((side, side));
        if !fits || model.out_channels() != 3 {
            return Err(StudyError::argument(
                "--puppets",
                format!("the instrument reads RGB pictures of {side}×{side} pixels only"),
            ));
        }
        Ok(Some(Self { instrument }))
    }

    /// The instrument, for studies that measure against the truth of the puppet
    /// show and are nothing without it.
    ///
    /// # Errors
    /// When there is no truth for this model's pictures; says what to do.
    pub fn required(
        model: &DiffusionModel,
        puppets: bool,
        study: &str,
    ) -> Result<Self, StudyError> {
        if let Some(reader) = Self::for_model(model, puppets)? {
            return Ok(reader);
        }
        Err(no_truth(model, study))
    }

    /// Readings of all pictures.
    ///
    /// # Errors
    /// When the pictures are not the instrument's.
    pub fn read(&self, pictures: &Pictures) -> Result<Vec<Reading>, StudyError> {
        Ok(self.instrument.read(&pictures.values)?)
    }

    /// Whether re-rendering what is read is close to each picture.
    ///
    /// # Errors
    /// When the pictures are not the instrument's.
    pub fn validity(&self, pictures: &Pictures) -> Result<Vec<Validity>, StudyError> {
        Ok(self.instrument.validity(&pictures.values)?)
    }

    /// Whether drawing what is read at once, without refinement, is close to
    /// each picture: much faster than [`Self::validity`], and blind to light damage.
    ///
    /// # Errors
    /// When the pictures are not the instrument's.
    pub fn quick_validity(&self, pictures: &Pictures) -> Result<Vec<bool>, StudyError> {
        let validity = self.instrument.quick_validity(&pictures.values)?;
        Ok(validity.iter().map(|v| v.valid).collect())
    }

    /// What each sample shows, and whether it is sound.
    ///
    /// # Errors
    /// When the pictures are not the instrument's.
    pub fn describe(&self, pictures: &Pictures) -> Result<Vec<SampleReport>, StudyError> {
        let validity = self.validity(pictures)?;
        let bound = self.structural_threshold();
        Ok(validity
            .iter()
            .map(|validity| SampleReport {
                caption: caption_en(&validity.reading.factors),
                sound: f64::from(validity.distance) <= bound,
                distance: f64::from(validity.distance),
            })
            .collect())
    }

    /// How every factor moves along a walk whose frames at `positions` were
    /// read, and the share of the frames that are sound.
    #[must_use]
    pub fn along(&self, positions: &[f64], read: &[Validity]) -> (Vec<FactorResponse>, f64) {
        let readings: Vec<Reading> = read.iter().map(|frame| frame.reading.clone()).collect();
        let bound = self.structural_threshold();
        let sound = read.iter().filter(|f| f64::from(f.distance) <= bound);
        (
            responses(positions, &along_walk(&readings)),
            sound.count() as f64 / read.len().max(1) as f64,
        )
    }

    /// The distance up to which a picture is valid.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.instrument
            .calibration()
            .map_or(0.0, |c| f64::from(c.threshold))
    }

    /// The distance that nearly all pictures with wrong parts exceed.
    #[must_use]
    pub fn structural_threshold(&self) -> f64 {
        self.instrument
            .calibration()
            .map_or(0.0, |c| f64::from(c.structural_threshold()))
    }

    /// The distances of held-out true pictures, and of perturbed ones.
    #[must_use]
    pub fn profiles(&self) -> &[DistanceProfile] {
        self.instrument
            .calibration()
            .map_or(&[], |calibration| &calibration.distances)
    }

    /// The instrument's errors on held-out pictures.
    #[must_use]
    pub fn errors(&self) -> Vec<FactorError> {
        let Some(calibration) = self.instrument.calibration() else {
            return Vec::new();
        };
        FACTORS
            .iter()
            .filter_map(|spec| {
                let errors = calibration.factor(spec.name)?;
                let (measure, value) = match errors.accuracy {
                    Some(accuracy) => ("accuracy", accuracy),
                    None => ("mean absolute error", errors.error_visible?),
                };
                Some(FactorError {
                    factor: spec.name.to_owned(),
                    measure: measure.to_owned(),
                    value,
                })
            })
            .collect()
    }
}

/// Why a study that measures against the puppet show cannot use a model.
pub(crate) fn no_truth(model: &DiffusionModel, study: &str) -> StudyError {
    let hint = if model.is_latent() {
        ""
    } else {
        " If it draws them, say --puppets."
    };
    let why = format!(
        "{study} needs the truth of the puppet show, and {} is not known to draw \
         puppets.{hint} discover, edit, transport, global and treat need no truth",
        model.reference.name
    );
    StudyError::argument("--model", why)
}

/// One number per factor for each frame of a walk, see [`FactorValues`].
#[must_use]
pub fn along_walk(readings: &[Reading]) -> Vec<FactorValues> {
    let middle = readings.get(readings.len() / 2);
    let species = middle.map_or(0, |reading| {
        let probabilities = &reading.species_probabilities;
        (0..probabilities.len())
            .max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]))
            .unwrap_or(0)
    });
    let value = |reading: &Reading, factor: usize| match FACTORS[factor].kind {
        FactorKind::Categorical { .. } => reading
            .species_probabilities
            .get(species)
            .copied()
            .unwrap_or(0.0),
        _ => reading.values[factor],
    };
    readings
        .iter()
        .map(|reading| {
            (0..FACTORS.len())
                .map(|f| f64::from(value(reading, f)))
                .collect()
        })
        .collect()
}
