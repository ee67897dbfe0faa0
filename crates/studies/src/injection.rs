//! Directions of H, added to the bottleneck at every step.
//!
//! Δh enters both terms of the sampler's step, which costs one evaluation a
//! step (Haas et al., arXiv 2303.11073, section III); Kwon et al. (Asyrp,
//! arXiv 2210.10960) shift the predicted picture alone and evaluate twice.

use crate::bottleneck::Bottleneck;
use crate::directions::insert_rows;
use crate::discover::findings::Pictures;
use crate::jacobian::unflatten;
use crate::points::nearest;
use crate::walk::{Start, positions};
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{BoxError, Denoiser, NetworkDenoiser};
use alice_geometry::{Block, GeometryError, norm};
use alice_runs::TensorFile;

/// Directions of H and what they become at the steps of a sampler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Injection {
    /// Training timesteps, descending.
    timesteps: Vec<f64>,
    /// The directions at each, `[k, dim H]` in PyTorch's order: unit vectors at
    /// the first, where they were found.
    sets: Vec<Block>,
}

impl Injection {
    /// The same directions `[k, dim H]` at every step.
    pub(crate) fn constant(directions: Block) -> Self {
        Self {
            timesteps: vec![0.0],
            sets: vec![directions],
        }
    }

    /// Directions of their own for each of some timesteps; other timesteps take
    /// those of the nearest.
    ///
    /// # Errors
    /// When there is no set, or the sets and the timesteps do not match.
    pub(crate) fn per_step(timesteps: Vec<f64>, sets: Vec<Block>) -> Result<Self, GeometryError> {
        let alike = sets.windows(2).all(|pair| {
            (pair[0].rows(), pair[0].dimension()) == (pair[1].rows(), pair[1].dimension())
        });
        if sets.is_empty() || sets.len() != timesteps.len() || !alike {
            return Err(GeometryError::Parameter {
                name: "the number of sets of directions",
                value: sets.len().to_string(),
                requirement: format!("one for each of {} timesteps", timesteps.len()),
            });
        }
        Ok(Self { timesteps, sets })
    }

    /// Reads what [`Self::insert`] wrote: `left` `[k, dim H]` alone, or with
    /// `timesteps` `[S]` and `steps` `[S, k, dim H]`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the others.
    pub(crate) fn read(file: &TensorFile) -> Result<Self, StudyError> {
        let left = file.require_rank("left", 2)?;
        let (rows, dimension) = (left.shape[0], left.shape[1]);
        if file.get("steps").is_none() {
            let directions = Block::from_vec(rows, dimension, left.data.clone())?;
            return Ok(Self::constant(directions));
        }
        let timesteps = &file.require_rank("timesteps", 1)?.data;
        let steps = file.require("steps", &[timesteps.len(), rows, dimension])?;
        let sets = steps.data.chunks_exact((rows * dimension).max(1));
        let sets = sets.map(|set| Block::from_vec(rows, dimension, set.to_vec()));
        let timesteps = timesteps.iter().map(|&t| t.into()).collect();
        Ok(Self::per_step(timesteps, sets.collect::<Result<_, _>>()?)?)
    }

    /// Adds the directions to a file: `left` `[k, dim H]`, those of the first
    /// timestep, and where the others have their own, `timesteps` `[S]` and
    /// `steps` `[S, k, dim H]`.
    ///
    /// # Errors
    /// When the file has a tensor of one of these names.
    pub(crate) fn insert(&self, file: &mut TensorFile) -> Result<(), StudyError> {
        insert_rows(file, "left", self.first())?;
        if self.sets.len() > 1 {
            let timesteps: Vec<f32> = self.timesteps.iter().map(|&t| t as f32).collect();
            file.insert("timesteps", &[timesteps.len()], timesteps)?;
            let shape = [self.sets.len(), self.first().rows(), self.dimension()];
            let values = self.sets.iter().flat_map(|set| set.as_slice().to_vec());
            file.insert("steps", &shape, values.collect())?;
        }
        Ok(())
    }

    /// The directions where they were found, `[k, dim H]`.
    pub(crate) fn first(&self) -> &Block {
        &self.sets[0]
    }

    /// Dimension of H.
    pub(crate) fn dimension(&self) -> usize {
        self.first().dimension()
    }

    /// The leading `count` directions.
    pub(crate) fn leading(&self, count: usize) -> Self {
        let mut few = self.clone();
        few.sets.iter_mut().for_each(|set| set.truncate(count));
        few
    }

    /// As it is with other sets: `change` of each, the first first.
    ///
    /// # Errors
    /// Those of `change`.
    pub(crate) fn map(
        &self,
        change: impl FnMut(&Block) -> Result<Block, StudyError>,
    ) -> Result<Self, StudyError> {
        let sets = self.sets.iter().map(change).collect::<Result<_, _>>()?;
        Ok(Self::per_step(self.timesteps.clone(), sets)?)
    }

    /// The set that belongs to a timestep.
    fn nearest(&self, timestep: f64) -> usize {
        nearest(self.timesteps.iter().copied(), timestep)
    }

    /// Walks along every direction both ways and samples each frame to its end:
    /// k · (2 · frames + 1) pictures, those of one walk together. Where a walk
    /// begins, Δh at its ends has the length `reach` · ‖h‖; at later steps it is
    /// as much longer or shorter as the direction is.
    ///
    /// Cost: an evaluation a frame and step, as without Δh.
    ///
    /// # Errors
    /// When the directions are of another H, the network fails or the user asks
    /// to stop.
    pub(crate) fn draw(
        &self,
        start: Start<'_>,
        reach: f64,
        frames: usize,
        progress: &mut dyn Progress,
    ) -> Result<Pictures, StudyError> {
        let bottleneck = Bottleneck::new(start.network, start.timestep as f64)?;
        let state = start.state.data().to_vec();
        let h = bottleneck.of_states(&Block::from_vec(1, state.len(), state)?)?;
        let end = reach * norm(h.row(0));
        let here = &self.sets[self.nearest(start.timestep as f64)];
        let lengths = (0..here.rows())
            .map(|row| end / norm(here.row(row)).max(f64::MIN_POSITIVE))
            .collect();
        let positions = positions(frames);
        let count = here.rows() * positions.len();
        progress.begin("drawing the walks", (count * start.steps().len()) as u64);
        let mut denoiser = Injected {
            network: start.network.denoiser()?,
            injection: self,
            lengths,
            positions,
            dims: bottleneck.dims(),
            now: None,
        };
        start.finish(&mut denoiser, start.state.data().repeat(count), progress)
    }
}

/// A network whose bottleneck is shifted by what belongs to each timestep.
struct Injected<'a> {
    network: NetworkDenoiser<'a>,
    injection: &'a Injection,
    /// Of each direction, at the ends of its walk.
    lengths: Vec<f64>,
    positions: Vec<f64>,
    dims: &'a [usize],
    /// The set that is added now.
    now: Option<usize>,
}

impl Denoiser for Injected<'_> {
    fn predict(&mut self, x: &[f32], count: usize, timestep: f64) -> Result<Vec<f32>, BoxError> {
        let set = self.injection.nearest(timestep);
        if self.now != Some(set) {
            let directions = &self.injection.sets[set];
            let shift = shifts(directions, &self.lengths, &self.positions, self.dims)?;
            self.network.shift_bottleneck(shift)?;
            self.now = Some(set);
        }
        self.network.predict(x, count, timestep)
    }
}

/// Δh of every frame of walks along directions `[k, dim H]` in PyTorch's order:
/// position · length · direction, `[k · positions, H, W, C]`.
///
/// # Errors
/// When the directions are not of the dimension of `dims`, H · W · C.
pub(crate) fn shifts(
    directions: &Block,
    lengths: &[f64],
    positions: &[f64],
    dims: &[usize],
) -> Result<Tensor<f32>, GeometryError> {
    let directions = unflatten(directions, dims)?;
    let mut values = Vec::with_capacity(directions.data().len() * positions.len());
    let items = directions.data().chunks_exact(directions.item_len());
    for (item, length) in items.zip(lengths) {
        for position in positions {
            let factor = (position * length) as f32;
            values.extend(item.iter().map(|v| factor * v));
        }
    }
    let dims = [&[directions.batch() * positions.len()], dims].concat();
    Tensor::new(&dims, values).map_err(GeometryError::map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Block {
        Block::from_vec(2, 2, values.to_vec()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let steps = vec![rows(&[1.0, 0.0, 0.0, 1.0]), rows(&[0.5, 0.0, 0.0, 2.0])];
        let one = Injection::constant(steps[0].clone());
        let two = Injection::per_step(vec![600.0, 20.0], steps).unwrap();
        for injection in [one, two] {
            let mut file = TensorFile::new();
            injection.insert(&mut file).unwrap();
            let back = Injection::read(&file).unwrap();
            assert_eq!(back, injection);
        }
    }

    #[test]
    fn a_timestep_takes_the_nearest_set() {
        let sets = vec![Block::zeros(1, 2); 3];
        let injection = Injection::per_step(vec![600.0, 400.0, 200.0], sets.clone()).unwrap();
        let nearest = [999.0, 510.0, 490.0, 0.0].map(|t| injection.nearest(t));
        assert_eq!(nearest, [0, 0, 1, 2]);
        assert!(Injection::per_step(vec![600.0], sets).is_err());
        assert!(Injection::per_step(Vec::new(), Vec::new()).is_err());
    }

    #[test]
    fn shifts_grow_with_the_position() {
        // Two channels of two positions, in the network's order.
        let direction = Block::from_vec(1, 4, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let found = shifts(&direction, &[10.0], &[-1.0, 0.5], &[1, 2, 2]).unwrap();
        assert_eq!(found.dims(), [2, 1, 2, 2]);
        let expected = [-10.0, -30.0, -20.0, -40.0, 5.0, 15.0, 10.0, 20.0];
        assert_eq!(found.data(), expected);
        assert!(shifts(&direction, &[10.0], &[1.0], &[1, 3, 2]).is_err());
    }
}
