//! ControlNets with the pictures that they are shown.

use crate::raster::{from_picture, resize};
use crate::{InputFile, StudyError};
use alice_calculus::Tensor;
use alice_networks::{ControlNet, ModelLocation, Precision};
use alice_pipelines::Control;
use alice_runs::{ControlReference, Picture, picture};
use std::path::{Path, PathBuf};

/// A ControlNet, opened, and what it is shown.
#[derive(Clone, Debug)]
pub struct SteeredBy {
    /// Its network.
    pub network: ControlNet,
    /// How it was named.
    pub reference: ControlReference,
    picture: Picture,
}

/// Records what the network's weights and the picture are, or checks what was
/// recorded before.
///
/// # Errors
/// When either cannot be read, or is not the one recorded.
pub(crate) fn pin(control: &mut ControlReference) -> Result<(), StudyError> {
    let location = ModelLocation::find(&control.model)?;
    let found = location.hash_of("controlnet")?;
    let known = control.hash.get_or_insert_with(|| found.clone());
    if *known != found {
        let why = "its weights are not those of the recipe. Restore the folder";
        return Err(StudyError::argument(&control.model, why));
    }
    let mut picture = InputFile {
        path: PathBuf::from(&control.picture),
        hash: control.picture_hash.take().unwrap_or_default(),
    };
    picture.pin()?;
    control.picture_hash = Some(picture.hash);
    Ok(())
}

impl SteeredBy {
    /// Opens a ControlNet, its weights in a precision, for a model whose states
    /// are `scale` pixels wide.
    ///
    /// # Errors
    /// When files are missing, broken or not supported.
    pub(crate) fn open(
        reference: &ControlReference,
        precision: Precision,
        scale: usize,
    ) -> Result<Self, StudyError> {
        let wrong = |why: String| Err(StudyError::argument("--control", why));
        let amount = reference.scale;
        if !amount.is_finite() || amount.abs() > 1000.0 {
            return wrong(format!("{amount}; it must lie between -1000 and 1000"));
        }
        let location = ModelLocation::find(&reference.model)?;
        let network: ControlNet = location.network_in("controlnet", precision)?;
        let config = &network.config;
        if config.scale() != scale {
            return wrong(format!(
                "{} takes pictures {} times as large as latents, and the model's are {scale} times \
                 as large",
                reference.model,
                config.scale()
            ));
        }
        if !matches!(config.conditioning_channels, 1 | 3) {
            return wrong(format!(
                "{} takes {} channels, and a picture has 3",
                reference.model, config.conditioning_channels
            ));
        }
        let path = Path::new(&reference.picture);
        let bytes = InputFile {
            path: path.to_path_buf(),
            hash: String::new(),
        }
        .read()?;
        Ok(Self {
            network,
            reference: reference.clone(),
            picture: picture::decode_png(path, &bytes)?.0,
        })
    }

    /// Its picture for pictures of `pixels` = (height, width): scaled, and cut
    /// to their proportions, where it has another size.
    ///
    /// # Errors
    /// When the size is not one of a picture.
    pub(crate) fn at(&self, pixels: (usize, usize)) -> Result<Control<'_>, StudyError> {
        let channels = self.network.config.conditioning_channels;
        let values = if self.fits(pixels) {
            from_picture(&self.picture, channels)?
        } else {
            from_picture(&resize(&self.picture, pixels)?, channels)?
        };
        // It sees values in 0..1.
        let values = values.iter().map(|v| 0.5 * (v + 1.0)).collect();
        Ok(Control {
            network: &self.network,
            picture: Tensor::new(&[1, pixels.0, pixels.1, channels], values)?,
            scale: self.reference.scale,
        })
    }

    fn fits(&self, pixels: (usize, usize)) -> bool {
        let size = (
            self.picture.height() as usize,
            self.picture.width() as usize,
        );
        size == pixels
    }

    /// What a user should know of it when pictures have `pixels` = (height, width).
    pub(crate) fn note(&self, pixels: (usize, usize)) -> String {
        let ControlReference {
            model,
            picture,
            scale,
            ..
        } = &self.reference;
        let mut note = format!("{model} steers by {picture}, {scale} times");
        if !self.fits(pixels) {
            let (width, height) = (self.picture.width(), self.picture.height());
            note.push_str(&format!(
                "; the picture was scaled from {width}×{height} to {}×{}",
                pixels.1, pixels.0
            ));
        }
        note
    }
}
