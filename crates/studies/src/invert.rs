//! `invert`: a picture as the noise that a model makes it from.

use crate::discover::findings::Pictures;
use crate::drawing::drawn_by;
use crate::input::InputFile;
use crate::pictures::{Tones, numbers, to_picture};
use crate::points::{check_share, nearest};
use crate::raster::{self, from_picture, sheet};
use crate::sampling::{pictures, run_steps};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, DdimInverse, Draws, Error, Eta, NetworkDenoiser, Sampler, invert};
use alice_runs::{ModelReference, RunFolder, TensorFile, picture};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

/// Pictures in each row of the strip.
const COLUMNS: usize = 9;

/// What `invert` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct InvertArguments {
    /// The picture, a PNG of the model's size
    #[arg(value_name = "PICTURE")]
    pub picture: InputFile,
    /// Crop and scale a picture of another size
    #[arg(long)]
    pub resize: bool,
    /// Steps from picture to noise, and back
    #[arg(long, default_value_t = 100)]
    pub steps: usize,
    /// Fixed-point iterations per step, for a closer reconstruction
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub refine: usize,
}

/// What `invert` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InvertReport {
    /// The model.
    pub model: ModelReference,
    /// Height and width.
    pub size: (usize, usize),
    /// Steps each way.
    pub steps: usize,
    /// How far the reconstruction is from the picture.
    pub error: ReconstructionError,
    /// Mean of the noise's values; 0 for true noise.
    pub noise_mean: f64,
    /// Standard deviation of the noise's values; 1 for true noise.
    pub noise_deviation: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// How far a reconstruction is from its picture, in steps of 8-bit pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReconstructionError {
    /// Root mean square difference.
    pub root_mean_square: f64,
    /// Largest difference.
    pub largest: f64,
}

impl fmt::Display for InvertReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "reconstruction error: {:.2} of 255 (root mean square), {:.0} at most",
            self.error.root_mean_square, self.error.largest
        )?;
        writeln!(
            f,
            "noise: mean {}, deviation {} (true noise: 0 and 1)",
            numbers::fixed(self.noise_mean, 3),
            numbers::fixed(self.noise_deviation, 3)
        )?;
        write!(
            f,
            "strip.png, trajectory.safetensors, {:.1} s",
            self.seconds
        )
    }
}

/// Each is one more evaluation a step; few are enough.
const MOST_REFINEMENTS: usize = 1000;

/// The noisy state that a clean one has after `steps` of an inversion.
///
/// # Errors
/// Those of [`trajectory`].
pub(crate) fn noised(
    denoiser: &mut NetworkDenoiser,
    inverse: &DdimInverse,
    clean: &Tensor<f32>,
    steps: usize,
    refinements: usize,
    progress: &mut dyn Progress,
) -> Result<Tensor<f32>, StudyError> {
    let mut states = trajectory(
        denoiser,
        inverse,
        clean.data(),
        steps,
        refinements,
        progress,
    )?;
    Ok(Tensor::new(clean.dims(), states.swap_remove(steps))?)
}

/// Refuses more refinements than anyone waits for.
pub(crate) fn check_refinements(refine: usize) -> Result<(), StudyError> {
    if refine > MOST_REFINEMENTS {
        let why = format!("{refine}; at most {MOST_REFINEMENTS}");
        return Err(StudyError::argument("--refine", why));
    }
    Ok(())
}

/// Refinements of each step where a picture's noisy state is to be one that the
/// model meets: unrefined, a state of timestep 600 has four fifths of the noise
/// it should. None for latents, where an evaluation takes seconds.
pub(crate) fn usual_refinements(model: &DiffusionModel) -> usize {
    if model.is_latent() { 0 } else { 3 }
}

/// Refuses arguments that do not fit the model, and pictures that cannot be read.
///
/// # Errors
/// Names the argument, or the picture and what is wrong with it.
pub fn check(arguments: &InvertArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    check_refinements(arguments.refine)?;
    read_picture(&arguments.picture, Some(arguments.resize), model)?;
    Ok(())
}

/// A picture as a model takes it, `[1, H, W, C]` in −1..1. `resize` says
/// whether one of another size is cropped and scaled, where the verb can be
/// asked to.
///
/// # Errors
/// When the picture cannot be read or is not of the model's size.
pub fn read_picture(
    file: &InputFile,
    resize: Option<bool>,
    model: &DiffusionModel,
) -> Result<Tensor<f32>, StudyError> {
    let (mut found, _) = picture::decode_png(&file.path, &file.read()?)?;
    let channels = model.picture_channels();
    let scale = model.scale();
    let own = (found.height() as usize, found.width() as usize);
    let wanted = model.known_size().map(|(h, w)| (h * scale, w * scale));
    let size = match wanted {
        Some(size) if size == own => size,
        Some(size) if resize == Some(true) => {
            found = raster::resize(&found, size)?;
            size
        }
        Some((height, width)) => {
            let help = match resize {
                Some(_) => "Crop and scale it with --resize",
                None => "Crop and scale it to that size first",
            };
            return Err(StudyError::argument(
                file.path.display().to_string(),
                format!(
                    "{} × {} pixels, and the model needs {width} × {height}. {help}",
                    own.1, own.0
                ),
            ));
        }
        // A model without a size takes any that its architecture allows.
        None => own,
    };
    let values = from_picture(&found, channels)?;
    Ok(Tensor::new(&[1, size.0, size.1, channels], values)?)
}

/// The number of inversion steps whose end is nearest to a share of the noise
/// schedule.
///
/// # Errors
/// When the share is not above 0, or above 1.
pub(crate) fn steps_to(inverse: &DdimInverse, at: f64) -> Result<usize, StudyError> {
    check_share(at, "--at")?;
    let wanted = at * inverse.schedule().train_steps() as f64;
    let times = inverse.timesteps().iter().map(|&t| t as f64);
    Ok(nearest(times, wanted) + 1)
}

/// Inverts a clean state; returns the states on the way, the clean one first.
///
/// # Errors
/// When the network fails or the user asks to stop.
pub fn trajectory(
    denoiser: &mut NetworkDenoiser,
    inverse: &DdimInverse,
    state: &[f32],
    steps: usize,
    refinements: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Vec<f32>>, StudyError> {
    let mut states = vec![state.to_vec()];
    let observe = &mut |step: &alice_diffusion::StepReport| {
        states.push(step.sample.to_vec());
        progress.advance(1);
        if progress.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let done = invert(
        denoiser,
        inverse,
        state.to_vec(),
        1,
        0..steps,
        refinements,
        observe,
    );
    match done {
        Ok(_) => Ok(states),
        Err(Error::Cancelled { .. }) => Err(StudyError::Cancelled),
        Err(other) => Err(other.into()),
    }
}

/// Inverts the picture, samples back and writes both ways.
///
/// # Errors
/// Those of [`check`]; when the network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &InvertArguments,
    model: &DiffusionModel,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<InvertReport, StudyError> {
    let clock = Instant::now();
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    let clean = model.state(picture.clone())?;
    let size = (clean.dims()[1], clean.dims()[2]);
    let network = model.at(size)?;
    let mut denoiser = network.denoiser()?;
    let inverse = DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    let sampler = Ddim::new(
        &model.schedule.invertible(),
        arguments.steps,
        Eta::Constant(0.0),
    )?;
    let steps = arguments.steps;
    progress.begin("inverting", steps as u64);
    let states = trajectory(
        &mut denoiser,
        &inverse,
        clean.data(),
        steps,
        arguments.refine,
        progress,
    )?;
    progress.begin("reconstructing", steps as u64);
    let noise = &states[steps];
    // A row of the strip back from noise, and the reconstruction last.
    let stops = stops(steps);
    let mut state = noise.clone();
    let mut back = vec![state.clone()];
    for pair in stops.windows(2).rev() {
        let range = steps - pair[1]..steps - pair[0];
        let draws = Draws::default();
        state = run_steps(&mut denoiser, &sampler, draws, state, 1, range, progress)?;
        back.push(state.clone());
    }
    back.reverse();
    write_trajectory(folder, &states, &inverse, clean.dims())?;
    let forth: Vec<_> = stops.iter().map(|&step| states[step].clone()).collect();
    let columns = stops.len();
    let strip = pictures(size, clean.dims()[3], [forth, back].concat().concat());
    let strip = model.pictures(strip, progress)?;
    write_strip(folder, &strip, &labels(&stops, &inverse))?;
    let (mean, deviation) = moments(noise);
    Ok(InvertReport {
        model: model.reference.clone(),
        size: strip.size,
        steps,
        error: difference(picture.data(), strip.get(columns)),
        noise_mean: mean,
        noise_deviation: deviation,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// Step counts from 0 to `steps`, evenly, each once.
fn stops(steps: usize) -> Vec<usize> {
    let mut stops: Vec<_> = (0..COLUMNS).map(|i| i * steps / (COLUMNS - 1)).collect();
    stops.dedup();
    stops
}

fn write_trajectory(
    folder: &mut RunFolder,
    states: &[Vec<f32>],
    inverse: &DdimInverse,
    dims: &[usize],
) -> Result<(), StudyError> {
    let all = Tensor::new(&[&[states.len()], &dims[1..]].concat(), states.concat())?;
    let latents = all.to_channels_first()?;
    let timesteps: Vec<f32> = inverse.timesteps().iter().map(|&t| t as f32).collect();
    let mut file = TensorFile::new();
    file.insert("latents", latents.dims(), latents.data().to_vec())?;
    file.insert("timesteps", &[timesteps.len()], timesteps)?;
    folder.write_tensors("trajectory.safetensors", &file)?;
    Ok(())
}

/// The timestep at each stop.
fn labels(stops: &[usize], inverse: &DdimInverse) -> Vec<String> {
    let label = |&stop: &usize| match stop.checked_sub(1) {
        None => "picture".to_owned(),
        Some(step) => format!("t {}", inverse.timesteps()[step]),
    };
    stops.iter().map(label).collect()
}

/// Above the way to noise, below the way back, column by column.
fn write_strip(
    folder: &mut RunFolder,
    strip: &Pictures,
    labels: &[String],
) -> Result<(), StudyError> {
    let columns = labels.len();
    let reconstruction = to_picture(strip, columns, Tones::of(strip))?;
    let mut labels = [labels, labels].concat();
    labels[columns] = "reconstruction".to_owned();
    let metadata = drawn_by(folder.recipe(), strip.size);
    let strip = sheet(strip, columns, &labels)?;
    folder.write_png("strip.png", &strip, &metadata)?;
    folder.write_png("reconstruction.png", &reconstruction, &metadata)?;
    Ok(())
}

/// The difference of two pictures in −1..1, in steps of 8-bit pixels.
#[must_use]
pub fn difference(a: &[f32], b: &[f32]) -> ReconstructionError {
    let differences = a.iter().zip(b).map(|(a, b)| 127.5 * f64::from(a - b).abs());
    let squares: f64 = differences.clone().map(|d| d * d).sum();
    ReconstructionError {
        root_mean_square: (squares / a.len().max(1) as f64).sqrt(),
        largest: differences.fold(0.0, f64::max),
    }
}

/// Mean and standard deviation.
pub(crate) fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}
