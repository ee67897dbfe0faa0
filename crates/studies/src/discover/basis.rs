//! The singular triplets of the bottleneck's Jacobian at a point.

use super::DiscoverArguments;
use crate::{Jacobian, StudyError};
use alice_calculus::{Interpreter, Tensor};
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
    network: &dyn Interpreter,
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
    check_rank(method.rank, map.domain().min(map.codomain()))?;
    Ok(method.decompose(map)?)
}

/// Refuses a rank beyond the smaller dimension of a Jacobian.
pub(crate) fn check_rank(rank: usize, dimension: usize) -> Result<(), StudyError> {
    if (1..=dimension).contains(&rank) {
        return Ok(());
    }
    let why =
        format!("{rank} is not between 1 and {dimension}, the smaller dimension of the Jacobian");
    Err(StudyError::argument("--rank", why))
}

/// As [`decompose`], for triplets that are used without being looked at:
/// refuses what did not converge.
pub(crate) fn decompose_fully(
    method: &GolubKahan,
    map: &dyn LinearMap,
) -> Result<Spectrum, StudyError> {
    let spectrum = decompose(method, map)?;
    if spectrum.converged {
        return Ok(spectrum);
    }
    let reached = spectrum.residuals.iter().copied().fold(0.0, f64::max);
    Err(StudyError::argument(
        "--rank",
        format!(
            "the basis of {} directions did not converge: after {} products its residual is \
             {reached:.1e} of the first singular value, and {:.0e} is needed. Ask for fewer \
             directions, or look at them with discover --tolerance {:.0e}",
            method.rank,
            spectrum.products.blocks(),
            method.tolerance,
            2.0 * reached
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directions::tests::plain_map;

    #[test]
    fn a_basis_that_did_not_converge_says_how_far_it_came() {
        let map = plain_map(60, 60);
        let method = GolubKahan {
            max_block_products: 2,
            ..GolubKahan::new(6)
        };
        assert!(!decompose(&method, &map).unwrap().converged);
        let message = decompose_fully(&method, &map).unwrap_err().to_string();
        for word in ["did not converge", "residual", "1e-4", "2 products"] {
            assert!(message.contains(word), "{word:?} not in {message}");
        }
        assert!(decompose_fully(&GolubKahan::new(6), &map).is_ok());
    }
}
