//! `inpaint`: a part of a picture drawn anew.
//!
//! The states of what is kept follow the picture, made noisy to the level that
//! is due (RePaint without resampling); a network made for inpainting is told
//! the mask and the rest of the picture instead, and its states are its own, as
//! in diffusers. Either way the pixels outside the mask are the picture's; where
//! the mask is grey, what was drawn is laid over them.

use crate::discover::findings::Pictures;
use crate::drawing::{
    Drawing, DrawingArguments, Made, Origin, check_count, check_model, check_some_step,
    check_strength, decode, gone, steps_gone, write_pictures, write_sheet_beside,
};
use crate::header::Header;
use crate::input::InputFile;
use crate::invert::read_picture;
use crate::mask::{cells, read_shares};
use crate::pictures::numbers;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Draws, Sampler, added_noise};
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// What `inpaint` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct InpaintArguments {
    /// The picture to change (PNG)
    #[arg(value_name = "PICTURE")]
    pub picture: InputFile,
    /// What to draw anew: a picture of the same size, white there and black elsewhere, greys blend
    /// the two; or one that is transparent there and not elsewhere
    #[arg(long, value_name = "PICTURE")]
    pub mask: InputFile,
    /// How much becomes new inside the mask: 1 starts it from noise
    #[arg(long, default_value_t = 1.0)]
    pub strength: f64,
    /// How to draw.
    #[command(flatten)]
    pub drawing: DrawingArguments,
    /// Pictures to draw, each from noise of its own
    #[arg(long, default_value_t = 4)]
    pub count: usize,
    /// Crop and scale the picture to the model's size, and a mask of the picture's size with it
    #[arg(long)]
    pub resize: bool,
}

/// What `inpaint` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InpaintReport {
    /// The model.
    pub model: ModelReference,
    /// Height and width.
    pub size: (usize, usize),
    /// The sampler's name.
    pub sampler: &'static str,
    /// Steps of the whole way, and those that were gone.
    pub steps: (usize, usize),
    /// The share of the pixels that was drawn anew.
    pub share: f64,
    /// Whether the network was told the mask.
    pub told: bool,
    /// Whether the picture was cropped and scaled.
    pub resized: bool,
    /// Whether the picture was laid over white or cut to 8 bits when it was
    /// read, so that what is kept is not all that its file holds.
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

impl fmt::Display for InpaintReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (h, w) = self.size;
        writeln!(
            f,
            "{} of {w}×{h} by {} in {}, {:.1} s",
            numbers::counted(self.pictures.len() as u64, "picture"),
            self.model.name,
            steps_gone(self.steps, self.sampler),
            self.seconds
        )?;
        if self.share > 0.0 {
            writeln!(
                f,
                "{:.0} % of the pixels were drawn anew; the others are those of {}, bit by bit",
                100.0 * self.share,
                self.kept()
            )?;
        } else {
            writeln!(f, "nothing was drawn anew: the pictures are the original")?;
        }
        write!(f, "sheet.png (the original first) and single pictures")
    }
}

impl InpaintReport {
    /// Whose pixels those outside the mask are.
    fn kept(&self) -> &'static str {
        match (self.resized, self.flattened) {
            (false, false) => "the picture",
            (true, false) => "the scaled picture",
            (false, true) => "the picture as 8-bit RGB over white",
            (true, true) => "the scaled picture as 8-bit RGB over white",
        }
    }
}

/// Refuses arguments that do not fit the model, and pictures that cannot be read.
///
/// # Errors
/// Names the argument, or the picture and what is wrong with it.
pub fn check(arguments: &InpaintArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    check_model(model)?;
    check_count(arguments.count)?;
    check_strength(arguments.strength)?;
    check_some_step(arguments.strength, arguments.drawing.build(model)?.as_ref())?;
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    let own = Header::of(&arguments.picture)?.size;
    read_shares(&arguments.mask, (picture.dims()[1], picture.dims()[2]), own)?;
    Ok(())
}

/// Draws the pictures and writes them.
///
/// # Errors
/// Those of [`check`]; when a network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &InpaintArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<InpaintReport, StudyError> {
    let clock = Instant::now();
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    let pixels = (picture.dims()[1], picture.dims()[2]);
    let header = Header::of(&arguments.picture)?;
    let shares = read_shares(&arguments.mask, pixels, header.size)?;
    let mask: Vec<bool> = shares.iter().map(|share| *share > 0.0).collect();
    let sampler = arguments.drawing.build(model)?;
    let first = sampler.index_of_strength(arguments.strength);
    let drawn = if arguments.strength > 0.0 {
        let from = (sampler.as_ref(), first);
        draw(arguments, model, seed, &picture, &shares, from, progress)?
    } else {
        // The autoencoder would change what is masked, and nothing is to change.
        Pictures {
            size: pixels,
            channels: picture.channels(),
            values: picture.data().repeat(arguments.count),
        }
    };
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
    write_sheet_beside(folder, picture, drawn, &made)?;
    let drawn = mask.iter().filter(|m| **m && arguments.strength > 0.0);
    let share = drawn.count() as f64 / mask.len() as f64;
    Ok(InpaintReport {
        model: model.reference.clone(),
        size: pixels,
        sampler: arguments.drawing.kind(model).name(),
        steps: (arguments.drawing.steps, gone(sampler.as_ref(), first)),
        share,
        told: model.inpainting_channels() > 0,
        resized: header.size != pixels,
        flattened: !header.plain,
        cut: model.cut(),
        cut_negative: model.cut_negative(),
        pictures,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// The pictures, drawn anew inside the mask from an evaluation of the sampler on.
fn draw(
    arguments: &InpaintArguments,
    model: &DiffusionModel,
    seed: u64,
    picture: &Tensor<f32>,
    shares: &[f32],
    (sampler, first): (&dyn Sampler, usize),
    progress: &mut dyn Progress,
) -> Result<Pictures, StudyError> {
    let mask: Vec<bool> = shares.iter().map(|share| *share > 0.0).collect();
    let pixels = (picture.dims()[1], picture.dims()[2]);
    let clean = model.state(picture.clone())?;
    let (size, channels) = ((clean.dims()[1], clean.dims()[2]), clean.channels());
    let inside = cells(&mask, pixels, model.scale());
    let told = model.inpainting_channels() > 0;
    let network = if told {
        model.at_mask(size, &inside, &without(picture, &mask)?)?
    } else {
        model.at(size)?
    };
    let count = arguments.count;
    let held = inside.iter().flat_map(|inside| vec![!inside; channels]);
    // From the first step on, nothing of the picture is in a state that is not held.
    let noise = match told && first == 0 {
        true => Some(noise(&clean, count, seed)?),
        false => None,
    };
    let drawing = Drawing {
        network: &network,
        sampler,
        origin: noise.as_ref().map_or(Origin::Clean(&clean), Origin::Given),
        first,
        held: (!told).then(|| held.collect()),
        seed,
    };
    let values = drawing.draw(count, progress)?;
    let mut drawn = decode(model, size, values, progress)?;
    keep(&mut drawn, picture, shares);
    Ok(drawn)
}

/// The picture, grey where it is drawn anew.
fn without(picture: &Tensor<f32>, mask: &[bool]) -> Result<Tensor<f32>, StudyError> {
    let mut rest = picture.data().to_vec();
    let pixels = rest.chunks_exact_mut(picture.channels()).zip(mask);
    for (pixel, _) in pixels.filter(|(_, anew)| **anew) {
        pixel.fill(0.0);
    }
    Ok(Tensor::new(picture.dims(), rest)?)
}

/// Noise that no picture of the seed is drawn from, for `count` states like
/// the clean one.
fn noise(clean: &Tensor<f32>, count: usize, seed: u64) -> Result<Tensor<f32>, StudyError> {
    let draws = Draws {
        seed,
        first_item: 0,
    };
    let dims = [&[count], &clean.dims()[1..]].concat();
    let values = added_noise(draws, count, clean.item_len());
    Ok(Tensor::new(&dims, values)?)
}

/// Puts the picture's own pixels back outside the mask, and blends both where
/// a pixel is new in part.
fn keep(drawn: &mut Pictures, picture: &Tensor<f32>, shares: &[f32]) {
    let channels = drawn.channels;
    let item = drawn.item_len().max(1);
    for one in drawn.values.chunks_exact_mut(item) {
        let pixels = one.chunks_exact_mut(channels);
        let own = picture.data().chunks_exact(channels);
        for ((pixel, own), &share) in pixels.zip(own).zip(shares) {
            if share == 0.0 {
                pixel.copy_from_slice(own);
            } else if share < 1.0 {
                for (new, own) in pixel.iter_mut().zip(own) {
                    *new = own + share * (new.clamp(-1.0, 1.0) - own);
                }
            }
        }
    }
}
