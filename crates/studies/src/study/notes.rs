//! What a user should know of what a study was told.

use super::Study;
use crate::directions::unknown_model;
use crate::pictures::numbers;
use crate::points::far;
use crate::{DiffusionModel, InputFile, StudyError};
use alice_diffusion::{Ddim, DdimInverse, Eta};
use std::slice::from_ref;

/// Where a study looks, and whose directions it takes.
struct Told<'a> {
    at: &'a [f64],
    steps: usize,
    basis: Option<&'a InputFile>,
}

impl Study {
    /// That a place on the noise schedule lies beyond the sampler's steps, so that
    /// another was taken, and that a file does not say of which model it is.
    ///
    /// # Errors
    /// When the steps fit no sampler, or a file cannot be read.
    pub(super) fn notes(&self, model: &DiffusionModel) -> Result<Vec<String>, StudyError> {
        let told = |at, steps, basis| Told { at, steps, basis };
        let Told { at, steps, basis } = match self {
            Self::Edit(a) => told(from_ref(&a.at), a.steps, a.basis.as_ref()),
            Self::Transport(a) => told(from_ref(&a.at), a.steps, a.basis.as_ref()),
            // A concept is measured where its file says.
            Self::Measure(a) if a.concept.is_some() => told(&[], a.steps, a.concept.as_ref()),
            Self::Measure(a) => told(&a.at, a.steps, None),
            Self::Discover(a) if a.input.is_none() => told(from_ref(&a.at), a.steps, None),
            Self::Global(a) => told(from_ref(&a.at), a.steps, None),
            Self::Hspace(a) => told(from_ref(&a.at), a.steps, None),
            Self::Compare(a) => told(from_ref(&a.at), a.steps, None),
            _ => return Ok(Vec::new()),
        };
        let times = if matches!(self, Self::Edit(_)) {
            let inverse = DdimInverse::new(&model.schedule.invertible(), steps)?;
            inverse.timesteps().to_vec()
        } else {
            let sampler = Ddim::new(&model.schedule, steps, Eta::Constant(0.0))?;
            sampler.timesteps().to_vec()
        };
        let times: Vec<f64> = times.into_iter().map(|time| time as f64).collect();
        let train_steps = model.schedule.num_train_timesteps as f64;
        let taken = |at: &f64| {
            let found = far(&times, at * train_steps)?;
            Some(format!(
                "--at {at} lies beyond the steps; the nearest is at timestep {found}, {} of the \
                 schedule. More --steps come nearer",
                numbers::percent(found / train_steps)
            ))
        };
        let mut notes: Vec<String> = at.iter().filter_map(taken).collect();
        if let Some(basis) = basis {
            notes.extend(unknown_model(basis)?);
        }
        Ok(notes)
    }
}
