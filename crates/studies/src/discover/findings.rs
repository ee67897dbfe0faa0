//! What `discover` found.

use crate::pictures::numbers;
use crate::walk::Held;
use alice_runs::ModelReference;
use serde::Serialize;
use std::fmt;

/// Pictures of one size, channels last, in −1..1.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// Height and width, in pixels.
    pub size: (usize, usize),
    /// Channels of a pixel.
    pub channels: usize,
    /// `[N, H, W, C]`.
    pub values: Vec<f32>,
}

impl Pictures {
    /// Values of one picture.
    #[must_use]
    pub fn item_len(&self) -> usize {
        self.size.0 * self.size.1 * self.channels
    }

    /// The number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.item_len().max(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One picture, `[H, W, C]`.
    ///
    /// # Panics
    /// When there is none of this index.
    #[must_use]
    pub fn get(&self, index: usize) -> &[f32] {
        &self.values[index * self.item_len()..(index + 1) * self.item_len()]
    }
}

/// `report.json`: what was found, without the pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiscoverReport {
    /// The model.
    pub model: ModelReference,
    /// The training timestep at which the bottleneck was linearised.
    pub timestep: usize,
    /// The same as a share of the schedule's length.
    pub timestep_share: f64,
    /// The sample at which it was linearised, counted from 0; nothing where a
    /// file gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// `full` or `pooled`.
    pub space: super::Space,
    /// Directions found.
    pub rank: usize,
    /// Dimension of the space of samples.
    pub domain: usize,
    /// Dimension of the bottleneck.
    pub codomain: usize,
    /// σ, descending.
    pub singular_values: Vec<f64>,
    /// The largest ‖(J v − σ u, Jᵀ u − σ v)‖ / σ₁ of all directions.
    pub residual: f64,
    /// Whether the residual is within the tolerance.
    pub converged: bool,
    /// Blocks pushed forward and pulled back.
    pub block_products: usize,
    /// Vectors pushed forward and pulled back.
    pub vector_products: usize,
    /// Seconds for the linearisation and the basis alone.
    pub seconds: f64,
    /// Seconds for everything.
    pub total_seconds: f64,
    /// What the instrument reads from each drawn sample; empty without one.
    pub samples: Vec<SampleReport>,
    /// The walks, strongest direction first.
    pub walks: Vec<WalkReport>,
    /// The sliders, the purest first: combinations of the directions that move
    /// one factor alone. `direction` counts the rows of sliders.safetensors and
    /// `singular_value` is ‖J v‖. Nothing where they were not looked for.
    pub sliders: Option<Vec<WalkReport>>,
    /// Held-out error of the instrument for each factor, in the factor's own
    /// unit; empty without an instrument.
    pub instrument: Vec<FactorError>,
}

/// What the instrument reads from a drawn sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleReport {
    /// A caption of what was read.
    pub caption: String,
    /// Whether it is closer to its re-rendering than nearly every picture
    /// with a wrong part.
    pub sound: bool,
    /// The distance of the re-rendering.
    pub distance: f64,
}

/// One direction, walked both ways.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkReport {
    /// Counted from 0, the strongest.
    pub direction: usize,
    /// σ.
    pub singular_value: f64,
    /// Root mean square displacement of a noisy pixel at each end, as asked for;
    /// in h-space the length of Δh as a share of ‖h‖.
    pub reach: f64,
    /// Where each frame lies on the walk, in −1..1; 0 is the sample.
    pub positions: Vec<f64>,
    /// How each factor moved, in the order of the world's factors; empty
    /// without an instrument.
    pub responses: Vec<FactorResponse>,
    /// The factor with the largest change.
    pub strongest: Option<String>,
    /// Its share of the total standardised change, in 0..1.
    pub purity: Option<f64>,
    /// Share of the frames that are sound, see [`SampleReport::sound`].
    pub sound: Option<f64>,
    /// Root mean square difference of the two ends, pixels in −1..1.
    pub pixel_change: f64,
    /// Of a geodesic, the least share of its direction in H that lay in the
    /// tangent space on the way. Of one that is lost nothing is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

impl WalkReport {
    /// Whether it is a geodesic that turned round.
    pub(crate) fn is_lost(&self) -> bool {
        self.held.is_some_and(Held::is_lost)
    }
}

/// How one factor moved along a walk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorResponse {
    /// The factor.
    pub factor: String,
    /// What was read at each frame, in the factor's own unit.
    pub values: Vec<f64>,
    /// Difference of the two ends over the factor's standard deviation in the world.
    pub change: f64,
    /// Spearman's ρ of the value with the position.
    pub spearman: f64,
}

impl FactorResponse {
    /// ρ as a person reads it: of a factor that does not move it is the order of
    /// rounding errors, and not shown.
    pub(crate) fn rho(&self) -> String {
        const STILL: f64 = 0.05;
        if self.change.abs() < STILL {
            return numbers::NONE.to_owned();
        }
        numbers::signed(self.spearman, 2)
    }
}

/// The instrument's error for one factor on held-out pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorError {
    /// The factor.
    pub factor: String,
    /// What is measured: "mean absolute error", "accuracy", ….
    pub measure: String,
    /// Its value.
    pub value: f64,
}

/// All of it, with the pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// What `report.json` holds.
    pub report: DiscoverReport,
    /// The drawn samples, the point of the basis among them.
    pub samples: Pictures,
    /// For each walk, its frames.
    pub walks: Vec<Pictures>,
    /// For each slider, its frames.
    pub sliders: Vec<Pictures>,
}

impl fmt::Display for DiscoverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.sample.map_or_else(
            || "the first of the input".to_owned(),
            |sample| format!("sample {sample}"),
        );
        writeln!(
            f,
            "directions of {point} at timestep {} ({} of the schedule)",
            self.timestep,
            numbers::percent(self.timestep_share)
        )?;
        f.write_str(&super::table::table(self))?;
        let drawn = !self.walks.is_empty();
        let sliders = self.sliders.as_ref().is_some_and(|found| !found.is_empty());
        let files = [
            (drawn, "report.html, sheet.png, "),
            (sliders, "sliders.png, sliders.safetensors, "),
            (true, "basis.safetensors"),
        ];
        for (_, names) in files.iter().filter(|(written, _)| *written) {
            f.write_str(names)?;
        }
        write!(f, ", {:.1} s", self.total_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_that_does_not_move_has_no_order() {
        let rho = |change| {
            let response = FactorResponse {
                factor: "smile".into(),
                values: Vec::new(),
                change,
                spearman: -0.9,
            };
            response.rho()
        };
        assert_eq!(rho(0.049), numbers::NONE);
        assert_eq!([rho(0.05), rho(-0.8)], ["−0.90"; 2]);
    }
}
