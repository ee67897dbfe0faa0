//! Walks that keep the brightness and the contrast of the picture.

use super::Start;
use crate::StudyError;
use crate::invert::moments;
use alice_diffusion::{Denoiser, NoiseSchedule, PredictionType};
use alice_geometry::Block;

/// κ of the distortion fix.
const KAPPA: f64 = 0.99;

/// The network's output for states at a timestep.
pub(super) fn predict(
    denoiser: &mut dyn Denoiser,
    x: &[f32],
    count: usize,
    timestep: usize,
) -> Result<Vec<f32>, StudyError> {
    let output = denoiser.predict(x, count, timestep as f64);
    output.map_err(|e| StudyError::argument("--model", format!("the network failed: {e}")))
}

/// √ᾱ / (1 − κ√(1 − ᾱ)): how far x moves for a unit of x̂₀.
fn gain(alpha_bar: f64) -> f64 {
    alpha_bar.sqrt() / (1.0 - KAPPA * (1.0 - alpha_bar).sqrt())
}

/// Keeps the mean and the deviation of the predicted picture.
pub(super) struct Steady {
    schedule: NoiseSchedule,
    kind: PredictionType,
    timestep: usize,
    /// Of x̂₀ at the start.
    moments: (f64, f64),
    /// See [`gain`].
    gain: f64,
}

impl Steady {
    pub(super) fn new(start: Start<'_>, denoiser: &mut dyn Denoiser) -> Result<Self, StudyError> {
        let schedule = start.model.schedule.schedule()?;
        let alpha_bar = schedule.alpha_bar(start.timestep)?;
        let mut steady = Self {
            schedule,
            kind: start.model.schedule.prediction_type,
            timestep: start.timestep,
            moments: (0.0, 1.0),
            gain: gain(alpha_bar),
        };
        let original = steady.original(denoiser, start.state.data(), 1)?;
        steady.moments = moments(&original);
        Ok(steady)
    }

    /// x̂₀ of `count` states.
    fn original(
        &self,
        denoiser: &mut dyn Denoiser,
        x: &[f32],
        count: usize,
    ) -> Result<Vec<f32>, StudyError> {
        let output = predict(denoiser, x, count, self.timestep)?;
        let timesteps = vec![self.timestep; count];
        let found = self
            .schedule
            .predicted_original(self.kind, x, &output, &timesteps)?;
        Ok(found)
    }

    /// For `count` states, x′ = x + gain · (x₀′ − x̂₀(x)), x₀′ being x̂₀ of the moved state with
    /// the moments of the start.
    pub(super) fn apply(
        &self,
        denoiser: &mut dyn Denoiser,
        before: &[f32],
        moved: &mut [f32],
        count: usize,
    ) -> Result<(), StudyError> {
        let dim = before.len() / count;
        let here = self.original(denoiser, before, count)?;
        let there = self.original(denoiser, moved, count)?;
        for (item, state) in moved.chunks_exact_mut(dim).enumerate() {
            let range = item * dim..(item + 1) * dim;
            let (mean, deviation) = moments(&there[range.clone()]);
            for ((x, i), from) in state.iter_mut().zip(range.clone()).zip(&before[range]) {
                let standard = (f64::from(there[i]) - mean) / deviation.max(1e-12);
                let wanted = self.moments.0 + self.moments.1 * standard;
                *x = from + (self.gain * (wanted - f64::from(here[i]))) as f32;
            }
        }
        Ok(())
    }
}

impl Steady {
    /// The points of a path `[steps + 1, dim]` with the fix after each of its steps, as after
    /// each update of a walk.
    pub(super) fn along(
        &self,
        denoiser: &mut dyn Denoiser,
        points: &Block,
    ) -> Result<Block, StudyError> {
        let mut fixed = points.clone();
        for i in 1..points.rows() {
            let before = fixed.row(i - 1).to_vec();
            let step = points.row(i).iter().zip(points.row(i - 1));
            let mut moved: Vec<f32> = before
                .iter()
                .zip(step)
                .map(|(x, (to, from))| x + (to - from))
                .collect();
            self.apply(denoiser, &before, &mut moved, 1)?;
            fixed.row_mut(i).copy_from_slice(&moved);
        }
        Ok(fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_diffusion::BoxError;

    /// Where the network sees no noise at all, x̂₀ = x / √ᾱ, and the fix is a formula.
    #[test]
    fn the_gain_is_that_of_the_preprint() {
        let schedule = NoiseSchedule::linear(1000, 1e-4, 0.02).unwrap();
        let timestep = 599;
        let alpha_bar: f64 = (0..=timestep)
            .map(|t| 1.0 - (1e-4 + (0.02 - 1e-4) * f64::from(t) / 999.0))
            .product();
        assert!((schedule.alpha_bar(timestep as usize).unwrap() - alpha_bar).abs() < 1e-6);
        let root = alpha_bar.sqrt();
        let expected = root / (1.0 - 0.99 * (1.0 - alpha_bar).sqrt());
        assert!((gain(alpha_bar) - expected).abs() < 1e-12 && expected > 1.0);
        let mut nothing = |x: &[f32], _: usize, _: f64| Ok::<_, BoxError>(vec![0.0; x.len()]);
        let before = [0.3f32, -0.2, 0.5, 0.1];
        let steady = Steady {
            schedule,
            kind: PredictionType::Epsilon,
            timestep: timestep as usize,
            moments: (0.0, 1.0),
            gain: gain(alpha_bar),
        };
        let points = [before, [0.4, -0.6, 0.9, 0.2]].concat();
        let points = Block::from_vec(2, 4, points).unwrap();
        let found = steady.along(&mut nothing, &points).unwrap();
        assert_eq!(found.row(0), before);
        let (mean, deviation) = moments(points.row(1));
        for (i, x) in before.iter().enumerate() {
            let wanted = (f64::from(points.row(1)[i]) - mean) / deviation;
            let moved = f64::from(*x) + expected * (wanted - f64::from(*x) / root);
            assert!((f64::from(found.row(1)[i]) - moved).abs() < 1e-4);
        }
    }

    #[test]
    fn the_predicted_picture_gets_its_moments_back() {
        let mut itself = |x: &[f32], _: usize, _: f64| Ok::<_, BoxError>(x.to_vec());
        let steady = Steady {
            schedule: NoiseSchedule::linear(10, 1e-4, 0.02).unwrap(),
            kind: PredictionType::Sample,
            timestep: 5,
            moments: (0.25, 0.5),
            gain: 1.0,
        };
        let before: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
        let mut states: Vec<f32> = (0..12).map(|i| 3.0 + 2.0 * (i as f32).cos()).collect();
        let moved = states.clone();
        steady.apply(&mut itself, &before, &mut states, 2).unwrap();
        for (state, moved) in states.chunks(6).zip(moved.chunks(6)) {
            let (mean, deviation) = moments(state);
            assert!((mean - 0.25).abs() < 1e-6 && (deviation - 0.5).abs() < 1e-6);
            // Nothing else changes.
            let (from, spread) = moments(moved);
            let standard = (f64::from(moved[1]) - from) / spread;
            assert!((f64::from(state[1]) - (0.25 + 0.5 * standard)).abs() < 1e-5);
        }
    }
}
