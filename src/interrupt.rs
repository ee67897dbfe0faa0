//! Ctrl-C at any moment: nothing half-written stays, no earlier run is lost,
//! and one line says so.

use alice_runs::{RunFolder, atomic};
use alice_studies::StudyError;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// As shells report a command that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// The folder of the run, and whether the same command goes on with it.
static RUN: Mutex<Option<(PathBuf, bool)>> = Mutex::new(None);

/// Answers SIGINT, SIGTERM and SIGHUP from now on.
///
/// # Errors
/// When the system refuses.
pub fn install() -> Result<(), StudyError> {
    ctrlc::set_handler(stop)
        .map_err(|e| StudyError::argument("Ctrl-C", format!("cannot be caught: {e}")))
}

/// Which run would be interrupted. One that no command goes on with gives way
/// to the run that it replaces, also on an error.
pub fn set_run(folder: &Path, resumes: bool) {
    if !resumes {
        RunFolder::give_way(folder);
    }
    let run = (folder.to_path_buf(), resumes);
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
}

/// What an interrupted run leaves; one without results leaves nothing.
fn what_is_left(folder: &Path, resumes: bool) -> String {
    let shown = folder.display();
    if RunFolder::remove_bare(folder) {
        return String::new();
    }
    let replaced = RunFolder::replaced(folder);
    if let Some(replaced) = replaced.filter(|_| resumes) {
        format!(
            ". The same command with --out {shown} and without --overwrite goes on from there; \
             until it is complete, the earlier run is in {}",
            replaced.display()
        )
    } else if resumes {
        format!(". The same command with --out {shown} goes on from there")
    } else {
        format!(". What was finished is in {shown}")
    }
}

fn stop() {
    // From here on nothing is written any more, so exiting is safe.
    atomic::shut_down();
    crate::progress::finish();
    let run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let run = run.as_ref();
    let hint = match RunFolder::put_back_all().into_iter().next() {
        Some(back) => {
            let folder = run.map_or(&back, |(folder, _)| folder);
            Some(format!(
                ". The earlier run is in {} again",
                folder.display()
            ))
        }
        None => run.map(|(folder, resumes)| what_is_left(folder, *resumes)),
    };
    let _ = writeln!(
        stderr(),
        "interrupted; nothing half-written was left{}",
        hint.unwrap_or_default()
    );
    std::process::exit(EXIT_CODE);
}
