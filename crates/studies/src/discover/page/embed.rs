//! Pictures inside the page.

use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::page::png_uri;
use crate::pictures::{Tones, Zoom, to_picture};
use alice_runs::{Metadata, picture};

/// Pictures are embedded no larger than this, so that the page stays light;
/// the sheet and the frames have more.
const LARGEST_SIDE: usize = 128;

/// One picture as a `data:` address of a PNG.
pub fn data_uri(pictures: &Pictures, index: usize, tones: Tones) -> Result<String, StudyError> {
    let largest = pictures.size.0.max(pictures.size.1);
    let zoom = Zoom::over(largest.div_ceil(LARGEST_SIDE));
    let picture = zoom.apply(&to_picture(pictures, index, tones)?)?;
    let png = picture::encode_png("report.html", &picture, &Metadata::new())?;
    Ok(png_uri(&png))
}
