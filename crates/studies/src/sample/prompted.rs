//! `sample --prompt`: pictures of a latent diffusion model.

use super::write::{write_latents, write_pictures};
use super::{SampleArguments, SampleReport, check_count, sampler};
use crate::latent_model::LatentModel;
use crate::sampling::run_steps;
use crate::{Progress, StudyError};
use alice_calculus::{Model, Tensor};
use alice_diffusion::{Draws, initial_noise};
use alice_pipelines::{Guidance, GuidedDenoiser};
use alice_runs::RunFolder;
use std::time::Instant;

/// The guidance when none is asked for, as in the public pipelines.
const GUIDANCE: f64 = 7.5;
/// Values of the latents that go through the network at once.
const BLOCK_VALUES: usize = 1 << 15;

/// Refuses arguments that do not fit the model.
///
/// # Errors
/// Names the argument.
pub(crate) fn check(arguments: &SampleArguments, model: &LatentModel) -> Result<(), StudyError> {
    if arguments.input.is_some() {
        let why = "starts from a file, --prompt from noise; they do not go together";
        return Err(StudyError::argument("--input", why));
    }
    let Guidance { scale, rescale } = guidance(arguments);
    if !scale.is_finite() || scale.abs() > 1000.0 {
        let why = format!("{scale}; it must lie between -1000 and 1000");
        return Err(StudyError::argument("--guidance", why));
    }
    if !(0.0..=1.0).contains(&rescale) {
        let why = format!("{rescale}; it must lie between 0 and 1");
        return Err(StudyError::argument("--guidance-rescale", why));
    }
    check_count(arguments.count.unwrap_or(1))?;
    sampler(arguments, &model.schedule)?;
    size(arguments, model)?;
    model.check()
}

pub(super) fn guidance(arguments: &SampleArguments) -> Guidance {
    Guidance {
        scale: arguments.guidance.unwrap_or(GUIDANCE),
        rescale: arguments.guidance_rescale.unwrap_or(0.0),
    }
}

/// Height and width in pixels.
fn size(arguments: &SampleArguments, model: &LatentModel) -> Result<(usize, usize), StudyError> {
    let scale = model.latents.scale();
    let Some(text) = &arguments.size else {
        let (height, width) = model.unet.config.sample_size.ok_or_else(|| {
            StudyError::argument("--size", "the model's config names no size; give one")
        })?;
        return Ok((height * scale, width * scale));
    };
    let sides = text.split_once(['x', '×']).and_then(|(width, height)| {
        let side = |text: &str| text.trim().parse::<usize>().ok();
        Some((side(height)?, side(width)?))
    });
    let fits = |side: usize| (scale..=8192).contains(&side) && side.is_multiple_of(scale);
    match sides {
        Some((height, width)) if fits(height) && fits(width) => Ok((height, width)),
        _ => {
            let why =
                format!("{text}; write it as 512x512, both sides multiples of {scale} up to 8192");
            Err(StudyError::argument("--size", why))
        }
    }
}

/// Draws latents, decodes them and writes both.
///
/// # Errors
/// Those of [`check`]; when a network fails, the folder cannot be written or
/// the user asks to stop.
pub(crate) fn run(
    arguments: &SampleArguments,
    model: &LatentModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<SampleReport, StudyError> {
    let clock = Instant::now();
    let count = arguments.count.unwrap_or(1);
    let pixels = size(arguments, model)?;
    let scale = model.latents.scale();
    let size = (pixels.0 / scale, pixels.1 / scale);
    let prompt = arguments.prompt.as_deref().unwrap_or_default();
    let negative = arguments.negative.as_deref().unwrap_or_default();
    let (positive, negative) = (model.texts.encode(prompt)?, model.texts.encode(negative)?);
    let network = Model::new(
        model.unet.graph(size, positive.context.dims()[1])?,
        model.unet.parameters.clone(),
    )?;
    let config = &model.unet.config;
    let guidance = guidance(arguments);
    let mut denoiser =
        GuidedDenoiser::new(&network, config, &positive, &negative, pixels, guidance)?;
    let sampler = sampler(arguments, &model.schedule)?;
    let dim = denoiser.dim();
    progress.begin("sampling", (count * arguments.steps) as u64);
    let mut values = Vec::with_capacity(count * dim);
    let block = (BLOCK_VALUES / dim.max(1)).max(1);
    for first in (0..count).step_by(block) {
        let items = block.min(count - first);
        let draws = Draws {
            seed,
            first_item: first as u64,
        };
        values.extend(run_steps(
            &mut denoiser,
            sampler.as_ref(),
            draws,
            initial_noise(draws, items, dim),
            items,
            0..arguments.steps,
            progress,
        )?);
    }
    let latents = Tensor::new(&[count, size.0, size.1, model.latents.channels()], values)?;
    write_latents(folder, &latents)?;
    progress.begin("decoding", count as u64);
    let (mut decoded, mut channels) = (Vec::new(), 0);
    for i in 0..count {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let picture = model.latents.decode(&latents.items(i..i + 1))?;
        channels = picture.channels();
        decoded.extend(picture.into_data());
        progress.advance(1);
    }
    let pictures = Tensor::new(&[count, pixels.0, pixels.1, channels], decoded)?;
    let pictures = write_pictures(arguments, &model.reference, seed, folder, pictures)?;
    Ok(SampleReport {
        model: model.reference.clone(),
        count,
        size: pixels,
        sampler: arguments.sampler.name(),
        steps: arguments.steps,
        cut: positive.cut,
        pictures,
        seconds: clock.elapsed().as_secs_f64(),
    })
}
