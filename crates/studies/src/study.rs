//! Every study by its verb: what the command, a replay and the page submit.

mod job;
mod notes;

use crate::compare::CompareArguments;
use crate::discover::DiscoverArguments;
use crate::edit::EditArguments;
use crate::evolve::EvolveArguments;
use crate::global::GlobalArguments;
use crate::grid::GridArguments;
use crate::hspace::HspaceArguments;
use crate::img2img::Img2imgArguments;
use crate::inpaint::InpaintArguments;
use crate::invert::InvertArguments;
use crate::measure::MeasureArguments;
use crate::sample::SampleArguments;
use crate::survey::SurveyArguments;
use crate::train::TrainArguments;
use crate::transport::TransportArguments;
use crate::treat::TreatArguments;
use crate::world::WorldArguments;
use crate::{DiffusionModel, InputFile, InputModel, StudyError};
use crate::{
    compare, discover, edit, evolve, global, grid, hspace, img2img, inpaint, invert, measure,
    sample, survey, train, transport, treat, world,
};
use alice_runs::{ModelReference, Recipe};
pub use job::{Job, Outcome, PreparedJob};
use serde::de::DeserializeOwned;
use std::path::Path;

/// A study and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Study {
    /// See [`compare`].
    Compare(CompareArguments),
    /// See [`discover`].
    Discover(DiscoverArguments),
    /// See [`edit`].
    Edit(EditArguments),
    /// See [`evolve`].
    Evolve(EvolveArguments),
    /// See [`global`].
    Global(GlobalArguments),
    /// See [`grid`].
    Grid(GridArguments),
    /// See [`hspace`].
    Hspace(HspaceArguments),
    /// See [`img2img`].
    Img2img(Img2imgArguments),
    /// See [`inpaint`].
    Inpaint(InpaintArguments),
    /// See [`invert`].
    Invert(InvertArguments),
    /// See [`measure`].
    Measure(MeasureArguments),
    /// See [`sample`].
    Sample(SampleArguments),
    /// See [`survey`].
    Survey(SurveyArguments),
    /// See [`train`].
    Train(TrainArguments),
    /// See [`transport`].
    Transport(TransportArguments),
    /// See [`treat`].
    Treat(TreatArguments),
    /// See [`world`].
    World(WorldArguments),
}

/// The verbs of all studies, sorted.
pub const VERBS: [&str; 17] = [
    "compare",
    "discover",
    "edit",
    "evolve",
    "global",
    "grid",
    "hspace",
    "img2img",
    "inpaint",
    "invert",
    "measure",
    "sample",
    "survey",
    "train",
    "transport",
    "treat",
    "world",
];

impl Study {
    /// The verb, as recipes and the command name it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Compare(_) => "compare",
            Self::Discover(_) => "discover",
            Self::Edit(_) => "edit",
            Self::Evolve(_) => "evolve",
            Self::Global(_) => "global",
            Self::Grid(_) => "grid",
            Self::Hspace(_) => "hspace",
            Self::Img2img(_) => "img2img",
            Self::Inpaint(_) => "inpaint",
            Self::Invert(_) => "invert",
            Self::Measure(_) => "measure",
            Self::Sample(_) => "sample",
            Self::Survey(_) => "survey",
            Self::Train(_) => "train",
            Self::Transport(_) => "transport",
            Self::Treat(_) => "treat",
            Self::World(_) => "world",
        }
    }

    /// The study of a recipe; `name` stands for the recipe in errors.
    ///
    /// # Errors
    /// When the verb is unknown or the arguments do not fit it.
    pub fn from_recipe(name: &Path, recipe: &Recipe) -> Result<Self, StudyError> {
        fn read<T: DeserializeOwned>(name: &Path, recipe: &Recipe) -> Result<T, StudyError> {
            Ok(recipe.arguments(name)?)
        }
        recipe.require_verb(name, &VERBS)?;
        Ok(match recipe.verb.as_str() {
            "compare" => Self::Compare(read(name, recipe)?),
            "discover" => Self::Discover(read(name, recipe)?),
            "edit" => Self::Edit(read(name, recipe)?),
            "evolve" => Self::Evolve(read(name, recipe)?),
            "global" => Self::Global(read(name, recipe)?),
            "grid" => Self::Grid(read(name, recipe)?),
            "hspace" => Self::Hspace(read(name, recipe)?),
            "img2img" => Self::Img2img(read(name, recipe)?),
            "inpaint" => Self::Inpaint(read(name, recipe)?),
            "invert" => Self::Invert(read(name, recipe)?),
            "measure" => Self::Measure(read(name, recipe)?),
            "sample" => Self::Sample(read(name, recipe)?),
            "survey" => Self::Survey(read(name, recipe)?),
            "train" => Self::Train(read(name, recipe)?),
            "transport" => Self::Transport(read(name, recipe)?),
            "treat" => Self::Treat(read(name, recipe)?),
            _ => Self::World(read(name, recipe)?),
        })
    }

    /// The program that the study runs, which is not Alice's.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        match self {
            Self::Evolve(arguments) => arguments.problem.as_deref()?.strip_prefix("cmd "),
            _ => None,
        }
    }

    fn recipe(&self, seed: u64, model: Option<ModelReference>) -> Result<Recipe, StudyError> {
        let verb = self.verb();
        Ok(match self {
            Self::Compare(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Discover(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Edit(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Evolve(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Global(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Grid(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Hspace(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Img2img(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Inpaint(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Invert(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Measure(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Sample(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Survey(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Train(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Transport(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::Treat(arguments) => Recipe::new(verb, arguments, seed, model),
            Self::World(arguments) => Recipe::new(verb, arguments, seed, model),
        }?)
    }

    /// Whether an interrupted run goes on where it was when the same is asked
    /// for again.
    #[must_use]
    pub fn resumes(&self) -> bool {
        match self {
            Self::Train(_) => true,
            Self::Evolve(_) => true,
            _ => self.keeps_parts(),
        }
    }

    /// Whether the run folder holds what is finished part by part.
    fn keeps_parts(&self) -> bool {
        match self {
            Self::Compare(_) | Self::Grid(_) => true,
            Self::Measure(arguments) => arguments.concept.is_none(),
            _ => false,
        }
    }

    fn uses_model(&self) -> bool {
        !matches!(self, Self::Evolve(_) | Self::Train(_) | Self::World(_))
    }

    /// The files that the study reads.
    fn files(&mut self) -> Vec<&mut InputFile> {
        match self {
            Self::Discover(arguments) => arguments.input.iter_mut().collect(),
            Self::Edit(arguments) => {
                let more = arguments.mask.iter_mut().chain(&mut arguments.basis);
                std::iter::once(&mut arguments.picture)
                    .chain(more)
                    .collect()
            }
            Self::Evolve(arguments) => arguments.continue_from.iter_mut().collect(),
            Self::Grid(arguments) => arguments.files_mut(),
            Self::Img2img(arguments) => vec![&mut arguments.picture],
            Self::Inpaint(arguments) => vec![&mut arguments.picture, &mut arguments.mask],
            Self::Invert(arguments) => vec![&mut arguments.picture],
            Self::Measure(arguments) => {
                let concept = arguments.concept.iter_mut();
                concept.chain(&mut arguments.pictures).collect()
            }
            Self::Sample(arguments) => arguments.input.iter_mut().collect(),
            Self::Transport(arguments) => arguments.basis.iter_mut().collect(),
            Self::Compare(_)
            | Self::Global(_)
            | Self::Hspace(_)
            | Self::Survey(_)
            | Self::Train(_)
            | Self::Treat(_)
            | Self::World(_) => Vec::new(),
        }
    }

    /// Other models than its own that the study reads.
    fn models(&mut self) -> Vec<&mut InputModel> {
        match self {
            Self::Compare(arguments) => arguments.beside.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// Records the content of the files and models that the study reads.
    fn pin_inputs(&mut self) -> Result<(), StudyError> {
        self.files().into_iter().try_for_each(InputFile::pin)?;
        self.models().into_iter().try_for_each(InputModel::pin)
    }

    /// Refuses arguments that do not fit, before anything is written.
    fn check(&self, model: Option<&DiffusionModel>) -> Result<(), StudyError> {
        match (self, model) {
            (Self::Discover(arguments), _) => discover::check(arguments),
            (Self::Evolve(arguments), _) => evolve::check(arguments),
            (Self::Survey(arguments), _) => survey::check(arguments),
            (Self::Compare(arguments), Some(model)) => compare::check(arguments, model),
            (Self::Edit(arguments), Some(model)) => edit::check(arguments, model),
            (Self::Grid(arguments), Some(model)) => grid::check(arguments, model),
            (Self::Img2img(arguments), Some(model)) => img2img::check(arguments, model),
            (Self::Inpaint(arguments), Some(model)) => inpaint::check(arguments, model),
            (Self::Invert(arguments), Some(model)) => invert::check(arguments, model),
            (Self::Measure(arguments), Some(model)) => measure::check(arguments, model),
            (Self::Sample(arguments), Some(model)) => sample::check(arguments, model),
            (Self::Train(arguments), _) => train::check(arguments),
            (Self::Global(arguments), _) => global::check(arguments),
            (Self::Hspace(arguments), _) => hspace::check(arguments),
            (Self::Transport(arguments), Some(model)) => transport::check(arguments, model),
            (Self::Treat(arguments), Some(model)) => treat::check(arguments, model),
            (Self::World(arguments), _) => world::check(arguments),
            _ => Ok(()),
        }
    }
}
