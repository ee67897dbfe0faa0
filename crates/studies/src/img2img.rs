//! `img2img`: pictures like another one (Meng et al., "SDEdit", ICLR 2022,
//! arXiv 2108.01073): noise is added to it up to a level, and sampling goes on
//! from there.

use crate::drawing::{
    Drawing, DrawingArguments, Made, Origin, check_count, check_model, check_some_step,
    check_strength, decode, gone, steps_gone, write_latents, write_pictures, write_sheet_beside,
};
use crate::header::Header;
use crate::input::InputFile;
use crate::invert::read_picture;
use crate::pictures::numbers;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// What `img2img` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Img2imgArguments {
    /// The picture to start from (PNG)
    #[arg(value_name = "PICTURE")]
    pub picture: InputFile,
    /// How much becomes new: 0 leaves the picture, 1 keeps next to nothing of it
    #[arg(long, default_value_t = 0.6)]
    pub strength: f64,
    /// How to draw.
    #[command(flatten)]
    pub drawing: DrawingArguments,
    /// Pictures to draw, each from noise of its own
    #[arg(long, default_value_t = 4)]
    pub count: usize,
    /// Crop and scale the picture to the model's size
    #[arg(long)]
    pub resize: bool,
}

/// What `img2img` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Img2imgReport {
    /// The model.
    pub model: ModelReference,
    /// Height and width.
    pub size: (usize, usize),
    /// The sampler's name.
    pub sampler: &'static str,
    /// Steps of the whole way, and those that were gone.
    pub steps: (usize, usize),
    /// The timestep at which sampling went on.
    pub timestep: Option<f64>,
    /// Root mean square difference of each picture to the first, in −1..1.
    pub changes: Vec<f64>,
    /// Whether the picture was laid over white or cut to 8 bits when it was read.
    pub flattened: bool,
    /// Tokens at the prompt's end that the text encoder could not take.
    pub cut: usize,
    /// The same of the negative prompt.
    #[serde(skip_serializing_if = "numbers::is_zero")]
    pub cut_negative: usize,
    /// The pictures, relative to the run folder.
    pub pictures: Vec<String>,
    /// Seconds in all.
    pub seconds: f64,
}

impl fmt::Display for Img2imgReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (h, w) = self.size;
        let mean = self.changes.iter().sum::<f64>() / self.changes.len().max(1) as f64;
        writeln!(
            f,
            "{} of {w}×{h} by {} in {}, {:.1} s",
            numbers::counted(self.changes.len() as u64, "picture"),
            self.model.name,
            steps_gone(self.steps, self.sampler),
            self.seconds
        )?;
        writeln!(
            f,
            "a pixel changed by {mean:.3} (root mean square, of −1..1)"
        )?;
        if self.flattened {
            writeln!(f, "the original was read as 8-bit RGB over white")?;
        }
        write!(
            f,
            "sheet.png (the original first), latents.safetensors and single pictures"
        )
    }
}

/// Refuses arguments that do not fit the model, and pictures that cannot be read.
///
/// # Errors
/// Names the argument, or the picture and what is wrong with it.
pub fn check(arguments: &Img2imgArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    check_model(model)?;
    check_count(arguments.count)?;
    check_strength(arguments.strength)?;
    check_some_step(arguments.strength, arguments.drawing.build(model)?.as_ref())?;
    read_picture(&arguments.picture, Some(arguments.resize), model)?;
    Ok(())
}

/// Draws the pictures and writes them.
///
/// # Errors
/// Those of [`check`]; when a network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &Img2imgArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Img2imgReport, StudyError> {
    let clock = Instant::now();
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    let clean = model.state(picture.clone())?;
    let size = (clean.dims()[1], clean.dims()[2]);
    let network = model.at(size)?;
    let sampler = arguments.drawing.build(model)?;
    let first = sampler.index_of_strength(arguments.strength);
    let drawing = Drawing {
        network: &network,
        sampler: sampler.as_ref(),
        origin: Origin::Clean(&clean),
        first,
        held: None,
        seed,
    };
    let count = arguments.count;
    let values = drawing.draw(count, progress)?;
    let samples = Tensor::new(&[count, size.0, size.1, clean.channels()], values)?;
    write_latents(folder, &samples)?;
    let drawn = decode(model, size, samples.into_data(), progress)?;
    let made = Made {
        model,
        drawing: &arguments.drawing,
        seed,
        others: vec![(
            "Denoising strength".to_owned(),
            arguments.strength.to_string(),
        )],
    };
    let pictures = write_pictures(folder, &drawn, &made)?;
    let change = |i: usize| -> f64 {
        let pairs = drawn.get(i).iter().zip(picture.data());
        let squares: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (squares / drawn.item_len() as f64).sqrt()
    };
    let changes = (0..count).map(change).collect();
    let report = Img2imgReport {
        model: model.reference.clone(),
        size: drawn.size,
        sampler: arguments.drawing.kind(model).name(),
        steps: (arguments.drawing.steps, gone(sampler.as_ref(), first)),
        timestep: sampler.times().get(first).copied(),
        changes,
        flattened: !Header::of(&arguments.picture)?.plain,
        cut: model.cut(),
        cut_negative: model.cut_negative(),
        pictures,
        seconds: 0.0,
    };
    write_sheet_beside(folder, picture, drawn, &made)?;
    Ok(Img2imgReport {
        seconds: clock.elapsed().as_secs_f64(),
        ..report
    })
}
