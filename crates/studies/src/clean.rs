//! The predicted clean sample x̂₀ as a function of the noisy one.

use crate::discover::basis::decompose_fully;
use crate::{DiffusionModel, Jacobian, StudyError};
use alice_calculus::{Interpreter, Tensor};
use alice_diffusion::PredictionType;
use alice_geometry::{Block, GolubKahan, LinearMap, Selected, Shifted, varimax};

/// Directions of the rest of the picture that a local edit must not move in,
/// as LOCO Edit takes them.
const REST: usize = 5;

/// ∂x̂₀/∂x at a sample and timestep.
///
/// # Errors
/// When the network has no `prediction` or the timestep is not the schedule's.
pub fn clean_jacobian<'a>(
    model: &DiffusionModel,
    network: &'a dyn Interpreter,
    state: &Tensor<f32>,
    timestep: usize,
) -> Result<Shifted<Jacobian<'a>>, StudyError> {
    of_prediction(model, network, state, timestep, PredictionType::original)
}

/// ∂ε/∂x at a sample and timestep.
///
/// # Errors
/// As [`clean_jacobian`].
pub fn noise_jacobian<'a>(
    model: &DiffusionModel,
    network: &'a dyn Interpreter,
    state: &Tensor<f32>,
    timestep: usize,
) -> Result<Shifted<Jacobian<'a>>, StudyError> {
    of_prediction(model, network, state, timestep, PredictionType::epsilon)
}

/// The derivative of what `quantity`(ᾱ, x, output) is, which is linear in x
/// and the network's output: its coefficients are its values at unit vectors.
fn of_prediction<'a>(
    model: &DiffusionModel,
    network: &'a dyn Interpreter,
    state: &Tensor<f32>,
    timestep: usize,
    quantity: fn(PredictionType, f64, f64, f64) -> f64,
) -> Result<Shifted<Jacobian<'a>>, StudyError> {
    let graph = network.graph();
    let (from, to) = (
        graph.find_input("sample")?,
        graph.find_output("prediction")?,
    );
    let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
    let inputs = [("sample", state), ("timestep", &time)];
    let jacobian = Jacobian::new(network, &inputs, from, to)?;
    let alpha_bar = model.schedule.schedule()?.alpha_bar(timestep)?;
    let kind = model.schedule.prediction_type;
    let identity = quantity(kind, alpha_bar, 1.0, 0.0);
    let factor = quantity(kind, alpha_bar, 0.0, 1.0);
    Ok(Shifted::new(jacobian, identity, factor)?)
}

/// Directions `[k, C·H·W]`, rotated within their span until each changes as
/// few pixels of the predicted clean sample as possible.
///
/// # Errors
/// As [`clean_jacobian`].
pub fn localize(
    model: &DiffusionModel,
    network: &dyn Interpreter,
    state: &Tensor<f32>,
    timestep: usize,
    directions: &Block,
) -> Result<Block, StudyError> {
    let jacobian = clean_jacobian(model, network, state, timestep)?;
    let rotation = varimax(&jacobian.pushforward(directions)?)?;
    Ok(directions.combined(&rotation)?)
}

/// The part of ∂x̂₀/∂x inside a mask of pixels, and the leading directions of
/// the rest of the picture (LOCO Edit, NeurIPS 2024).
///
/// # Errors
/// When the mask selects nothing or everything, or the network fails.
pub fn inside_and_rest<'a, M: LinearMap>(
    clean: &'a M,
    mask: &[bool],
    seed: u64,
) -> Result<(Selected<&'a M>, Block), StudyError> {
    let components = |inside: bool| -> Vec<usize> {
        let all = 0..clean.codomain();
        all.filter(|c| mask[c % mask.len()] == inside).collect()
    };
    let outside = Selected::new(clean, components(false))?;
    let method = GolubKahan {
        seed,
        ..GolubKahan::new(REST.min(outside.codomain()))
    };
    let rest = decompose_fully(&method, &outside)?.right;
    Ok((Selected::new(clean, components(true))?, rest))
}
