//! The singular triplets of the bottleneck's Jacobian at a point.

use super::DiscoverArguments;
use crate::{Jacobian, StudyError};
use alice_calculus::{Model, Tensor};
use alice_geometry::{GolubKahan, LinearMap, Pooled, Spectrum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Which bottleneck the Jacobian leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// The mid block's whole output, C·H·W (arXiv 2307.12868).
    #[default]
    Full,
    /// Its sum over positions, C (arXiv 2302.12469).
    Pooled,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Pooled => "pooled",
        })
    }
}

/// The directions at a point.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The triplets.
    pub spectrum: Spectrum,
    /// Seconds for the primal pass and the decomposition.
    pub seconds: f64,
}

/// Linearises the bottleneck in the sample and finds its leading triplets.
///
/// # Errors
/// When the rank is above a dimension, the network gives numbers that are not
/// finite, or the memory does not suffice.
pub fn find_basis(
    network: &Model<f32>,
    inputs: &[(&str, &Tensor<f32>)],
    arguments: &DiscoverArguments,
    seed: u64,
) -> Result<Basis, StudyError> {
    let start = Instant::now();
    let graph = network.graph();
    let bottleneck = graph.find_output("bottleneck")?;
    let mut jacobian = Jacobian::new(network, inputs, graph.find_input("sample")?, bottleneck)?;
    check_finite(&jacobian)?;
    let channels = graph.dims(bottleneck).last().copied().unwrap_or(1);
    let method = GolubKahan {
        tolerance: arguments.tolerance,
        seed,
        ..GolubKahan::new(arguments.rank)
    };
    if let Some(mebibytes) = arguments.memory {
        jacobian = jacobian.within(mebibytes.saturating_mul(1 << 20), &method)?;
    }
    let spectrum = match arguments.space {
        Space::Full => decompose(&method, &jacobian)?,
        Space::Pooled => decompose(&method, &Pooled::new(jacobian, channels)?)?,
    };
    Ok(Basis {
        spectrum,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Refuses a bottleneck that is no number at the point.
pub(crate) fn check_finite(jacobian: &Jacobian<'_>) -> Result<(), StudyError> {
    match jacobian.value().iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(StudyError::argument(
            "--model",
            format!("value {i} of its bottleneck is not a finite number at this point"),
        )),
    }
}

/// The leading triplets of a map, its rank refused in the words of the option.
pub(crate) fn decompose(method: &GolubKahan, map: &dyn LinearMap) -> Result<Spectrum, StudyError> {
    let (rank, dimension) = (method.rank, map.domain().min(map.codomain()));
    if rank == 0 || rank > dimension {
        let why = format!(
            "{rank} is not between 1 and {dimension}, the smaller dimension of the Jacobian"
        );
        return Err(StudyError::argument("--rank", why));
    }
    Ok(method.decompose(map)?)
}
