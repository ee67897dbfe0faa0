//! Moving samples away from a concept, just far enough.

use super::watch::{Watched, images};
use crate::bottleneck::Bottleneck;
use crate::discover::basis::decompose_fully;
use crate::jacobian::{flatten, to_network_layout};
use crate::sampling::run_steps;
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Draws, Network, NetworkDenoiser};
use alice_geometry::geodesic::SmoothMap;
use alice_geometry::{Block, Concept, GolubKahan, LinearMap, TangentBasis, transport};

/// A sample is treated when its score is above this share of the concept's strength.
pub(super) const TOO_MUCH: f64 = 0.5;
/// A score within this many deviations of the mean of healthy samples is healthy.
const HEALTHY: f64 = 0.5;
/// Moves of one sample at one place.
const MOVES: usize = 6;
/// Lengths that a move tries, each half of the one before.
const HALVINGS: usize = 6;
/// Longest single move, root mean square per value.
const LONGEST: f64 = 0.15;

/// What healing needs.
pub(super) struct Healer<'a> {
    pub(super) network: &'a Network,
    pub(super) sampler: &'a Ddim,
    pub(super) stops: &'a [usize],
    /// The concept at each stop.
    pub(super) concepts: &'a [Concept],
    /// The stop where it stands apart most: where samples are diagnosed.
    pub(super) place: usize,
    pub(super) rank: usize,
    pub(super) seed: u64,
}

/// What healing did.
pub(super) struct Healed {
    /// The samples that were moved, ascending.
    pub(super) treated: Vec<usize>,
    /// Their finished samples, one after the other.
    pub(super) finals: Vec<f32>,
    /// Treatments, one of each sample at each stop, that ended with a healthy
    /// score.
    pub(super) reached: usize,
    /// Mean length of all moves of a treated sample, root mean square per value.
    pub(super) length: f64,
    /// Their bottlenecks where the concept stands apart most, `[treated, h]`.
    pub(super) at_place: Block,
}

/// A sample under treatment.
struct Patient {
    sample: usize,
    state: Vec<f32>,
    length: f64,
}

impl Healer<'_> {
    /// Diagnoses the samples where the concept shows best, takes those that
    /// show it back to the first stop, and brings them back to health at every
    /// stop from there on.
    pub(super) fn heal(
        &self,
        watched: &Watched,
        progress: &mut dyn Progress,
    ) -> Result<Healed, StudyError> {
        let mut denoiser = self.network.denoiser()?;
        let diagnosis = &self.concepts[self.place];
        let shows = |sample: &usize| {
            let score = diagnosis.score(watched.bottlenecks[self.place].row(*sample));
            score > TOO_MUCH * diagnosis.strength
        };
        let states = &watched.states[0];
        let mut patients: Vec<Patient> = (0..states.rows())
            .filter(shows)
            .map(|sample| Patient {
                sample,
                state: states.row(sample).to_vec(),
                length: 0.0,
            })
            .collect();
        let mut at_place = Block::zeros(0, watched.bottlenecks[self.place].dimension());
        let mut reached = 0;
        let mut step = self.stops.first().copied().unwrap_or(0);
        progress.begin("healing", (self.stops.len() * patients.len()) as u64);
        for (place, (concept, &stop)) in self.concepts.iter().zip(self.stops).enumerate() {
            self.advance(&mut denoiser, &mut patients, step..stop)?;
            step = stop;
            for patient in &mut patients {
                if progress.is_cancelled() {
                    return Err(StudyError::Cancelled);
                }
                reached += usize::from(self.treat(patient, concept, stop)?);
                progress.advance(1);
            }
            if place == self.place && !patients.is_empty() {
                let states: Vec<f32> = patients.iter().flat_map(|p| p.state.clone()).collect();
                let states =
                    Block::from_vec(patients.len(), states.len() / patients.len(), states)?;
                at_place = images(self.network, self.sampler.timesteps()[stop], &states)?;
            }
        }
        let end = self.sampler.timesteps().len();
        self.advance(&mut denoiser, &mut patients, step..end)?;
        let total: f64 = patients.iter().map(|p| p.length).sum();
        Ok(Healed {
            treated: patients.iter().map(|p| p.sample).collect(),
            length: total / patients.len().max(1) as f64,
            finals: patients.into_iter().flat_map(|p| p.state).collect(),
            reached,
            at_place,
        })
    }

    fn advance(
        &self,
        denoiser: &mut NetworkDenoiser<'_>,
        patients: &mut [Patient],
        steps: std::ops::Range<usize>,
    ) -> Result<(), StudyError> {
        if patients.is_empty() {
            return Ok(());
        }
        let states: Vec<f32> = patients.iter().flat_map(|p| p.state.clone()).collect();
        let (draws, count) = (Draws::default(), patients.len());
        let silent = &mut crate::Silent;
        let moved = run_steps(denoiser, self.sampler, draws, states, count, steps, silent)?;
        let states = moved.chunks_exact(denoiser.dim());
        for (patient, state) in patients.iter_mut().zip(states) {
            patient.state = state.to_vec();
        }
        Ok(())
    }

    /// Moves a patient until its score is healthy; returns whether it is.
    fn treat(
        &self,
        patient: &mut Patient,
        concept: &Concept,
        stop: usize,
    ) -> Result<bool, StudyError> {
        let timestep = self.sampler.timesteps()[stop];
        let dim = patient.state.len();
        let mut score = self.score(concept, timestep, &patient.state)?;
        for _ in 0..MOVES {
            if score <= HEALTHY {
                return Ok(true);
            }
            let (direction, rate) = self.direction(&patient.state, concept, timestep)?;
            if rate.abs() < 1e-9 {
                return Ok(false);
            }
            let longest = LONGEST * (dim as f64).sqrt();
            let mut length = (-score / rate).clamp(-longest, longest);
            // The score is not linear: never past the healthy mean, never up.
            let mut moved_on = false;
            for _ in 0..HALVINGS {
                let both = patient.state.iter().zip(&direction);
                let moved: Vec<f32> = both.map(|(x, v)| x + length as f32 * v).collect();
                let next = self.score(concept, timestep, &moved)?;
                if next > -HEALTHY && next < score {
                    patient.state = moved;
                    patient.length += length.abs() / (dim as f64).sqrt();
                    score = next;
                    moved_on = true;
                    break;
                }
                length *= 0.5;
            }
            // From the same place the next move would be the same.
            if !moved_on {
                return Ok(false);
            }
        }
        Ok(score <= HEALTHY)
    }

    fn score(&self, concept: &Concept, timestep: usize, state: &[f32]) -> Result<f64, StudyError> {
        let state = Block::from_vec(1, state.len(), state.to_vec())?;
        let image = images(self.network, timestep, &state)?;
        Ok(concept.score(image.row(0)))
    }

    /// The direction of X whose image is closest to the concept's in H, a unit
    /// vector in the network's layout, and how fast the score rises along it.
    fn direction(
        &self,
        state: &[f32],
        concept: &Concept,
        timestep: usize,
    ) -> Result<(Vec<f32>, f64), StudyError> {
        let graph = self.network.graph();
        let dims = [&[1], graph.dims(graph.find_input("sample")?)].concat();
        let sample = Tensor::new(&dims, state.to_vec())?;
        let map = Bottleneck::new(self.network, timestep as f64)?;
        let jacobian = map.linearize(&flatten(&sample))?;
        let method = GolubKahan {
            tolerance: 1e-2,
            seed: self.seed,
            ..GolubKahan::new(self.rank)
        };
        let basis = TangentBasis::from(decompose_fully(&method, &jacobian)?);
        let direction = transport(&concept.difference, &basis)?;
        let direction = Block::from_vec(1, direction.len(), direction)?;
        let image = jacobian.pushforward(&direction)?;
        let rate: f64 = std::iter::zip(image.row(0), &concept.weights)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        let channels = sample.channels();
        let pixels = sample.item_len() / channels;
        let direction = to_network_layout(&direction, 1, channels, pixels)?;
        Ok((direction.row(0).to_vec(), rate))
    }
}
