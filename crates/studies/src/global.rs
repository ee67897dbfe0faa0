//! `global`: the directions that many samples share.
//!
//! The left singular vectors at each sample span a subspace of H. Their
//! Fréchet mean on the Grassmannian is the subspace that all are closest to;
//! the mean of matched vectors keeps single directions (Park et al.,
//! arXiv 2302.12469 and 2307.12868); how far samples agree on each is measured
//! against the mean of the other samples. `transport --basis` carries either to any
//! sample.

use crate::directions::{file_for, insert_rows};
use crate::drawing::check_bound;
use crate::points::{check_share, index_at, noisy_samples, precision_of, spectrum_at};
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_geometry::grassmann::{distance, frechet_mean, matched_mean};
use alice_geometry::{Block, Matrix, Span, Spectrum, dense_spectrum};
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// What `global` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GlobalArguments {
    /// Samples whose directions are averaged
    #[arg(long, default_value_t = 12)]
    pub samples: usize,
    /// Directions at each sample
    #[arg(long, default_value_t = 20)]
    pub rank: usize,
    /// Where, as a share of the noise schedule
    #[arg(long, value_name = "SHARE", default_value_t = 0.6)]
    pub at: f64,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
}

/// `report.json` of `global`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GlobalReport {
    /// The model.
    pub model: ModelReference,
    /// The training timestep.
    pub timestep: usize,
    /// Mean Grassmann distance of two samples' subspaces of X, in radians.
    pub distance_x: f64,
    /// The same in H.
    pub distance_h: f64,
    /// The largest distance that two subspaces of this rank can have in X.
    pub largest_x: f64,
    /// The same in H.
    pub largest_h: f64,
    /// Mean distance of the samples' subspaces of H from their Fréchet mean.
    pub from_mean: f64,
    /// Whether the mean converged.
    pub converged: bool,
    /// Steps towards the mean that were tried.
    pub mean_steps: usize,
    /// Length of the step that would come next, in radians.
    pub last_step: f64,
    /// Of each matched direction the mean |cosine| of a sample's and the mean
    /// of the *other* samples': next to nothing for random directions.
    pub agreement: Vec<f64>,
    /// Root mean square singular value along each direction of the mean.
    pub singular_values: Vec<f64>,
    /// Seconds in all.
    pub seconds: f64,
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &GlobalArguments) -> Result<(), StudyError> {
    if arguments.samples < 2 {
        return Err(StudyError::argument("--samples", "must be at least 2"));
    }
    check_bound("--samples", arguments.samples)?;
    check_share(arguments.at, "--at")
}

/// Finds the directions and writes `global.safetensors`; the caller writes
/// `report.json`.
///
/// # Errors
/// When an argument does not fit the model, the network fails or the user asks
/// to stop.
pub fn run(
    arguments: &GlobalArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<GlobalReport, StudyError> {
    let clock = Instant::now();
    let network = model.at(model.size()?)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let train_steps = model.schedule.num_train_timesteps;
    let index = index_at(&sampler, arguments.at, train_steps, "--at")?;
    let timestep = sampler.timesteps()[index];
    let count = arguments.samples;
    progress.begin("drawing samples", (count * index) as u64);
    let samples = noisy_samples(&network, &sampler, seed, count, index, progress)?;
    progress.begin("finding directions", count as u64);
    let mut spectra = Vec::with_capacity(count);
    for sample in &samples {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        spectra.push(spectrum_at(
            &network,
            sample,
            timestep,
            arguments.rank,
            seed,
        )?);
        progress.advance(1);
    }
    progress.begin("averaging", 1);
    let spans = |side: fn(&Spectrum) -> &Block| -> Result<Vec<Span>, StudyError> {
        let spans = spectra.iter().map(|s| Ok(Span::of(side(s))?));
        spans.collect()
    };
    let (in_x, in_h) = (spans(|s| &s.right)?, spans(|s| &s.left)?);
    let mean = frechet_mean(&in_h)?;
    let lefts: Vec<Block> = spectra.iter().map(|s| s.left.clone()).collect();
    let matched = matched_mean(&lefts)?;
    let (directions, singular_values) = order(&mean.span.orthonormal(), &spectra)?;
    let mut file = file_for(&model.reference, timestep, precision_of(&spectra));
    for (name, block) in [("left", &directions), ("matched", &matched.directions)] {
        insert_rows(&mut file, name, block)?;
    }
    let values: Vec<f32> = singular_values.iter().map(|v| *v as f32).collect();
    file.insert("singular_values", &[values.len()], values)?;
    folder.write_tensors("global.safetensors", &file)?;
    progress.advance(1);
    let from_mean = in_h.iter().map(|span| Ok(distance(span, &mean.span)?));
    let from_mean: Vec<f64> = from_mean.collect::<Result<_, StudyError>>()?;
    Ok(GlobalReport {
        model: model.reference.clone(),
        timestep,
        distance_x: mean_distance(&in_x)?,
        distance_h: mean_distance(&in_h)?,
        largest_x: largest(&spectra[0].right),
        largest_h: largest(&spectra[0].left),
        from_mean: from_mean.iter().sum::<f64>() / count as f64,
        converged: mean.converged,
        mean_steps: mean.iterations,
        last_step: mean.last_step,
        agreement: matched.agreement,
        singular_values,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// The principal directions, within a subspace of H, of the samples' images:
/// the eigenvectors of the mean of U Λ² Uᵀ there, and the root of their values.
fn order(basis: &Block, spectra: &[Spectrum]) -> Result<(Block, Vec<f64>), StudyError> {
    let k = basis.rows();
    // Every σ u of every sample, in the coordinates of the basis.
    let mut images = Vec::new();
    for spectrum in spectra {
        for (i, sigma) in spectrum.singular_values.iter().enumerate() {
            let u = spectrum.left.row(i);
            images.extend((0..k).map(|j| {
                let both = basis.row(j).iter().zip(u);
                let product: f64 = both.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                (sigma * product / (spectra.len() as f64).sqrt()) as f32
            }));
        }
    }
    let rows = images.len() / k;
    let map = Matrix::from_vec(rows, k, images)?;
    let found = dense_spectrum(&map, k)?;
    let turn: Vec<f64> = found.right.as_slice().iter().map(|&v| v.into()).collect();
    Ok((basis.combined(&turn)?, found.singular_values))
}

/// The largest distance of two subspaces as large as the span of a basis: where
/// both do not fit beside each other, they share directions.
fn largest(basis: &Block) -> f64 {
    let rank = basis.rows();
    let apart = rank.min(basis.dimension() - rank);
    (apart as f64).sqrt() * std::f64::consts::FRAC_PI_2
}

/// The mean Grassmann distance of all pairs.
fn mean_distance(spans: &[Span]) -> Result<f64, StudyError> {
    let (mut sum, mut pairs) = (0.0, 0);
    for i in 0..spans.len() {
        for j in 0..i {
            sum += distance(&spans[i], &spans[j])?;
            pairs += 1;
        }
    }
    Ok(sum / f64::from(pairs.max(1)))
}

impl fmt::Display for GlobalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "tangent spaces of two samples are {:.2} apart in X (at most {:.2}) and {:.2} in H (at \
             most {:.2})",
            self.distance_x, self.largest_x, self.distance_h, self.largest_h
        )?;
        write!(f, "their mean in H is {:.2} from each", self.from_mean)?;
        if !self.converged {
            write!(
                f,
                " (not converged: after {} steps the next would go {:.1e} further; where samples \
                 are far apart it is slow)",
                self.mean_steps, self.last_step
            )?;
        }
        let best = self.agreement.iter().take(5);
        let best: Vec<String> = best.map(|a| format!("{a:.2}")).collect();
        write!(
            f,
            "\nmatched directions agree with the mean of the other samples' by |cos| {} …\n\
             global.safetensors, {:.1} s",
            best.join(", "),
            self.seconds
        )
    }
}
