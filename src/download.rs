//! Models of the hub that are not in the cache yet.

use alice_hub::{Hub, HubError, Watcher, may_be_on_the_hub};
use alice_runs::hub;
use alice_studies::{ModelOptions, Progress, StudyError};
use std::path::Path;

/// Bytes of one unit of progress.
const UNIT: u64 = 1 << 20;

/// Downloads the model and what its options name, where they are models of the
/// hub that the cache lacks.
///
/// # Errors
/// When the hub cannot be reached, or has none of that name.
pub fn what_is_missing(
    model: Option<&Path>,
    options: &ModelOptions,
    progress: &mut dyn Progress,
) -> Result<(), StudyError> {
    let loras = options.lora.iter().map(|lora| Path::new(&lora.file));
    let controls = options.control.iter().map(|c| Path::new(&c.model));
    for name in model.into_iter().chain(loras).chain(controls) {
        let id = name.to_str().filter(|_| may_be_on_the_hub(name));
        if let Some(id) = id.filter(|id| hub::find(id).is_err()) {
            download(id, progress)?;
        }
    }
    Ok(())
}

fn download(id: &str, progress: &mut dyn Progress) -> Result<(), StudyError> {
    let fetched = Hub::from_environment().and_then(|hub| hub.fetch(id, &mut Shown::of(progress)));
    crate::progress::finish();
    match fetched {
        Ok(_) => Ok(()),
        // That it is not here, and what to do, says who looks for it.
        Err(HubError::Offline | HubError::NoCache) => Ok(()),
        Err(error) => {
            let why = format!("is not here, and was not downloaded: {error}");
            Err(StudyError::argument(id, why))
        }
    }
}

/// A download on the terminal.
struct Shown<'a> {
    progress: &'a mut dyn Progress,
    bytes: u64,
}

impl<'a> Shown<'a> {
    fn of(progress: &'a mut dyn Progress) -> Self {
        Self { progress, bytes: 0 }
    }
}

impl Watcher for Shown<'_> {
    fn begin(&mut self, file: &str, bytes: u64) {
        self.bytes = 0;
        self.progress
            .begin("downloading (MiB)", bytes.div_ceil(UNIT));
        self.progress.note(file);
    }

    fn advance(&mut self, bytes: u64) {
        let before = self.bytes / UNIT;
        self.bytes += bytes;
        self.progress.advance(self.bytes / UNIT - before);
    }
}
