//! Sliders: combinations of directions that move one factor of the puppet show
//! and leave the others.
//!
//! A leading direction of the bottleneck is a mixture of meanings. Small steps
//! along all of them, read by the instrument, say what each does to every
//! factor; ridge least squares says which combination should move one factor
//! alone ([`Aim`]); what the walk along it did to the others is taken back.

use crate::discover::findings::{FactorResponse, Pictures};
use crate::progress::Within;
use crate::reader::Reader;
use crate::responses::is_moved;
use crate::walk::{Start, positions};
use crate::{Progress, StudyError};
use alice_diffusion::{Ddim, Eta, Sampler};
use alice_geometry::{Aim, Block};
use alice_instruments::Validity;
use alice_worlds::FACTORS;
use std::ops::Range;

/// Root mean square displacement of a noisy pixel at which it is measured what
/// a direction does: far enough to be read, near enough to be linear.
const PROBE: f64 = 0.02;
/// Walks to each aim at most: the first, and each with the errors of the one
/// before taken back.
const ROUNDS: usize = 4;
/// An aim is reached when the factor has this share of the total change, and is
/// out of reach when less than this share of what is wanted is expected.
const REACHED: f64 = 0.75;
const OUT_OF_REACH: f64 = 0.25;
/// Steps from the sample to a picture that suffice to look for sliders.
const LEAST_STEPS: usize = 5;
/// See [`Aim::new`].
const RIDGE: f64 = 1e-2;
/// The factor's share of the total change from which it moves alone.
pub(crate) const PURE: f64 = 0.5;

/// Where sliders are made, and of what.
pub(crate) struct Workbench<'a> {
    /// The noisy sample.
    pub start: Start<'a>,
    /// Reads what steps change.
    pub reader: &'a Reader,
    /// Orthonormal directions, in the network's layout.
    pub directions: &'a Block,
    /// Pictures from the sample to each end by which a slider is judged.
    pub frames: usize,
    /// The change from end to end that is aimed at, in standard deviations of
    /// the factor in the world.
    pub wanted: f64,
    /// The longest root mean square displacement of a noisy pixel at the ends.
    pub longest: f64,
}

/// A combination of directions, and what it did.
pub(crate) struct Slider {
    /// The factor that it is for, in the world's order.
    pub factor: usize,
    /// How much of each direction, in displacements of [`PROBE`].
    pub weights: Vec<f64>,
    /// What it did to every factor, in the world's order.
    pub responses: Vec<FactorResponse>,
    /// Share of the frames that are sound.
    pub sound: f64,
}

impl Slider {
    /// Its factor's share of the total standardised change.
    pub fn purity(&self) -> f64 {
        let total: f64 = self.responses.iter().map(|r| r.change.abs()).sum();
        self.responses[self.factor].change.abs() / total.max(f64::MIN_POSITIVE)
    }

    /// Whether its factor moved visibly, steadily and alone.
    pub fn is_pure(&self) -> bool {
        let own = &self.responses[self.factor];
        is_moved(own.change, own.spearman) && self.purity() >= PURE
    }

    /// What it is worth to who wants so much of its factor alone: purity counts
    /// more than how much.
    fn worth(&self, wanted: f64) -> f64 {
        let share = self.responses[self.factor].change / wanted;
        self.purity() * share.clamp(0.0, 1.0).sqrt()
    }

    /// Root mean square displacement of a noisy pixel at its ends.
    pub fn reach(&self) -> f64 {
        PROBE * length(&self.weights)
    }

    /// How much of each direction is in its unit vector.
    pub fn unit(&self) -> Vec<f64> {
        let length = length(&self.weights);
        self.weights.iter().map(|w| w / length).collect()
    }
}

/// Sliders to look at, of orthonormal `directions` in the network's layout: as
/// far as pictures change clearly, and found with few steps from the sample to
/// each picture.
///
/// Cost, at six steps to a picture: 12 evaluations of the network for each
/// direction and up to 48 for each factor.
///
/// # Errors
/// When the network fails or the user asks to stop.
pub(crate) fn find(
    start: Start<'_>,
    reader: &Reader,
    directions: &Block,
    factors: Range<usize>,
    progress: &mut dyn Progress,
) -> Result<Vec<Slider>, StudyError> {
    let sampler = &coarser(start)?;
    let workbench = Workbench {
        start: Start {
            sampler,
            index: sampler.index_at(start.timestep as f64),
            ..start
        },
        reader,
        directions,
        frames: 1,
        wanted: 2.0,
        longest: 0.08,
    };
    workbench.sliders(factors, progress)
}

/// A sampler through the same timestep with as few steps as will do: those of
/// every second, third, … of its steps.
fn coarser(start: Start<'_>) -> Result<Ddim, StudyError> {
    let steps = start.sampler.timesteps().len();
    for every in (1..=steps).rev().filter(|e| steps.is_multiple_of(*e)) {
        let schedule = &start.model.schedule;
        let sampler = Ddim::new(schedule, steps / every, Eta::Constant(0.0))?;
        let index = sampler.index_at(start.timestep as f64);
        let passes = sampler.timesteps().get(index) == Some(&start.timestep);
        if passes && sampler.timesteps().len() - index >= LEAST_STEPS {
            return Ok(sampler);
        }
    }
    Ok(start.sampler.clone())
}

/// Draws sliders, each with so many pictures to both sides of the sample:
/// `[sliders, 2 · frames + 1]`.
///
/// # Errors
/// When the network fails or the user asks to stop.
pub(crate) fn draw(
    start: Start<'_>,
    directions: &Block,
    sliders: &[Slider],
    frames: usize,
    progress: &mut dyn Progress,
) -> Result<Pictures, StudyError> {
    let weights: Vec<f64> = sliders.iter().flat_map(|s| s.weights.clone()).collect();
    let ends = directions.combined(&weights)?;
    let states = displaced(start, &ends, &positions(frames));
    let count = sliders.len() * (2 * frames + 1);
    progress.begin("drawing the sliders", (count * start.steps().len()) as u64);
    start.finish(&mut start.network.denoiser()?, states, progress)
}

/// The states on straight walks through the sample; a row of `ends` is an end
/// in displacements of [`PROBE`].
fn displaced(start: Start<'_>, ends: &Block, positions: &[f64]) -> Vec<f32> {
    let state = start.state.data();
    let length = PROBE * (state.len() as f64).sqrt();
    let mut states = Vec::with_capacity(ends.rows() * positions.len() * state.len());
    for row in 0..ends.rows() {
        for position in positions {
            let step = (position * length) as f32;
            let both = state.iter().zip(ends.row(row));
            states.extend(both.map(|(x, v)| x + step * v));
        }
    }
    states
}

impl Workbench<'_> {
    /// Units of progress of [`Self::sliders`] at most: one for each sample and step.
    pub fn most_work(directions: usize, frames: usize, steps: usize) -> u64 {
        let samples = 1 + 2 * directions + ROUNDS * FACTORS.len() * 2 * frames;
        (samples * steps) as u64
    }

    /// The best slider of each of `factors` that the directions reach; of most
    /// it is not pure.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub fn sliders(
        &self,
        factors: Range<usize>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Slider>, StudyError> {
        let steps = self.start.steps().len();
        let probes = 1 + 2 * self.directions.rows();
        progress.begin("probing every direction", (probes * steps) as u64);
        let here = &self.read(self.start.state.data().to_vec(), progress)?[0];
        let probed = self.probe(here, progress)?;
        let changes = probed.iter().flatten().map(|c| *c as f32).collect();
        let aim = Aim::new(
            &Block::from_vec(probed.len(), FACTORS.len(), changes)?,
            RIDGE,
        )?;
        let mut best: Vec<Option<Slider>> = (0..FACTORS.len()).map(|_| None).collect();
        let mut tries = Vec::with_capacity(factors.len());
        for factor in factors {
            tries.push((factor, aim.at(&self.aims(factor))?));
        }
        for _ in 0..ROUNDS {
            for (_, weights) in &mut tries {
                shorten(weights, self.longest / PROBE);
            }
            tries.retain(|(_, weights)| length(weights) > 0.0);
            if tries.is_empty() {
                break;
            }
            let count = tries.len() * 2 * self.frames * steps;
            progress.begin("aiming at single factors", count as u64);
            let walked = self.walk(tries, here, progress)?;
            tries = Vec::new();
            for slider in walked {
                let (factor, purity) = (slider.factor, slider.purity());
                let both = slider.weights.iter().zip(&probed);
                let expected: f64 = both.map(|(w, changes)| w * changes[factor]).sum();
                if purity < REACHED && expected >= OUT_OF_REACH * self.wanted {
                    // What went wrong is aimed at the other way.
                    let aims = self.aims(factor);
                    let both = aims.iter().zip(&slider.responses);
                    let errors: Vec<f64> = both.map(|(aim, r)| aim - r.change).collect();
                    let both = slider.weights.iter().zip(aim.at(&errors)?);
                    tries.push((factor, both.map(|(weight, more)| weight + more).collect()));
                }
                let worth = slider.worth(self.wanted);
                let best = &mut best[factor];
                if best.as_ref().is_none_or(|b| worth > b.worth(self.wanted)) {
                    *best = Some(slider);
                }
            }
        }
        Ok(best.into_iter().flatten().collect())
    }

    /// Nothing but one factor changes.
    fn aims(&self, factor: usize) -> [f64; FACTORS.len()] {
        let mut aims = [0.0; FACTORS.len()];
        aims[factor] = self.wanted;
        aims
    }

    /// What a displacement of [`PROBE`] to both sides along each direction
    /// changes in every factor.
    fn probe(
        &self,
        here: &Validity,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Vec<f64>>, StudyError> {
        let read = self.read(displaced(self.start, self.directions, &sides(1)), progress)?;
        let changes = |ends: &[Validity]| {
            let (responses, _) = self.judge(ends, here);
            responses.iter().map(|r| r.change).collect()
        };
        Ok(read.chunks_exact(2).map(changes).collect())
    }

    /// Walks along combinations, each for one factor.
    fn walk(
        &self,
        tries: Vec<(usize, Vec<f64>)>,
        here: &Validity,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Slider>, StudyError> {
        let weights: Vec<f64> = tries.iter().flat_map(|(_, w)| w.iter().copied()).collect();
        let ends = self.directions.combined(&weights)?;
        let read = self.read(displaced(self.start, &ends, &sides(self.frames)), progress)?;
        let walks = tries.into_iter().zip(read.chunks_exact(2 * self.frames));
        let sliders = walks.map(|((factor, weights), frames)| {
            let (responses, sound) = self.judge(frames, here);
            Slider {
                factor,
                weights,
                responses,
                sound,
            }
        });
        Ok(sliders.collect())
    }

    /// What every factor did along a walk whose pictures were read, all but the
    /// one in the middle, and the share of the sound ones.
    fn judge(&self, frames: &[Validity], here: &Validity) -> (Vec<FactorResponse>, f64) {
        let (before, after) = frames.split_at(frames.len() / 2);
        let all = [before, std::slice::from_ref(here), after].concat();
        self.reader.along(&positions(before.len()), &all)
    }

    /// Samples states to the end and reads their pictures.
    fn read(
        &self,
        states: Vec<f32>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Validity>, StudyError> {
        let mut denoiser = self.start.network.denoiser()?;
        let drawn = self
            .start
            .finish(&mut denoiser, states, &mut Within(progress))?;
        self.reader.validity(&drawn)
    }
}

/// Where the frames of a walk lie, but for the sample in the middle.
fn sides(frames: usize) -> Vec<f64> {
    let mut sides = positions(frames);
    sides.retain(|position| *position != 0.0);
    sides
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Scales a vector to a length that it exceeds.
fn shorten(vector: &mut [f64], longest: f64) {
    let length = length(vector);
    if length > longest {
        vector.iter_mut().for_each(|v| *v *= longest / length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiffusionModel;
    use alice_calculus::Tensor;

    #[test]
    fn few_steps_pass_through_the_timestep_and_suffice() {
        let model = DiffusionModel::bundled().unwrap();
        let network = model.at((32, 32)).unwrap();
        let state = Tensor::new(&[1, 32, 32, 3], vec![0.0; 32 * 32 * 3]).unwrap();
        // Steps of the sampler, the timestep, steps of the coarser one.
        for (steps, timestep, expected) in [(50, 599, 10), (50, 619, 50), (100, 299, 20)] {
            let sampler = Ddim::new(&model.schedule, steps, Eta::Constant(0.0)).unwrap();
            let start = Start {
                model: &model,
                network: &network,
                sampler: &sampler,
                index: sampler.index_at(timestep as f64),
                timestep,
                state: &state,
                seed: 0,
            };
            let coarse = coarser(start).unwrap();
            assert_eq!(coarse.timesteps().len(), expected, "{steps} {timestep}");
            assert!(coarse.timesteps().contains(&timestep));
        }
    }

    #[test]
    fn a_displacement_has_its_length() {
        let model = DiffusionModel::bundled().unwrap();
        let network = model.at((32, 32)).unwrap();
        let dim = 32 * 32 * 3;
        let state = Tensor::new(&[1, 32, 32, 3], vec![0.5; dim]).unwrap();
        let sampler = Ddim::new(&model.schedule, 10, Eta::Constant(0.0)).unwrap();
        let start = Start {
            model: &model,
            network: &network,
            sampler: &sampler,
            index: 4,
            timestep: 599,
            state: &state,
            seed: 0,
        };
        let mut end = vec![0.0; dim];
        end[7] = 2.0;
        let end = Block::from_vec(1, dim, end).unwrap();
        let states = displaced(start, &end, &sides(2));
        assert_eq!(states.len(), 4 * dim);
        for (state, position) in states.chunks_exact(dim).zip([-1.0, -0.5, 0.5, 1.0]) {
            let square: f64 = state.iter().map(|x| f64::from(x - 0.5).powi(2)).sum();
            let length = (square / dim as f64).sqrt();
            assert!((length - 2.0 * PROBE * f64::abs(position)).abs() < 1e-6);
            assert_eq!(state[7] > 0.5, position > 0.0);
        }
    }
}
