//! The walks at one noisy sample: along the directions that were found, along
//! random ones, and along those that each span offers for one factor.

use super::MeasureArguments;
use crate::clean::localize;
use crate::jacobian::to_network_layout;
use crate::points::spectrum_at;
use crate::progress::Within;
use crate::reader::{Reader, along_walk};
use crate::responses::{responses, strongest};
use crate::walk::{Method, Start, Walk};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Network};
use alice_geometry::{Aim, Block, Span};
use alice_random::Stream;
use alice_worlds::FACTORS;
use serde::Serialize;

/// Root mean square displacement of a noisy pixel at which it is measured what
/// a direction does: far enough to be read, near enough to be linear.
const PROBE: f64 = 0.02;
/// The longest displacement at the ends of an aimed walk: a tenth of the usual
/// one, at which random directions hardly change a picture.
const LONGEST_AIMED: f64 = 0.03;
/// The change from end to end that is aimed at, in standard deviations of the
/// factor in the world.
const WANTED: f64 = 1.0;
/// Walks to each aim at most: the first, and each with the errors of the one
/// before taken back.
const ROUNDS: usize = 4;
/// An aim is reached when the factor has this share of the total change, and is
/// out of reach when less than this share of [`WANTED`] is expected.
const REACHED: f64 = 0.75;
const OUT_OF_REACH: f64 = 0.25;
/// See [`Aim::new`].
const RIDGE: f64 = 1e-2;

/// What a walk goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// A leading direction of the bottleneck.
    Found,
    /// A random direction.
    Random,
    /// The combination of the found directions that moves one factor most and
    /// the others least, by what small steps along them were measured to do.
    Aimed,
    /// The same from as many random directions.
    AimedAtRandom,
}

impl Family {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Found, Self::Random, Self::Aimed, Self::AimedAtRandom];

    /// As tables name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Random => "random",
            Self::Aimed => "aimed, of the found",
            Self::AimedAtRandom => "aimed, of random ones",
        }
    }
}

/// One walk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkRecord {
    /// Share of the noise schedule.
    pub at: f64,
    /// The sample, counted from 0.
    pub sample: usize,
    /// What it goes along.
    pub family: Family,
    /// Which of its family, the strongest first; of the aimed ones, the place
    /// in the world's order of the factor that was aimed at.
    pub direction: usize,
    /// The factor with the largest change.
    pub factor: Option<String>,
    /// Its change from end to end, in the factor's standard deviations.
    pub change: f64,
    /// Spearman's ρ of the factor with the position.
    pub spearman: f64,
    /// Its share of the total standardised change.
    pub purity: f64,
    /// Standardised changes of all factors, in the world's order.
    pub changes: Vec<f64>,
    /// Share of the frames that are sound.
    pub sound: f64,
}

/// A sample at a timestep.
pub(super) struct Point<'a> {
    pub(super) at: f64,
    pub(super) sample: usize,
    pub(super) index: usize,
    pub(super) state: &'a Tensor<f32>,
}

/// What all walks share.
pub(super) struct Bench<'a> {
    pub(super) arguments: &'a MeasureArguments,
    pub(super) model: &'a DiffusionModel,
    pub(super) network: &'a Network,
    pub(super) sampler: &'a Ddim,
    pub(super) reader: &'a Reader,
    pub(super) seed: u64,
}

impl Bench<'_> {
    /// Units of progress of one sample from step `index` on.
    pub(super) fn work(&self, index: usize) -> u64 {
        let steps = self.sampler.timesteps().len() - index;
        let of = |walk: Walk, directions: usize| {
            let frames = directions * (2 * walk.frames + 1);
            (2 * directions * walk.iterations + frames * steps) as u64
        };
        let arguments = self.arguments;
        let aimed = ROUNDS as u64 * of(self.aimed_walk(PROBE), FACTORS.len());
        of(arguments.walk(), arguments.rank + arguments.random)
            + 2 * (of(probe(), arguments.rank) + aimed)
    }

    /// All walks at a point.
    pub(super) fn walks(
        &self,
        point: &Point<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<WalkRecord>, StudyError> {
        let arguments = self.arguments;
        let timestep = self.sampler.timesteps()[point.index];
        let spectrum = spectrum_at(
            self.network,
            point.state,
            timestep,
            arguments.rank,
            self.seed,
        )?;
        let mut right = spectrum.right;
        if arguments.localize {
            right = localize(self.model, self.network, point.state, timestep, &right)?;
        }
        let dims = point.state.dims();
        let (pixels, channels) = (dims[1] * dims[2], dims[3]);
        let found = to_network_layout(&right, arguments.rank, channels, pixels)?;
        let purpose = "random directions";
        let mut stream = Stream::new(self.seed, purpose, point.sample as u64, timestep as u64);
        let count = arguments.rank.max(arguments.random);
        let normals = Block::normals(count, found.dimension(), &mut stream);
        let random = Span::of(&normals)?.orthonormal();
        let walk = arguments.walk();
        let mut records = self.along(point, Family::Found, walk, &found, progress)?;
        let mut alone = random.clone();
        alone.truncate(arguments.random);
        records.extend(self.along(point, Family::Random, walk, &alone, progress)?);
        let mut span = random;
        span.truncate(arguments.rank);
        records.extend(self.aimed(point, Family::Aimed, &found, progress)?);
        records.extend(self.aimed(point, Family::AimedAtRandom, &span, progress)?);
        Ok(records)
    }

    /// A straight walk, which needs no more updates than frames.
    fn aimed_walk(&self, reach: f64) -> Walk {
        let frames = self.arguments.frames;
        Walk::new(Method::Linear, frames, frames, reach)
    }

    /// A walk aimed at each factor within the span of orthonormal `directions`.
    fn aimed(
        &self,
        point: &Point<'_>,
        family: Family,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Vec<WalkRecord>, StudyError> {
        let probed = self.along(point, family, probe(), directions, progress)?;
        let changes = probed.iter().flat_map(|r| r.changes.iter());
        let changes: Vec<f32> = changes.map(|c| *c as f32).collect();
        let measured = Block::from_vec(directions.rows(), FACTORS.len(), changes)?;
        let aim = Aim::new(&measured, RIDGE)?;
        let mut records = Vec::with_capacity(FACTORS.len());
        for factor in 0..FACTORS.len() {
            let mut wanted = [0.0; FACTORS.len()];
            wanted[factor] = WANTED;
            let mut weights = aim.at(&wanted)?;
            let mut best: Option<WalkRecord> = None;
            for _ in 0..ROUNDS {
                shorten(&mut weights, LONGEST_AIMED / PROBE);
                let Some(found) = self.combined(point, family, directions, &weights, progress)?
                else {
                    break;
                };
                let share = found.share(factor);
                // What went wrong is aimed at the other way.
                let errors: Vec<f64> = wanted
                    .iter()
                    .zip(&found.changes)
                    .map(|(w, c)| w - c)
                    .collect();
                let both = weights.iter().zip(&probed);
                let expected: f64 = both.map(|(w, p)| w * p.changes[factor]).sum();
                if best.as_ref().is_none_or(|best| share > best.share(factor)) {
                    best = Some(WalkRecord {
                        direction: factor,
                        ..found
                    });
                }
                if share >= REACHED || expected < OUT_OF_REACH * WANTED {
                    break;
                }
                for (weight, correction) in weights.iter_mut().zip(aim.at(&errors)?) {
                    *weight += correction;
                }
            }
            records.extend(best);
        }
        Ok(records)
    }

    /// The walk along a combination of unit directions, its weights in steps of
    /// [`PROBE`]; nothing where they vanish.
    fn combined(
        &self,
        point: &Point<'_>,
        family: Family,
        directions: &Block,
        weights: &[f64],
        progress: &mut dyn Progress,
    ) -> Result<Option<WalkRecord>, StudyError> {
        let length = length(weights);
        if length == 0.0 {
            return Ok(None);
        }
        let unit: Vec<f64> = weights.iter().map(|w| w / length).collect();
        let direction = directions.combined(&unit)?;
        let walk = self.aimed_walk(PROBE * length);
        let records = self.along(point, family, walk, &direction, progress)?;
        Ok(records.into_iter().next())
    }

    /// Walks along unit `directions`, in the network's layout, and reads every frame.
    fn along(
        &self,
        point: &Point<'_>,
        family: Family,
        walk: Walk,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Vec<WalkRecord>, StudyError> {
        if directions.rows() == 0 {
            return Ok(Vec::new());
        }
        let start = Start {
            model: self.model,
            network: self.network,
            sampler: self.sampler,
            index: point.index,
            timestep: self.sampler.timesteps()[point.index],
            state: point.state,
            seed: self.seed,
        };
        let drawn = walk.draw(start, directions, &mut Within(progress))?;
        let read = self.reader.validity(&drawn)?;
        let bound = self.reader.structural_threshold();
        let positions = walk.positions();
        let walks = read.chunks_exact(positions.len()).enumerate();
        let records = walks.map(|(direction, frames)| {
            let readings: Vec<_> = frames.iter().map(|frame| frame.reading.clone()).collect();
            let responses = responses(&positions, &along_walk(&readings));
            let strongest = strongest(&responses);
            let moved = strongest.map(|(factor, _)| &responses[factor]);
            let sound = frames.iter().filter(|f| f64::from(f.distance) <= bound);
            WalkRecord {
                at: point.at,
                sample: point.sample,
                family,
                direction,
                factor: moved.map(|r| r.factor.clone()),
                change: moved.map_or(0.0, |r| r.change),
                spearman: moved.map_or(0.0, |r| r.spearman),
                purity: strongest.map_or(0.0, |(_, purity)| purity),
                changes: responses.iter().map(|r| r.change).collect(),
                sound: sound.count() as f64 / positions.len() as f64,
            }
        });
        Ok(records.collect())
    }
}

impl WalkRecord {
    /// A factor's share of the total standardised change.
    fn share(&self, factor: usize) -> f64 {
        let total: f64 = self.changes.iter().map(|c| c.abs()).sum();
        self.changes[factor] / total.max(f64::MIN_POSITIVE)
    }
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Scales a vector to a length that it exceeds.
fn shorten(vector: &mut [f64], longest: f64) {
    let length = length(vector);
    if length > longest {
        vector.iter_mut().for_each(|v| *v *= longest / length);
    }
}

/// A small step both ways.
fn probe() -> Walk {
    Walk::new(Method::Linear, 1, 1, PROBE)
}
