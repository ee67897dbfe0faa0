//! Directions in files.

use crate::walk::LONGEST;
use crate::{DiffusionModel, InputFile, StudyError};
use alice_geometry::{Block, Spectrum};
use alice_runs::{ModelReference, Recipe, TensorFile, TensorReader};
use std::collections::BTreeMap;
use std::path::Path;

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
    ///
    /// # Errors
    /// Names the file where it says what is no such number.
    pub fn read(path: &Path, about: &BTreeMap<String, String>) -> Result<Option<Self>, StudyError> {
        let number = |key: &str| -> Result<Option<f64>, StudyError> {
            let Some(text) = about.get(key) else {
                return Ok(None);
            };
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
                _ => Err(broken(path, key, text, "a number of at least 0")),
            }
        };
        let both = number(RESIDUAL)?.zip(number(TOLERANCE)?);
        Ok(both.map(|(residual, tolerance)| Self {
            residual,
            tolerance,
        }))
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
const REACH: &str = "reach";

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

/// Of a file whose metadata holds what it cannot mean.
fn broken(path: &Path, key: &str, text: &str, wanted: &str) -> StudyError {
    let why = format!(
        "its metadata says {key} {text:?}, which is not {wanted}: the file is broken. Find its \
         directions again"
    );
    StudyError::argument(path.display().to_string(), why)
}

/// The singular values of a file's `count` directions.
///
/// # Errors
/// Names the file where they are missing or one is negative.
pub fn read_singular_values(
    file: &TensorFile,
    path: &Path,
    count: usize,
) -> Result<Vec<f64>, StudyError> {
    let values = &file.require("singular_values", &[count])?.data;
    if let Some(i) = values.iter().position(|value| *value < 0.0) {
        let why = format!(
            "its singular value {i} is {}, and none is negative: the file is broken. Find its \
             directions again",
            values[i]
        );
        return Err(StudyError::argument(path.display().to_string(), why));
    }
    Ok(values.iter().map(|&value| value.into()).collect())
}

/// How far each of a file's directions is to be walked along straight, if it is
/// one of sliders: root mean square change of a noisy pixel.
///
/// # Errors
/// When the file cannot be read, or names the one that is no such length.
pub fn read_reaches(file: &InputFile) -> Result<Option<Vec<f64>>, StudyError> {
    let tensors = TensorFile::from_bytes(&file.path, &file.read()?)?;
    if tensors.get(REACH).is_none() || tensors.get("right").is_none() {
        return Ok(None);
    }
    let reaches = &tensors.require_rank(REACH, 1)?.data;
    let fits = |reach: &f32| *reach > 0.0 && f64::from(*reach) <= LONGEST;
    if let Some(i) = reaches.iter().position(|reach| !fits(reach)) {
        let why = format!(
            "its {REACH} {i} is {}, and must lie above 0 and at most at {LONGEST}: the file is \
             broken. Find its sliders again",
            reaches[i]
        );
        return Err(StudyError::argument(file.path.display().to_string(), why));
    }
    Ok(Some(reaches.iter().map(|&reach| reach.into()).collect()))
}

/// The timestep at which a file's directions were found, if it says.
///
/// # Errors
/// When the file cannot be read, or says what is none.
pub fn found_at(file: &InputFile) -> Result<Option<usize>, StudyError> {
    let header = TensorReader::open(&file.path)?;
    let timestep = header.metadata().get(TIMESTEP);
    let read = |text: &String| {
        let broken = |_| broken(&file.path, TIMESTEP, text, "a timestep");
        text.parse().map_err(broken)
    };
    timestep.map(read).transpose()
}

/// The name and hash of the model that a file's directions are of, by what it
/// says, or the recipe beside it.
fn made_of(file: &InputFile, about: &BTreeMap<String, String>) -> Option<(String, String)> {
    match (about.get(NAME), about.get(HASH)) {
        (Some(name), Some(hash)) => Some((name.clone(), hash.clone())),
        _ => {
            let recipe = file.path.parent().and_then(|run| Recipe::find(run).ok());
            let model = recipe.and_then(|recipe| recipe.model);
            model.map(|model| (model.name, model.hash))
        }
    }
}

/// A sentence for a file that does not say of which model its directions are.
///
/// # Errors
/// When the file cannot be read.
pub fn unknown_model(file: &InputFile) -> Result<Option<String>, StudyError> {
    let header = TensorReader::open(&file.path)?;
    let unknown = made_of(file, header.metadata()).is_none();
    Ok(unknown.then(|| {
        format!(
            "{} does not say of which model its directions are; those of another mean nothing here",
            file.path.display()
        )
    }))
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
    let made = made_of(file, about);
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
    let steps = model.schedule.num_train_timesteps;
    if let Some(timestep) = found_at(file)?.filter(|timestep| *timestep >= steps) {
        let wanted = format!("a timestep of the model, 0 to {}", steps - 1);
        return Err(broken(&file.path, TIMESTEP, &timestep.to_string(), &wanted));
    }
    if let Some(Precision {
        residual,
        tolerance,
    }) = Precision::read(&file.path, about)?
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
            let read = Precision::read(Path::new("a"), &file.metadata).unwrap();
            assert_eq!(read, Some(precision));
            assert_eq!(precision.residual <= precision.tolerance, fine);
        }
        let old = file_for(&ModelReference::default(), 7, None);
        let path = Path::new("old.safetensors");
        assert_eq!(Precision::read(path, &old.metadata).unwrap(), None);
        for text in ["nan", "abc", "-1", "inf", ""] {
            let mut broken = old.clone();
            broken.metadata.insert(RESIDUAL.to_owned(), text.to_owned());
            let error = Precision::read(path, &broken.metadata)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("old.safetensors") && error.contains(RESIDUAL),
                "{error}"
            );
        }
    }
}
