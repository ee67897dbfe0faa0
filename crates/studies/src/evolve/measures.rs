//! What a final population is worth, on x and on x̂₀.

use super::search::Survivors;
use super::subject::Subject;
use crate::StudyError;
use alice_evolution::{Draws, metrics};
use serde::{Deserialize, Serialize};

/// The paper's measures. Those of x̂₀ are there for Diffusion Evolution where a
/// fitness costs us alone, not for other programs; those of places for all but
/// control tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Mean fitness of the best 64 of the final population.
    pub top64_fitness: f64,
    /// The same of the last estimates x̂₀.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top64_fitness_x0: Option<f64>,
    /// Mean fitness of the whole final population.
    pub mean_fitness: f64,
    /// The same of x̂₀.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_fitness_x0: Option<f64>,
    /// Bits of the cells of 64 individuals of the final population: those
    /// whose x̂₀ is best, as the paper has it; where there is none, the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f64>,
    /// The same of the best x̂₀ themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy_x0: Option<f64>,
    /// Sum of the best fitness of each unit cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qd: Option<f64>,
    /// The same of x̂₀.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qd_x0: Option<f64>,
}

impl Measures {
    /// Measures survivors; evaluates x̂₀ where there is one. Other programs are
    /// asked for no more than the search asked: an evaluation may cost hours,
    /// and nothing may fail once the run is done.
    pub(super) fn of(
        survivors: &Survivors,
        subject: &Subject,
        draws: Draws,
    ) -> Result<Self, StudyError> {
        let problem = subject.problem();
        let d = problem.dimension();
        let Survivors {
            points,
            fitness,
            denoised,
        } = survivors;
        let mut measures = Self {
            top64_fitness: metrics::elite_fitness(fitness),
            mean_fitness: metrics::mean(fitness),
            ..Self::default()
        };
        let mut rank = fitness.clone();
        let places = !matches!(subject, Subject::Control(_));
        let asks = !matches!(subject, Subject::Program(_));
        if let Some(denoised) = denoised.as_ref().filter(|_| asks) {
            problem.evaluate(denoised, draws, &mut rank)?;
            measures.top64_fitness_x0 = Some(metrics::elite_fitness(&rank));
            measures.mean_fitness_x0 = Some(metrics::mean(&rank));
            if places {
                measures.entropy_x0 = Some(metrics::entropy(denoised, d, &rank));
                measures.qd_x0 = Some(metrics::quality_diversity(denoised, d, &rank));
            }
        }
        if places {
            measures.entropy = Some(metrics::entropy(points, d, &rank));
            measures.qd = Some(metrics::quality_diversity(points, d, fitness));
        }
        Ok(measures)
    }
}
