//! `sample`: draw pictures with a model.

mod prompted;
mod write;

pub(crate) use prompted::{check as check_prompted, run as run_prompted};

use crate::input::InputFile;
use crate::sampling::run_steps;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{
    Ddim, Ddpm, Draws, Eta, NetworkDenoiser, Sampler, ScheduleConfig, initial_noise,
};
use alice_runs::{ModelReference, RunFolder, TensorFile};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;
use write::{write_latents, write_pictures};

/// Values of the states that go through the network at once.
const BLOCK_VALUES: usize = 1 << 17;
/// Most states that go through the network at once.
const BLOCK: usize = 32;
/// Pictures drawn when neither `--count` nor `--input` says how many.
const COUNT: usize = 8;

/// How to get from noise to a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// Deterministic unless --eta says otherwise
    #[default]
    Ddim,
    /// Ancestral: fresh noise at every step
    Ddpm,
}

impl SamplerKind {
    fn name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::Ddpm => "DDPM",
        }
    }
}

/// What `sample` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SampleArguments {
    /// Start from the noise in this safetensors file (`latents` [N,C,H,W]) instead of drawing it
    #[arg(long, value_name = "FILE")]
    pub input: Option<InputFile>,
    /// How to get from noise to a picture
    #[arg(long, value_enum, default_value_t)]
    pub sampler: SamplerKind,
    /// Steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// Pictures to draw [default: 8, or as many as the input holds]
    #[arg(long)]
    pub count: Option<usize>,
    /// Noise that DDIM adds at each step, from 0 (none) to 1 (as much as DDPM)
    #[arg(long)]
    pub eta: Option<f64>,
    /// What the picture shows, for models that read text; (x) counts more, [x] less, (x:1.5) as much as it says
    #[arg(long, value_name = "TEXT", requires = "model")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What it does not show
    #[arg(long, value_name = "TEXT", requires = "prompt")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// How strongly the prompt counts [default: 7.5]
    #[arg(long, value_name = "SCALE", requires = "prompt")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// How far guided contrast is brought back, from 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", requires = "prompt")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_rescale: Option<f64>,
    /// Width and height in pixels [default: those the model was trained on]
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "prompt")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
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
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: usize,
    /// The pictures, relative to the run folder; none where the model's
    /// samples are not pictures.
    pub pictures: Vec<String>,
    /// Seconds in all.
    pub seconds: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl fmt::Display for SampleReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (h, w) = self.size;
        writeln!(
            f,
            "{} samples of {h}×{w} by {} in {} {} steps, {:.1} s",
            self.count, self.model.name, self.steps, self.sampler, self.seconds
        )?;
        if self.cut > 0 {
            writeln!(
                f,
                "the last {} tokens of the prompt did not fit and were left out",
                self.cut
            )?;
        }
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
    /// Height and width.
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
    model.network.graph(start.size)?;
    Ok(())
}

fn start(arguments: &SampleArguments, model: &DiffusionModel) -> Result<Start, StudyError> {
    let config = &model.network.config;
    if config.in_channels != config.out_channels {
        return Err(StudyError::argument(
            "--model",
            format!(
                "it takes {} channels and gives {}, so it cannot sample. Use `alice predict`",
                config.in_channels, config.out_channels
            ),
        ));
    }
    let sampler = sampler(arguments, &model.schedule)?;
    let Some(input) = &arguments.input else {
        let count = arguments.count.unwrap_or(COUNT);
        check_count(count)?;
        return Ok(Start {
            sampler,
            size: model.size()?,
            count,
            states: None,
        });
    };
    let states = read_states(input, config.in_channels)?;
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

/// The sampler that the arguments ask for.
fn sampler(
    arguments: &SampleArguments,
    schedule: &ScheduleConfig,
) -> Result<Box<dyn Sampler>, StudyError> {
    Ok(match (arguments.sampler, arguments.eta) {
        (SamplerKind::Ddim, eta) => {
            let eta = Eta::Constant(eta.unwrap_or(0.0));
            Box::new(Ddim::new(schedule, arguments.steps, eta)?)
        }
        (SamplerKind::Ddpm, None) => Box::new(Ddpm::new(schedule, arguments.steps)?),
        (SamplerKind::Ddpm, Some(_)) => {
            return Err(StudyError::argument(
                "--eta",
                "only `--sampler ddim` has it",
            ));
        }
    })
}

fn check_count(count: usize) -> Result<(), StudyError> {
    const MOST: usize = 1_000_000;
    if (1..=MOST).contains(&count) {
        return Ok(());
    }
    Err(StudyError::argument(
        "--count",
        format!("{count} pictures; it must lie between 1 and {MOST}"),
    ))
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
    let mut denoiser = NetworkDenoiser::new(&network)?;
    let dim = denoiser.dim();
    progress.begin("sampling", (count * arguments.steps) as u64);
    let mut values = Vec::with_capacity(count * dim);
    let block = (BLOCK_VALUES / dim.max(1)).clamp(1, BLOCK);
    for first in (0..count).step_by(block) {
        let items = block.min(count - first);
        let draws = Draws {
            seed,
            first_item: first as u64,
        };
        let states = match &start.states {
            Some(all) => all.data()[first * dim..(first + items) * dim].to_vec(),
            None => initial_noise(draws, items, dim),
        };
        let steps = 0..arguments.steps;
        let sampler = start.sampler.as_ref();
        values.extend(run_steps(
            &mut denoiser,
            sampler,
            draws,
            states,
            items,
            steps,
            progress,
        )?);
    }
    let channels = model.network.config.out_channels;
    let samples = Tensor::new(&[count, size.0, size.1, channels], values)?;
    write_latents(folder, &samples)?;
    let pictures = write_pictures(arguments, &model.reference, seed, folder, samples)?;
    Ok(SampleReport {
        model: model.reference.clone(),
        count,
        size,
        sampler: arguments.sampler.name(),
        steps: arguments.steps,
        cut: 0,
        pictures,
        seconds: clock.elapsed().as_secs_f64(),
    })
}
