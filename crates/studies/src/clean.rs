//! The predicted clean sample x̂₀ as a function of the noisy one.

use crate::{DiffusionModel, Jacobian, StudyError};
use alice_calculus::{Model, Tensor};
use alice_geometry::{Block, LinearMap, Shifted, rotate, varimax};

/// ∂x̂₀/∂x at a sample and timestep.
///
/// # Errors
/// When the network has no `prediction` or the timestep is not the schedule's.
pub fn clean_jacobian<'a>(
    model: &DiffusionModel,
    network: &'a Model<f32>,
    state: &Tensor<f32>,
    timestep: usize,
) -> Result<Shifted<Jacobian<'a>>, StudyError> {
    let graph = network.graph();
    let (from, to) = (
        graph.find_input("sample")?,
        graph.find_output("prediction")?,
    );
    let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
    let inputs = [("sample", state), ("timestep", &time)];
    let jacobian = Jacobian::new(network, &inputs, from, to)?;
    // x̂₀ is linear in (x, output): its coefficients are its values at unit vectors.
    let alpha_bar = model.schedule.schedule()?.alpha_bar(timestep)?;
    let kind = model.schedule.prediction_type;
    let identity = kind.original(alpha_bar, 1.0, 0.0);
    let factor = kind.original(alpha_bar, 0.0, 1.0);
    Ok(Shifted::new(jacobian, identity, factor)?)
}

/// Directions `[k, C·H·W]`, rotated within their span until each changes as
/// few pixels of the predicted clean sample as possible.
///
/// # Errors
/// As [`clean_jacobian`].
pub fn localize(
    model: &DiffusionModel,
    network: &Model<f32>,
    state: &Tensor<f32>,
    timestep: usize,
    directions: &Block,
) -> Result<Block, StudyError> {
    let jacobian = clean_jacobian(model, network, state, timestep)?;
    let rotation = varimax(&jacobian.pushforward(directions)?)?;
    Ok(rotate(&rotation, directions)?)
}
