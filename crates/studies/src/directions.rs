//! Directions in files.

use crate::{DiffusionModel, InputFile, StudyError};
use alice_geometry::{Block, Spectrum};
use alice_runs::{ModelReference, Recipe, TensorFile, TensorReader};
use std::collections::BTreeMap;

/// One row of a tensor of a file of directions, such as `left` of a
/// basis.safetensors.
///
/// # Errors
/// When the file cannot be read, or has no such tensor or row.
pub fn read_row(file: &InputFile, name: &str, index: usize) -> Result<Vec<f32>, StudyError> {
    let tensors = TensorFile::from_bytes(&file.path, &file.read()?)?;
    tensors.require_finite()?;
    let rows = tensors.require_rank(name, 2)?;
    if index >= rows.shape[0] {
        let last = rows.shape[0].saturating_sub(1);
        let why = format!("{index}; the file holds directions 0 to {last}");
        return Err(StudyError::argument("--direction", why));
    }
    Ok(rows.data[index * rows.shape[1]..(index + 1) * rows.shape[1]].to_vec())
}

/// As [`read_row`], for a direction of an H of the extents `dims`, channels
/// last.
///
/// # Errors
/// Those of [`read_row`]; when the direction is of another H, or zero.
pub fn read_hidden(
    file: &InputFile,
    name: &str,
    index: usize,
    dims: &[usize],
) -> Result<Vec<f32>, StudyError> {
    let row = read_row(file, name, index)?;
    check_dimension(file, row.len(), dims)?;
    if row.iter().all(|v| *v == 0.0) {
        let why = format!("direction {index} of its {name} is zero, so it leads nowhere");
        return Err(StudyError::argument(file.path.display().to_string(), why));
    }
    Ok(row)
}

/// Refuses a file of directions of another H than one of the extents `dims`,
/// channels last.
///
/// # Errors
/// Names the file and both dimensions.
pub fn check_dimension(file: &InputFile, found: usize, dims: &[usize]) -> Result<(), StudyError> {
    let expected: usize = dims.iter().product();
    if found == expected {
        return Ok(());
    }
    let why = if dims.last() == Some(&found) {
        format!(
            "its directions are of the pooled bottleneck ({found} numbers); this needs the whole \
             one ({expected}): find them with discover --space full"
        )
    } else {
        format!(
            "its directions have {found} dimensions and the bottleneck has {expected}: they are \
             of another model or size"
        )
    };
    Err(StudyError::argument(file.path.display().to_string(), why))
}

/// Adds the rows of a block to a file of directions, as `[rows, dimension]`.
///
/// # Errors
/// When the file has a tensor of this name.
pub fn insert_rows(file: &mut TensorFile, name: &str, block: &Block) -> Result<(), StudyError> {
    let shape = [block.rows(), block.dimension()];
    file.insert(name, &shape, block.as_slice().to_vec())?;
    Ok(())
}

/// How exactly directions are known, as shares of the first singular value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// The largest residual of a direction.
    pub residual: f64,
    /// What it may be.
    pub tolerance: f64,
}

impl Precision {
    /// Of the triplets that a method with this tolerance found.
    #[must_use]
    pub fn of(spectrum: &Spectrum, tolerance: f64) -> Self {
        let residual = spectrum.residuals.iter().copied().fold(0.0, f64::max);
        Self {
            residual,
            // Once the whole space is spanned, what is left is rounding.
            tolerance: if spectrum.converged {
                tolerance.max(residual)
            } else {
                tolerance
            },
        }
    }

    /// What is known of directions that both were used for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            residual: self.residual.max(other.residual),
            tolerance: self.tolerance.max(other.tolerance),
        }
    }

    /// What a file says of its directions; older ones say nothing.
    #[must_use]
    pub fn read(about: &BTreeMap<String, String>) -> Option<Self> {
        let number = |key| about.get(key)?.parse().ok();
        Some(Self {
            residual: number(RESIDUAL)?,
            tolerance: number(TOLERANCE)?,
        })
    }
}

/// A file for directions, which says of which model they are, where on the
/// schedule they were found, and how exactly where they were iterated for.
#[must_use]
pub fn file_for(
    model: &ModelReference,
    timestep: usize,
    precision: Option<Precision>,
) -> TensorFile {
    let mut file = TensorFile::new();
    if let Some(precision) = precision {
        let numbers = [
            (RESIDUAL, precision.residual),
            (TOLERANCE, precision.tolerance),
        ];
        let numbers = numbers.map(|(key, value)| (key.to_owned(), format!("{value:e}")));
        file.metadata.extend(numbers);
    }
    let about = [
        (NAME, model.name.clone()),
        (HASH, model.hash.clone()),
        (TIMESTEP, timestep.to_string()),
    ];
    let about = about.map(|(key, value)| (key.to_owned(), value));
    file.metadata.extend(about);
    file
}

const NAME: &str = "model";
const HASH: &str = "model_hash";
const TIMESTEP: &str = "timestep";
const RESIDUAL: &str = "residual";
const CARRIED: &str = "carried";
const TOLERANCE: &str = "tolerance";

/// Says of a file that its `right` belongs to other samples than its `left`
/// means something at: each was carried to a sample of its own.
pub fn mark_carried(file: &mut TensorFile) {
    file.metadata.insert(CARRIED.to_owned(), "yes".to_owned());
}

/// Whether a file holds what means something as directions of H only, whatever
/// the sample: it has no `right`, or says that it was carried.
#[must_use]
pub fn is_of_hidden(file: &TensorFile) -> bool {
    let alone = file.get("right").is_none() || file.metadata.contains_key(CARRIED);
    alone && file.get("left").is_some()
}

/// The timestep at which a file's directions were found, if it says.
///
/// # Errors
/// When the file cannot be read.
pub fn found_at(file: &InputFile) -> Result<Option<usize>, StudyError> {
    let header = TensorReader::open(&file.path)?;
    let timestep = header.metadata().get(TIMESTEP);
    Ok(timestep.and_then(|text| text.parse().ok()))
}

/// Refuses directions of another model, by what their file says, or the recipe
/// beside it, and those that did not converge. A model is its file, however it
/// was rounded, changed or told.
///
/// # Errors
/// Naming both models, or the residual; when the file cannot be read.
pub fn require_same_model(file: &InputFile, model: &DiffusionModel) -> Result<(), StudyError> {
    let header = TensorReader::open(&file.path)?;
    let about = header.metadata();
    let made = match (about.get(NAME), about.get(HASH)) {
        (Some(name), Some(hash)) => Some((name.clone(), hash.clone())),
        _ => {
            let recipe = file.path.parent().and_then(|run| Recipe::find(run).ok());
            recipe
                .and_then(|recipe| recipe.model)
                .map(|model| (model.name, model.hash))
        }
    };
    let refuse = |why| {
        let file = file.path.display().to_string();
        Err(StudyError::argument(file, why))
    };
    match made {
        Some((name, hash)) if hash != model.reference.hash => {
            return refuse(format!(
                "its directions are of model {name}, and this is {}. Directions of one model mean \
                 nothing to another: name the right one with --model, or find new ones",
                model.reference.name
            ));
        }
        _ => {}
    }
    if let Some(Precision {
        residual,
        tolerance,
    }) = Precision::read(about)
        && residual > tolerance
    {
        return refuse(format!(
            "its directions did not converge: their residual is {residual:.1e} of the first \
             singular value, and {tolerance:.0e} was asked for. Find them again with a smaller \
             --rank, or with --tolerance {:.0e} if that is enough",
            2.0 * residual
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alice_geometry::{GolubKahan, Matrix};

    /// A map of full rank with nothing else to it.
    pub(crate) fn plain_map(codomain: usize, domain: usize) -> Matrix {
        let values = (0..codomain * domain).map(|i| ((i * 7919 % 1009) as f32) / 500.0 - 1.0);
        Matrix::from_vec(codomain, domain, values.collect()).unwrap()
    }

    #[test]
    fn a_file_says_how_exactly_its_directions_are_known() {
        let map = plain_map(60, 60);
        let few = GolubKahan {
            max_block_products: 2,
            ..GolubKahan::new(6)
        };
        for (method, fine) in [(few, false), (GolubKahan::new(6), true)] {
            let found = method.decompose(&map).unwrap();
            let precision = Precision::of(&found, method.tolerance);
            let file = file_for(&ModelReference::default(), 7, Some(precision));
            assert_eq!(Precision::read(&file.metadata), Some(precision));
            assert_eq!(precision.residual <= precision.tolerance, fine);
        }
        let old = file_for(&ModelReference::default(), 7, None);
        assert_eq!(Precision::read(&old.metadata), None);
    }
}
