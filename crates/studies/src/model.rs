//! A diffusion model: its network, its noise schedule and where it is from.

mod notes;
mod schedule;

pub(crate) use schedule::{open_schedule, prediction};

use crate::discover::findings::Pictures;
use crate::latent_model::{LatentModel, Told};
use crate::{Progress, StudyError};
use alice_calculus::{Cpu, Device, Tensor};
use alice_diffusion::{Network, SamplerKind, ScheduleConfig};
use alice_networks::{ModelFolder, ModelLocation, Precision, UNet2D};
use alice_pipelines::{Decoder, guided, tell};
use alice_runs::{ModelOptions, ModelReference, TensorFile, disk, hash};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A diffusion model, opened: of pixels, or of latents with what it is told.
#[derive(Clone, Debug)]
pub struct DiffusionModel {
    /// Its name, or the path as it was given, its content hash, and what it
    /// is told.
    pub reference: ModelReference,
    /// The noise schedule; diffusers' default where the folder names none.
    pub schedule: ScheduleConfig,
    /// Whether nothing says what the schedule is.
    assumed: bool,
    parts: Parts,
    /// Where its networks run.
    device: Arc<dyn Device>,
    /// Of models of latents. All that are the same model told other things
    /// share it.
    decoder: Option<Arc<Mutex<Decoder>>>,
}

#[derive(Clone, Debug)]
enum Parts {
    Pixels(Box<UNet2D>),
    Latents(Arc<LatentModel>, Box<Told>),
}

/// The input of inpainting networks beside the state.
const INPAINTING: &str = "inpainting";

/// The files of the bundled model, in the diffusers pipeline layout.
mod bundled {
    pub(super) const NAME: &str = "puppets-32";
    pub(super) const CONFIG: &str = include_str!("../../../models/puppets-32/unet/config.json");
    pub(super) const WEIGHTS: &[u8] =
        include_bytes!("../../../models/puppets-32/unet/diffusion_pytorch_model.safetensors");
    pub(super) const SCHEDULER: &str =
        include_str!("../../../models/puppets-32/scheduler/scheduler_config.json");
}

impl DiffusionModel {
    /// The name of the model inside this program.
    pub const BUNDLED: &'static str = bundled::NAME;

    /// The model inside this program, or the one of a name, told `options`: a
    /// folder, a single-file checkpoint, or `owner/name` in the local Hugging
    /// Face cache.
    ///
    /// # Errors
    /// When the folder's files are missing, broken or not supported, or the
    /// model does not understand an option.
    pub fn open(folder: Option<&Path>, options: &ModelOptions) -> Result<Self, StudyError> {
        let is_bundled = |name: &Path| name == Path::new(Self::BUNDLED) && !disk::is_folder(name);
        let model = match folder.filter(|name| !is_bundled(name)) {
            None => Self::bundled()?,
            Some(name) => {
                let location = ModelLocation::find(name)?;
                if reads_text(&location)? {
                    let model = Arc::new(LatentModel::open(name, location, options)?);
                    let told = model.tell(options, None)?;
                    let opened = Self::of_latents(model, told, options, None);
                    return Ok(opened.on(Arc::new(Cpu)));
                }
                Self::of_pixels(name, &location, options)?
            }
        };
        model.told(options)
    }

    /// The same model, told something else. What it predicts, how its weights
    /// were rounded and what was merged into them stays.
    ///
    /// # Errors
    /// When it does not understand an option.
    pub fn told(self, options: &ModelOptions) -> Result<Self, StudyError> {
        if self.reference.options == *options {
            return Ok(self);
        }
        if let Parts::Latents(model, told) = self.parts {
            let told = model.tell(options, Some((&self.reference.options, &told)))?;
            return Ok(Self {
                device: self.device,
                ..Self::of_latents(model, told, options, self.decoder)
            });
        }
        let given = [
            ("--prompt", options.prompt.is_some()),
            ("--negative", options.negative.is_some()),
            ("--guidance", options.guidance.is_some()),
            ("--guidance-rescale", options.guidance_rescale.is_some()),
            ("--size", options.size.is_some()),
            ("--tile", options.tile.is_some()),
            ("--lora", !options.lora.is_empty()),
            ("--control", !options.control.is_empty()),
        ];
        let Some((name, _)) = given.iter().find(|(_, given)| *given) else {
            if options.half != self.reference.options.half {
                let why = format!(
                    "{} is small and is read as it is. Name another with --model",
                    self.reference.name
                );
                return Err(StudyError::argument("--half", why));
            }
            let why = format!("{} says itself what it predicts", self.reference.name);
            return Err(StudyError::argument("--prediction", why));
        };
        let why = format!(
            "is for models that read text, and {} does not. Name another with --model",
            self.reference.name
        );
        Err(StudyError::argument(*name, why))
    }

    /// The same model, its U-Net and its autoencoder to run on `device` from
    /// now on. What reads prompts is small and stays on the processor.
    #[must_use]
    pub fn on(self, device: Arc<dyn Device>) -> Self {
        let decoder = match &self.parts {
            Parts::Pixels(_) => None,
            Parts::Latents(model, _) => {
                let decoder = Decoder::new(model.latents.clone(), device.clone());
                Some(Arc::new(Mutex::new(decoder)))
            }
        };
        Self {
            device,
            decoder,
            ..self
        }
    }

    /// Where its networks run.
    pub(crate) fn device(&self) -> Arc<dyn Device> {
        self.device.clone()
    }

    fn of_latents(
        model: Arc<LatentModel>,
        told: Told,
        options: &ModelOptions,
        decoder: Option<Arc<Mutex<Decoder>>>,
    ) -> Self {
        Self {
            reference: ModelReference {
                options: options.clone(),
                ..model.reference.clone()
            },
            schedule: model.schedule.clone(),
            assumed: false,
            parts: Parts::Latents(model, Box::new(told)),
            device: Arc::new(Cpu),
            decoder,
        }
    }

    /// The model in the folder of this name, or else the one inside this
    /// program if it has that name.
    ///
    /// # Errors
    /// Those of [`DiffusionModel::open`].
    pub fn named(name: &Path) -> Result<Self, StudyError> {
        Self::open(Some(name), &ModelOptions::default())
    }

    /// `puppets-32`, the model inside this program.
    ///
    /// # Errors
    /// Never in a program that passed its tests.
    pub fn bundled() -> Result<Self, StudyError> {
        let weights = TensorFile::from_bytes("the bundled model", bundled::WEIGHTS)?;
        Ok(Self {
            reference: ModelReference {
                name: bundled::NAME.to_owned(),
                hash: hash::bytes(bundled::WEIGHTS),
                ..ModelReference::default()
            },
            schedule: ScheduleConfig::from_json(bundled::SCHEDULER)?,
            assumed: false,
            parts: Parts::Pixels(Box::new(UNet2D::from_parts(bundled::CONFIG, weights)?)),
            device: Arc::new(Cpu),
            decoder: None,
        })
    }

    /// Whether this is the model inside this program, by its weights.
    #[must_use]
    pub fn is_bundled(&self) -> bool {
        self.reference.hash == hash::bytes(bundled::WEIGHTS)
    }

    fn of_pixels(
        name: &Path,
        location: &ModelLocation,
        options: &ModelOptions,
    ) -> Result<Self, StudyError> {
        let prediction = prediction(options)?;
        let schedule = open_schedule(location, prediction)?;
        let assumed = schedule.is_none();
        Ok(Self {
            reference: ModelReference {
                name: name.display().to_string(),
                hash: location.hash()?,
                parts: location.parts()?,
                options: ModelOptions {
                    prediction: options.prediction.clone(),
                    half: options.half,
                    ..ModelOptions::default()
                },
            },
            schedule: schedule.unwrap_or_else(|| schedule::assumed(prediction)),
            assumed,
            parts: Parts::Pixels(Box::new(location.network_in("unet", precision(options))?)),
            device: Arc::new(Cpu),
            decoder: None,
        })
    }

    /// The network of a model of pixels.
    ///
    /// # Errors
    /// When this is a model of latents.
    pub fn pixel_network(&self) -> Result<&UNet2D, StudyError> {
        match &self.parts {
            Parts::Pixels(network) => Ok(network),
            Parts::Latents(..) => {
                let why = "reads text and works on latents; this is for models of pixels";
                Err(StudyError::argument("--model", why))
            }
        }
    }

    /// Whether its states are latents that an autoencoder makes pictures of.
    #[must_use]
    pub fn is_latent(&self) -> bool {
        matches!(self.parts, Parts::Latents(..))
    }

    /// Channels of its states.
    #[must_use]
    pub fn channels(&self) -> usize {
        match &self.parts {
            Parts::Pixels(network) => network.config.in_channels,
            Parts::Latents(model, _) => model.latents.channels(),
        }
    }

    /// Channels of what the network gives.
    #[must_use]
    pub fn out_channels(&self) -> usize {
        match &self.parts {
            Parts::Pixels(network) => network.config.out_channels,
            Parts::Latents(model, _) => model.unet.config.out_channels,
        }
    }

    /// Pixels of a picture for one of a state, on each side.
    #[must_use]
    pub fn scale(&self) -> usize {
        match &self.parts {
            Parts::Pixels(_) => 1,
            Parts::Latents(model, _) => model.latents.scale(),
        }
    }

    /// Channels that an inpainting network takes beside the state.
    #[must_use]
    pub fn inpainting_channels(&self) -> usize {
        match &self.parts {
            Parts::Pixels(_) => 0,
            Parts::Latents(model, _) => model.unet.config.inpainting_channels(),
        }
    }

    /// Refuses options that the model does not understand, without reading
    /// their texts.
    ///
    /// # Errors
    /// Names the option.
    pub fn check_options(&self, options: &ModelOptions) -> Result<(), StudyError> {
        match &self.parts {
            Parts::Pixels(_) => self.clone().told(options).map(drop),
            Parts::Latents(model, _) => model.check_options(options).map(drop),
        }
    }

    /// How strongly the prompt counts, for models that read one.
    #[must_use]
    pub fn guidance(&self) -> Option<f64> {
        match &self.parts {
            Parts::Pixels(_) => None,
            Parts::Latents(_, told) => Some(told.guidance.scale),
        }
    }

    /// The size of its states, if it is known: (height, width).
    #[must_use]
    pub fn known_size(&self) -> Option<(usize, usize)> {
        match &self.parts {
            Parts::Pixels(network) => network.config.sample_size,
            Parts::Latents(_, told) => {
                let scale = self.scale();
                Some((told.pixels.0 / scale, told.pixels.1 / scale))
            }
        }
    }

    /// The size of its states, (height, width), or an error that asks for one.
    ///
    /// # Errors
    /// When the config has no `sample_size`.
    pub fn size(&self) -> Result<(usize, usize), StudyError> {
        self.known_size().ok_or_else(|| {
            StudyError::argument(
                "--model",
                "its config has no sample_size; give pictures as input",
            )
        })
    }

    /// The sampler its folder names, DDIM if we do not have that one.
    #[must_use]
    pub fn sampler(&self) -> SamplerKind {
        SamplerKind::of(&self.schedule).unwrap_or(SamplerKind::Ddim)
    }

    /// The network ready to run on states of `size` = (height, width). One that
    /// was made for inpainting is told that all is drawn anew.
    ///
    /// # Errors
    /// When the architecture does not allow the size.
    pub fn at(&self, size: (usize, usize)) -> Result<Network, StudyError> {
        let mut network = self.untold(size)?;
        if let Parts::Latents(model, told) = &self.parts
            && self.inpainting_channels() > 0
        {
            let device = self.device.as_ref();
            let input = model.latents.all_anew(device, size, told.tiling)?;
            network.bind(INPAINTING, input)?;
        }
        Ok(network)
    }

    /// The same, told what is drawn anew: by latent pixel, and the picture
    /// `[1, H, W, 3]` without it.
    ///
    /// # Errors
    /// When this is no inpainting network, or something is of another size.
    pub(crate) fn at_mask(
        &self,
        size: (usize, usize),
        anew: &[bool],
        rest: &Tensor<f32>,
    ) -> Result<Network, StudyError> {
        let mut network = self.untold(size)?;
        if let Parts::Latents(model, told) = &self.parts {
            let device = self.device.as_ref();
            let latents = &model.latents;
            let input = latents.inpainting(device, rest, anew, told.tiling)?;
            network.bind(INPAINTING, input)?;
        }
        Ok(network)
    }

    /// The network, an inpainting one not told yet what is drawn anew.
    fn untold(&self, size: (usize, usize)) -> Result<Network, StudyError> {
        match &self.parts {
            Parts::Pixels(network) => {
                let graph = Arc::new(network.graph(size)?);
                Ok(self.device.load(graph, &network.parameters)?.into())
            }
            Parts::Latents(model, told) => {
                let scale = model.latents.scale();
                let pixels = (size.0 * scale, size.1 * scale);
                let (positive, negative) = (&told.positive, &told.negative);
                let unet = &model.unet;
                let controls: Vec<_> = model
                    .controls
                    .iter()
                    .map(|control| control.at(pixels))
                    .collect::<Result<_, _>>()?;
                Ok(guided(
                    self.device.as_ref(),
                    unet,
                    &controls,
                    size,
                    pixels,
                    positive,
                    negative,
                    told.guidance,
                )?)
            }
        }
    }

    /// Refuses sizes of states that the architecture does not allow.
    ///
    /// # Errors
    /// Says why.
    pub fn check_size(&self, size: (usize, usize)) -> Result<(), StudyError> {
        match &self.parts {
            Parts::Pixels(network) => network.graph(size).map(drop)?,
            Parts::Latents(model, told) => {
                let tokens = told.positive.context.dims()[1];
                model.unet.graph(size, tokens).map(drop)?;
            }
        }
        Ok(())
    }

    /// Extents of the bottleneck, channels last, at states of `size`; no network is loaded.
    ///
    /// # Errors
    /// When the architecture does not allow the size.
    pub(crate) fn hidden_dims(&self, size: (usize, usize)) -> Result<Vec<usize>, StudyError> {
        let graph = match &self.parts {
            Parts::Pixels(network) => network.graph(size)?,
            Parts::Latents(model, told) => {
                let tokens = told.positive.context.dims()[1];
                model.unet.graph(size, tokens)?
            }
        };
        let bottleneck = graph.find_output("bottleneck")?;
        Ok(graph.dims(bottleneck).to_vec())
    }

    /// Tells a network that [`Self::at`] made what this model is told by now.
    ///
    /// # Errors
    /// When the network is of another size than the model's pictures.
    pub(crate) fn retell(&self, network: &mut Network) -> Result<(), StudyError> {
        if let Parts::Latents(model, told) = &self.parts {
            let config = &model.unet.config;
            let (positive, negative) = (&told.positive, &told.negative);
            tell(
                network,
                config,
                told.pixels,
                positive,
                negative,
                told.guidance,
            )?;
        }
        Ok(())
    }

    /// States `[N, h, w, C]` as pictures: what they are for models of pixels.
    ///
    /// # Errors
    /// When the autoencoder fails or the user asks to stop.
    pub fn pictures(
        &self,
        states: Pictures,
        progress: &mut dyn Progress,
    ) -> Result<Pictures, StudyError> {
        let (Parts::Latents(_, told), Some(decoder)) = (&self.parts, &self.decoder) else {
            return Ok(states);
        };
        let mut decoder = decoder.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, (height, width)) = (states.len(), states.size);
        progress.begin("decoding", count as u64);
        let dims = [1, height, width, states.channels];
        let (mut values, mut channels) = (Vec::new(), 3);
        for i in 0..count {
            if progress.is_cancelled() {
                return Err(StudyError::Cancelled);
            }
            let state = Tensor::new(&dims, states.get(i).to_vec())?;
            let picture = decoder.decode(&state, told.tiling)?;
            channels = picture.channels();
            values.extend(picture.into_data());
            progress.advance(1);
        }
        let scale = self.scale();
        Ok(Pictures {
            size: (height * scale, width * scale),
            channels,
            values,
        })
    }

    /// The clean state of a picture `[1, H, W, C]`: itself for models of pixels.
    ///
    /// # Errors
    /// When the autoencoder fails.
    pub fn state(&self, picture: Tensor<f32>) -> Result<Tensor<f32>, StudyError> {
        match &self.parts {
            Parts::Pixels(_) => Ok(picture),
            Parts::Latents(model, told) => {
                Ok(model
                    .latents
                    .encode(self.device.as_ref(), &picture, told.tiling)?)
            }
        }
    }

    /// Channels of its pictures.
    #[must_use]
    pub fn picture_channels(&self) -> usize {
        match &self.parts {
            Parts::Pixels(network) => network.config.in_channels,
            Parts::Latents(..) => 3,
        }
    }
}

/// In which precision a model is asked for.
pub(crate) fn precision(options: &ModelOptions) -> Precision {
    if options.half {
        Precision::Half
    } else {
        Precision::Stored
    }
}

/// Whether a model's U-Net is a conditional one.
fn reads_text(location: &ModelLocation) -> Result<bool, StudyError> {
    let config = match location {
        ModelLocation::File(_) | ModelLocation::Control(_) => return Ok(true),
        ModelLocation::Folder(folder) => ModelFolder::find(folder)?.config,
    };
    let config = serde_json::from_str(&disk::read_text(&config)?);
    let config: serde_json::Value = config.unwrap_or_default();
    Ok(config["_class_name"] == "UNet2DConditionModel")
}

/// Refuses another model than a recipe's.
///
/// # Errors
/// When the weights, or another part, are not the recorded ones; names the part.
pub(crate) fn require(found: &ModelReference, recorded: &ModelReference) -> Result<(), StudyError> {
    let changed = found.differences(recorded);
    if changed.is_empty() {
        return Ok(());
    }
    let why = if found.hash == recorded.hash {
        format!(
            "its {} changed since the recipe was made, so other pictures would come of it. Restore \
             what was there, or name the model of that time with --model",
            changed.join(", ")
        )
    } else {
        format!(
            "its weights are not those of the recipe, which names {}. Name the right one with --model",
            recorded.name
        )
    };
    Err(StudyError::argument(format!("model {}", found.name), why))
}

/// `[N, H, W, C]` from the `[N, C, H, W]` of files.
///
/// # Errors
/// When the tensor does not have four axes.
pub fn channels_last(shape: &[usize], data: Vec<f32>) -> Result<Tensor<f32>, StudyError> {
    Ok(Tensor::new(shape, data)?.to_channels_last()?)
}
