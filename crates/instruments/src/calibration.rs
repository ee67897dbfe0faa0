//! How far an instrument can be trusted.

use alice_worlds::FACTORS;
use serde::{Deserialize, Serialize};

/// An instrument's errors and its notion of validity, measured on pictures
/// that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The seed of the held-out pictures.
    pub seed: u64,
    /// Their number.
    pub pictures: usize,
    /// Errors of [`crate::Instrument::read`], in the order of [`FACTORS`].
    pub factors: Vec<FactorErrors>,
    /// Errors of [`crate::Instrument::read_refined`].
    pub refined: Vec<FactorErrors>,
    /// A picture is valid when its distance is at most this.
    pub threshold: f32,
    /// How the threshold was chosen.
    pub rule: String,
    /// Distances between pictures and what was read from them, drawn: of true
    /// pictures first, then of perturbed ones.
    pub distances: Vec<DistanceProfile>,
    /// As `threshold`, for [`crate::Instrument::quick_validity`].
    pub quick_threshold: f32,
    /// As `distances`, for [`crate::Instrument::quick_validity`].
    pub quick_distances: Vec<DistanceProfile>,
    /// Distances between true pictures and drawings in which the named factor
    /// is wrong by half its range: what the distance can resolve.
    pub changed_factors: Vec<DistanceProfile>,
}

impl Calibration {
    /// The errors of the factor of this name.
    #[must_use]
    pub fn factor(&self, name: &str) -> Option<&FactorErrors> {
        self.factors.iter().find(|errors| errors.name == name)
    }

    /// The distance that 99 in 100 pictures with wrong parts
    /// ([`crate::Perturbation::is_structural`]) exceed. A picture closer than
    /// this shows one puppet with its parts in place, however sharp it is.
    #[must_use]
    pub fn structural_threshold(&self) -> f32 {
        let structural = crate::Perturbation::ALL
            .iter()
            .filter(|p| p.is_structural());
        let names: Vec<String> = structural.map(|p| p.name()).collect();
        let profiles = self.distances.iter().filter(|d| names.contains(&d.kind));
        profiles
            .map(|d| d.quantiles.p01)
            .fold(f32::INFINITY, f32::min)
    }

    /// Whether the factors are those of this version.
    pub(crate) fn fits(&self) -> bool {
        let names = |list: &[FactorErrors]| {
            list.iter()
                .map(|e| e.name.as_str())
                .eq(FACTORS.iter().map(|s| s.name))
        };
        names(&self.factors)
            && names(&self.refined)
            && self.threshold.is_finite()
            && self.quick_threshold.is_finite()
    }
}

/// The errors of one factor. What does not apply to its kind is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorErrors {
    /// The factor's name.
    pub name: String,
    /// The share of the pictures in which the factor can be seen
    /// ([`crate::visible`]).
    pub visible_share: f64,
    /// Mean absolute error, in the factor's units; of circular factors the
    /// angle in turns, at most 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// The same where the factor can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_visible: Option<f64>,
    /// The share of the variance that the reading explains, of continuous
    /// factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r_squared: Option<f64>,
    /// Rank correlation of reading and truth, of continuous factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman: Option<f64>,
    /// Rank correlation where the factor can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman_visible: Option<f64>,
    /// The share of right answers, of binary and categorical factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Precision and recall, of binary factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// Right and wrong answers of a binary factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// There and seen.
    pub true_positive: usize,
    /// Not there and seen.
    pub false_positive: usize,
    /// There and missed.
    pub false_negative: usize,
    /// Not there and not seen.
    pub true_negative: usize,
}

impl Confusion {
    /// The share of what was seen that is there (1 when nothing was seen).
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.true_positive, self.false_positive)
    }

    /// The share of what is there that was seen (1 when nothing is there).
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.true_positive, self.false_negative)
    }
}

fn share(hits: usize, misses: usize) -> f64 {
    if hits + misses == 0 {
        1.0
    } else {
        hits as f64 / (hits + misses) as f64
    }
}

/// The distances of one kind of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceProfile {
    /// What was done to the pictures; see [`crate::Perturbation`].
    pub kind: String,
    /// Whether such pictures should be valid.
    pub should_be_valid: bool,
    /// The number of pictures.
    pub pictures: usize,
    /// The share that is not valid.
    pub rejected: f64,
    /// The distances' quantiles.
    pub quantiles: Quantiles,
    /// How many distances fall in each of the equal intervals that begin at 0.
    pub histogram: Vec<usize>,
    /// The width of the histogram's intervals; the last is open.
    pub histogram_step: f32,
}

/// Quantiles of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// The smallest value.
    pub minimum: f32,
    /// One in a hundred is below.
    pub p01: f32,
    /// One in ten is below.
    pub p10: f32,
    /// Half are below.
    pub median: f32,
    /// Nine in ten are below.
    pub p90: f32,
    /// Ninety-nine in a hundred are below.
    pub p99: f32,
    /// The largest value.
    pub maximum: f32,
}
