//! What an instrument read from a picture.

use crate::layout::Layout;
use alice_worlds::{FactorKind, Factors, WorldError};

/// The factors that an instrument read from one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The regressor's outputs in the order of [`Layout::names`], smooth in
    /// the picture and not clamped: continuous factors in their own units,
    /// cosines and sines, logits. What walks are measured with.
    pub raw: Vec<f32>,
    /// One value per factor: continuous ones not clamped, circular ones in
    /// turns [0, 1), of binary ones the probability, of the species the index
    /// of the likeliest. After refinement the values are those of `factors`,
    /// except that binary ones stay probabilities.
    pub values: Vec<f32>,
    /// The probability of each species.
    pub species_probabilities: Vec<f32>,
    /// What to draw: the values, clamped and rounded to valid ones.
    pub factors: Factors,
}

impl Reading {
    /// The reading of raw outputs.
    pub(crate) fn from_raw(layout: &Layout, raw: Vec<f32>) -> Result<Self, WorldError> {
        let mut factors = Factors::default();
        let mut values = Vec::with_capacity(layout.slots().len());
        let mut species_probabilities = Vec::new();
        for slot in layout.slots() {
            let outputs = &raw[slot.start..slot.start + slot.len];
            let value = match slot.kind {
                FactorKind::Continuous { .. } => outputs[0],
                FactorKind::Circular => turn(outputs[0], outputs[1]),
                FactorKind::Binary => sigmoid(outputs[0]),
                FactorKind::Categorical { .. } => {
                    let probabilities = softmax(outputs);
                    let best = largest(&probabilities);
                    if slot.name == "species" {
                        species_probabilities = probabilities;
                    }
                    best as f32
                }
            };
            factors.set(slot.factor, value)?;
            values.push(value);
        }
        Ok(Self {
            raw,
            values,
            species_probabilities,
            factors,
        })
    }
}

/// The angle of (cos, sin) in turns, [0, 1).
fn turn(cosine: f32, sine: f32) -> f32 {
    let turns = sine.atan2(cosine) / std::f32::consts::TAU;
    let wrapped = turns - turns.floor();
    if wrapped < 1.0 { wrapped } else { 0.0 }
}

pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|l| (l - top).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// The index of the first largest value.
pub(crate) fn largest(values: &[f32]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better)
}
