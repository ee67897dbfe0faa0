//! Which pictures there are: the distribution, batches and traversals.

use std::ops::Range;

use alice_random::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::WorldError;
use crate::factor_table::{FACTORS, FactorKind, factor_index};
use crate::factors::{Factors, Species};
use crate::render::{check_size, draw_into};

const HAT_SHARE: f64 = 0.3;
const GLASSES_SHARE: f64 = 0.3;
const STRINGS_SHARE: f64 = 0.4;

/// The most values that one batch may hold (8 GiB of f32).
const MAX_BATCH_VALUES: usize = 1 << 31;

/// A distribution over pictures: independent factors, each uniform over its
/// range, binary ones with fixed shares. Factors that are held have one value,
/// that of [`Factors::default`]: fewer of them make a simpler world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Config", into = "Config")]
pub struct PuppetShow {
    haunted_share: f32,
    /// A bit for each factor, set where it is held.
    held: u32,
}

const _: () = assert!(FACTORS.len() <= u32::BITS as usize);

/// The configuration as written, before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    haunted_share: f32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<String>,
}

impl TryFrom<Config> for PuppetShow {
    type Error = WorldError;

    fn try_from(config: Config) -> Result<Self, WorldError> {
        Self::new(config.haunted_share)?.holding(&config.held)
    }
}

impl From<PuppetShow> for Config {
    fn from(show: PuppetShow) -> Self {
        let names = (0..FACTORS.len()).filter(|&factor| show.holds(factor));
        Self {
            haunted_share: show.haunted_share,
            held: names.map(|i| FACTORS[i].name.to_owned()).collect(),
        }
    }
}

impl Default for PuppetShow {
    /// Three faces in a hundred are haunted.
    fn default() -> Self {
        Self {
            haunted_share: 0.03,
            held: 0,
        }
    }
}

impl PuppetShow {
    /// A show in which this share of the faces is haunted.
    ///
    /// # Errors
    /// When the share is not within [0, 1].
    pub fn new(haunted_share: f32) -> Result<Self, WorldError> {
        if (0.0..=1.0).contains(&haunted_share) {
            Ok(Self {
                haunted_share,
                held: 0,
            })
        } else {
            Err(WorldError::HauntedShare {
                share: haunted_share,
            })
        }
    }

    /// The share of haunted faces.
    #[must_use]
    pub fn haunted_share(&self) -> f32 {
        self.haunted_share
    }

    /// The same show with these factors, by name, held at their values in
    /// [`Factors::default`]; the others keep the values they have without.
    ///
    /// # Errors
    /// Names the first that is no factor.
    pub fn holding(mut self, factors: &[String]) -> Result<Self, WorldError> {
        for name in factors {
            let index = factor_index(name);
            self.held |= 1 << index.ok_or_else(|| WorldError::FactorName { name: name.clone() })?;
        }
        Ok(self)
    }

    fn holds(&self, factor: usize) -> bool {
        self.held >> factor & 1 == 1
    }

    /// The factors of picture number `index` in the show named by `seed`.
    #[must_use]
    pub fn sample_factors(&self, seed: u64, index: u64) -> Factors {
        let mut factors = self.draw_factors(seed, index);
        let rest = Factors::default();
        for held in (0..FACTORS.len()).filter(|&factor| self.holds(factor)) {
            let value = rest.get(held);
            value
                .and_then(|value| factors.set(held, value))
                .expect("a factor's own value");
        }
        factors
    }

    fn draw_factors(&self, seed: u64, index: u64) -> Factors {
        let mut stream = Stream::new(seed, "puppets", index, 0);
        let species = Species::ALL[stream.below(Species::ALL.len())];
        let signed = |stream: &mut Stream| stream.range(-1.0, 1.0) as f32;
        // Rounding to f32 may give 1, which is the same hue as 0.
        let turn = |stream: &mut Stream| {
            let value = stream.uniform() as f32;
            if value < 1.0 { value } else { 0.0 }
        };
        // The fields are drawn in the order they are written in.
        Factors {
            species,
            head_size: signed(&mut stream),
            head_x: signed(&mut stream),
            head_y: signed(&mut stream),
            tilt: signed(&mut stream),
            hue: turn(&mut stream),
            nose_size: signed(&mut stream),
            ear_size: signed(&mut stream),
            eye_size: signed(&mut stream),
            eye_openness: stream.uniform() as f32,
            gaze: signed(&mut stream),
            smile: signed(&mut stream),
            brow: signed(&mut stream),
            background_hue: turn(&mut stream),
            light: signed(&mut stream),
            hat: stream.uniform() < HAT_SHARE,
            glasses: stream.uniform() < GLASSES_SHARE,
            strings: stream.uniform() < STRINGS_SHARE,
            haunted: stream.uniform() < f64::from(self.haunted_share),
        }
    }
}

/// Pictures with what they show.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The side of each picture, in pixels.
    pub size: usize,
    /// Values in [0, 1], `[N, H, W, 3]`.
    pub rgb: Vec<f32>,
    /// The factors of each picture, `[N]`.
    pub factors: Vec<Factors>,
}

/// Draws the pictures numbered `range` of a show, in parallel.
///
/// Picture `i` has the same bytes in every batch that contains it.
///
/// # Errors
/// When the size cannot be drawn, or the range is reversed or too large.
pub fn render_batch(
    show: &PuppetShow,
    seed: u64,
    range: Range<u64>,
    size: usize,
) -> Result<Batch, WorldError> {
    check_size(size)?;
    let too_large = || WorldError::BatchRange {
        start: range.start,
        end: range.end,
        size,
    };
    let values = size * size * 3;
    let count = range.end.checked_sub(range.start).ok_or_else(too_large)?;
    let count = usize::try_from(count).map_err(|_| too_large())?;
    let total = count
        .checked_mul(values)
        .filter(|&total| total <= MAX_BATCH_VALUES)
        .ok_or_else(too_large)?;
    let mut rgb = vec![0.0; total];
    let factors = rgb
        .par_chunks_mut(values)
        .enumerate()
        .map(|(offset, pixels)| {
            let factors = show.sample_factors(seed, range.start + offset as u64);
            draw_into(&factors, size, pixels);
            factors
        })
        .collect();
    Ok(Batch { size, rgb, factors })
}

/// `steps` copies of `factors` in which one factor walks through its range:
/// evenly and with both ends, except that circular factors stop short of the
/// full turn and discrete ones visit each value once, whatever `steps` is.
///
/// # Errors
/// When there is no factor with this index.
pub fn traverse(
    factors: &Factors,
    factor_index: usize,
    steps: usize,
) -> Result<Vec<Factors>, WorldError> {
    factors.get(factor_index)?;
    let kind = FACTORS[factor_index].kind;
    let (low, high) = kind.range();
    let (steps, stride) = match kind {
        FactorKind::Continuous { .. } => {
            (steps, (high - low) / steps.max(2).saturating_sub(1) as f32)
        }
        FactorKind::Circular => (steps, 1.0 / steps.max(1) as f32),
        FactorKind::Binary => (2, 1.0),
        FactorKind::Categorical { count } => (count, 1.0),
    };
    (0..steps)
        .map(|step| {
            let mut moved = *factors;
            moved.set(factor_index, low + stride * step as f32)?;
            Ok(moved)
        })
        .collect()
}
