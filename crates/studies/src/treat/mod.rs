//! `treat`: find the concept that haunts a model, and heal its samples.
//!
//! Samples are drawn and their bottleneck is watched on the way. A rare
//! concept is a small group of samples that stands apart from all others along
//! one direction of the bottleneck; it is found without labels, or from a few
//! marked samples. New samples are then drawn; those that come to show the
//! concept are taken back to where it begins to show and drawn again, moved
//! along it just as far as its score says. All others stay as they are, bit by
//! bit.
//!
//! All of this happens among the states of the network, so it is the same for
//! models of latents under a prompt. What the model itself says of the result
//! is measured for every model ([`Evidence`]); what the pictures show only
//! where the instrument of the puppet show can read them ([`Health`]).

mod evidence;
mod heal;
mod instrument;
mod learn;
mod marks;
mod product;
mod report;
mod sheets;
mod watch;

pub use evidence::{Change, Evidence, Showing};
pub use instrument::{Health, SideEffect};
pub use marks::{Growth, Marked};
pub use product::{Shows, Treated};
pub use report::{Candidate, Learnt, TreatReport};

use crate::bottleneck::Bottleneck;
use crate::discover::basis::check_rank;
use crate::drawing::{check_bound, check_model};
use crate::points::{check_distinct, check_share, indices_at};
use crate::reader::Reader;
use crate::sampling::pictures;
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_geometry::geodesic::SmoothMap;
use alice_runs::RunFolder;
use heal::Healer;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use watch::watch;

/// Rare concepts that are shown.
const CANDIDATES: usize = 6;
/// Fewest samples to learn from.
const LEAST_LEARNT: usize = 20;
/// Samples that the largest rare concept must have.
const LEAST_RARE: f64 = 2.0;

/// What `treat` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TreatArguments {
    /// Samples from which the concept is learnt, at least 20 and 2 divided by --rare
    #[arg(long, default_value_t = 512)]
    pub learn: usize,
    /// New samples that are treated
    #[arg(long, default_value_t = 512)]
    pub samples: usize,
    /// Samples that show the concept, by their numbers in learnt.png, which shows them all and is
    /// there also where a run found nothing [default: find it without labels]
    #[arg(
        long,
        value_name = "INDEX,…",
        value_delimiter = ',',
        conflicts_with = "concept"
    )]
    #[serde(default)]
    pub mark: Vec<usize>,
    /// Which of the rare concepts to treat, as learn.png numbers them
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub concept: usize,
    /// The largest share of the samples that counts as rare
    #[arg(long, default_value_t = 0.09, value_name = "SHARE")]
    pub rare: f64,
    /// Where samples are watched and treated, as shares of the noise schedule
    #[arg(long, value_delimiter = ',', default_values_t = [0.7, 0.6, 0.5, 0.4, 0.3, 0.2])]
    pub at: Vec<f64>,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// Principal components of the bottleneck in which the concept is sought [default: 40, at most
    /// an eighth of the samples to learn from]
    #[arg(long)]
    pub components: Option<usize>,
    /// Singular directions along which a sample may move
    #[arg(long, default_value_t = 30)]
    pub rank: usize,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

impl TreatArguments {
    /// Principal components: so few for each sample that noise has no groups.
    fn components(&self) -> usize {
        self.components.unwrap_or((self.learn / 8).clamp(1, 40))
    }

    /// The number of the concept to treat; where samples are marked there is
    /// one.
    fn chosen(&self) -> usize {
        if self.mark.is_empty() {
            self.concept
        } else {
            1
        }
    }
}

/// Refuses arguments that do not fit, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &TreatArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    check_model(model)?;
    check_learn(arguments)?;
    if arguments.samples == 0 || arguments.components() == 0 || arguments.rank == 0 {
        let names = "--samples, --components and --rank";
        return Err(StudyError::argument(names, "must be at least 1"));
    }
    check_bound("--learn", arguments.learn)?;
    check_bound("--samples", arguments.samples)?;
    if 2 * arguments.components() > arguments.learn {
        let why = format!(
            "{}; at most half of the {} samples, or every few of them stand apart",
            arguments.components(),
            arguments.learn
        );
        return Err(StudyError::argument("--components", why));
    }
    let descending = arguments.at.windows(2).all(|pair| pair[0] > pair[1]);
    if arguments.at.is_empty() || !descending {
        return Err(StudyError::argument("--at", "must be shares that descend"));
    }
    for at in &arguments.at {
        check_share(*at, "--at")?;
    }
    if !(1..=CANDIDATES).contains(&arguments.concept) {
        let why = format!("must lie between 1 and {CANDIDATES}");
        return Err(StudyError::argument("--concept", why));
    }
    if let Some(mark) = arguments.mark.iter().find(|m| **m >= arguments.learn) {
        let why = format!(
            "{mark}; samples are counted from 0 to {}",
            arguments.learn - 1
        );
        return Err(StudyError::argument("--mark", why));
    }
    check_distinct(&arguments.mark, "--mark")
}

/// Refuses a share that is not one, and too few samples for it.
fn check_learn(arguments: &TreatArguments) -> Result<(), StudyError> {
    let (learn, rare) = (arguments.learn, arguments.rare);
    if !(rare > 0.0 && rare <= 0.5) {
        let why = format!("{rare}; it must lie above 0 and at most at 0.5");
        return Err(StudyError::argument("--rare", why));
    }
    let least = ((LEAST_RARE / rare).ceil() as usize).max(LEAST_LEARNT);
    if learn >= least {
        return Ok(());
    }
    let why = if least == LEAST_LEARNT {
        format!("{learn}; it must be at least {least}")
    } else {
        format!(
            "{learn}; it must be at least {least} with --rare {rare}, so that a concept which that \
             share of the samples shows is that of {LEAST_RARE} samples"
        )
    };
    Err(StudyError::argument("--learn", why))
}

/// Learns, treats, writes `learnt.png`, `learn.png`, `concept.safetensors` and of
/// the treated samples `sheet.png` and `treated/`; the caller writes `report.json`.
///
/// Memory: for every learnt sample and place a state and a bottleneck, in f32.
///
/// # Errors
/// When no concept stands out, the marked samples have nothing in common, an argument does not fit the model, the network
/// fails or the user asks to stop.
pub fn run(
    arguments: &TreatArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<TreatReport, StudyError> {
    let clock = Instant::now();
    let reader = Reader::for_model(model, arguments.puppets)?;
    let (size, channels) = (model.size()?, model.channels());
    let network = model.at(size)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let train_steps = model.schedule.num_train_timesteps;
    let stops = indices_at(&sampler, &arguments.at, train_steps, "--at")?;
    let bottleneck = Bottleneck::new(&network, 0.0)?;
    check_rank(
        arguments.rank,
        bottleneck.domain().min(bottleneck.codomain()),
    )?;
    let draw = |first: usize, count: usize, progress: &mut dyn Progress| {
        watch(&network, &sampler, &stops, seed, first, count, progress)
    };

    progress.begin(
        "watching samples",
        (arguments.learn * arguments.steps) as u64,
    );
    let mut watched = draw(0, arguments.learn, progress)?;
    let found = pictures(size, channels, std::mem::take(&mut watched.finals));
    // Before anything is learnt: who is refused can look for samples to mark.
    let learnt = sheets::write_learnt(folder, model, &found, progress)?;
    let lesson = learn::learn(arguments, &watched, &learnt)?;
    let chosen = arguments.chosen();
    sheets::write_candidates(folder, model, &found, &lesson.candidates, chosen, progress)?;
    product::write_concept(folder, model, &lesson, &sampler, &stops)?;
    let learnt = lesson.report(arguments, reader.as_ref(), &found)?;

    progress.begin(
        "drawing new samples",
        (arguments.samples * arguments.steps) as u64,
    );
    let mut fresh = draw(arguments.learn, arguments.samples, progress)?;
    let healer = Healer {
        network: &network,
        sampler: &sampler,
        stops: &stops,
        concepts: &lesson.concepts,
        place: lesson.place,
        rank: arguments.rank,
        seed,
    };
    let healed = healer.heal(&fresh, progress)?;
    let before = pictures(size, channels, std::mem::take(&mut fresh.finals));
    let mut report = TreatReport {
        model: model.reference.clone(),
        learnt,
        samples: arguments.samples,
        first_item: arguments.learn,
        treated: healed.treated.len(),
        showing: product::treated(&lesson, &fresh, &healed, arguments.learn),
        reached: healed.reached,
        length: healed.length,
        evidence: None,
        before: None,
        after: None,
        side_effects: Vec::new(),
        seconds: 0.0,
    };
    let sick = sheets::only(&before, &healed.treated);
    let well = pictures(size, channels, healed.finals.clone());
    let sick_pictures = model.pictures(sick.clone(), progress)?;
    let well_pictures = model.pictures(well.clone(), progress)?;
    if !healed.treated.is_empty() {
        let showing = &report.showing;
        sheets::write_treated(folder, &sick_pictures, &well_pictures, showing)?;
        let (shown, states) = ([&sick_pictures, &well_pictures], [&sick, &well]);
        product::write_treated(folder, model, arguments, showing, shown, states)?;
        let change = evidence::picture_change(&sick_pictures, &well_pictures);
        let found = healer.evidence(&lesson, &fresh, &healed, &before, change)?;
        report.evidence = Some(found);
    }
    if let Some(reader) = &reader {
        let treated = &healed.treated;
        let after = sheets::replaced(&before, treated, &well);
        report.before = Some(instrument::health(reader, &before, &sick)?);
        report.after = Some(instrument::health(reader, &after, &well)?);
        if !healed.treated.is_empty() {
            report.side_effects = instrument::side_effects(reader, &sick, &well)?;
        }
    }
    report.seconds = clock.elapsed().as_secs_f64();
    Ok(report)
}
