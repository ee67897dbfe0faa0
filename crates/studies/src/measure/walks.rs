//! The walks at one noisy sample: along the directions that were found, along
//! random ones, and along those that each span offers for one factor.

use super::MeasureArguments;
use crate::clean::localize;
use crate::discover::findings::FactorResponse;
use crate::points::spectrum_at;
use crate::progress::Within;
use crate::reader::Reader;
use crate::responses::strongest;
use crate::sliders::SliderSearch;
use crate::walk::{Held, Start, Walk};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Network};
use alice_geometry::{Block, Span};
use alice_random::Stream;
use alice_worlds::FACTORS;
use serde::{Deserialize, Serialize};

/// What aimed walks are to change from end to end, in standard deviations of
/// the factor in the world: enough to be seen.
const WANTED: f64 = 1.0;
/// The longest displacement at the ends of an aimed walk: a tenth of the usual
/// one, at which random directions hardly change a picture.
const LONGEST_AIMED: f64 = 0.03;

/// What a walk goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Spearman's ρ of each factor with the position, in the same order.
    #[serde(default)]
    pub correlations: Vec<f64>,
    /// Share of the frames that are sound.
    pub sound: f64,
    /// Of a geodesic, the least share of its direction in H that lay in the
    /// tangent space on the way. One that is lost counts as moving nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

impl WalkRecord {
    /// Whether it is a geodesic that turned round.
    pub(super) fn is_lost(&self) -> bool {
        self.held.is_some_and(Held::is_lost)
    }

    /// Whether the factor that changed most is the one aimed at; of walks that
    /// are not aimed any is.
    pub(super) fn moves_its_aim(&self) -> bool {
        match self.family {
            Family::Found | Family::Random => true,
            Family::Aimed | Family::AimedAtRandom => {
                let aim = FACTORS.get(self.direction).map(|spec| spec.name);
                aim == self.factor.as_deref()
            }
        }
    }
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
        let sliders = SliderSearch::most_work(arguments.rank, arguments.frames, steps);
        of(arguments.walk(), arguments.rank + arguments.random) + 2 * sliders
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
        let found = self.start(point).layout(&right, arguments.rank)?;
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

    /// A slider for each factor that the span of orthonormal `directions` reaches.
    fn aimed(
        &self,
        point: &Point<'_>,
        family: Family,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Vec<WalkRecord>, StudyError> {
        let search = SliderSearch {
            start: self.start(point),
            reader: self.reader,
            directions,
            frames: self.arguments.frames,
            wanted: WANTED,
            longest: LONGEST_AIMED,
        };
        let sliders = search.sliders(0..FACTORS.len(), &mut Within(progress))?;
        let records = sliders.into_iter();
        Ok(records
            .map(|s| WalkRecord::new(point, family, s.factor, &s.responses, s.sound))
            .collect())
    }

    fn start<'a>(&'a self, point: &'a Point<'_>) -> Start<'a> {
        Start {
            model: self.model,
            network: self.network,
            sampler: self.sampler,
            index: point.index,
            timestep: self.sampler.timesteps()[point.index],
            state: point.state,
            seed: self.seed,
        }
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
        let drawn = walk.draw(self.start(point), directions, &mut Within(progress))?;
        let held = drawn.held;
        let read = self.reader.validity(&drawn.pictures)?;
        let positions = walk.positions();
        let walks = read.chunks_exact(positions.len()).enumerate();
        let records = walks.map(|(direction, frames)| {
            let (responses, sound) = self.reader.along(&positions, frames);
            let record = WalkRecord::new(point, family, direction, &responses, sound);
            WalkRecord {
                held: held[direction],
                ..record
            }
        });
        Ok(records.collect())
    }
}

impl WalkRecord {
    fn new(
        point: &Point<'_>,
        family: Family,
        direction: usize,
        responses: &[FactorResponse],
        sound: f64,
    ) -> Self {
        let strongest = strongest(responses);
        let moved = strongest.map(|(factor, _)| &responses[factor]);
        Self {
            at: point.at,
            sample: point.sample,
            family,
            direction,
            factor: moved.map(|r| r.factor.clone()),
            change: moved.map_or(0.0, |r| r.change),
            spearman: moved.map_or(0.0, |r| r.spearman),
            purity: strongest.map_or(0.0, |(_, purity)| purity),
            changes: responses.iter().map(|r| r.change).collect(),
            correlations: responses.iter().map(|r| r.spearman).collect(),
            sound,
            held: None,
        }
    }
}
