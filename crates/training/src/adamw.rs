//! AdamW (Loshchilov and Hutter 2019) with PyTorch's defaults.

use alice_calculus::Parameters;
use rayon::prelude::*;
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

/// AdamW's state.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    pub(crate) config: AdamWConfig,
    /// Updates so far.
    pub(crate) updates: u64,
    /// Mean gradients, one per parameter.
    pub(crate) first: Vec<Vec<f32>>,
    /// Mean squared gradients.
    pub(crate) second: Vec<Vec<f32>>,
}

impl AdamW {
    /// No updates yet.
    #[must_use]
    pub fn new(config: AdamWConfig, parameters: &Parameters<f32>) -> Self {
        let zeros: Vec<Vec<f32>> = parameters
            .values()
            .iter()
            .map(|v| vec![0.0; v.len()])
            .collect();
        Self {
            config,
            updates: 0,
            first: zeros.clone(),
            second: zeros,
        }
    }

    /// Moves the parameters against the gradients.
    ///
    /// # Panics
    /// When the gradients are not those of the parameters.
    pub fn update(
        &mut self,
        parameters: &mut Parameters<f32>,
        gradients: &[Vec<f32>],
        learning_rate: f64,
    ) {
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = self.config;
        self.updates += 1;
        let steps = self.updates.min(i32::MAX as u64) as i32;
        let step = (learning_rate / (1.0 - beta1.powi(steps))) as f32;
        let root = (1.0 / (1.0 - beta2.powi(steps)).sqrt()) as f32;
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        let (beta1, beta2, eps) = (beta1 as f32, beta2 as f32, eps as f32);
        assert_eq!(gradients.len(), self.first.len());
        parameters
            .values_mut()
            .par_iter_mut()
            .zip(gradients)
            .zip(self.first.par_iter_mut().zip(&mut self.second))
            .for_each(|((values, gradient), (first, second))| {
                assert_eq!(values.len(), gradient.len());
                let moments = first.iter_mut().zip(second.iter_mut());
                for ((w, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *w = keep * *w - step * *m / (v.sqrt() * root + eps);
                }
            });
    }
}

/// Scales gradients down to a norm of at most `bound`; returns the norm before.
pub fn clip_to_norm(gradients: &mut [Vec<f32>], bound: f64) -> f64 {
    let squares = |g: &Vec<f32>| g.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    // Collected before summing: the order of a parallel sum is not fixed.
    let parts: Vec<f64> = gradients.par_iter().map(squares).collect();
    let norm = parts.iter().sum::<f64>().sqrt();
    if norm > bound {
        let factor = (bound / norm) as f32;
        let scale = |g: &mut Vec<f32>| g.iter_mut().for_each(|v| *v *= factor);
        gradients.par_iter_mut().for_each(scale);
    }
    norm
}

/// An exponential moving average of parameters, with a warm-up: its decay at
/// update n is min(decay, (1 + n) / (10 + n)).
///
/// # Panics
/// When the two are not of one graph.
pub fn average(mean: &mut Parameters<f32>, values: &Parameters<f32>, decay: f64, updates: u64) {
    let n = updates as f64;
    let fresh = (1.0 - decay.min((1.0 + n) / (10.0 + n))) as f32;
    let both = mean.values_mut().par_iter_mut().zip(values.values());
    both.for_each(|(mean, values)| {
        assert_eq!(mean.len(), values.len());
        for (m, &v) in mean.iter_mut().zip(values) {
            *m += fresh * (v - *m);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_calculus::Graph;

    fn one_weight(value: f32) -> Parameters<f32> {
        let mut graph = Graph::new();
        let x = graph.input("x", &[1]);
        graph.linear(x, "w", 1, false).unwrap();
        Parameters::build(&graph, |_| vec![value])
    }

    /// The numbers of torch.optim.AdamW for w = 1 and the gradients 0.5, -0.25, 2.
    #[test]
    fn updates_are_those_of_pytorch() {
        let mut parameters = one_weight(1.0);
        let mut optimiser = AdamW::new(AdamWConfig::default(), &parameters);
        for (gradient, expected) in [(0.5, 0.899), (-0.25, 0.871_467_3), (2.0, 0.803_531_1)] {
            optimiser.update(&mut parameters, &[vec![gradient]], 0.1);
            let w = parameters.values()[0][0];
            assert!((w - expected).abs() < 1e-5, "{w} {expected}");
        }
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = vec![vec![3.0], vec![4.0]];
        assert_eq!(clip_to_norm(&mut gradients, 10.0), 5.0);
        assert_eq!(gradients, [[3.0], [4.0]]);
        assert_eq!(clip_to_norm(&mut gradients, 1.0), 5.0);
        assert!((gradients[0][0] - 0.6).abs() < 1e-6 && (gradients[1][0] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn the_average_follows_and_then_smooths() {
        let mut mean = one_weight(0.0);
        average(&mut mean, &one_weight(1.0), 0.99, 0);
        assert!((mean.values()[0][0] - 0.9).abs() < 1e-6);
        average(&mut mean, &one_weight(0.0), 0.99, 1_000_000);
        assert!((mean.values()[0][0] - 0.891).abs() < 1e-6);
    }
}
