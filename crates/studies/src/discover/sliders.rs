//! The sliders of `discover`: what its directions together can move alone.

use super::basis::Basis;
use super::findings::{Pictures, WalkReport};
use super::{DiscoverArguments, report_walk};
use crate::directions::{Precision, file_for, insert_rows};
use crate::reader::Reader;
use crate::responses::rises_alone;
use crate::sampling::pictures;
use crate::sliders::{self, Slider};
use crate::walk::{Start, positions};
use crate::{Progress, StudyError};
use alice_runs::{RunFolder, TensorFile};
use alice_worlds::FACTORS;

/// Makes sliders of all directions, draws those that look pure, keeps those
/// that are, the purest first, and writes `sliders.safetensors` where there is one.
///
/// # Errors
/// When the network fails, the file cannot be written or the user asks to stop.
pub(super) fn find(
    arguments: &DiscoverArguments,
    start: Start<'_>,
    basis: &Basis,
    reader: &Reader,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<(Vec<Pictures>, Vec<WalkReport>), StudyError> {
    let right = &basis.spectrum.right;
    let directions = start.layout(right, right.rows())?;
    let all = 0..FACTORS.len();
    let mut sliders = sliders::find(start, reader, &directions, all, progress)?;
    sliders.retain(Slider::is_pure);
    if sliders.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let drawn = sliders::draw(start, &directions, &sliders, arguments.frames, progress)?;
    let at = positions(arguments.frames);
    let item = at.len() * drawn.item_len();
    let mut found: Vec<(Made, WalkReport, Pictures)> = Vec::new();
    for (slider, values) in sliders.into_iter().zip(drawn.values.chunks_exact(item)) {
        let frames = pictures(drawn.size, drawn.channels, values.to_vec());
        let made = Made::new(&slider, basis);
        let (stretch, reach) = (made.stretch, made.reach);
        let report = report_walk(0, stretch, reach, &at, &frames, Some(reader))?;
        if rises_alone(&report.responses, slider.factor) {
            found.push((made, report, frames));
        }
    }
    found.sort_by(|(_, a, _), (_, b, _)| {
        let purity = |walk: &WalkReport| walk.purity.unwrap_or(0.0);
        purity(b).total_cmp(&purity(a))
    });
    for (row, (_, report, _)) in found.iter_mut().enumerate() {
        report.direction = row;
    }
    if !found.is_empty() {
        let made: Vec<&Made> = found.iter().map(|(made, _, _)| made).collect();
        let precision = Precision::of(&basis.spectrum, arguments.tolerance);
        let file = file_for(&start.model.reference, start.timestep, Some(precision));
        write(&made, basis, file, folder)?;
    }
    Ok(found
        .into_iter()
        .map(|(_, report, frames)| (frames, report))
        .unzip())
}

/// A slider as a direction.
struct Made {
    /// How much of each direction is in its unit vector v.
    unit: Vec<f64>,
    /// J v / ‖J v‖ in terms of the left singular vectors.
    image: Vec<f64>,
    /// ‖J v‖.
    stretch: f64,
    /// Root mean square displacement of a noisy pixel at its ends.
    reach: f64,
}

impl Made {
    fn new(slider: &Slider, basis: &Basis) -> Self {
        let unit = slider.unit();
        let both = unit.iter().zip(&basis.spectrum.singular_values);
        let mut image: Vec<f64> = both.map(|(w, s)| w * s).collect();
        let stretch = image.iter().map(|v| v * v).sum::<f64>().sqrt();
        let scale = stretch.max(f64::MIN_POSITIVE);
        image.iter_mut().for_each(|v| *v /= scale);
        Self {
            unit,
            image,
            stretch,
            reach: slider.reach(),
        }
    }
}

/// The sliders as directions: `right` `[S, C·H·W]`, `left` `[S, dim H]` and
/// `singular_values` `[S]` (‖J v‖) as in basis.safetensors, `reach` `[S]`, and
/// `weights` `[S, K]`, what of each direction is in `right`.
fn write(
    made: &[&Made],
    basis: &Basis,
    mut file: TensorFile,
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    let spectrum = &basis.spectrum;
    let weights: Vec<f64> = made.iter().flat_map(|m| m.unit.clone()).collect();
    let images: Vec<f64> = made.iter().flat_map(|m| m.image.clone()).collect();
    let right = spectrum.right.combined(&weights)?;
    let left = spectrum.left.combined(&images)?;
    let count = made.len();
    let stretches = made.iter().map(|m| m.stretch as f32).collect();
    file.insert("singular_values", &[count], stretches)?;
    let reaches = made.iter().map(|m| m.reach as f32).collect();
    file.insert("reach", &[count], reaches)?;
    let weights = weights.iter().map(|w| *w as f32).collect();
    file.insert("weights", &[count, spectrum.right.rows()], weights)?;
    insert_rows(&mut file, "right", &right)?;
    insert_rows(&mut file, "left", &left)?;
    folder.write_tensors("sliders.safetensors", &file)?;
    Ok(())
}
