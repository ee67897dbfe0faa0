//! A latent diffusion model: text encoders, conditional U-Net, autoencoder.

use crate::StudyError;
use crate::control::SteeredBy;
use crate::model::{open_schedule, precision, prediction};
use alice_diffusion::{Guidance, ScheduleConfig};
use alice_networks::{
    Lora, LoraFile, LoraReport, LoraTarget, ModelLocation, Prediction, UNet2DCondition,
    controlled_graph,
};
use alice_pipelines::{Condition, Latents, TextEncoders, Tiling};
use alice_runs::{LoraReference, ModelOptions, ModelReference};
use std::path::Path;

/// The most that a LoRA may count.
const MOST_WEIGHT: f64 = 1000.0;
/// The guidance when none is asked for, as in the public pipelines.
const GUIDANCE: f64 = 7.5;
/// The same of SDXL.
const GUIDANCE_XL: f64 = 5.0;
/// The same of U-Nets that are told it.
const GUIDANCE_TOLD: f64 = 8.5;

/// A latent diffusion model, opened.
#[derive(Clone, Debug)]
pub struct LatentModel {
    /// Its path as it was given, and the content hash of its U-Net's file.
    pub reference: ModelReference,
    /// The U-Net.
    pub unet: UNet2DCondition,
    /// What reads prompts.
    pub texts: TextEncoders,
    /// What makes pictures of latents.
    pub latents: Latents,
    /// The noise schedule.
    pub schedule: ScheduleConfig,
    /// What it is taken to predict, where nothing says it.
    pub guessed: Option<Prediction>,
    /// What was merged into its weights.
    pub loras: Vec<LoraReport>,
    /// What steers its U-Net by pictures.
    pub controls: Vec<SteeredBy>,
    /// Whether zeros, not the empty text, stand for no negative prompt: SDXL's
    /// way, unless its folder says otherwise.
    zeros_for_none: bool,
}

/// What a latent model is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub positive: Condition,
    pub negative: Condition,
    pub guidance: Guidance,
    /// Height and width in pixels.
    pub pixels: (usize, usize),
    /// How its autoencoder takes large pictures.
    pub tiling: Tiling,
}

impl LatentModel {
    /// Opens the model of a name, which is at `location`, with the low-rank
    /// changes, the prediction and the precision that `options` name. Weights
    /// are rounded before they are changed, as if their file were of f16.
    ///
    /// # Errors
    /// When files are missing, broken or not supported.
    pub fn open(
        name: &Path,
        mut location: ModelLocation,
        options: &ModelOptions,
    ) -> Result<Self, StudyError> {
        let prediction = prediction(options)?;
        if let Some(prediction) = prediction {
            location.set_prediction(prediction);
        }
        let Some(mut schedule) = open_schedule(&location, prediction)? else {
            let why = "has no scheduler/scheduler_config.json, so it is no pipeline folder";
            return Err(StudyError::argument(name.display().to_string(), why));
        };
        let precision = precision(options);
        let unet: UNet2DCondition = location.network_in("unet", precision)?;
        if unet.config.addition_embedding.is_none() && unet.config.time_cond_proj_dim.is_none() {
            // As diffusers' pipelines of SD 1 and 2 correct the files of 2022.
            (schedule.clip_sample, schedule.steps_offset) = (false, 1);
        }
        let zeros = location.index_flag("force_zeros_for_empty_prompt")?;
        let mut model = Self {
            zeros_for_none: unet.config.addition_embedding.is_some() && zeros.unwrap_or(true),
            texts: TextEncoders::at(&location, precision)?,
            latents: Latents::at(&location, precision)?,
            unet,
            reference: ModelReference {
                name: name.display().to_string(),
                hash: location.hash()?,
                parts: location.parts()?,
                options: ModelOptions::default(),
            },
            guessed: location.guessed(),
            schedule,
            loras: Vec::new(),
            controls: Vec::new(),
        };
        model.check()?;
        model.loras = model.apply_loras(&options.lora)?;
        for control in &options.control {
            let control = SteeredBy::open(control, precision, model.latents.scale())?;
            model.check_control(&control)?;
            model.controls.push(control);
        }
        Ok(model)
    }

    /// Merges LoRA files into the weights, each at its weight: 1 as it was
    /// trained, less for a weaker change, negative for its opposite. Their
    /// order matters for PEFT's DoRA alone ([`Lora::merge_all`]).
    ///
    /// # Errors
    /// When a file is no LoRA, of a kind that is not supported, or for
    /// another model. The model must not be used after an error.
    fn apply_loras(&mut self, loras: &[LoraReference]) -> Result<Vec<LoraReport>, StudyError> {
        if loras.is_empty() {
            return Ok(Vec::new());
        }
        for lora in loras {
            if !lora.weight.is_finite() || lora.weight.abs() > MOST_WEIGHT {
                let why = format!(
                    "{}: a weight of {:e}; it must lie between -{MOST_WEIGHT} and {MOST_WEIGHT}, and 1 \
                     is as trained",
                    lora.file, lora.weight
                );
                return Err(StudyError::argument("--lora", why));
            }
        }
        let mut targets = vec![LoraTarget::unet(&mut self.unet)?];
        targets.extend(self.texts.lora_targets()?);
        let mut read = Vec::with_capacity(loras.len());
        for lora in loras {
            let file = LoraFile::open(Path::new(&lora.file))?;
            read.push((Lora::resolve(file, &targets)?, lora.weight));
        }
        let all: Vec<_> = read.iter().map(|(lora, weight)| (lora, *weight)).collect();
        Ok(Lora::merge_all(&all, &mut targets)?)
    }

    /// Refuses networks that do not work together on latents.
    fn check(&self) -> Result<(), StudyError> {
        let config = &self.unet.config;
        let channels = self.latents.channels();
        let latents = config.in_channels - config.inpainting_channels();
        if (latents, config.out_channels) == (channels, channels) {
            return Ok(());
        }
        let why = format!(
            "its U-Net takes {} channels and gives {}, its autoencoder's latents have {channels}",
            config.in_channels, config.out_channels
        );
        Err(StudyError::argument("--model", why))
    }

    /// Refuses a ControlNet that was made for another U-Net.
    fn check_control(&self, control: &SteeredBy) -> Result<(), StudyError> {
        let controls = [(&control.network.config, control.reference.scale)];
        let side = 1 << self.unet.config.halvings();
        let graph = controlled_graph(&self.unet.config, &controls, (side, side), 1);
        graph.map(drop).map_err(|error| {
            let why = format!("{} does not fit: {error}", control.reference.model);
            StudyError::argument("--control", why)
        })
    }

    /// Refuses options that do not fit, without reading their texts; returns
    /// the guidance, height and width in pixels, and the tiles.
    ///
    /// # Errors
    /// Names the option that does not fit.
    pub(crate) fn check_options(
        &self,
        options: &ModelOptions,
    ) -> Result<(Guidance, (usize, usize), Tiling), StudyError> {
        let config = &self.unet.config;
        let usual = match (config.time_cond_proj_dim, config.addition_embedding) {
            (Some(_), _) => GUIDANCE_TOLD,
            (None, Some(_)) => GUIDANCE_XL,
            (None, None) => GUIDANCE,
        };
        let guidance = Guidance {
            scale: options.guidance.unwrap_or(usual),
            rescale: options.guidance_rescale.unwrap_or(0.0),
        };
        if !guidance.scale.is_finite() || guidance.scale.abs() > 1000.0 {
            let why = format!("{}; it must lie between -1000 and 1000", guidance.scale);
            return Err(StudyError::argument("--guidance", why));
        }
        if !(0.0..=1.0).contains(&guidance.rescale) {
            let why = format!("{}; it must lie between 0 and 1", guidance.rescale);
            return Err(StudyError::argument("--guidance-rescale", why));
        }
        for (name, text) in [
            ("--prompt", &options.prompt),
            ("--negative", &options.negative),
        ] {
            let read = self.texts.cut(text.as_deref().unwrap_or_default());
            read.map_err(|error| StudyError::argument(name, error.to_string()))?;
        }
        let tiling = match options.tile {
            None => Tiling::Auto,
            Some(0) => Tiling::Never,
            Some(pixels) => Tiling::Tiles(pixels),
        };
        if let Err(error) = self.latents.check(tiling) {
            return Err(StudyError::argument("--tile", error.to_string()));
        }
        Ok((guidance, self.pixels(options.size.as_deref())?, tiling))
    }

    /// Reads what the model is told. Texts that it was told before need not be
    /// read again.
    ///
    /// # Errors
    /// Names the option that does not fit.
    pub(crate) fn tell(
        &self,
        options: &ModelOptions,
        before: Option<(&ModelOptions, &Told)>,
    ) -> Result<Told, StudyError> {
        let (guidance, pixels, tiling) = self.check_options(options)?;
        let known = |text: &Option<String>| {
            let (options, told) = before?;
            if options.prompt == *text {
                return Some(told.positive.clone());
            }
            // Zeros are not what a text becomes.
            let read = options.negative == *text && !self.negates_by_zeros(options);
            read.then(|| told.negative.clone())
        };
        let read = |text: &Option<String>| match known(text) {
            Some(condition) => Ok(condition),
            None => self.texts.encode(text.as_deref().unwrap_or_default()),
        };
        let positive = read(&options.prompt)?;
        let negative = if self.negates_by_zeros(options) {
            positive.zeros()
        } else {
            read(&options.negative)?
        };
        Ok(Told {
            positive,
            negative,
            guidance,
            pixels,
            tiling,
        })
    }

    /// Whether zeros stand in the place of the negative prompt.
    fn negates_by_zeros(&self, options: &ModelOptions) -> bool {
        self.zeros_for_none && options.negative.is_none()
    }

    /// Height and width in pixels.
    fn pixels(&self, size: Option<&str>) -> Result<(usize, usize), StudyError> {
        let scale = self.latents.scale();
        let Some(text) = size else {
            let (height, width) = self.unet.config.sample_size.ok_or_else(|| {
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
                let why = format!(
                    "{text}; write it as 512x512, both sides multiples of {scale} up to 8192"
                );
                Err(StudyError::argument("--size", why))
            }
        }
    }
}
