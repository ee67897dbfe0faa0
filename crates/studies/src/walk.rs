//! Walks along a direction of the space of samples.

use crate::discover::findings::Pictures;
use crate::sampling::{pictures, run_steps};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Denoiser, Draws, NoiseSchedule, PredictionType, Sampler};
use alice_geometry::Block;
use serde::{Deserialize, Serialize};

/// How a walk moves a noisy sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// x ← x + s · [ε(x + γ v, t) − ε(x, t)], the x-space guidance of Park et
    /// al. (arXiv 2307.12868).
    #[default]
    Guidance,
    /// x ← x + s · v.
    Linear,
}

/// A walk both ways from a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walk {
    /// How it moves.
    pub method: Method,
    /// Updates from the sample to each end.
    pub iterations: usize,
    /// Frames from the sample to each end, a divisor of the iterations.
    pub frames: usize,
    /// Root mean square displacement of a pixel at each end, had every update
    /// the length of the first: it sets s, which then stays.
    pub reach: f64,
    /// γ, the length of the tangent that guidance tries.
    pub tangent: f64,
}

/// Where walks begin, and how their frames become pictures.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Whose schedule it is.
    pub model: &'a DiffusionModel,
    /// Draws the frames.
    pub sampler: &'a Ddim,
    /// The sampler's first step from here.
    pub index: usize,
    /// The training timestep.
    pub timestep: usize,
    /// The noisy sample `[1, H, W, C]`.
    pub state: &'a Tensor<f32>,
}

impl Walk {
    /// Checks what only some values allow.
    ///
    /// # Errors
    /// When the frames do not divide the iterations or a number is not positive.
    pub fn check(&self) -> Result<(), StudyError> {
        if self.frames == 0 || !self.iterations.is_multiple_of(self.frames) {
            return Err(StudyError::argument(
                "--frames",
                format!("must divide the {} iterations of a walk", self.iterations),
            ));
        }
        if !(self.reach > 0.0 && self.reach.is_finite()) {
            return Err(StudyError::argument("--reach", "must be a positive number"));
        }
        Ok(())
    }

    /// Where each frame lies, in −1..1.
    #[must_use]
    pub fn positions(&self) -> Vec<f64> {
        let frames = self.frames as i64;
        (-frames..=frames)
            .map(|j| j as f64 / self.frames as f64)
            .collect()
    }

    /// Walks along each of `directions` `[k, dim]`, see [`Walk::run`], and
    /// samples every frame to the end: k · (2 · frames + 1) pictures, those of
    /// one walk together.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub fn draw(
        &self,
        denoiser: &mut dyn Denoiser,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Pictures, StudyError> {
        progress.begin("walking", 2 * (directions.rows() * self.iterations) as u64);
        let walked = self.run(
            denoiser,
            &start.model.schedule.schedule()?,
            start.model.schedule.prediction_type,
            start.timestep,
            start.state.data(),
            directions,
            progress,
        )?;
        let dims = start.state.dims();
        let steps = start.index..start.sampler.timesteps().len();
        let count = walked.len() / start.state.item_len();
        progress.begin("drawing the walks", (count * steps.len()) as u64);
        let drawn = run_steps(
            denoiser,
            start.sampler,
            Draws::default(),
            walked,
            count,
            steps,
            progress,
        )?;
        Ok(pictures((dims[1], dims[2]), dims[3], drawn))
    }

    /// Walks from `sample` `[dim]` at a timestep along each of `directions`
    /// `[k, dim]`, unit vectors in the network's own layout.
    ///
    /// Returns noisy samples `[k, 2 · frames + 1, dim]`, the sample itself in
    /// the middle.
    ///
    /// Cost: 4 · k · iterations evaluations for guidance, none for linear.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub fn run(
        &self,
        denoiser: &mut dyn Denoiser,
        schedule: &NoiseSchedule,
        kind: PredictionType,
        timestep: usize,
        sample: &[f32],
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Vec<f32>, StudyError> {
        self.check()?;
        let dim = sample.len();
        let count = directions.rows();
        // Both ways at once: [directions, 2, dim], backwards first.
        let sides = 2 * count;
        let mut tangents = Vec::with_capacity(sides * dim);
        for i in 0..count {
            for sign in [-1.0, 1.0] {
                tangents.extend(directions.row(i).iter().map(|v| sign * v));
            }
        }
        let mut states: Vec<f32> = sample.repeat(sides);
        let mut scale: Option<Vec<f32>> = None;
        let per_side = 2 * self.frames + 1;
        let mut out = vec![0.0; count * per_side * dim];
        let mut place = |direction: usize, frame: usize, values: &[f32]| {
            let at = (direction * per_side + frame) * dim;
            out[at..at + dim].copy_from_slice(values);
        };
        for direction in 0..count {
            place(direction, self.frames, sample);
        }
        for iteration in 1..=self.iterations {
            if progress.is_cancelled() {
                return Err(StudyError::Cancelled);
            }
            let update = match self.method {
                Method::Linear => tangents.clone(),
                Method::Guidance => {
                    let tangent = self.tangent as f32;
                    let moved = states.iter().zip(&tangents);
                    let moved: Vec<f32> = moved.map(|(x, v)| x + tangent * v).collect();
                    let mut epsilon = |x: &[f32]| -> Result<Vec<f32>, StudyError> {
                        let output = denoiser.predict(x, sides, timestep as f64);
                        let output = output.map_err(|e| {
                            StudyError::argument("--model", format!("the network failed: {e}"))
                        })?;
                        Ok(schedule.predicted_epsilon(kind, x, &output, &vec![timestep; sides])?)
                    };
                    let (ahead, here) = (epsilon(&moved)?, epsilon(&states)?);
                    ahead.iter().zip(&here).map(|(a, h)| a - h).collect()
                }
            };
            let scale = scale.get_or_insert_with(|| {
                let wanted = self.reach * (dim as f64).sqrt() / self.iterations as f64;
                let norm = |v: &[f32]| v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
                let rows = update.chunks_exact(dim);
                rows.map(|row| (wanted / norm(row).max(1e-12)) as f32)
                    .collect()
            });
            for ((state, update), &s) in states
                .chunks_exact_mut(dim)
                .zip(update.chunks_exact(dim))
                .zip(scale.iter())
            {
                state.iter_mut().zip(update).for_each(|(x, d)| *x += s * d);
            }
            if (iteration * self.frames).is_multiple_of(self.iterations) {
                let step = iteration * self.frames / self.iterations;
                for (side, state) in states.chunks_exact(dim).enumerate() {
                    let frame = if side % 2 == 0 {
                        self.frames - step
                    } else {
                        self.frames + step
                    };
                    place(side / 2, frame, state);
                }
            }
            progress.advance(sides as u64);
        }
        Ok(out)
    }
}
