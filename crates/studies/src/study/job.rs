//! A study with all that a run of it needs: from what was asked to its report.

use super::Study;
use crate::model::require;
use crate::{DiffusionModel, InputFile, Progress, StudyError};
use crate::{
    compare, control, discover, edit, evolve, global, grid, hspace, img2img, inpaint, invert,
    measure, sample, survey, train, transport, treat, world,
};
use alice_calculus::Device;
use alice_runs::{ModelOptions, ModelReference, ROOT, Recipe, RunFolder, RunState, disk};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to run and where to put it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The study.
    pub study: Study,
    /// The model's folder; the bundled model if `None`.
    pub model: Option<PathBuf>,
    /// What it is told.
    pub options: ModelOptions,
    /// The model of the recipe that is replayed: the one found must be it.
    pub recorded: Option<ModelReference>,
    /// The run, picture or recipe file that is replayed.
    pub original: Option<PathBuf>,
    /// Names every random stream of the run.
    pub seed: u64,
    /// The run folder; the next free one in `root` if `None`.
    pub out: Option<PathBuf>,
    /// Where runs go that were given no folder.
    pub root: PathBuf,
    /// Whether an earlier run in the folder may go.
    pub overwrite: bool,
}

/// A job whose arguments fit, with its model and its folder.
#[derive(Debug)]
pub struct PreparedJob {
    study: Study,
    model: Option<DiffusionModel>,
    seed: u64,
    folder: RunFolder,
}

/// What a job left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The verb.
    pub verb: &'static str,
    /// The run folder.
    pub run: PathBuf,
    /// What `report.json` holds.
    pub report: Value,
    /// What a user should know of the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The report in a few lines for people.
    #[serde(skip)]
    pub summary: String,
}

impl Job {
    /// The job of a recipe; `name` stands for the recipe in errors.
    ///
    /// # Errors
    /// Those of [`Study::from_recipe`].
    pub fn from_recipe(name: &Path, recipe: &Recipe) -> Result<Self, StudyError> {
        let is_folder = |model: &&ModelReference| {
            model.name != DiffusionModel::BUNDLED || disk::is_folder(&model.name)
        };
        Ok(Self {
            study: Study::from_recipe(name, recipe)?,
            model: recipe
                .model
                .as_ref()
                .filter(is_folder)
                .map(|model| PathBuf::from(&model.name)),
            options: recipe
                .model
                .as_ref()
                .map(|model| model.options.clone())
                .unwrap_or_default(),
            recorded: recipe.model.clone(),
            original: Some(name.to_path_buf()),
            seed: recipe.seed,
            out: None,
            root: ROOT.into(),
            overwrite: false,
        })
    }

    /// The folder above the replayed run from which the files and models of
    /// its recipe are seen, if they are not from the current one: their paths
    /// are those of where the run was made.
    #[must_use]
    pub fn home(&mut self) -> Option<PathBuf> {
        let inputs = self.inputs();
        let seen = |from: &Path| {
            let paths = inputs.iter().filter(|path| path.is_relative());
            paths.filter(|path| from.join(path).exists()).count()
        };
        let here = seen(Path::new(""));
        let original = std::fs::canonicalize(self.original.as_ref()?).ok()?;
        let above = original.ancestors().skip(1);
        above
            .map(|folder| (seen(folder), folder))
            .filter(|&(count, _)| count > here)
            // Of equals the nearest.
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map(|(_, folder)| folder.to_path_buf())
    }

    /// Opens the model on `device`, checks the arguments, then makes the run
    /// folder. The device is no part of the job: a recipe says what is done,
    /// not where.
    ///
    /// # Errors
    /// When something does not fit; nothing was written or removed then.
    pub fn prepare(mut self, device: Arc<dyn Device>) -> Result<PreparedJob, StudyError> {
        self.refuse_original()?;
        self.refuse_own_inputs()?;
        self.study.pin_inputs()?;
        for lora in &mut self.options.lora {
            // A folder or a name of the hub is not pinned.
            let path = PathBuf::from(&lora.file);
            if lora.hash.is_some() || disk::is_file(&path) {
                let hash = lora.hash.take().unwrap_or_default();
                let mut file = InputFile { path, hash };
                file.pin()?;
                lora.hash = Some(file.hash);
            }
        }
        for control in &mut self.options.control {
            control::pin(control)?;
        }
        let uses_model = self.study.uses_model();
        let model = uses_model.then(|| self.open_model()).transpose()?;
        let model = model.map(|model| model.on(device));
        self.study.check(model.as_ref())?;
        let reference = model.as_ref().map(|model| model.reference.clone());
        let recipe = self.study.recipe(self.seed, reference)?;
        let folder = match (&self.out, &self.study) {
            (Some(path), Study::Train(arguments))
                if !self.overwrite && train::can_resume(path, arguments) =>
            {
                train::check_checkpoint(path, arguments)?;
                RunFolder::extend(path, recipe)?
            }
            (Some(path), Study::Evolve(arguments))
                if !self.overwrite && evolve::can_resume(path, arguments, self.seed) =>
            {
                RunFolder::extend(path, recipe)?
            }
            (Some(path), study)
                if study.keeps_parts()
                    && !self.overwrite
                    && RunFolder::state(path) == RunState::Interrupted
                    && goes_on(path, &recipe)? =>
            {
                RunFolder::open(path)?
            }
            (Some(path), _) => RunFolder::create(path, self.overwrite, recipe)?,
            (None, _) => RunFolder::create_next(&self.root, recipe)?,
        };
        Ok(PreparedJob {
            study: self.study,
            model,
            seed: self.seed,
            folder,
        })
    }

    /// Refuses to replay into the original: there would be nothing left to
    /// compare with, or the replay would be part of it. One that was given no
    /// folder goes beside it then.
    fn refuse_original(&mut self) -> Result<(), StudyError> {
        let Some(original) = &self.original else {
            return Ok(());
        };
        let Some(out) = &self.out else {
            if disk::would_lie_in(&self.root, original) {
                let original = std::path::absolute(original).unwrap_or_else(|_| original.clone());
                self.root = original.parent().unwrap_or(&original).to_path_buf();
            }
            return Ok(());
        };
        if disk::lies_in(original, out) || disk::would_lie_in(out, original) {
            let why = format!(
                "{}: the replay is compared with {}, so it needs a folder of its own",
                out.display(),
                original.display()
            );
            return Err(StudyError::argument("--out", why));
        }
        Ok(())
    }

    /// What it reads, as it was named.
    fn inputs(&mut self) -> Vec<PathBuf> {
        let files = self.study.files().into_iter().map(|file| file.path.clone());
        let mut read: Vec<PathBuf> = files.collect();
        read.extend(
            self.study
                .models()
                .into_iter()
                .map(|model| model.name.clone()),
        );
        read.extend(self.model.clone());
        if let Study::Train(arguments) = &self.study {
            read.extend(
                arguments
                    .start
                    .iter()
                    .map(|start| PathBuf::from(&start.name)),
            );
        }
        let options = &self.options;
        read.extend(options.lora.iter().map(|lora| PathBuf::from(&lora.file)));
        for control in &options.control {
            read.extend([&control.model, &control.picture].map(PathBuf::from));
        }
        read
    }

    /// Refuses to overwrite a run that holds what this one reads.
    fn refuse_own_inputs(&mut self) -> Result<(), StudyError> {
        let Some(out) = self.out.clone().filter(|_| self.overwrite) else {
            return Ok(());
        };
        let read = self.inputs();
        match read.iter().find(|path| disk::lies_in(path, &out)) {
            None => Ok(()),
            Some(path) => {
                let why = format!(
                    "{} lies in {}, whose run would be moved aside first. Choose another folder",
                    path.display(),
                    out.display()
                );
                Err(StudyError::argument("--overwrite", why))
            }
        }
    }

    /// The model; under its recorded name if there is a record.
    fn open_model(&self) -> Result<DiffusionModel, StudyError> {
        let mut model = DiffusionModel::open(self.model.as_deref(), &self.options)?;
        if let Some(recorded) = &self.recorded {
            require(&model.reference, recorded)?;
            model.reference = ModelReference {
                options: self.options.clone(),
                ..recorded.clone()
            };
        }
        Ok(model)
    }
}

impl PreparedJob {
    /// The run folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the study and writes its report.
    ///
    /// # Errors
    /// Those of the study. A folder without results is removed then.
    pub fn run(self, progress: &mut dyn Progress) -> Result<Outcome, StudyError> {
        let mut notes = Vec::new();
        if let Some(model) = &self.model {
            notes.extend(model.notes());
            // What is wrong with its arguments the study itself says.
            notes.extend(self.study.notes(model).unwrap_or_default());
        }
        Ok(Outcome {
            notes,
            ..self.run_study(progress)?
        })
    }

    fn run_study(self, progress: &mut dyn Progress) -> Result<Outcome, StudyError> {
        let (verb, seed, mut folder) = (self.study.verb(), self.seed, self.folder);
        let to = &mut folder;
        match (&self.study, &self.model) {
            (Study::Compare(arguments), Some(model)) => {
                let result = compare::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Discover(arguments), Some(model)) => {
                let result = discover::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Edit(arguments), Some(model)) => {
                let result = edit::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Grid(arguments), Some(model)) => {
                let result = grid::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Img2img(arguments), Some(model)) => {
                let result = img2img::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Inpaint(arguments), Some(model)) => {
                let result = inpaint::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Invert(arguments), Some(model)) => {
                let result = invert::run(arguments, model, to, progress);
                close(verb, folder, result)
            }
            (Study::Measure(arguments), Some(model)) => {
                let result = measure::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Sample(arguments), Some(model)) => {
                let result = sample::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Survey(arguments), Some(model)) => {
                let result = survey::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Evolve(arguments), _) => {
                let result = evolve::run(arguments, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Train(arguments), _) => {
                let result = train::run(arguments, to, progress);
                close(verb, folder, result)
            }
            (Study::Global(arguments), Some(model)) => {
                let result = global::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Hspace(arguments), Some(model)) => {
                let result = hspace::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Transport(arguments), Some(model)) => {
                let result = transport::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::Treat(arguments), Some(model)) => {
                let result = treat::run(arguments, model, seed, to, progress);
                close(verb, folder, result)
            }
            (Study::World(arguments), _) => {
                let result = world::run(arguments, seed, to, progress);
                close(verb, folder, result)
            }
            (_, None) => Err(StudyError::argument(verb, "needs a model")),
        }
    }
}

/// Whether the interrupted run in a folder was to do what a recipe says.
///
/// # Errors
/// When it was, with another model: its results and what is still missing
/// would not be of one kind.
fn goes_on(folder: &Path, recipe: &Recipe) -> Result<bool, StudyError> {
    let Ok(before) = Recipe::find(folder) else {
        return Ok(false);
    };
    let (Some(old), Some(new)) = (&before.model, &recipe.model) else {
        return Ok(before == *recipe);
    };
    let model = ModelReference {
        hash: old.hash.clone(),
        parts: old.parts.clone(),
        ..new.clone()
    };
    let same = Recipe {
        model: Some(model),
        ..recipe.clone()
    };
    if before != same {
        return Ok(false);
    }
    let changed = new.differences(old);
    if changed.is_empty() {
        return Ok(true);
    }
    let why = format!(
        "the run in {} was begun with another {} of {}, and cannot go on with this. Restore what \
         was there, or begin anew with --overwrite",
        folder.display(),
        changed.join(", "),
        new.name
    );
    Err(StudyError::argument("--model", why))
}

/// Writes the report of a run that succeeded.
fn close<R: Serialize + Display>(
    verb: &'static str,
    folder: RunFolder,
    result: Result<R, StudyError>,
) -> Result<Outcome, StudyError> {
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            // The first error is the one to tell.
            let _ = folder.discard_if_empty();
            return Err(error);
        }
    };
    let run = folder.path().to_path_buf();
    folder.finish(&report)?;
    let value = serde_json::to_value(&report)
        .map_err(|e| StudyError::argument("report.json", format!("cannot be written: {e}")))?;
    Ok(Outcome {
        verb,
        run,
        report: value,
        notes: Vec::new(),
        summary: report.to_string(),
    })
}
