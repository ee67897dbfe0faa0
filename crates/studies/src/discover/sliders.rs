//! The sliders of `discover`: what its directions together can move alone.

use super::basis::Basis;
use super::findings::{Pictures, WalkReport};
use super::{DiscoverArguments, insert, report_walk};
use crate::jacobian::to_network_layout;
use crate::reader::Reader;
use crate::responses::is_moved;
use crate::sampling::pictures;
use crate::sliders::{self, PURE, Slider};
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
    let dims = start.state.dims();
    let (pixels, channels) = (dims[1] * dims[2], dims[3]);
    let spectrum = &basis.spectrum;
    let rank = spectrum.right.rows();
    let directions = to_network_layout(&spectrum.right, rank, channels, pixels)?;
    let all = 0..FACTORS.len();
    let mut sliders = sliders::find(start, reader, &directions, all, progress)?;
    sliders.retain(Slider::is_pure);
    if sliders.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let drawn = sliders::draw(start, &directions, &sliders, arguments.frames, progress)?;
    let item = (2 * arguments.frames + 1) * drawn.item_len();
    let mut found: Vec<(Slider, WalkReport, Pictures)> = Vec::new();
    for (slider, values) in sliders.into_iter().zip(drawn.values.chunks_exact(item)) {
        let frames = pictures(drawn.size, drawn.channels, values.to_vec());
        let (_, stretch) = image(&slider, basis);
        let at = positions(arguments.frames);
        let report = report_walk(0, stretch, slider.reach(), &at, &frames, Some(reader))?;
        let own = &report.responses[slider.factor];
        let is_strongest = report.strongest.as_ref() == Some(&own.factor);
        let is_pure = report.purity.is_some_and(|purity| purity >= PURE);
        if is_strongest && is_pure && is_moved(own.change, own.spearman) {
            found.push((slider, report, frames));
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
        let sliders: Vec<&Slider> = found.iter().map(|(slider, _, _)| slider).collect();
        write(&sliders, basis, folder)?;
    }
    Ok(found
        .into_iter()
        .map(|(_, report, frames)| (frames, report))
        .unzip())
}

/// What a slider's unit vector does to the bottleneck, in terms of the left
/// singular vectors: a unit vector, and its length ‖J v‖.
fn image(slider: &Slider, basis: &Basis) -> (Vec<f64>, f64) {
    let unit = slider.unit();
    let both = unit.iter().zip(&basis.spectrum.singular_values);
    let mut image: Vec<f64> = both.map(|(w, s)| w * s).collect();
    let length = image.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = length.max(f64::MIN_POSITIVE);
    image.iter_mut().for_each(|v| *v /= scale);
    (image, length)
}

/// The sliders as directions: `right` `[S, C·H·W]`, `left` `[S, dim H]` and
/// `singular_values` `[S]` (‖J v‖) as in basis.safetensors, `reach` `[S]`, and
/// `weights` `[S, K]`, what of each direction is in `right`.
fn write(sliders: &[&Slider], basis: &Basis, folder: &mut RunFolder) -> Result<(), StudyError> {
    let spectrum = &basis.spectrum;
    let weights = sliders
        .iter()
        .map(|s| s.unit())
        .collect::<Vec<_>>()
        .concat();
    let (images, stretches): (Vec<_>, Vec<_>) = sliders.iter().map(|s| image(s, basis)).unzip();
    let right = spectrum.right.combined(&weights)?;
    let left = spectrum.left.combined(&images.concat())?;
    let mut file = TensorFile::new();
    let reaches = sliders.iter().map(|s| s.reach() as f32).collect();
    let stretches = stretches.iter().map(|s| *s as f32).collect();
    file.insert("singular_values", &[sliders.len()], stretches)?;
    file.insert("reach", &[sliders.len()], reaches)?;
    let weights = weights.iter().map(|w| *w as f32).collect();
    file.insert("weights", &[sliders.len(), spectrum.right.rows()], weights)?;
    insert(&mut file, "right", &right)?;
    insert(&mut file, "left", &left)?;
    folder.write_tensors("sliders.safetensors", &file)?;
    Ok(())
}
