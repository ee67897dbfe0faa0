//! The direction of an edit: from a basis, or of the picture itself.

use crate::input::InputFile;
use crate::{Jacobian, StudyError};
use alice_calculus::{Model, Tensor};
use alice_geometry::{Block, GolubKahan, LinearMap};
use alice_runs::TensorFile;

/// A unit vector `[1, H·W·C]` in the network's layout, and its singular value.
pub(super) struct Direction {
    pub(super) vector: Block,
    pub(super) singular_value: f64,
}

/// A row of `right` in a basis file.
pub(super) fn read_direction(
    basis: &InputFile,
    index: usize,
    dims: &[usize],
) -> Result<Direction, StudyError> {
    let file = TensorFile::from_bytes(&basis.path, &basis.read()?)?;
    file.require_finite()?;
    let dim = dims[1..].iter().product();
    let rank = file.require_rank("right", 2)?.shape[0];
    let right = &file.require("right", &[rank, dim])?.data;
    let values = &file.require("singular_values", &[rank])?.data;
    if index >= rank {
        return Err(StudyError::argument(
            "--direction",
            format!(
                "{index}; the basis holds directions 0 to {}",
                rank.saturating_sub(1)
            ),
        ));
    }
    let row = right[index * dim..(index + 1) * dim].to_vec();
    unit(row, f64::from(values[index]), dims)
}

/// A direction in the order of files, C·H·W, as one of the network's.
fn unit(row: Vec<f32>, singular_value: f64, dims: &[usize]) -> Result<Direction, StudyError> {
    let norm = row
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt();
    if norm <= 0.0 {
        return Err(StudyError::argument("--basis", "the direction is zero"));
    }
    let row = row.iter().map(|&v| (f64::from(v) / norm) as f32).collect();
    let vector = crate::model::channels_last(&[1, dims[3], dims[1], dims[2]], row)?;
    Ok(Direction {
        vector: Block::from_vec(1, vector.item_len(), vector.into_data())?,
        singular_value,
    })
}

/// The direction of the bottleneck's Jacobian at the state itself.
pub(super) fn find_direction(
    network: &Model<f32>,
    state: &Tensor<f32>,
    timestep: usize,
    index: usize,
    seed: u64,
) -> Result<Direction, StudyError> {
    let graph = network.graph();
    let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
    let inputs = [("sample", state), ("timestep", &time)];
    let (from, to) = (
        graph.find_input("sample")?,
        graph.find_output("bottleneck")?,
    );
    let jacobian = Jacobian::new(network, &inputs, from, to)?;
    let dimension = jacobian.domain().min(jacobian.codomain());
    if index >= dimension {
        return Err(StudyError::argument(
            "--direction",
            format!("{index}; there are directions 0 to {}", dimension - 1),
        ));
    }
    let method = GolubKahan {
        seed,
        ..GolubKahan::new(index + 1)
    };
    let spectrum = method.decompose(&jacobian)?;
    let row = spectrum.right.row(index).to_vec();
    unit(row, spectrum.singular_values[index], state.dims())
}
