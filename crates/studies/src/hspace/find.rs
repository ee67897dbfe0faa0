//! The two ways to find directions of H.

use crate::bottleneck::Bottleneck;
use crate::directions::Precision;
use crate::discover::basis::decompose_fully;
use crate::injection::Injection;
use crate::sampling::run_steps;
use crate::walk::Start;
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::Draws;
use alice_geometry::{Block, Components, GolubKahan, Stacked, dot, norm};

/// Directions of H.
pub(super) struct Found {
    /// What is added to h at which step.
    pub(super) injection: Injection,
    /// A standard deviation or a singular value for each direction, where
    /// walks begin.
    pub(super) values: Vec<f64>,
    /// Share of the variance of h along them.
    pub(super) explained: Option<f64>,
    /// Mean cosine between steps that follow each other; empty where there is
    /// one step, or directions are the same at all.
    pub(super) steadiness: Vec<f64>,
    /// Nothing for principal components, which no iteration finds.
    pub(super) precision: Option<Precision>,
}

/// The principal components of h at every step from the start on, of the
/// samples `noisy` `[N, dim]` on their way. Direction j is the jth component
/// at each step (Haas et al., section IV-A), as long as its deviation, relative
/// to where walks begin. A component has no sign of its own: each points as the
/// one before it does.
///
/// # Errors
/// When the samples have fewer components than `rank`, the network fails or the
/// user asks to stop.
pub(super) fn principal(
    start: Start<'_>,
    draws: Draws,
    mut noisy: Vec<f32>,
    rank: usize,
    progress: &mut dyn Progress,
) -> Result<Found, StudyError> {
    let mut denoiser = start.network.denoiser()?;
    let dim = denoiser.dim();
    let count = noisy.len() / dim;
    let steps = start.steps();
    progress.begin("finding directions", (count * (steps.len() - 1)) as u64);
    let (mut timesteps, mut sets) = (Vec::new(), Vec::<Block>::new());
    let (mut values, mut explained) = (Vec::new(), None);
    let mut steadiness = vec![0.0; if steps.len() > 1 { rank } else { 0 }];
    for step in steps.clone() {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let timestep = start.sampler.timesteps()[step] as f64;
        let states = Block::from_vec(count, dim, noisy)?;
        let h = Bottleneck::new(start.network, timestep)?.of_states(&states)?;
        let components = Components::of(&h, rank)?;
        let mut axes = components.axes().clone();
        let deviations = components.deviations();
        if deviations.len() < rank {
            let why = format!(
                "{rank}; at timestep {timestep} the bottlenecks of {count} samples vary in {} \
                 directions only",
                deviations.len()
            );
            return Err(StudyError::argument("--rank", why));
        }
        if let Some(before) = sets.last() {
            for row in 0..rank {
                let cosine = dot(before.row(row), axes.row(row)) / norm(before.row(row));
                if cosine < 0.0 {
                    axes.row_mut(row).iter_mut().for_each(|v| *v = -*v);
                }
                steadiness[row] += cosine.abs() / (steps.len() - 1) as f64;
                let relative = (deviations[row] / values[row]) as f32;
                axes.row_mut(row).iter_mut().for_each(|v| *v *= relative);
            }
        } else {
            point_upwards(&mut axes);
            values = deviations.to_vec();
            let along = values.iter().map(|d| d * d).sum::<f64>();
            explained = Some(along / variance(&h));
        }
        timesteps.push(timestep);
        sets.push(axes);
        noisy = states.into_vec();
        if step + 1 < steps.end {
            let one = step..step + 1;
            noisy = run_steps(
                &mut denoiser,
                start.sampler,
                draws,
                noisy,
                count,
                one,
                progress,
            )?;
        }
    }
    Ok(Found {
        injection: Injection::per_step(timesteps, sets)?,
        values,
        explained,
        steadiness,
        precision: None,
    })
}

/// The leading right singular vectors of ∂ε/∂h where walks begin, the skip
/// connections held (Haas et al., section IV-B, there by power iteration): of
/// one sample, or of several together, whose JᵀJ are averaged.
///
/// # Errors
/// When the rank is above a dimension, they do not converge, the network fails
/// or the user asks to stop.
pub(super) fn leading(
    start: Start<'_>,
    noisy: &[f32],
    rank: usize,
    progress: &mut dyn Progress,
) -> Result<Found, StudyError> {
    let bottleneck = Bottleneck::new(start.network, start.timestep as f64)?;
    let samples = noisy.chunks_exact(start.state.item_len());
    progress.begin("finding directions", samples.len() as u64 + 1);
    let mut maps = Vec::with_capacity(samples.len());
    for sample in samples {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let sample = Tensor::new(start.state.dims(), sample.to_vec())?;
        maps.push(bottleneck.output_jacobian(&sample)?);
        progress.advance(1);
    }
    let method = GolubKahan {
        seed: start.seed,
        ..GolubKahan::new(rank)
    };
    let spectrum = decompose_fully(&method, &Stacked::new(maps)?)?;
    let precision = Precision::of(&spectrum, method.tolerance);
    progress.advance(1);
    // The noise is linear in what the network gives.
    let alpha_bar = start.model.schedule.schedule()?.alpha_bar(start.timestep)?;
    let kind = start.model.schedule.prediction_type;
    let factor = kind.epsilon(alpha_bar, 0.0, 1.0).abs();
    Ok(Found {
        injection: Injection::constant(spectrum.right),
        values: spectrum
            .singular_values
            .iter()
            .map(|s| factor * s)
            .collect(),
        explained: None,
        steadiness: Vec::new(),
        precision: Some(precision),
    })
}

/// Turns rows so that their largest component in absolute value is positive,
/// as those of a spectrum are.
fn point_upwards(rows: &mut Block) {
    for row in 0..rows.rows() {
        let largest = |a: f32, &b: &f32| if b.abs() > a.abs() { b } else { a };
        if rows.row(row).iter().fold(0.0, largest) < 0.0 {
            rows.row_mut(row).iter_mut().for_each(|v| *v = -*v);
        }
    }
}

/// The variance of the rows, summed over their components.
fn variance(rows: &Block) -> f64 {
    let n = rows.rows() as f64;
    let component = |j: usize| -> f64 {
        let values = || (0..rows.rows()).map(move |i| f64::from(rows.row(i)[j]));
        let mean = values().sum::<f64>() / n;
        values().map(|v| (v - mean).powi(2)).sum::<f64>() / n
    };
    let sum: f64 = (0..rows.dimension()).map(component).sum();
    sum.max(f64::MIN_POSITIVE)
}
