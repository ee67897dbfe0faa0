//! What every part of the comparison starts from: samples at a timestep, and
//! the pictures that they become.

use super::CompareArguments;
use super::claims::Subject;
use crate::bottleneck::Bottleneck;
use crate::discover::findings::Pictures;
use crate::points::{index_at, noisy_samples};
use crate::sampling::{pictures, run_steps};
use crate::walk::Start;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Draws, Network};
use alice_geometry::Block;
use alice_runs::{RunFolder, TensorFile, disk};

const FILE: &str = "parts/samples.safetensors";

/// Samples of a model, stopped at one timestep.
pub(super) struct Lab<'a> {
    pub(super) model: &'a DiffusionModel,
    pub(super) network: &'a Network,
    pub(super) sampler: &'a Ddim,
    /// The sampler's first step from the timestep on.
    pub(super) index: usize,
    pub(super) timestep: usize,
    pub(super) seed: u64,
    /// x_t of each sample, `[1, H, W, C]`.
    pub(super) states: Vec<Tensor<f32>>,
    /// What each becomes, channels last.
    pub(super) pictures: Pictures,
}

impl<'a> Lab<'a> {
    /// Draws the samples, or reads those of an earlier session.
    pub(super) fn open(
        arguments: &CompareArguments,
        model: &'a DiffusionModel,
        network: &'a Network,
        sampler: &'a Ddim,
        seed: u64,
        folder: &mut RunFolder,
        progress: &mut dyn Progress,
    ) -> Result<Self, StudyError> {
        let train_steps = model.schedule.num_train_timesteps;
        let index = index_at(sampler, arguments.at, train_steps, "--at")?;
        let count = arguments.samples();
        let size = model.size()?;
        let channels = model.channels();
        let dims = [size.0, size.1, channels];
        let all = [&[count], &dims[..]].concat();
        let path = folder.path().join(FILE);
        let (noisy, finals) = if disk::is_file(&path) {
            let file = TensorFile::read(&path)?;
            let read = |name: &str| Ok::<_, StudyError>(file.require(name, &all)?.data.clone());
            (read("noisy")?, read("pictures")?)
        } else {
            let steps = sampler.timesteps().len();
            progress.begin("drawing samples", (count * steps) as u64);
            let states = noisy_samples(network, sampler, seed, count, index, progress)?;
            let noisy: Vec<f32> = states.into_iter().flat_map(Tensor::into_data).collect();
            let draws = Draws {
                seed,
                first_item: 0,
            };
            let mut denoiser = network.denoiser()?;
            let rest = index..steps;
            let from = noisy.clone();
            let finals = run_steps(&mut denoiser, sampler, draws, from, count, rest, progress)?;
            let mut file = TensorFile::new();
            file.insert("noisy", &all, noisy.clone())?;
            file.insert("pictures", &all, finals.clone())?;
            folder.write_tensors(FILE, &file)?;
            (noisy, finals)
        };
        let items = noisy.chunks_exact(dims.iter().product());
        let one = [&[1], &dims[..]].concat();
        let states = items.map(|item| Ok(Tensor::new(&one, item.to_vec())?));
        Ok(Self {
            model,
            network,
            sampler,
            index,
            timestep: sampler.timesteps()[index],
            seed,
            states: states.collect::<Result<_, StudyError>>()?,
            pictures: pictures(size, channels, finals),
        })
    }

    /// The model as one whose tangent spaces are looked at.
    pub(super) fn subject(&self) -> Subject<'a> {
        Subject {
            network: self.network,
            sampler: self.sampler,
            train_steps: self.model.schedule.num_train_timesteps,
            seed: self.seed,
            size: self.pictures.size,
        }
    }

    /// Where walks from a sample begin.
    pub(super) fn start<'s>(&'s self, state: &'s Tensor<f32>) -> Start<'s> {
        Start {
            model: self.model,
            network: self.network,
            sampler: self.sampler,
            index: self.index,
            timestep: self.timestep,
            state,
            seed: self.seed,
        }
    }

    /// The bottleneck at the timestep.
    pub(super) fn bottleneck(&self) -> Result<Bottleneck<'a>, StudyError> {
        Ok(Bottleneck::new(self.network, self.timestep as f64)?)
    }

    /// h of every sample, `[N, h]`, in PyTorch's order.
    pub(super) fn bottlenecks(&self) -> Result<Block, StudyError> {
        let dimension = self.states.first().map_or(0, Tensor::item_len);
        let values = self.states.iter().flat_map(|s| s.data().iter().copied());
        let states = Block::from_vec(self.states.len(), dimension, values.collect())?;
        Ok(self.bottleneck()?.of_states(&states)?)
    }

    /// Finishes noisy states `[k, dim]`, Δh added to their bottlenecks if given.
    pub(super) fn finish(
        &self,
        states: Vec<f32>,
        shifts: Option<Tensor<f32>>,
    ) -> Result<Pictures, StudyError> {
        let mut denoiser = self.network.denoiser()?;
        let count = states.len() / denoiser.dim();
        if count == 0 {
            return Ok(pictures(self.pictures.size, self.pictures.channels, states));
        }
        if let Some(shifts) = shifts {
            denoiser.shift_bottleneck(shifts)?;
        }
        let rest = self.index..self.sampler.timesteps().len();
        let drawn = run_steps(
            &mut denoiser,
            self.sampler,
            Draws::default(),
            states,
            count,
            rest,
            &mut crate::Silent,
        )?;
        Ok(pictures(self.pictures.size, self.pictures.channels, drawn))
    }
}
