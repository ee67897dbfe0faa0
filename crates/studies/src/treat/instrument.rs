//! What the instrument reads from samples of the puppet show.

use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::reader::{Reader, along_walk};
use crate::responses::world_deviation;
use alice_worlds::{FACTORS, factor_index};
use serde::Serialize;

/// The factor that the instrument reads and this study removes.
const HAUNTED: &str = "haunted";

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

pub(super) fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

/// Which pictures the instrument calls haunted.
pub(super) fn haunted(reader: &Reader, pictures: &Pictures) -> Result<Vec<bool>, StudyError> {
    let factor = factor_index(HAUNTED).unwrap_or(0);
    let readings = reader.read(pictures)?;
    Ok(readings.iter().map(|r| r.values[factor] >= 0.5).collect())
}

/// What the instrument says of all new samples and of the treated ones.
pub(super) fn health(
    reader: &Reader,
    all: &Pictures,
    treated: &Pictures,
) -> Result<Health, StudyError> {
    let haunted = count(&haunted(reader, all)?);
    let validity = reader.validity(treated)?;
    let n = validity.len().max(1) as f64;
    Ok(Health {
        haunted,
        haunted_share: haunted as f64 / all.len() as f64,
        treated_distance: validity.iter().map(|v| f64::from(v.distance)).sum::<f64>() / n,
        treated_validity: count(&reader.quick_validity(treated)?) as f64 / n,
    })
}

/// How much every other factor changed in the treated samples.
pub(super) fn side_effects(
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
