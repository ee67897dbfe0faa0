//! `treat`: find the concept that haunts a model, and heal its samples.
//!
//! Samples are drawn and their bottleneck is watched on the way. A rare
//! concept is a small group of samples that stands apart from all others along
//! one direction of the bottleneck; it is found without labels, or from a few
//! marked samples. New samples are then drawn; those that come to show the
//! concept are taken back to where it begins to show and drawn again, moved
//! along it just as far as its score says. All others stay as they are, bit by
//! bit.

mod heal;
mod watch;

use crate::discover::findings::Pictures;
use crate::pictures::numbers;
use crate::points::index_at;
use crate::raster::sheet;
use crate::reader::{Reader, along_walk};
use crate::responses::world_deviation;
use crate::sampling::pictures;
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_geometry::{Components, Concept, GeometryError};
use alice_runs::{Metadata, ModelReference, RunFolder};
use alice_worlds::{FACTORS, factor_index};
use heal::{Healed, Healer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;
use watch::{Watched, watch};

/// The factor that the instrument reads and this study removes.
const HAUNTED: &str = "haunted";
/// Samples in the sheets.
const IN_SHEET: usize = 12;
/// Rare concepts that are shown.
const CANDIDATES: usize = 6;
/// Concepts of two places are one when more than this share of the samples
/// that show either show both.
const SAME: f64 = 0.3;

/// What `treat` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TreatArguments {
    /// Samples from which the concept is learnt
    #[arg(long, default_value_t = 512)]
    pub learn: usize,
    /// New samples that are treated
    #[arg(long, default_value_t = 512)]
    pub samples: usize,
    /// Samples of learn.png that show the concept, counted from 0 [default: find it without labels]
    #[arg(long, value_name = "INDEX,…", value_delimiter = ',')]
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
    /// Principal components of the bottleneck in which the concept is sought
    #[arg(long, default_value_t = 40)]
    pub components: usize,
    /// Singular directions along which a sample may move
    #[arg(long, default_value_t = 30)]
    pub rank: usize,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

/// A concept that few samples show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Where it stands out most, as a share of the noise schedule.
    pub at: f64,
    /// How far the mean score of those that show it lies from that of the
    /// others, in deviations within the two groups.
    pub separation: f64,
    /// Share of the samples that show it.
    pub share: f64,
    /// Of the samples that show it, the share that the instrument calls
    /// haunted; nothing without an instrument.
    pub precision: Option<f64>,
    /// Of those that the instrument calls haunted, the share that shows it.
    pub recall: Option<f64>,
}

/// The concept that is treated, as it was learnt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Learnt {
    /// Samples that were watched.
    pub samples: usize,
    /// Of them, those that the instrument calls haunted.
    pub haunted: Option<usize>,
    /// Rare concepts, the one that stands apart most first; the marked one
    /// alone where samples were marked.
    pub candidates: Vec<Candidate>,
    /// Which of them is treated, counted from 1.
    pub concept: usize,
    /// Mean score of the samples that show it, in deviations of the others,
    /// at each place.
    pub strength: Vec<f64>,
}

impl TreatArguments {
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

/// What one factor of the treated samples did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideEffect {
    /// The factor.
    pub factor: String,
    /// Mean absolute change of a treated sample, in standard deviations.
    pub change: f64,
}

/// What the instrument says of all new samples, before or after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Haunted samples.
    pub haunted: usize,
    /// Share of haunted samples.
    pub haunted_share: f64,
    /// Mean distance of the treated samples from their re-rendering.
    pub treated_distance: f64,
    /// Share of the treated samples that is valid by reading alone.
    pub treated_validity: f64,
}

/// `report.json` of `treat`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TreatReport {
    /// The model.
    pub model: ModelReference,
    /// The concept.
    pub learnt: Learnt,
    /// New samples.
    pub samples: usize,
    /// Those that were moved; all others are unchanged bit by bit.
    pub treated: usize,
    /// Moves that brought the score to that of healthy samples.
    pub reached: usize,
    /// Mean length of all moves of a treated sample, root mean square per pixel.
    pub length: f64,
    /// Before, by the instrument.
    pub before: Option<Health>,
    /// After, by the instrument.
    pub after: Option<Health>,
    /// Everything else that changed in the treated samples, most first.
    pub side_effects: Vec<SideEffect>,
    /// Seconds in all.
    pub seconds: f64,
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &TreatArguments) -> Result<(), StudyError> {
    if arguments.learn < 20 {
        return Err(StudyError::argument("--learn", "must be at least 20"));
    }
    if arguments.samples == 0 || arguments.components == 0 || arguments.rank == 0 {
        let names = "--samples, --components and --rank";
        return Err(StudyError::argument(names, "must be at least 1"));
    }
    let descending = arguments.at.windows(2).all(|pair| pair[0] > pair[1]);
    let inside = arguments.at.iter().all(|at| (0.0..=1.0).contains(at));
    if arguments.at.is_empty() || !descending || !inside {
        return Err(StudyError::argument("--at", "must descend, within 0..1"));
    }
    if !(0.0..=0.5).contains(&arguments.rare) || arguments.rare * (arguments.learn as f64) < 2.0 {
        let why = format!(
            "{}; it must lie below 0.5 and leave at least 2 of the samples to learn from",
            arguments.rare
        );
        return Err(StudyError::argument("--rare", why));
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
    Ok(())
}

/// Learns, treats, writes `learn.png` and `sheet.png`; the caller writes
/// `report.json`.
///
/// # Errors
/// When no concept stands out, an argument does not fit the model, the network
/// fails or the user asks to stop.
pub fn run(
    arguments: &TreatArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<TreatReport, StudyError> {
    let clock = Instant::now();
    model.pixel_network()?;
    let reader = Reader::for_model(model, arguments.puppets)?;
    let size = model.size()?;
    let network = model.at(size)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let stops = stops(arguments, &sampler, model.schedule.num_train_timesteps)?;
    let draw = |first: usize, count: usize, progress: &mut dyn Progress| {
        watch(&network, &sampler, &stops, seed, first, count, progress)
    };

    progress.begin(
        "watching samples",
        (arguments.learn * arguments.steps) as u64,
    );
    let watched = draw(0, arguments.learn, progress)?;
    let (candidates, place, concepts) = learn(arguments, &watched)?;
    let found = pictures(size, 3, watched.finals);
    let learnt = judge(arguments, &candidates, &concepts, reader.as_ref(), &found)?;
    write_learn_sheet(folder, &found, &candidates)?;

    progress.begin(
        "drawing new samples",
        (arguments.samples * arguments.steps) as u64,
    );
    let mut fresh = draw(arguments.learn, arguments.samples, progress)?;
    let before = pictures(size, 3, std::mem::take(&mut fresh.finals));
    let healer = Healer {
        network: &network,
        sampler: &sampler,
        stops: &stops,
        concepts: &concepts,
        place,
        rank: arguments.rank,
        seed,
    };
    let healed = healer.heal(&fresh, progress)?;
    report(
        arguments,
        model,
        reader.as_ref(),
        folder,
        learnt,
        before,
        &healed,
        clock,
    )
}

/// The sampler's steps before which samples are watched.
fn stops(
    arguments: &TreatArguments,
    sampler: &Ddim,
    train_steps: usize,
) -> Result<Vec<usize>, StudyError> {
    let index = |at: &f64| index_at(sampler, *at, train_steps);
    let stops: Vec<usize> = arguments.at.iter().map(index).collect::<Result<_, _>>()?;
    if stops.windows(2).any(|pair| pair[0] == pair[1]) {
        let steps = sampler.timesteps().len();
        return Err(StudyError::argument(
            "--at",
            format!("needs a step of its own for each place; there are {steps} steps"),
        ));
    }
    Ok(stops)
}

/// A rare concept and the place where it stands apart most.
struct Rare {
    place: usize,
    concept: Concept,
}

/// The rare concepts, the place of the one to treat, and that one at each place.
fn learn(
    arguments: &TreatArguments,
    watched: &Watched,
) -> Result<(Vec<Rare>, usize, Vec<Concept>), StudyError> {
    let clouds = watched.bottlenecks.iter();
    let components: Vec<Components> = clouds
        .map(|states| Ok(Components::of(states, arguments.components)?))
        .collect::<Result<_, StudyError>>()?;
    let largest = (arguments.rare * arguments.learn as f64) as usize;
    let mut all: Vec<Rare> = Vec::new();
    let mut nothing = None;
    for (place, components) in components.iter().enumerate() {
        let states = &watched.bottlenecks[place];
        if arguments.mark.is_empty() {
            match components.rarest(states, largest) {
                Ok(found) => all.extend(found.into_iter().map(|concept| Rare { place, concept })),
                Err(error @ GeometryError::Degenerate { .. }) => nothing = Some(error),
                Err(error) => return Err(error.into()),
            }
        } else {
            let marked = (0..arguments.learn).map(|i| arguments.mark.contains(&i));
            let members = components.like(&marked.collect::<Vec<_>>(), largest)?;
            let concept = components.contrast(states, &members)?;
            all.push(Rare { place, concept });
        }
    }
    all.sort_by(|a, b| b.concept.separation.total_cmp(&a.concept.separation));
    let most = if arguments.mark.is_empty() {
        CANDIDATES
    } else {
        1
    };
    let mut candidates: Vec<Rare> = Vec::new();
    for rare in all {
        let same = |other: &Rare| overlap(&rare.concept.members, &other.concept.members) > SAME;
        if candidates.len() < most && !candidates.iter().any(same) {
            candidates.push(rare);
        }
    }
    let Some(chosen) = candidates.get(arguments.chosen() - 1) else {
        return Err(match nothing {
            Some(error) if candidates.is_empty() => error.into(),
            _ => {
                let why = format!("{} rare concepts were found", candidates.len());
                StudyError::argument("--concept", why)
            }
        });
    };
    let both = components.iter().zip(&watched.bottlenecks);
    let concepts = both
        .map(|(components, states)| Ok(components.contrast(states, &chosen.concept.members)?))
        .collect::<Result<_, StudyError>>()?;
    let place = chosen.place;
    Ok((candidates, place, concepts))
}

/// Of the samples that show either concept, the share that shows both.
fn overlap(a: &[bool], b: &[bool]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let either = a.iter().zip(b).filter(|(a, b)| **a || **b).count();
    both as f64 / either.max(1) as f64
}

fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

/// Which pictures the instrument calls haunted.
fn haunted(reader: &Reader, pictures: &Pictures) -> Result<Vec<bool>, StudyError> {
    let factor = factor_index(HAUNTED).unwrap_or(0);
    let readings = reader.read(pictures)?;
    Ok(readings.iter().map(|r| r.values[factor] >= 0.5).collect())
}

/// Compares what was found with what the instrument sees.
fn judge(
    arguments: &TreatArguments,
    candidates: &[Rare],
    concepts: &[Concept],
    reader: Option<&Reader>,
    found: &Pictures,
) -> Result<Learnt, StudyError> {
    let seen = reader.map(|reader| haunted(reader, found)).transpose()?;
    let candidates = candidates.iter().map(|rare| {
        let members = &rare.concept.members;
        let share_seen = |of: usize| {
            let both = seen.iter().flatten().zip(members);
            let both = both.filter(|(s, m)| **s && **m).count();
            (seen.is_some() && of > 0).then(|| both as f64 / of as f64)
        };
        Candidate {
            at: arguments.at[rare.place],
            separation: rare.concept.separation,
            share: count(members) as f64 / members.len() as f64,
            precision: share_seen(count(members)),
            recall: share_seen(seen.as_deref().map_or(0, count)),
        }
    });
    Ok(Learnt {
        samples: arguments.learn,
        haunted: seen.as_deref().map(count),
        candidates: candidates.collect(),
        concept: arguments.chosen(),
        strength: concepts.iter().map(|c| c.strength).collect(),
    })
}

/// A row for each rare concept: the samples that show it most.
fn write_learn_sheet(
    folder: &mut RunFolder,
    found: &Pictures,
    candidates: &[Rare],
) -> Result<(), StudyError> {
    let columns = IN_SHEET.min(found.len());
    let mut values = Vec::new();
    let mut labels = Vec::new();
    for (row, rare) in candidates.iter().enumerate() {
        let scores = &rare.concept.scores;
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        for &i in &order[..columns] {
            values.extend_from_slice(found.get(i));
            let score = numbers::signed(scores[i], 1);
            labels.push(format!("{}: {i} {score}", row + 1));
        }
    }
    let shown = pictures(found.size, found.channels, values);
    let picture = sheet(&shown, columns, &labels)?;
    folder.write_png("learn.png", &picture, &Metadata::new())?;
    Ok(())
}

fn report(
    arguments: &TreatArguments,
    model: &DiffusionModel,
    reader: Option<&Reader>,
    folder: &mut RunFolder,
    learnt: Learnt,
    before: Pictures,
    healed: &Healed,
    clock: Instant,
) -> Result<TreatReport, StudyError> {
    let treated = &healed.treated;
    let mut after = before.clone();
    let item = before.item_len();
    for (row, &i) in treated.iter().enumerate() {
        let healed = &healed.finals[row * item..(row + 1) * item];
        after.values[i * item..(i + 1) * item].copy_from_slice(healed);
    }
    let only = |all: &Pictures| {
        let values = treated.iter().flat_map(|&i| all.get(i).iter().copied());
        pictures(all.size, all.channels, values.collect())
    };
    let (sick, well) = (only(&before), only(&after));
    if !treated.is_empty() {
        write_sheet(folder, &sick, &well, treated)?;
    }
    let mut found = TreatReport {
        model: model.reference.clone(),
        learnt,
        samples: arguments.samples,
        treated: treated.len(),
        reached: healed.reached,
        length: healed.length,
        before: None,
        after: None,
        side_effects: Vec::new(),
        seconds: 0.0,
    };
    if let Some(reader) = reader {
        let health = |all: &Pictures, treated: &Pictures| -> Result<Health, StudyError> {
            let haunted = count(&haunted(reader, all)?);
            let validity = reader.validity(treated)?;
            let n = validity.len().max(1) as f64;
            Ok(Health {
                haunted,
                haunted_share: haunted as f64 / all.len() as f64,
                treated_distance: validity.iter().map(|v| f64::from(v.distance)).sum::<f64>() / n,
                treated_validity: count(&reader.quick_validity(treated)?) as f64 / n,
            })
        };
        found.before = Some(health(&before, &sick)?);
        found.after = Some(health(&after, &well)?);
        found.side_effects = side_effects(reader, &sick, &well)?;
    }
    found.seconds = clock.elapsed().as_secs_f64();
    Ok(found)
}

/// Treated samples above, healed ones below.
fn write_sheet(
    folder: &mut RunFolder,
    sick: &Pictures,
    well: &Pictures,
    treated: &[usize],
) -> Result<(), StudyError> {
    let shown = IN_SHEET.min(treated.len());
    let length = shown * sick.item_len();
    let values = [&sick.values[..length], &well.values[..length]].concat();
    let both = pictures(sick.size, sick.channels, values);
    let label = |what: &str| -> Vec<String> {
        let shown = treated.iter().take(shown);
        shown.map(|i| format!("{i} {what}")).collect()
    };
    let labels = [label("before"), label("after")].concat();
    let picture = sheet(&both, shown, &labels)?;
    folder.write_png("sheet.png", &picture, &Metadata::new())?;
    Ok(())
}

/// How much every other factor changed in the treated samples.
fn side_effects(
    reader: &Reader,
    before: &Pictures,
    after: &Pictures,
) -> Result<Vec<SideEffect>, StudyError> {
    let (before, after) = (reader.read(before)?, reader.read(after)?);
    let mut changes = vec![0.0; FACTORS.len()];
    for (a, b) in before.iter().zip(&after) {
        // Relative to the species that it was before.
        let pair = along_walk(&[b.clone(), a.clone()]);
        for (f, spec) in FACTORS.iter().enumerate() {
            let mut change = pair[0][f] - pair[1][f];
            if spec.kind == alice_worlds::FactorKind::Circular {
                change -= change.round();
            }
            changes[f] += change.abs() / world_deviation(spec.kind) / before.len() as f64;
        }
    }
    let mut effects: Vec<SideEffect> = FACTORS
        .iter()
        .zip(changes)
        .filter(|(spec, _)| spec.name != HAUNTED)
        .map(|(spec, change)| SideEffect {
            factor: spec.name.to_owned(),
            change,
        })
        .collect();
    effects.sort_by(|a, b| b.change.total_cmp(&a.change));
    Ok(effects)
}

impl fmt::Display for TreatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let learnt = &self.learnt;
        write!(f, "rare concepts of {} samples", learnt.samples)?;
        if let Some(haunted) = learnt.haunted {
            write!(f, ", {haunted} of them haunted by the instrument")?;
        }
        for (index, candidate) in learnt.candidates.iter().enumerate() {
            let number = index + 1;
            let mark = if number == learnt.concept { "→" } else { " " };
            write!(
                f,
                "\n{mark} {number}: {} show it, {:.1} deviations apart at {} of the schedule",
                percent(candidate.share),
                candidate.separation,
                candidate.at
            )?;
            if let (Some(precision), Some(recall)) = (candidate.precision, candidate.recall) {
                write!(
                    f,
                    "; haunted are {} of them, {} of the haunted are among them",
                    percent(precision),
                    percent(recall)
                )?;
            }
        }
        write!(
            f,
            "\n{} of {} new samples treated, {} unchanged bit by bit; moved by {} per pixel",
            self.treated,
            self.samples,
            self.samples - self.treated,
            numbers::figures(self.length)
        )?;
        if let (Some(before), Some(after)) = (&self.before, &self.after) {
            write!(
                f,
                "\nhaunted: {} → {}; distance of the treated from the world: {} → {}",
                before.haunted,
                after.haunted,
                numbers::figures(before.treated_distance),
                numbers::figures(after.treated_distance)
            )?;
        }
        for effect in self.side_effects.iter().take(4) {
            write!(f, "\n  {:16} {:.2} sd", effect.factor, effect.change)?;
        }
        write!(f, "\nsheet.png, learn.png, {:.1} s", self.seconds)
    }
}
