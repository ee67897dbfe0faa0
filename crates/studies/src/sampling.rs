//! Drawing samples of a model, in blocks, with progress.

use crate::discover::findings::Pictures;
use crate::{Progress, StudyError};
use alice_diffusion::{Denoiser, Draws, Error, Sampler, Trajectory};
use std::ops::{ControlFlow, Range};

/// Runs the steps `steps` of a sampler from `states`; sample i of the batch is
/// item `draws.first_item` + i. Progress advances by one unit per sample and step.
///
/// # Errors
/// When the network fails or the user asks to stop.
pub fn run_steps(
    denoiser: &mut dyn Denoiser,
    sampler: &dyn Sampler,
    draws: Draws,
    states: Vec<f32>,
    count: usize,
    steps: Range<usize>,
    progress: &mut dyn Progress,
) -> Result<Vec<f32>, StudyError> {
    let trajectory = Trajectory::new(sampler, draws).steps(steps);
    run_trajectory(denoiser, &trajectory, states, count, progress)
}

/// Runs a trajectory from `states`; progress as in [`run_steps`].
///
/// # Errors
/// When the network fails or the user asks to stop.
pub fn run_trajectory(
    denoiser: &mut dyn Denoiser,
    trajectory: &Trajectory<'_>,
    states: Vec<f32>,
    count: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<f32>, StudyError> {
    let result = trajectory.run(denoiser, states, count, &mut |_| {
        progress.advance(count as u64);
        if progress.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    result.map_err(|error| match error {
        Error::Cancelled { .. } => StudyError::Cancelled,
        other => other.into(),
    })
}

/// States of a network as pictures.
#[must_use]
pub fn pictures(size: (usize, usize), channels: usize, values: Vec<f32>) -> Pictures {
    Pictures {
        size,
        channels,
        values,
    }
}
