//! Walks along a direction of the space of samples.

mod geodesic;
mod steady;
#[cfg(test)]
mod tests;

use crate::bottleneck::Bottleneck;
use crate::discover::findings::Pictures;
use crate::injection::shifts;
use crate::jacobian::{to_file_layout, to_network_layout};
use crate::sampling::{pictures, run_trajectory};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Denoiser, Draws, Network, Trajectory};
use alice_geometry::{Block, LinearMap};
pub(crate) use geodesic::LEAST_HELD;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use steady::{Steady, predict};

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
    /// Straight ahead in H: geodesic shooting, after Park et al. (arXiv 2302.12469).
    Geodesic,
    /// Δh = s · J v added to the bottleneck at every step from here on, after
    /// Haas et al. (2024).
    Hspace,
}

impl Method {
    /// How far a walk goes to each end when nothing is said: root mean square
    /// change of a noisy pixel. Geodesics go less far: of their directions the
    /// tangent spaces of the bundled model's samples hold 0.78 to 0.99 this far, in
    /// eight updates, 0.72 to 0.97 half as far again; at three times the length
    /// walks turn round.
    #[must_use]
    pub fn usual_reach(self) -> f64 {
        match self {
            Self::Geodesic => 0.1,
            Self::Guidance | Self::Linear | Self::Hspace => 0.3,
        }
    }
}

/// A pixel lies in −1..1: no walk that goes further is a walk.
pub(crate) const LONGEST: f64 = 1e3;

/// Pictures of walks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn {
    /// Those of one walk together.
    pub(crate) pictures: Pictures,
    /// How each walk held.
    pub(crate) held: Vec<Option<Held>>,
}

/// Of a geodesic, the least share of its direction in H that lay in the tangent
/// space on the way, in 0..1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Held(pub f64);

impl Held {
    /// Whether so little was held that the walk turned round, and went along
    /// other directions than its own.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self.0 < LEAST_HELD
    }

    /// Refuses a lost walk.
    fn check(self) -> Result<(), StudyError> {
        if !self.is_lost() {
            return Ok(());
        }
        let why = format!(
            "{:.0} % of the direction lay in the tangent space where that held least of it, and at \
             least {:.0} % are needed, or the walk turns round. Walk less far (a smaller --strength), \
             in more --iterations, along a stronger direction, whose tangent space holds it, or by \
             another method",
            100.0 * self.0,
            100.0 * LEAST_HELD
        );
        Err(StudyError::argument("--method geodesic", why))
    }
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
    /// Whether every update keeps the mean and the deviation that the
    /// predicted picture had at the start: the distortion fix of Park et al.
    /// (arXiv 2302.12469), for all walks in X.
    pub steady: bool,
}

/// Where walks begin, and how their frames become pictures.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Whose schedule it is.
    pub model: &'a DiffusionModel,
    /// Its network at the sample's size.
    pub network: &'a Network,
    /// Draws the frames.
    pub sampler: &'a Ddim,
    /// The sampler's first step from here.
    pub index: usize,
    /// The training timestep.
    pub timestep: usize,
    /// The noisy sample `[1, H, W, C]`.
    pub state: &'a Tensor<f32>,
    /// Names the noise of a stochastic sampler, which all frames share.
    pub seed: u64,
}

impl Start<'_> {
    /// The first `count` of some directions, as files hold them, in the layout
    /// of the network.
    ///
    /// # Errors
    /// When there are fewer, or they are of another space.
    pub(crate) fn layout(&self, directions: &Block, count: usize) -> Result<Block, StudyError> {
        let (channels, positions) = extents(self.state);
        Ok(to_network_layout(directions, count, channels, positions)?)
    }

    /// The sampler's steps from here to the picture.
    #[must_use]
    pub fn steps(&self) -> Range<usize> {
        self.index..self.sampler.timesteps().len()
    }

    /// Samples states `[N, dim]` of this timestep to the end, all with the same
    /// noise, and makes pictures of them.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub fn finish(
        &self,
        denoiser: &mut dyn Denoiser,
        states: Vec<f32>,
        progress: &mut dyn Progress,
    ) -> Result<Pictures, StudyError> {
        let dims = self.state.dims();
        let count = states.len() / self.state.item_len().max(1);
        let draws = Draws {
            seed: self.seed,
            first_item: 0,
        };
        let trajectory = Trajectory::new(self.sampler, draws)
            .steps(self.steps())
            .with_the_same_noise();
        let drawn = run_trajectory(denoiser, &trajectory, states, count, progress)?;
        let states = pictures((dims[1], dims[2]), dims[3], drawn);
        self.model.pictures(states, progress)
    }
}

impl Walk {
    /// A walk with γ = 1 and no fix.
    #[must_use]
    pub fn new(method: Method, iterations: usize, frames: usize, reach: f64) -> Self {
        Self {
            method,
            iterations,
            frames,
            reach,
            tangent: 1.0,
            steady: false,
        }
    }

    /// Checks what only some values allow.
    ///
    /// # Errors
    /// When the frames do not divide the iterations or a number is not positive.
    pub fn check(&self) -> Result<(), StudyError> {
        const MOST: usize = 100_000;
        if self.iterations > MOST {
            let why = format!("{}; at most {MOST}", self.iterations);
            return Err(StudyError::argument("--iterations", why));
        }
        if self.frames == 0 {
            return Err(StudyError::argument("--frames", "must be at least 1"));
        }
        // What is added to the bottleneck is not iterated.
        let moves = self.method != Method::Hspace;
        if moves && (self.iterations == 0 || !self.iterations.is_multiple_of(self.frames)) {
            return Err(StudyError::argument(
                "--frames",
                format!("must divide the {} iterations of a walk", self.iterations),
            ));
        }
        if !(self.reach > 0.0 && self.reach <= LONGEST) {
            let why = format!("must lie above 0 and at most at {LONGEST} per pixel");
            return Err(StudyError::argument("--reach", why));
        }
        if self.steady && self.method == Method::Hspace {
            return Err(StudyError::argument(
                "--steady",
                "is for --method guidance, linear and geodesic, which move the noisy picture step \
                 by step",
            ));
        }
        Ok(())
    }

    /// Where each frame lies, in −1..1.
    #[must_use]
    pub fn positions(&self) -> Vec<f64> {
        positions(self.frames)
    }

    /// Walks along each of `directions` `[k, dim]`, unit vectors in the
    /// network's own layout, samples every frame to the end and makes it a
    /// picture: k · (2 · frames + 1), those of one walk together. Lost geodesics
    /// are drawn as they are; the caller says so.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub(crate) fn draw(
        &self,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Drawn, StudyError> {
        let (walked, held) = self.states(start, directions, progress)?;
        let pictures = self.finish(start, directions, walked, progress)?;
        Ok(Drawn { pictures, held })
    }

    /// As [`Self::draw`] of one direction, and refuses a lost geodesic before
    /// anything is drawn.
    ///
    /// # Errors
    /// Those of [`Self::draw`]; when the walk is lost.
    pub(crate) fn draw_held(
        &self,
        start: Start<'_>,
        direction: &Block,
        progress: &mut dyn Progress,
    ) -> Result<(Pictures, Option<Held>), StudyError> {
        let (walked, held) = self.states(start, direction, progress)?;
        let held = held.into_iter().flatten().next();
        held.map_or(Ok(()), Held::check)?;
        Ok((self.finish(start, direction, walked, progress)?, held))
    }

    /// Makes pictures of what was walked.
    fn finish(
        &self,
        start: Start<'_>,
        directions: &Block,
        walked: Vec<f32>,
        progress: &mut dyn Progress,
    ) -> Result<Pictures, StudyError> {
        let count = directions.rows() * self.positions().len();
        let mut denoiser = start.network.denoiser()?;
        if self.method == Method::Hspace {
            denoiser.shift_bottleneck(self.shifts(start, directions)?)?;
        }
        progress.begin("drawing the walks", (count * start.steps().len()) as u64);
        start.finish(&mut denoiser, walked, progress)
    }

    /// The noisy samples of the walks, `[k, 2 · frames + 1, dim]`; in h-space
    /// they do not move. And how each walk held.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub(crate) fn states(
        &self,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<f32>, Vec<Option<Held>>), StudyError> {
        self.check()?;
        let none = vec![None; directions.rows()];
        progress.begin("walking", 2 * (directions.rows() * self.iterations) as u64);
        match self.method {
            Method::Guidance | Method::Linear => {
                let mut denoiser = start.network.denoiser()?;
                let states = self.walk(&mut denoiser, start, directions, progress)?;
                Ok((states, none))
            }
            Method::Geodesic => {
                let (states, held) = self.shoot(start, directions, progress)?;
                Ok((
                    states,
                    held.into_iter().map(|held| Some(Held(held))).collect(),
                ))
            }
            Method::Hspace => {
                let count = directions.rows() * self.positions().len();
                Ok((start.state.data().repeat(count), none))
            }
        }
    }

    /// A unit direction's length at each end of the walk.
    fn end(&self, dim: usize) -> f64 {
        self.reach * (dim as f64).sqrt()
    }

    /// Δh of every frame, `[k · (2 · frames + 1), H, W, C]`: the walk's
    /// position times the image of the direction.
    fn shifts(&self, start: Start<'_>, directions: &Block) -> Result<Tensor<f32>, StudyError> {
        let bottleneck = Bottleneck::new(start.network, start.timestep as f64)?;
        let jacobian = bottleneck.jacobian(start.state)?;
        let (channels, positions) = extents(start.state);
        let tangents = to_file_layout(directions, channels, positions)?;
        let images = jacobian.pushforward(&tangents)?;
        let lengths = vec![self.end(directions.dimension()); images.rows()];
        Ok(shifts(
            &images,
            &lengths,
            &self.positions(),
            bottleneck.dims(),
        )?)
    }

    /// Walks by evaluations of the network. Returns noisy samples
    /// `[k, 2 · frames + 1, dim]`.
    ///
    /// Cost: 4 · k · iterations evaluations for guidance, none for linear.
    fn walk(
        &self,
        denoiser: &mut dyn Denoiser,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<Vec<f32>, StudyError> {
        let schedule = start.model.schedule.schedule()?;
        let kind = start.model.schedule.prediction_type;
        let timestep = start.timestep;
        let sample = start.state.data();
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
        let steady = if self.steady {
            Some(Steady::new(start, denoiser)?)
        } else {
            None
        };
        let mut frames = Frames::new(self.frames, sample, count);
        for iteration in 1..=self.iterations {
            if progress.is_cancelled() {
                return Err(StudyError::Cancelled);
            }
            let update = match self.method {
                Method::Guidance => {
                    let tangent = self.tangent as f32;
                    let moved = states.iter().zip(&tangents);
                    let moved: Vec<f32> = moved.map(|(x, v)| x + tangent * v).collect();
                    let mut epsilon = |x: &[f32]| -> Result<Vec<f32>, StudyError> {
                        let output = predict(denoiser, x, sides, timestep)?;
                        Ok(schedule.predicted_epsilon(kind, x, &output, &vec![timestep; sides])?)
                    };
                    let (ahead, here) = (epsilon(&moved)?, epsilon(&states)?);
                    ahead.iter().zip(&here).map(|(a, h)| a - h).collect()
                }
                _ => tangents.clone(),
            };
            let scale = scale.get_or_insert_with(|| {
                let wanted = self.end(dim) / self.iterations as f64;
                let norm = |v: &[f32]| v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
                let rows = update.chunks_exact(dim);
                rows.map(|row| (wanted / norm(row).max(1e-12)) as f32)
                    .collect()
            });
            let before = steady.as_ref().map(|_| states.clone());
            for ((state, update), &s) in states
                .chunks_exact_mut(dim)
                .zip(update.chunks_exact(dim))
                .zip(scale.iter())
            {
                state.iter_mut().zip(update).for_each(|(x, d)| *x += s * d);
            }
            if let Some((steady, before)) = steady.as_ref().zip(before) {
                steady.apply(denoiser, &before, &mut states, sides)?;
            }
            if (iteration * self.frames).is_multiple_of(self.iterations) {
                let step = iteration * self.frames / self.iterations;
                for (side, state) in states.chunks_exact(dim).enumerate() {
                    frames.place(side / 2, side % 2 == 1, step, state);
                }
            }
            progress.advance(sides as u64);
        }
        Ok(frames.states)
    }
}

/// Where each frame of a walk with so many to each side lies, in −1..1.
pub(crate) fn positions(frames: usize) -> Vec<f64> {
    let side = frames as i64;
    (-side..=side).map(|j| j as f64 / frames as f64).collect()
}

/// As [`positions`], without the sample in the middle.
pub(crate) fn sides(frames: usize) -> Vec<f64> {
    let mut sides = positions(frames);
    sides.retain(|position| *position != 0.0);
    sides
}

/// Channels and pixels of a state.
fn extents(state: &Tensor<f32>) -> (usize, usize) {
    (state.channels(), state.item_len() / state.channels())
}

/// The noisy samples of walks, `[k, 2 · frames + 1, dim]`, the sample itself in
/// the middle of each.
struct Frames {
    states: Vec<f32>,
    side: usize,
    dim: usize,
}

impl Frames {
    fn new(side: usize, sample: &[f32], walks: usize) -> Self {
        Self {
            states: sample.repeat(walks * (2 * side + 1)),
            side,
            dim: sample.len(),
        }
    }

    fn place(&mut self, walk: usize, forwards: bool, step: usize, state: &[f32]) {
        let frame = if forwards {
            self.side + step
        } else {
            self.side - step
        };
        let at = (walk * (2 * self.side + 1) + frame) * self.dim;
        self.states[at..at + self.dim].copy_from_slice(state);
    }
}
