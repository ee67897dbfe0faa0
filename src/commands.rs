//! From what was typed to a job, and from its outcome to text.

use crate::cli::{Cli, Command, ModelOption, PlaceOptions, RunOptions};
use crate::{device, download, interrupt, progress};
use alice_studies::study::{Job, Outcome, Study};
use alice_studies::{
    DeviceKind, DiffusionModel, ModelOptions, Progress, StudyError, describe, predict, replay,
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to print on stdout, and how to exit.
pub struct Answer {
    pub text: String,
    /// A replay that came out otherwise is no success.
    pub success: bool,
}

/// Does what was asked.
///
/// # Errors
/// Whatever went wrong, for one line on stderr.
pub fn run(cli: Cli) -> Result<Answer, StudyError> {
    let mut success = true;
    let mut progress = progress::for_terminal(cli.quiet || cli.json);
    let progress = progress.as_mut();
    let (value, text) = match cli.command {
        Command::Model { study } => {
            let options = ModelOptions::default();
            download::what_is_missing(study.path.as_deref(), &options, progress)?;
            let model = describe::run(&study)?;
            (
                json!({ "verb": "model", "model": model }),
                model.to_string(),
            )
        }
        Command::Predict { study, model } => {
            let device = device::open(model.device)?;
            let (name, options) = (model.model.as_deref(), model.options());
            download::what_is_missing(name, &options, progress)?;
            let model = DiffusionModel::open(name, &options)?.on(device);
            let report = predict::run(&study, &model, progress)?;
            (
                json!({ "verb": "predict", "report": report }),
                report.to_string(),
            )
        }
        Command::Replay {
            path,
            run_program,
            model,
            place,
        } => {
            let mut path = replay::original(path);
            let mut job = replay::job(&path)?;
            if !run_program {
                replay::require_no_program(&job)?;
            }
            if model.prediction.is_some() {
                job.options.prediction = model.options().prediction;
            }
            job.options.half |= model.half;
            (job.out, job.overwrite) = (place.out, place.overwrite);
            let mut other = model.model;
            if let Some(home) = job.home() {
                path = absolute(path);
                job.original = Some(path.clone());
                job.out = job.out.map(absolute);
                job.root = absolute(job.root);
                other = other.map(|name| if name.exists() { absolute(name) } else { name });
                std::env::set_current_dir(&home)
                    .map_err(|e| StudyError::argument(home.display().to_string(), e.to_string()))?;
            }
            job.model = other.or(job.model);
            let outcome = run_job(job, model.device, progress)?;
            let comparison = replay::compare(&path, &outcome.run)?;
            success = comparison.different.is_empty();
            let mut value = to_json(&outcome);
            value["replay"] = json!(comparison);
            (value, format!("{}\n{comparison}", to_text(&outcome)))
        }
        command => {
            let device = device_of(&command);
            let job = job(command)?;
            download::what_is_missing(job.model.as_deref(), &job.options, progress)?;
            let outcome = run_job(job, device, progress)?;
            (to_json(&outcome), to_text(&outcome))
        }
    };
    crate::progress::finish();
    let text = if cli.json { value.to_string() } else { text };
    Ok(Answer { text, success })
}

/// Where the networks of a command that makes a run are to run; a training
/// has a device of its own.
fn device_of(command: &Command) -> DeviceKind {
    match command {
        Command::Compare { model, .. }
        | Command::Discover { model, .. }
        | Command::Edit { model, .. }
        | Command::Measure { model, .. }
        | Command::Sample { model, .. }
        | Command::Img2img { model, .. }
        | Command::Inpaint { model, .. }
        | Command::Grid { model, .. }
        | Command::Invert { model, .. }
        | Command::Survey { model, .. }
        | Command::Global { model, .. }
        | Command::Hspace { model, .. }
        | Command::Transport { model, .. }
        | Command::Treat { model, .. } => model.path.device,
        Command::Predict { model, .. } | Command::Replay { model, .. } => model.device,
        Command::Train { .. }
        | Command::Evolve { .. }
        | Command::World { .. }
        | Command::Model { .. } => DeviceKind::Cpu,
    }
}

/// The job of a command that makes a run.
fn job(command: Command) -> Result<Job, StudyError> {
    let with_model = |study, model: ModelOption, run: RunOptions| {
        let options = model.options();
        Job {
            options,
            ..new_job(study, model.path.model, run.seed.unwrap_or(0), run.place)
        }
    };
    Ok(match command {
        Command::Compare { study, model, run } => with_model(Study::Compare(study), model, run),
        Command::Discover { study, model, run } => with_model(Study::Discover(study), model, run),
        Command::Edit { study, model, run } => with_model(Study::Edit(study), model, run),
        Command::Measure { study, model, run } => with_model(Study::Measure(study), model, run),
        Command::Sample { study, model, run } => with_model(Study::Sample(study), model, run),
        Command::Img2img { study, model, run } => with_model(Study::Img2img(study), model, run),
        Command::Inpaint { study, model, run } => with_model(Study::Inpaint(study), model, run),
        Command::Grid { study, model, run } => with_model(Study::Grid(study), model, run),
        Command::Invert { study, model, run } => with_model(Study::Invert(study), model, run),
        Command::Survey { study, model, run } => with_model(Study::Survey(study), model, run),
        Command::Global { study, model, run } => with_model(Study::Global(study), model, run),
        Command::Hspace { study, model, run } => with_model(Study::Hspace(study), model, run),
        Command::Transport { study, model, run } => with_model(Study::Transport(study), model, run),
        Command::Treat { study, model, run } => with_model(Study::Treat(study), model, run),
        Command::Train { study, run } => {
            let arguments = study.read(run.seed)?;
            let seed = arguments.recipe.seed;
            new_job(Study::Train(arguments), None, seed, run.place)
        }
        Command::Evolve { study, run } => {
            new_job(Study::Evolve(study), None, run.seed.unwrap_or(0), run.place)
        }
        Command::World { study, run } => {
            new_job(Study::World(study), None, run.seed.unwrap_or(0), run.place)
        }
        Command::Model { .. } | Command::Predict { .. } | Command::Replay { .. } => {
            return Err(StudyError::argument("this verb", "makes no run of its own"));
        }
    })
}

/// A path that means the same from every folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn new_job(study: Study, model: Option<PathBuf>, seed: u64, place: PlaceOptions) -> Job {
    Job {
        study,
        model,
        options: ModelOptions::default(),
        recorded: None,
        original: None,
        seed,
        out: place.out,
        root: alice_runs::ROOT.into(),
        overwrite: place.overwrite,
    }
}

fn run_job(
    job: Job,
    device: DeviceKind,
    progress: &mut dyn Progress,
) -> Result<Outcome, StudyError> {
    let resumes = job.study.resumes();
    let prepared = job.prepare(device::open(device)?)?;
    interrupt::set_run(prepared.folder(), resumes);
    prepared.run(progress)
}

fn to_json(outcome: &Outcome) -> Value {
    // Text, numbers and a JSON value always serialise.
    let mut value = serde_json::to_value(outcome).unwrap_or_default();
    if outcome.verb == "evolve"
        && let (Some(object), Some(report)) = (value.as_object_mut(), outcome.report.as_object())
    {
        // Its figures stand at the top, where other programs look for them.
        object.extend(report.clone());
    }
    value
}

fn to_text(outcome: &Outcome) -> String {
    let mut text = outcome.summary.clone();
    for note in &outcome.notes {
        text.push_str("\nnote: ");
        text.push_str(note);
    }
    format!("{text}\nin {}", outcome.run.display())
}
