//! Other models beside the one compared: their tangent spaces, and how far
//! they are from its own.

use super::CompareArguments;
use super::claims::{self, Spaces, Subject};
use super::lab::Lab;
use crate::parts::kept;
use crate::statistics::Estimate;
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Eta};
use alice_geometry::Span;
use alice_runs::{ModelReference, RunFolder};
use serde::{Deserialize, Serialize};

/// More would not be told apart in a plot.
const MOST: usize = 3;

/// Another model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The model.
    pub model: ModelReference,
    /// Its tangent spaces at its own samples.
    pub spaces: Spaces,
    /// For each timestep, the mean Grassmann distance in X of its tangent
    /// space from that of the compared model, both at the latter's samples, as
    /// a share of the largest.
    pub apart: Vec<Estimate>,
}

/// Refuses models whose noisy pictures are not those of the compared one.
pub(super) fn check(
    arguments: &CompareArguments,
    model: &DiffusionModel,
) -> Result<(), StudyError> {
    if arguments.beside.len() > MOST {
        let why = format!("names more than {MOST} models");
        return Err(StudyError::argument("--beside", why));
    }
    for input in &arguments.beside {
        let other = input.open()?;
        let name = &other.reference.name;
        let refuse = |why: String| Err(StudyError::argument("--beside", format!("{name} {why}")));
        if other.is_latent() {
            return refuse("is no model of pixels".to_owned());
        }
        let shape = |model: &DiffusionModel| Ok::<_, StudyError>((model.size()?, model.channels()));
        if shape(&other)? != shape(model)? {
            let ((height, width), channels) = shape(&other)?;
            return refuse(format!(
                "draws {height}×{width} pictures of {channels} channels, unlike {}",
                model.reference.name
            ));
        }
        let size = other.size()?;
        let hidden: usize = other.hidden_dims(size)?.iter().product();
        if arguments.space_rank > hidden {
            return refuse(format!(
                "has a bottleneck of {hidden} dimensions, and --space-rank asks for {}",
                arguments.space_rank
            ));
        }
        let noise = |model: &DiffusionModel| model.schedule.schedule();
        if noise(&other)?.alphas_cumprod() != noise(model)?.alphas_cumprod() {
            return refuse(format!(
                "has another noise schedule than {}: their noisy pictures are not alike",
                model.reference.name
            ));
        }
    }
    Ok(())
}

/// Every other model; what an earlier session finished is kept.
pub(super) fn run(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Vec<Beside>, StudyError> {
    // Of the compared model, found when the first other one needs them.
    let mut points = Vec::new();
    let mut all = Vec::new();
    for (i, input) in arguments.beside.iter().enumerate() {
        all.push(kept(folder, &format!("parts/beside-{i}.json"), |_| {
            let model = input.open()?.on(lab.model.device());
            if points.is_empty() {
                points = own_points(arguments, lab, progress)?;
            }
            beside(arguments, &points, lab.seed, &model, progress)
        })?);
    }
    Ok(all)
}

/// Samples of the compared model at one timestep.
struct Point {
    timestep: usize,
    states: Vec<Tensor<f32>>,
    /// Its tangent spaces in X there.
    spans: Vec<Span>,
}

fn own_points(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<Point>, StudyError> {
    let (own, count) = (lab.subject(), arguments.spaces);
    let work = arguments.times.len() * count;
    progress.begin("tangent spaces to compare with", work as u64);
    let point = |at: &f64| {
        let (timestep, states) = own.states(*at, count)?;
        let found = own.tangents(&states, timestep, arguments.space_rank, progress)?;
        Ok(Point {
            timestep,
            states,
            spans: found.right,
        })
    };
    arguments.times.iter().map(point).collect()
}

fn beside(
    arguments: &CompareArguments,
    points: &[Point],
    seed: u64,
    model: &DiffusionModel,
    progress: &mut dyn Progress,
) -> Result<Beside, StudyError> {
    let size = model.size()?;
    let network = model.at(size)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let other = Subject {
        network: &network,
        sampler: &sampler,
        train_steps: model.schedule.num_train_timesteps,
        seed,
        size,
    };
    let spaces = claims::spaces(arguments, &other, progress)?;
    let rank = arguments.space_rank;
    let name = format!("against {}", model.reference.name);
    progress.begin(&name, (points.len() * arguments.spaces) as u64);
    let mut apart = Vec::new();
    for point in points {
        let theirs = other.tangents(&point.states, point.timestep, rank, progress)?;
        apart.extend(claims::between(&point.spans, &theirs.right, rank)?);
    }
    Ok(Beside {
        model: model.reference.clone(),
        spaces,
        apart,
    })
}
