//! Single pictures with everything that is true about them.

use super::{pictures, write_sheet};
use crate::raster::columns;
use crate::{Progress, StudyError};
use alice_runs::{Metadata, Picture, RunFolder, TensorFile};
use alice_worlds::{Factors, Landmark, Part, Scene, caption_en, caption_zh, render_scene};
use serde::Serialize;

/// The truth about one picture.
#[derive(Serialize)]
struct Truth {
    caption_en: String,
    caption_zh: String,
    factors: Factors,
    landmarks: Vec<Landmark>,
    /// The parts that are seen, with the share of the picture they cover.
    parts: Vec<PartShare>,
}

#[derive(Serialize)]
struct PartShare {
    name: &'static str,
    label: u8,
    share: f64,
}

/// Writes each picture and its truth, sheets of their depths and parts, and
/// all of them as tensors.
pub(super) fn write(
    folder: &mut RunFolder,
    all: impl Iterator<Item = Factors>,
    size: usize,
    progress: &mut dyn Progress,
) -> Result<(), StudyError> {
    let mut scenes = Vec::new();
    for (index, factors) in all.enumerate() {
        let scene = render_scene(&factors, size)?;
        write_one(folder, index, &factors, &scene)?;
        scenes.push(scene);
        progress.advance(1);
    }
    if scenes.is_empty() {
        return Ok(());
    }
    let depths = scenes.iter().flat_map(|scene| scene.depth.clone());
    let depths = pictures(size, 1, depths.collect());
    let parts = scenes.iter().flat_map(|scene| colour_parts(&scene.parts));
    let parts = pictures(size, 3, parts.collect());
    write_sheet(folder, "depth.png", &depths, columns(scenes.len()), &[])?;
    write_sheet(folder, "parts.png", &parts, columns(scenes.len()), &[])?;
    folder.write_tensors("scenes.safetensors", &tensors(&scenes, size)?)?;
    Ok(())
}

fn write_one(
    folder: &mut RunFolder,
    index: usize,
    factors: &Factors,
    scene: &Scene,
) -> Result<(), StudyError> {
    let size = scene.picture.size as u32;
    let picture = Picture::new(size, size, scene.picture.to_rgb8())?;
    let caption = caption_en(factors);
    let metadata = Metadata::new().with_text("Description", caption.as_str());
    folder.write_png(&format!("pictures/{index:04}.png"), &picture, &metadata)?;
    let pixels = scene.parts.len() as f64;
    let share = |part: Part| scene.parts.iter().filter(|&&p| p == part.label()).count() as f64;
    let truth = Truth {
        caption_en: caption,
        caption_zh: caption_zh(factors),
        factors: *factors,
        landmarks: scene.landmarks.clone(),
        parts: Part::ALL
            .into_iter()
            .map(|part| PartShare {
                name: part.name(),
                label: part.label(),
                share: share(part) / pixels,
            })
            .filter(|part| part.share > 0.0)
            .collect(),
    };
    folder.write_json(&format!("pictures/{index:04}.json"), &truth)?;
    Ok(())
}

/// Each part in a colour of its own, in 0..1.
fn colour_parts(labels: &[u8]) -> Vec<f32> {
    const COLOURS: [[u8; 3]; Part::ALL.len()] = [
        [70, 50, 90],
        [150, 110, 70],
        [230, 230, 230],
        [60, 130, 90],
        [240, 190, 150],
        [230, 120, 120],
        [90, 60, 40],
        [40, 110, 220],
        [220, 60, 60],
        [170, 30, 110],
        [120, 120, 20],
        [30, 200, 210],
        [20, 20, 30],
    ];
    let colour = |&label: &u8| COLOURS.get(usize::from(label)).copied().unwrap_or([255; 3]);
    let bytes = labels.iter().flat_map(colour);
    bytes.map(|v| f32::from(v) / 255.0).collect()
}

/// `pictures` [N, 3, H, W] in 0..1, `depth` and `parts` [N, H, W].
fn tensors(scenes: &[Scene], size: usize) -> Result<TensorFile, StudyError> {
    let mut file = TensorFile::new();
    let n = scenes.len();
    let rgb = scenes.iter().flat_map(|scene| {
        let plane = move |c: usize| scene.picture.rgb[c..].iter().step_by(3).copied();
        (0..3).flat_map(plane)
    });
    let depth = scenes.iter().flat_map(|scene| scene.depth.clone());
    let parts = scenes
        .iter()
        .flat_map(|scene| scene.parts.iter().map(|&p| f32::from(p)));
    file.insert("pictures", &[n, 3, size, size], rgb.collect())?;
    file.insert("depth", &[n, size, size], depth.collect())?;
    file.insert("parts", &[n, size, size], parts.collect())?;
    Ok(file)
}
