//! One step of the weights against their gradients.

use crate::adamw::AdamWConfig;
use crate::muon::{self, MuonConfig};
use alice_calculus::{Graph, ParameterKind, Parameters};
use rayon::prelude::*;

/// Channels on both sides from which on a weight is a matrix for Muon. Below
/// are the first and the last layer, which Muon is not for.
const MUON_CHANNELS: usize = 16;

/// AdamW, or Muon for the weight matrices of hidden layers and AdamW for the
/// rest, with their state.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    adamw: AdamWConfig,
    muon: Option<MuonConfig>,
    /// Rows and columns of the parameters that are Muon's.
    matrices: Vec<Option<(usize, usize)>>,
    /// Updates so far.
    pub(crate) updates: u64,
    /// Mean gradients, or Muon's momentum, one per parameter.
    pub(crate) first: Vec<Vec<f32>>,
    /// Mean squared gradients; empty for Muon's matrices.
    pub(crate) second: Vec<Vec<f32>>,
}

impl Optimizer {
    /// No updates yet.
    #[must_use]
    pub fn new(adamw: AdamWConfig, muon: Option<MuonConfig>, graph: &Graph) -> Self {
        let kinds = || graph.parameters().iter().map(|spec| spec.kind);
        let matrix = |kind| muon.and_then(|_| matrix(kind));
        let second = |kind: ParameterKind| matrix(kind).map_or(kind.len(), |_| 0);
        Self {
            adamw,
            muon,
            matrices: kinds().map(matrix).collect(),
            updates: 0,
            first: kinds().map(|kind| vec![0.0; kind.len()]).collect(),
            second: kinds().map(|kind| vec![0.0; second(kind)]).collect(),
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
        self.updates += 1;
        let adamw = self.adamw.step(self.updates, learning_rate);
        let keep = self.adamw.keep(learning_rate);
        let muon = self.muon.unwrap_or_default();
        assert_eq!(gradients.len(), self.first.len());
        let state = self.first.par_iter_mut().zip(&mut self.second);
        parameters
            .values_mut()
            .par_iter_mut()
            .zip(gradients)
            .zip(state.zip(&self.matrices))
            // Largest differences in cost: let threads take them one by one.
            .with_max_len(1)
            .for_each(|((values, gradient), ((first, second), matrix))| {
                assert_eq!(values.len(), gradient.len());
                if let Some(extents) = *matrix {
                    let rate = learning_rate as f32;
                    muon::update(&muon, values, gradient, first, extents, rate, keep);
                } else {
                    adamw.update(values, gradient, first, second);
                }
            });
    }
}

/// Rows and columns of a weight that is a matrix for Muon.
fn matrix(kind: ParameterKind) -> Option<(usize, usize)> {
    let (input, rows, output) = match kind {
        ParameterKind::Convolution {
            kernel,
            input,
            output,
        } => (input, kernel * kernel * input, output),
        ParameterKind::Linear { input, output } => (input, input, output),
        _ => return None,
    };
    (input.min(output) >= MUON_CHANNELS).then_some((rows, output))
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

    fn one_layer(channels: usize) -> Graph {
        let mut graph = Graph::new();
        let x = graph.input("x", &[channels]);
        graph.linear(x, "w", channels, false).unwrap();
        graph
    }

    fn one_weight(value: f32) -> Parameters<f32> {
        Parameters::build(&one_layer(1), |_| vec![value])
    }

    /// The numbers of torch.optim.AdamW for w = 1 and the gradients 0.5, -0.25, 2.
    #[test]
    fn updates_are_those_of_pytorch() {
        let mut parameters = one_weight(1.0);
        let muon = Some(MuonConfig::default());
        let mut optimizer = Optimizer::new(AdamWConfig::default(), muon, &one_layer(1));
        for (gradient, expected) in [(0.5, 0.899), (-0.25, 0.871_467_3), (2.0, 0.803_531_1)] {
            optimizer.update(&mut parameters, &[vec![gradient]], 0.1);
            let w = parameters.values()[0][0];
            assert!((w - expected).abs() < 1e-5, "{w} {expected}");
        }
    }

    /// Whatever the gradient's size, a matrix moves by 0.2 of the rate in root mean square.
    #[test]
    fn hidden_matrices_move_by_muon() {
        let graph = one_layer(32);
        let gradients = [alice_random::Stream::new(1, "gradient", 0, 0).normals::<f32>(32 * 32)];
        for muon in [None, Some(MuonConfig::default())] {
            let mut parameters = Parameters::zeros(&graph);
            let mut optimizer = Optimizer::new(AdamWConfig::default(), muon, &graph);
            optimizer.update(&mut parameters, &gradients, 0.1);
            let squares: f32 = parameters.values()[0].iter().map(|v| v * v).sum();
            let moved = (squares / 1024.0).sqrt();
            let expected = if muon.is_some() {
                0.015..0.025
            } else {
                0.099..0.101
            };
            assert!(expected.contains(&moved), "{moved}");
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
