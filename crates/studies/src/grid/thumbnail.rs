//! Small pictures of large cells, which the page shows in their place.

use crate::{StudyError, raster};
use alice_runs::{Metadata, Picture, RunFolder, disk};

/// The longest side of one.
const LONGEST: usize = 256;

/// The thumbnail of a distinct cell.
pub(super) fn file(index: usize) -> String {
    format!("thumbnails/{index:05}.png")
}

/// Height and width of the thumbnail of a picture of `size`, if it needs one.
pub(super) fn extent(size: (usize, usize)) -> Option<(usize, usize)> {
    let longest = size.0.max(size.1);
    let scaled = |side: usize| ((side * LONGEST + longest / 2) / longest).max(1);
    (longest > LONGEST).then(|| (scaled(size.0), scaled(size.1)))
}

/// Writes that of a distinct cell, if it needs one.
pub(super) fn write(
    index: usize,
    picture: &Picture,
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    let size = (picture.height() as usize, picture.width() as usize);
    if let Some(size) = extent(size) {
        let small = raster::resize(picture, size)?;
        folder.write_png(&file(index), &small, &Metadata::new())?;
    }
    Ok(())
}

/// Takes over that of a cell which an earlier session drew, or makes it now if
/// that session ended before.
pub(super) fn find(
    index: usize,
    cell: (usize, usize),
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    if extent(cell).is_none() {
        return Ok(());
    }
    let name = file(index);
    if disk::is_file(folder.path().join(&name)) {
        folder.announce(&name)?;
        return Ok(());
    }
    write(index, &super::read_cell(folder, index)?, folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_cells_have_small_pictures_of_their_proportions() {
        assert_eq!(extent((256, 200)), None);
        assert_eq!(extent((512, 512)), Some((256, 256)));
        assert_eq!(extent((768, 512)), Some((256, 171)));
        assert_eq!(extent((1, 8192)), Some((1, 256)));
    }
}
