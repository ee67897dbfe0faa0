//! Directions in files.

use crate::{DiffusionModel, InputFile, StudyError};
use alice_geometry::Block;
use alice_runs::{ModelReference, Recipe, TensorFile, TensorReader};

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

/// A file for directions, which says of which model they are and where on the
/// schedule they were found.
#[must_use]
pub fn file_for(model: &ModelReference, timestep: usize) -> TensorFile {
    let mut file = TensorFile::new();
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

/// Refuses directions of another model, by what their file says, or the recipe
/// beside it. Returns the timestep at which they were found, if the file says.
///
/// # Errors
/// Naming both models; when the file cannot be read.
pub fn require_same_model(
    file: &InputFile,
    model: &DiffusionModel,
) -> Result<Option<usize>, StudyError> {
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
    match made {
        Some((name, hash)) if hash != model.reference.hash => Err(StudyError::argument(
            file.path.display().to_string(),
            format!(
                "its directions are of model {name}, and this is {}. Directions of one model mean \
                 nothing to another: name the right one with --model, or find new ones",
                model.reference.name
            ),
        )),
        _ => Ok(about.get(TIMESTEP).and_then(|text| text.parse().ok())),
    }
}
