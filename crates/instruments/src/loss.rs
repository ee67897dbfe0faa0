//! How wrong outputs are.

use crate::layout::Layout;
use crate::reading::{sigmoid, softmax};
use alice_calculus::Tensor;
use alice_worlds::{FactorKind, Factors, WorldError};

/// The targets of pictures, `[N, layout.len()]`: standardised values, cosine
/// and sine, 0 or 1, one-hot.
pub(crate) fn targets(layout: &Layout, factors: &[Factors]) -> Result<Vec<f32>, WorldError> {
    let mut targets = vec![0.0; factors.len() * layout.len()];
    for (row, factors) in targets.chunks_mut(layout.len()).zip(factors) {
        for slot in layout.slots() {
            let value = factors.get(slot.factor)?;
            let out = &mut row[slot.start..slot.start + slot.len];
            let (mean, deviation) = slot.standard();
            match slot.kind {
                FactorKind::Circular => {
                    let (sine, cosine) = (std::f32::consts::TAU * value).sin_cos();
                    out.copy_from_slice(&[cosine / deviation, sine / deviation]);
                }
                FactorKind::Categorical { .. } => out[value as usize] = 1.0,
                _ => out[0] = (value - mean) / deviation,
            }
        }
    }
    Ok(targets)
}

/// The mean over pictures and factors of each factor's loss, and its
/// cotangent: squared error of standardised values and of points on the
/// circle (their mean over the two coordinates), cross entropy of the others.
pub(crate) fn loss(layout: &Layout, outputs: &Tensor<f32>, targets: &[f32]) -> (f64, Tensor<f32>) {
    let mut cotangent = outputs.clone();
    let share = 1.0 / (outputs.batch() * layout.slots().len()) as f32;
    let mut total = 0.0;
    let rows = cotangent.data_mut().chunks_mut(layout.len());
    for (row, target) in rows.zip(targets.chunks(layout.len())) {
        for slot in layout.slots() {
            let range = slot.start..slot.start + slot.len;
            total += f64::from(slot_loss(
                slot.kind,
                &mut row[range.clone()],
                &target[range],
                share,
            ));
        }
    }
    (total * f64::from(share), cotangent)
}

/// The loss of one factor; outputs become their cotangents.
fn slot_loss(kind: FactorKind, outputs: &mut [f32], targets: &[f32], share: f32) -> f32 {
    match kind {
        FactorKind::Continuous { .. } | FactorKind::Circular => {
            let count = outputs.len() as f32;
            let mut squares = 0.0;
            for (out, target) in outputs.iter_mut().zip(targets) {
                let difference = *out - target;
                squares += difference * difference;
                *out = 2.0 * share * difference / count;
            }
            squares / count
        }
        FactorKind::Binary => {
            let (logit, target) = (outputs[0], targets[0]);
            outputs[0] = share * (sigmoid(logit) - target);
            logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
        }
        FactorKind::Categorical { .. } => {
            let probabilities = softmax(outputs);
            let mut entropy = 0.0;
            for ((out, p), target) in outputs.iter_mut().zip(probabilities).zip(targets) {
                entropy -= target * p.max(1e-12).ln();
                *out = share * (p - target);
            }
            entropy
        }
    }
}
