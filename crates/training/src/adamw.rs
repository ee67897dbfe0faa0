//! AdamW (Loshchilov and Hutter 2019) with PyTorch's defaults.

use serde::{Deserialize, Serialize};

/// The constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root mean square.
    pub eps: f64,
    /// Decay of the weights, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// The factors of one update, from the constants and the number of updates.
pub(crate) struct AdamWStep {
    beta1: f32,
    beta2: f32,
    eps: f32,
    step: f32,
    root: f32,
    keep: f32,
}

impl AdamWConfig {
    /// Update number `updates`, counted from 1.
    pub(crate) fn step(&self, updates: u64, learning_rate: f64) -> AdamWStep {
        let updates = updates.min(i32::MAX as u64) as i32;
        AdamWStep {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            eps: self.eps as f32,
            step: (learning_rate / (1.0 - self.beta1.powi(updates))) as f32,
            root: (1.0 / (1.0 - self.beta2.powi(updates)).sqrt()) as f32,
            keep: self.keep(learning_rate),
        }
    }

    /// What weight decay leaves of a weight.
    pub(crate) fn keep(&self, learning_rate: f64) -> f32 {
        (1.0 - learning_rate * self.weight_decay) as f32
    }
}

impl AdamWStep {
    /// Updates one parameter and its mean gradients and mean squared gradients.
    pub(crate) fn update(
        &self,
        values: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let Self {
            beta1,
            beta2,
            eps,
            step,
            root,
            keep,
        } = *self;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((w, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w = keep * *w - step * *m / (v.sqrt() * root + eps);
        }
    }
}
