//! What `train` leaves besides its checkpoint.

use crate::StudyError;
use crate::raster::{columns, sheet};
use crate::sampling::pictures;
use alice_runs::{Metadata, RunFolder, disk};
use alice_training::Trainer;
use serde::{Deserialize, Serialize};
use serde_json::json;

const CURVE: &str = "curve.json";
/// Pictures in a sheet of samples, and the steps they are drawn with.
const SHEET: (usize, usize) = (25, 50);

/// The loss curve, `curve.json`.
#[derive(Serialize, Deserialize)]
struct Curve {
    /// Steps per loss.
    interval: u64,
    /// Mean losses.
    losses: Vec<f64>,
    /// Steps done.
    steps: u64,
    /// Seconds of training until then.
    seconds: f64,
}

/// Seconds of training up to the checkpoint at `step`, if the curve tells.
pub(super) fn seconds_before(folder: &RunFolder, step: u64) -> f64 {
    let curve = disk::read_json::<Curve>(folder.path().join(CURVE));
    curve.map_or(0.0, |curve| {
        // A curve written after the checkpoint was, or before.
        curve.seconds * step as f64 / curve.steps.max(1) as f64
    })
}
pub(super) fn write_curve(
    folder: &mut RunFolder,
    trainer: &Trainer,
    seconds: f64,
) -> Result<(), StudyError> {
    let curve = Curve {
        interval: Trainer::CURVE_INTERVAL,
        losses: trainer.curve().to_vec(),
        steps: trainer.step(),
        seconds,
    };
    folder.write_json(CURVE, &curve)?;
    Ok(())
}

/// A sheet of samples of the averaged weights; nothing for other than pictures.
pub(super) fn write_samples(
    folder: &mut RunFolder,
    trainer: &Trainer,
    name: &str,
) -> Result<(), StudyError> {
    let (count, steps) = SHEET;
    let steps = steps.min(trainer.schedule_config().num_train_timesteps);
    let side = trainer.recipe().size;
    let values = trainer.samples(count, steps)?;
    let channels = trainer.network_config().out_channels;
    let sheet = sheet(
        &pictures((side, side), channels, values),
        columns(count),
        &[],
    )?;
    folder.write_png(name, &sheet, &Metadata::new())?;
    Ok(())
}

/// A pipeline folder that diffusers reads.
pub(super) fn write_model(folder: &mut RunFolder, trainer: &Trainer) -> Result<(), StudyError> {
    let network = trainer.network();
    let schedule = trainer.schedule_config();
    let (scheduler, pipeline) = match schedule.class_name.as_str() {
        name @ ("DDPMScheduler" | "DDIMScheduler") => (name, name.replace("Scheduler", "Pipeline")),
        other => (other, "DDIMPipeline".to_owned()),
    };
    let index = json!({
        "_class_name": pipeline,
        "scheduler": ["diffusers", scheduler],
        "unet": ["diffusers", "UNet2DModel"],
    });
    let weights = "model/unet/diffusion_pytorch_model.safetensors";
    folder.write_tensors(weights, &network.weights()?)?;
    folder.write_text("model/unet/config.json", &network.config.to_json())?;
    folder.write_text(
        "model/scheduler/scheduler_config.json",
        &schedule.to_json()?,
    )?;
    folder.write_json("model/model_index.json", &index)?;
    folder.write_json("training.json", trainer.recipe())?;
    Ok(())
}
