//! `sample`: draw pictures with a model.

use crate::drawing::{
    Drawing, DrawingArguments, Made, Origin, check_count, check_model, check_variation, decode,
    variation, write_latents, write_pictures, write_sheet,
};
use crate::input::InputFile;
use crate::pictures::numbers;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::Sampler;
use alice_runs::{ModelReference, RunFolder, TensorFile};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Pictures drawn when neither `--count` nor `--input` says how many; of
/// models that read text, one.
const COUNT: usize = 8;

/// What `sample` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SampleArguments {
    /// Start from the noise in this safetensors file (`latents` [N,C,H,W]) instead of drawing it
    #[arg(long, value_name = "FILE")]
    pub input: Option<InputFile>,
    /// How to draw.
    #[command(flatten)]
    pub drawing: DrawingArguments,
    /// Pictures to draw [default: 8, or 1 of models that read text, or as many as the input holds]
    #[arg(long)]
    pub count: Option<usize>,
    /// Turn the noise towards that of this seed, for pictures a little different
    #[arg(
        long,
        value_name = "SEED",
        requires = "variation",
        conflicts_with = "input"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation_seed: Option<u64>,
    /// How far it is turned, from 0 to 1
    #[arg(long, value_name = "STRENGTH", requires = "variation_seed")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<f64>,
}

/// What `sample` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleReport {
    /// The model.
    pub model: ModelReference,
    /// Pictures drawn.
    pub count: usize,
    /// Height and width.
    pub size: (usize, usize),
    /// The sampler's name.
    pub sampler: &'static str,
    /// Steps.
    pub steps: usize,
    /// Tokens at the prompt's end that the text encoder could not take.
    #[serde(skip_serializing_if = "numbers::is_zero")]
    pub cut: usize,
    /// The same of the negative prompt.
    #[serde(skip_serializing_if = "numbers::is_zero")]
    pub cut_negative: usize,
    /// The pictures, relative to the run folder; none where the model's
    /// samples are not pictures.
    pub pictures: Vec<String>,
    /// Seconds in all.
    pub seconds: f64,
}

impl fmt::Display for SampleReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (h, w) = self.size;
        writeln!(
            f,
            "{} of {w}×{h} by {} in {}, {:.1} s",
            numbers::counted(self.count as u64, "sample"),
            self.model.name,
            numbers::counted(self.steps as u64, &format!("{} step", self.sampler)),
            self.seconds
        )?;
        if self.pictures.is_empty() {
            write!(
                f,
                "sheet.png (the first channels) and latents.safetensors; these are not RGB or grey pictures"
            )
        } else {
            write!(f, "sheet.png, latents.safetensors and single pictures")
        }
    }
}

/// Where sampling begins.
struct Start {
    sampler: Box<dyn Sampler>,
    /// Of states: height and width.
    size: (usize, usize),
    count: usize,
    /// `[N, H, W, C]`; drawn from the seed if `None`.
    states: Option<Tensor<f32>>,
}

/// Refuses arguments that do not fit the model.
///
/// # Errors
/// Names the argument, or the input and what is wrong with it.
pub fn check(arguments: &SampleArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    let start = start(arguments, model)?;
    arguments.variation.map_or(Ok(()), check_variation)?;
    model.check_size(start.size)
}

fn start(arguments: &SampleArguments, model: &DiffusionModel) -> Result<Start, StudyError> {
    check_model(model)?;
    let sampler = arguments.drawing.build(model)?;
    let Some(input) = &arguments.input else {
        let usual = if model.is_latent() { 1 } else { COUNT };
        let count = arguments.count.unwrap_or(usual);
        check_count(count)?;
        return Ok(Start {
            sampler,
            size: model.size()?,
            count,
            states: None,
        });
    };
    let states = read_states(input, model.channels())?;
    let (count, size) = (states.batch(), (states.dims()[1], states.dims()[2]));
    if arguments.count.is_some_and(|asked| asked != count) {
        return Err(StudyError::argument(
            "--count",
            format!("the input holds {count}. Leave it out"),
        ));
    }
    Ok(Start {
        sampler,
        size,
        count,
        states: Some(states),
    })
}

/// `latents` (or `sample`, as `predict` calls it) `[N, C, H, W]`.
fn read_states(input: &InputFile, channels: usize) -> Result<Tensor<f32>, StudyError> {
    let file = TensorFile::from_bytes(&input.path, &input.read()?)?;
    file.require_finite()?;
    let name = if file.get("latents").is_none() && file.get("sample").is_some() {
        "sample"
    } else {
        "latents"
    };
    let [count, _, height, width] = file.require_rank(name, 4)?.shape[..] else {
        return Err(StudyError::argument(
            "--input",
            "four dimensions are needed",
        ));
    };
    let shape = [count, channels, height, width];
    let found = file.require(name, &shape)?;
    if count == 0 {
        let why = format!("{name} holds no sample, so there is nothing to draw");
        return Err(StudyError::argument(input.path.display().to_string(), why));
    }
    check_count(count)?;
    crate::model::channels_last(&shape, found.data.clone())
}

/// Draws the samples and writes them as tensors and, if they are, as pictures.
///
/// # Errors
/// Those of [`check`]; when the network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &SampleArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<SampleReport, StudyError> {
    let clock = Instant::now();
    let start = start(arguments, model)?;
    let (count, size) = (start.count, start.size);
    let network = model.at(size)?;
    let mut others = Vec::new();
    let origin = match (&start.states, arguments.variation_seed, arguments.variation) {
        (Some(states), ..) => Origin::Given(states),
        (None, Some(other), Some(strength)) => {
            others.extend(variation(other, strength));
            Origin::Variation {
                seed: other,
                strength,
            }
        }
        _ => Origin::Noise,
    };
    let drawing = Drawing {
        network: &network,
        sampler: start.sampler.as_ref(),
        origin,
        first: 0,
        held: None,
        seed,
    };
    let values = drawing.draw(count, progress)?;
    let samples = Tensor::new(&[count, size.0, size.1, model.out_channels()], values)?;
    write_latents(folder, &samples)?;
    let drawn = decode(model, size, samples.into_data(), progress)?;
    let made = Made {
        model,
        drawing: &arguments.drawing,
        seed,
        others,
    };
    let pictures = write_pictures(folder, &drawn, &made)?;
    let size = drawn.size;
    write_sheet(folder, drawn, &[], &made)?;
    Ok(SampleReport {
        model: model.reference.clone(),
        count,
        size,
        sampler: arguments.drawing.kind(model).name(),
        steps: arguments.drawing.steps,
        cut: model.cut(),
        cut_negative: model.cut_negative(),
        pictures,
        seconds: clock.elapsed().as_secs_f64(),
    })
}
