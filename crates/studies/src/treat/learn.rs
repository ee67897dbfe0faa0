//! The rare concepts of the samples that were watched.

use super::instrument::{count, haunted};
use super::marks::{Marked, Marks};
use super::product::highest;
use super::watch::Watched;
use super::{CANDIDATES, Candidate, Learnt, TreatArguments};
use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::reader::Reader;
use alice_geometry::{Components, Concept, GeometryError};
use std::path::Path;

/// Clouds of noise that say how far apart noise stands.
const CLOUDS: usize = 20;
/// Concepts of two places are one when more than this share of the samples
/// that show either show both.
const SAME: f64 = 0.3;

/// A rare concept and the place where it stands apart most.
pub(super) struct Rare {
    pub(super) place: usize,
    pub(super) concept: Concept,
}

/// What was learnt from the samples that were watched.
pub(super) struct Lesson {
    /// The rare concepts, the one that stands apart most first.
    pub(super) candidates: Vec<Rare>,
    /// How far groups of noise stand apart; nothing where samples are marked.
    noise: Option<f64>,
    /// What the marked samples became.
    marked: Option<Marked>,
    /// The place where the one to treat stands apart most.
    pub(super) place: usize,
    /// That one at each place.
    pub(super) concepts: Vec<Concept>,
    /// The cloud of bottlenecks at its place.
    pub(super) components: Components,
}

/// Looks for groups that stand apart, or for what the marked samples share; all
/// samples are shown by the picture `learnt`.
///
/// # Errors
/// When nothing stands apart, or the marked samples do so by chance.
pub(super) fn learn(
    arguments: &TreatArguments,
    watched: &Watched,
    learnt: &Path,
) -> Result<Lesson, StudyError> {
    let clouds = watched.bottlenecks.iter();
    let mut components: Vec<Components> = clouds
        .map(|states| Ok(Components::of(states, arguments.components())?))
        .collect::<Result<_, StudyError>>()?;
    let largest = (arguments.rare * arguments.learn as f64) as usize;
    let marks = (!arguments.mark.is_empty())
        .then(|| Marks::new(arguments, &components, largest, learnt))
        .transpose()?;
    let mut all: Vec<Rare> = Vec::new();
    let mut nothing = None;
    let noise = components
        .first()
        .filter(|_| marks.is_none())
        .map(|components| components.separation_of_noise(largest, CLOUDS));
    for (place, components) in components.iter().enumerate() {
        let states = &watched.bottlenecks[place];
        if let Some(marks) = &marks {
            let concept = components.contrast(states, &marks.group(components)?)?;
            all.push(Rare { place, concept });
            continue;
        }
        match components.rarest(states, largest) {
            Ok(found) => all.extend(found.into_iter().map(|concept| Rare { place, concept })),
            Err(error @ GeometryError::Degenerate { .. }) => nothing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    all.sort_by(|a, b| b.concept.separation.total_cmp(&a.concept.separation));
    if let (Some(noise), Some(best)) = (noise, all.first())
        && best.concept.separation <= noise
    {
        let why = format!(
            "the group that stands apart most does so by {:.1} deviations, and groups of pure noise \
             do by {noise:.1} with {} samples and {} components. Learn from more samples, take fewer \
             --components, or mark samples of {} with --mark",
            best.concept.separation,
            arguments.learn,
            arguments.components(),
            learnt.display()
        );
        return Err(StudyError::argument("--learn", why));
    }
    all.retain(|rare| noise.is_none_or(|noise| rare.concept.separation > noise));
    let most = if marks.is_some() { 1 } else { CANDIDATES };
    let mut candidates: Vec<Rare> = Vec::new();
    for rare in all {
        let same = |other: &Rare| overlap(&rare.concept.members, &other.concept.members) > SAME;
        if candidates.len() < most && !candidates.iter().any(same) {
            candidates.push(rare);
        }
    }
    let Some(chosen) = candidates.get(arguments.chosen() - 1) else {
        return Err(match nothing {
            Some(error) if candidates.is_empty() => {
                let why = format!(
                    "{error}. Or mark samples of {} with --mark",
                    learnt.display()
                );
                StudyError::argument("--learn", why)
            }
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
    let members = &chosen.concept.members;
    let marked = marks
        .map(|marks| marks.report(&components[place], members))
        .transpose()?;
    Ok(Lesson {
        noise,
        marked,
        components: components.swap_remove(place),
        place,
        concepts,
        candidates,
    })
}

impl Lesson {
    /// What was learnt, compared with what the instrument sees if there is one.
    pub(super) fn report(
        &self,
        arguments: &TreatArguments,
        reader: Option<&Reader>,
        found: &Pictures,
    ) -> Result<Learnt, StudyError> {
        let seen = reader.map(|reader| haunted(reader, found)).transpose()?;
        let candidates = self.candidates.iter().map(|rare| {
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
                samples: highest(&rare.concept),
                precision: share_seen(count(members)),
                recall: share_seen(seen.as_deref().map_or(0, count)),
            }
        });
        Ok(Learnt {
            samples: arguments.learn,
            haunted: seen.as_deref().map(count),
            candidates: candidates.collect(),
            noise: self.noise,
            marked: self.marked.clone(),
            concept: arguments.chosen(),
            strength: self.concepts.iter().map(|c| c.strength).collect(),
        })
    }
}

/// Of the samples that show either concept, the share that shows both.
fn overlap(a: &[bool], b: &[bool]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let either = a.iter().zip(b).filter(|(a, b)| **a || **b).count();
    both as f64 / either.max(1) as f64
}
