//! What can be typed.

use alice_studies::compare::CompareArguments;
use alice_studies::describe::DescribeArguments;
use alice_studies::discover::DiscoverArguments;
use alice_studies::edit::EditArguments;
use alice_studies::evolve::EvolveArguments;
use alice_studies::global::GlobalArguments;
use alice_studies::grid::GridArguments;
use alice_studies::hspace::HspaceArguments;
use alice_studies::img2img::Img2imgArguments;
use alice_studies::inpaint::InpaintArguments;
use alice_studies::invert::InvertArguments;
use alice_studies::measure::MeasureArguments;
use alice_studies::predict::PredictArguments;
use alice_studies::sample::SampleArguments;
use alice_studies::survey::SurveyArguments;
use alice_studies::train::TrainOptions;
use alice_studies::transport::TransportArguments;
use alice_studies::treat::TreatArguments;
use alice_studies::world::WorldArguments;
use alice_studies::{ControlReference, DeviceKind, LoraReference, ModelOptions, Prediction};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  alice discover                      the whole first treatment, offline
  alice sample --count 16             draw puppets with the bundled model
  alice world --traverse smile        see what one factor of the world does
  alice <command> --help              more, with an example for each";

/// A workbench for the geometry of diffusion models.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Print one JSON object instead of text
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
}

impl Cli {
    /// What was typed; ends the process with the parser's message otherwise.
    pub fn read() -> Self {
        let matches = Self::command()
            .mut_subcommands(|verb| verb.mut_args(polished))
            .get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// An argument as people expect it: a negative number is a value, not another
/// option, and a list is shown as it must be typed.
fn polished(argument: clap::Arg) -> clap::Arg {
    let takes_values = argument.get_action().takes_values();
    let argument = argument.allow_negative_numbers(takes_values);
    let defaults = argument.get_default_values();
    if defaults.len() < 2 {
        return argument;
    }
    let defaults: Vec<_> = defaults.iter().map(|v| v.to_string_lossy()).collect();
    let help = argument.get_help().map(ToString::to_string);
    let help = format!(
        "{} [default: {}]",
        help.unwrap_or_default(),
        defaults.join(",")
    );
    argument.help(help).hide_default_value(true)
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find what a model knows: the strongest directions of its bottleneck
    #[command(after_help = "\
Examples:
  alice discover
  alice discover --model google/ddpm-church-256 --rank 10 --at 0.8")]
    Discover {
        #[command(flatten)]
        study: DiscoverArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Compare ways to edit with the truth of the world, and test the papers' claims
    #[command(after_help = "\
Examples:
  alice compare --out runs/compare    interrupted, the same command goes on
  alice compare --count 8 --pairs 4 --spaces 4
  alice compare --beside runs/simple/model,runs/stage-1/model    tangent spaces of three models")]
    Compare {
        #[command(flatten)]
        study: CompareArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Walk a picture along a direction
    #[command(after_help = "\
Examples:
  alice edit runs/sample-001/0000.png --direction 3
  alice edit runs/sample-001/0000.png --factor smile           that alone, by many directions
  alice edit cat.png --resize --basis runs/discover-001/basis.safetensors --strength 0.5")]
    Edit {
        #[command(flatten)]
        study: EditArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Draw pictures with a model
    #[command(after_help = "\
Examples:
  alice sample --count 16 --seed 7
  alice sample --model my-model --sampler ddpm --steps 1000
  alice sample --model stable-diffusion-v1-5 --prompt 'a (small:1.3) cat' --size 512x512 --steps 30")]
    Sample {
        #[command(flatten)]
        study: SampleArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Draw pictures like another one
    #[command(after_help = "\
Examples:
  alice img2img runs/sample-001/0000.png --strength 0.5
  alice img2img sketch.png --resize --model stable-diffusion-v1-5 --prompt 'a watercolour of a cat'")]
    Img2img {
        #[command(flatten)]
        study: Img2imgArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Draw a part of a picture anew
    #[command(after_help = "\
Examples:
  alice inpaint runs/sample-001/0000.png --mask mask.png
  alice inpaint photo.png --mask hat.png --model stable-diffusion-inpainting --prompt 'a red hat'")]
    Inpaint {
        #[command(flatten)]
        study: InpaintArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Draw a picture for every combination of two or three parameters
    #[command(after_help = "\
Examples:
  alice grid --x steps=5,10,20,50 --y sampler=ddim,dpm++-2m,unipc
  alice grid --x seed=0..8 --y strength=0.2,0.5,0.8 --picture runs/sample-001/0000.png
  alice grid --model stable-diffusion-v1-5 --prompt 'a cat by ARTIST' --y prompt:ARTIST@artists.txt --x seed=0..4
Interrupted, the same command with --out goes on.")]
    Grid {
        #[command(flatten)]
        study: GridArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Find the noise that a model makes a picture from
    #[command(after_help = "\
Example:
  alice invert runs/sample-001/0000.png --steps 100")]
    Invert {
        #[command(flatten)]
        study: InvertArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Measure what directions mean, over samples and timesteps
    #[command(after_help = "\
Examples:
  alice measure --out runs/measure    interrupted, the same command goes on
  alice measure --samples 4 --at 0.6,0.4 --rank 20
  alice measure --concept runs/discover-001/basis.safetensors --direction 2 --pictures a.png b.png")]
    Measure {
        #[command(flatten)]
        study: MeasureArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// See how true and how varied a model's pictures are
    #[command(after_help = "\
Example:
  alice survey --count 64")]
    Survey {
        #[command(flatten)]
        study: SurveyArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Carry a direction of one sample to others
    #[command(after_help = "\
Examples:
  alice transport --direction 2 --from 0 --to 1,2,3
  alice transport --basis runs/global-001/global.safetensors --direction 0")]
    Transport {
        #[command(flatten)]
        study: TransportArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Find the directions that many samples share
    #[command(after_help = "\
Example:
  alice global --samples 8 --rank 10")]
    Global {
        #[command(flatten)]
        study: GlobalArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Find directions of the bottleneck itself, and add them to it at every step
    #[command(after_help = "\
Examples:
  alice hspace
  alice hspace --by jacobian --sample 1
  alice edit runs/sample-001/0000.png --method hspace --basis runs/hspace-001/basis.safetensors")]
    Hspace {
        #[command(flatten)]
        study: HspaceArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Find the concept that haunts a model, and heal its samples
    #[command(after_help = "\
Examples:
  alice treat
  alice treat --mark 12,40,77        after a look at the learnt.png of an earlier run")]
    Treat {
        #[command(flatten)]
        study: TreatArguments,
        #[command(flatten)]
        model: ModelOption,
        #[command(flatten)]
        run: RunOptions,
    },
    /// See what a model or a LoRA file holds
    #[command(after_help = "\
Examples:
  alice model
  alice model stable-diffusion-v1-5/stable-diffusion-v1-5
  alice model checkpoint.safetensors --hash")]
    Model {
        #[command(flatten)]
        study: DescribeArguments,
    },
    /// Evaluate a network once
    #[command(after_help = "\
Example:
  alice predict --model my-model --input in.safetensors --output out.safetensors")]
    Predict {
        #[command(flatten)]
        study: PredictArguments,
        #[command(flatten)]
        model: ModelPath,
    },
    /// Train a model, or go on with a run that was interrupted
    #[command(after_help = "\
Examples:
  alice train --out runs/mine         stop it with Ctrl-C, go on with the same command
  alice train --recipe mine.json --steps 2000")]
    Train {
        #[command(flatten)]
        study: TrainOptions,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Evolve points by Diffusion Evolution; without a problem, on six functions
    #[command(after_help = "\
Examples:
  alice evolve
  alice evolve --problem rastrigin --method cma-es
  alice evolve --problem cart-pole --latent 2
  alice evolve --study --seeds 10
  alice evolve --problem 'cmd python3 fitness.py' --dim 10 --bounds 0,1 --constraint reflect")]
    Evolve {
        #[command(flatten)]
        study: EvolveArguments,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Look at the puppet show, the world with known truth
    #[command(after_help = "\
Examples:
  alice world --count 100 --seed 3
  alice world --size 64 --singles 10 --traverse nose_size")]
    World {
        #[command(flatten)]
        study: WorldArguments,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Do again what made a run or a picture, and compare the bytes
    #[command(after_help = "\
Examples:
  alice replay runs/sample-001
  alice replay a-picture-that-alice-made.png")]
    Replay {
        /// A run folder, a picture that Alice made or a recipe.json
        #[arg(value_name = "PNG|RUN")]
        path: PathBuf,
        /// Run the program that a recipe of `evolve --problem 'cmd …'` names: whoever wrote the
        /// recipe chose it
        #[arg(long)]
        run_program: bool,
        #[command(flatten)]
        model: ModelPath,
        #[command(flatten)]
        place: PlaceOptions,
    },
}

/// Which model.
#[derive(Args, Clone, Debug)]
pub struct ModelPath {
    /// A diffusers folder, a .safetensors checkpoint, or OWNER/NAME of the
    /// Hugging Face hub, downloaded if need be [default: the bundled puppets-32]
    #[arg(long, value_name = "MODEL", help_heading = "Model")]
    pub model: Option<PathBuf>,
    /// What it predicts, epsilon or v_prediction, if its files do not say it or are wrong
    #[arg(long, value_name = "WHAT", requires = "model", help_heading = "Model")]
    pub prediction: Option<Prediction>,
    /// Round the weights of the model, and of --control, to half precision: less memory, and the
    /// results of the same weights in an f16 file
    #[arg(long, requires = "model", help_heading = "Model")]
    pub half: bool,
    /// Where its networks run
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    pub device: DeviceKind,
}

impl ModelPath {
    /// What the model is told.
    #[must_use]
    pub fn options(&self) -> ModelOptions {
        ModelOptions {
            prediction: self.prediction.map(|what| what.name().to_owned()),
            half: self.half,
            ..ModelOptions::default()
        }
    }
}

/// Which model, and what it is told.
#[derive(Args, Clone, Debug)]
pub struct ModelOption {
    /// Which.
    #[command(flatten)]
    pub path: ModelPath,
    /// What the pictures show, for models that read text; (x) counts more, [x] less, (x:1.5) as much as it says
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    pub prompt: Option<String>,
    /// What they do not show
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    pub negative: Option<String>,
    /// How strongly the prompt counts; from 0 to 1 there is the prompt alone [default: 7.5, 5 of
    /// SDXL, 8.5 of models told it]
    #[arg(
        long,
        value_name = "SCALE",
        requires = "model",
        help_heading = "Model",
        allow_negative_numbers = true
    )]
    pub guidance: Option<f64>,
    /// How far guided contrast is brought back, from 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Model")]
    pub guidance_rescale: Option<f64>,
    /// Width and height in pixels [default: those the model was trained on]
    #[arg(
        long,
        value_name = "WIDTHxHEIGHT",
        requires = "model",
        help_heading = "Model"
    )]
    pub size: Option<String>,
    /// Side of the tiles in which the autoencoder takes larger pictures, to bound memory; 0 takes
    /// them whole [default: 1024]
    #[arg(
        long,
        value_name = "PIXELS",
        requires = "model",
        help_heading = "Model"
    )]
    pub tile: Option<usize>,
    /// Change the weights by a LoRA file, as much as WEIGHT says (1 as trained, negative the other
    /// way); may be given several times
    #[arg(
        long,
        value_name = "FILE[:WEIGHT]",
        requires = "model",
        help_heading = "Model"
    )]
    pub lora: Vec<LoraOption>,
    /// Steer the pictures by a ControlNet, a folder or a file, that is shown a picture, as much as
    /// SCALE says (1 as trained); may be given several times
    #[arg(
        long,
        value_name = "MODEL=PICTURE[:SCALE]",
        requires = "model",
        help_heading = "Model"
    )]
    pub control: Vec<ControlOption>,
}

/// `FILE` or `FILE:WEIGHT`, which is 1 where it is not said; names of files
/// may hold colons.
fn weighed<'a>(text: &'a str, name: &str) -> Result<(&'a str, f64), String> {
    let Some((file, weight)) = text.rsplit_once(':') else {
        return Ok((text, 1.0));
    };
    if let Ok(weight) = weight.parse() {
        return Ok((file, weight));
    }
    if !Path::new(text).exists() && Path::new(file).exists() {
        return Err(format!(
            "{weight:?} is no number; write {name}:0.8 for eight tenths of it"
        ));
    }
    Ok((text, 1.0))
}

/// `MODEL=PICTURE` or `MODEL=PICTURE:SCALE`.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlOption(ControlReference);

impl FromStr for ControlOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((model, rest)) = text.split_once('=') else {
            return Err("write it as MODEL=PICTURE or MODEL=PICTURE:SCALE".to_owned());
        };
        let (picture, scale) = weighed(rest, "PICTURE")?;
        Ok(Self(ControlReference {
            model: model.to_owned(),
            hash: None,
            picture: picture.to_owned(),
            picture_hash: None,
            scale,
        }))
    }
}

/// `FILE` or `FILE:WEIGHT`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOption(LoraReference);

impl FromStr for LoraOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, weight) = weighed(text, "FILE")?;
        Ok(Self(LoraReference {
            file: file.to_owned(),
            weight,
            hash: None,
        }))
    }
}

impl ModelOption {
    /// What the model is told.
    #[must_use]
    pub fn options(&self) -> ModelOptions {
        ModelOptions {
            prompt: self.prompt.clone(),
            negative: self.negative.clone(),
            guidance: self.guidance,
            guidance_rescale: self.guidance_rescale,
            size: self.size.clone(),
            tile: self.tile,
            lora: self.lora.iter().map(|lora| lora.0.clone()).collect(),
            control: self.control.iter().map(|c| c.0.clone()).collect(),
            ..self.path.options()
        }
    }
}

/// What every run has.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Names every random draw [default: 0; for train, the recipe's]
    #[arg(long, help_heading = "Run")]
    pub seed: Option<u64>,
    /// Where the run goes.
    #[command(flatten)]
    pub place: PlaceOptions,
}

/// Where a run goes.
#[derive(Args, Clone, Debug)]
pub struct PlaceOptions {
    /// The run folder [default: the next free runs/<VERB>-NNN]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in that folder
    #[arg(long, help_heading = "Run")]
    pub overwrite: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let command = format!("alice {}", verb.get_name());
            assert!(help.contains(&command), "{}", verb.get_name());
        }
    }
}
