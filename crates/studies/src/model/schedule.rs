//! The noise schedule of a model, from its files.

use crate::StudyError;
use alice_diffusion::{PredictionType, ScheduleConfig};
use alice_networks::{ModelLocation, Prediction};
use alice_runs::ModelOptions;

/// What the network predicts, if that is said.
pub(crate) fn prediction(options: &ModelOptions) -> Result<Option<Prediction>, StudyError> {
    let parse = |text: &String| {
        let parsed = text.parse::<Prediction>();
        parsed.map_err(|why| StudyError::argument("--prediction", why))
    };
    options.prediction.as_ref().map(parse).transpose()
}

/// The noise schedule of a model, with another prediction if one is given;
/// `None` where it has none.
///
/// # Errors
/// When its config is broken or not supported; the error names the file.
pub(crate) fn open_schedule(
    location: &ModelLocation,
    prediction: Option<Prediction>,
) -> Result<Option<ScheduleConfig>, StudyError> {
    let Some((path, text)) = location.scheduler()? else {
        return Ok(None);
    };
    let mut schedule = ScheduleConfig::from_json(&text)
        .map_err(|e| StudyError::argument(path.display().to_string(), e.to_string()))?;
    predict(&mut schedule, prediction);
    Ok(Some(schedule))
}

/// Makes a schedule that of another prediction, if one is given.
fn predict(schedule: &mut ScheduleConfig, prediction: Option<Prediction>) {
    if let Some(prediction) = prediction {
        schedule.prediction_type = match prediction {
            Prediction::Epsilon => PredictionType::Epsilon,
            Prediction::Velocity => PredictionType::VPrediction,
        };
    }
}

/// The schedule of a folder that names none.
pub(super) fn assumed(prediction: Option<Prediction>) -> ScheduleConfig {
    let mut schedule = ScheduleConfig::default();
    predict(&mut schedule, prediction);
    schedule
}
