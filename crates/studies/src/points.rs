//! Noisy samples at one timestep, and the bases there.

use crate::bottleneck::Bottleneck;
use crate::directions::Precision;
use crate::discover::basis::{check_finite, decompose_fully};
use crate::sampling::run_steps;
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Draws, Network, Sampler, initial_noise};
use alice_geometry::{GolubKahan, Spectrum};
use std::collections::BTreeSet;

/// Samples `0..count` on their way from noise to picture, before step `index`,
/// each `[1, H, W, C]`.
///
/// # Errors
/// When the network fails or the user asks to stop.
pub fn noisy_samples(
    network: &Network,
    sampler: &Ddim,
    seed: u64,
    count: usize,
    index: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Tensor<f32>>, StudyError> {
    let mut denoiser = network.denoiser()?;
    let draws = Draws {
        seed,
        first_item: 0,
    };
    let noise = initial_noise(draws, count, denoiser.dim());
    let steps = 0..index;
    let states = run_steps(&mut denoiser, sampler, draws, noise, count, steps, progress)?;
    let graph = network.graph();
    let dims = [&[1], graph.dims(graph.find_input("sample")?)].concat();
    let items = states.chunks_exact(states.len() / count.max(1));
    items
        .map(|item| Ok(Tensor::new(&dims, item.to_vec())?))
        .collect()
}

/// Which of the times is nearest to the one that is wanted.
#[must_use]
pub fn nearest(times: impl Iterator<Item = f64>, wanted: f64) -> usize {
    let distances = times.map(|time| (time - wanted).abs()).enumerate();
    let nearest = distances.min_by(|a, b| a.1.total_cmp(&b.1));
    nearest.map_or(0, |(index, _)| index)
}

/// Refuses what is no share of the noise schedule.
///
/// # Errors
/// Names the argument when the share is not above 0, or above 1.
pub fn check_share(at: f64, argument: &str) -> Result<(), StudyError> {
    if at > 0.0 && at <= 1.0 {
        return Ok(());
    }
    let why = format!("{at}; it must lie above 0 and at most at 1");
    Err(StudyError::argument(argument, why))
}

/// Refuses a sample that is named twice.
///
/// # Errors
/// Names the argument and the sample.
pub fn check_distinct(samples: &[usize], argument: &str) -> Result<(), StudyError> {
    match repeated(samples) {
        Some(sample) => {
            let why = format!("{sample} is named twice");
            Err(StudyError::argument(argument, why))
        }
        None => Ok(()),
    }
}

/// The first index that stands there a second time.
pub(crate) fn repeated(indices: &[usize]) -> Option<usize> {
    let twice = |(i, index): &(usize, &usize)| indices[..*i].contains(index);
    let found = indices.iter().enumerate().find(twice);
    found.map(|(_, &index)| index)
}

/// The sampler's step nearest to a share of the noise schedule.
///
/// # Errors
/// Names the argument when the share is not above 0, or above 1.
pub fn index_at(
    sampler: &dyn Sampler,
    at: f64,
    train_steps: usize,
    argument: &str,
) -> Result<usize, StudyError> {
    check_share(at, argument)?;
    let times = sampler.times();
    let index = nearest(times.iter().copied(), at * train_steps as f64);
    // Where an evaluation belongs to the step before, the next one begins a step.
    Ok(sampler.index_at(times[index]))
}

/// The nearest of some times to the one that is wanted, where it is further from
/// it than half of what is between it and the next.
pub(crate) fn far(times: &[f64], wanted: f64) -> Option<f64> {
    let found = *times.get(nearest(times.iter().copied(), wanted))?;
    let others = times.iter().filter(|time| **time != found);
    let spacing = others.map(|time| (time - found).abs()).reduce(f64::min)?;
    ((found - wanted).abs() > 0.5 * spacing).then_some(found)
}

/// The sampler's steps at several shares of the noise schedule.
///
/// # Errors
/// Names the argument when two shares have the same step, or one is no share.
pub fn indices_at(
    sampler: &Ddim,
    shares: &[f64],
    train_steps: usize,
    argument: &str,
) -> Result<Vec<usize>, StudyError> {
    let index = |at: &f64| index_at(sampler, *at, train_steps, argument);
    let found: Vec<usize> = shares.iter().map(index).collect::<Result<_, _>>()?;
    let all: BTreeSet<&usize> = found.iter().collect();
    if all.len() < found.len() {
        let steps = sampler.timesteps().len();
        let why = format!("needs a step of its own for each place; there are {steps} steps");
        return Err(StudyError::argument(argument, why));
    }
    Ok(found)
}

/// The leading triplets of the bottleneck's Jacobian at a sample.
///
/// # Errors
/// When the rank is above a dimension, the network fails, or the basis does
/// not converge.
pub fn spectrum_at(
    network: &Network,
    sample: &Tensor<f32>,
    timestep: usize,
    rank: usize,
    seed: u64,
) -> Result<Spectrum, StudyError> {
    let jacobian = Bottleneck::new(network, timestep as f64)?.jacobian(sample)?;
    check_finite(&jacobian)?;
    let method = GolubKahan {
        seed,
        ..GolubKahan::new(rank)
    };
    decompose_fully(&method, &jacobian)
}

/// How exactly the triplets of several samples are known, see [`spectrum_at`].
pub(crate) fn precision_of<'a>(
    spectra: impl IntoIterator<Item = &'a Spectrum>,
) -> Option<Precision> {
    let known = |s: &Spectrum| {
        let rank = s.singular_values.len();
        Precision::of(s, GolubKahan::new(rank).tolerance)
    };
    spectra.into_iter().map(known).reduce(Precision::and)
}

#[cfg(test)]
mod tests {
    use super::far;

    #[test]
    fn what_lies_beyond_the_steps_is_far() {
        let times = [999.0, 799.0, 599.0, 399.0, 199.0];
        assert_eq!(far(&times, 600.0), None);
        assert_eq!(far(&times, 500.0), None);
        assert_eq!(far(&times, 50.0), Some(199.0));
        assert_eq!(far(&times, 110.0), None);
    }
}
