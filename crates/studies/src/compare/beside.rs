//! Other models beside the one compared: their tangent spaces, and how far
//! they are from its own.

use super::claims::{self, Spaces, Subject};
use super::lab::Lab;
use super::{CompareArguments, kept};
use crate::statistics::Estimate;
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
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
    let inputs = arguments.beside.iter().enumerate();
    inputs
        .map(|(i, input)| {
            kept(folder, &format!("parts/beside-{i}.json"), |_| {
                let model = input.open()?.on(lab.model.device());
                beside(arguments, lab, &model, progress)
            })
        })
        .collect()
}

fn beside(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
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
        seed: lab.seed,
        size,
    };
    let own = lab.subject();
    let spaces = claims::spaces(arguments, &other, progress)?;
    let (count, rank) = (arguments.spaces, arguments.space_rank);
    let name = format!("against {}", model.reference.name);
    progress.begin(&name, (2 * arguments.times.len() * count) as u64);
    let mut apart = Vec::new();
    for &at in &arguments.times {
        let (timestep, states) = own.states(at, count)?;
        let ours = own.tangents(&states, timestep, rank, progress)?;
        let theirs = other.tangents(&states, timestep, rank, progress)?;
        apart.extend(claims::between(&ours.right, &theirs.right, rank)?);
    }
    Ok(Beside {
        model: model.reference.clone(),
        spaces,
        apart,
    })
}
