//! Ctrl-C at any moment: nothing half-written stays, and one line says so.

use alice_runs::atomic;
use alice_studies::StudyError;
use std::io::{Write, stderr};
use std::sync::{Mutex, PoisonError};

/// As shells report a command that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// What to tell besides.
static HINT: Mutex<String> = Mutex::new(String::new());

/// Answers SIGINT, SIGTERM and SIGHUP from now on.
///
/// # Errors
/// When the system refuses.
pub fn install() -> Result<(), StudyError> {
    ctrlc::set_handler(stop)
        .map_err(|e| StudyError::argument("Ctrl-C", format!("cannot be caught: {e}")))
}

/// What to tell whoever interrupts.
pub fn set_hint(text: String) {
    *HINT.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

fn stop() {
    // From here on nothing is written any more, so exiting is safe.
    atomic::shut_down();
    crate::progress::finish();
    let hint = HINT.lock().unwrap_or_else(PoisonError::into_inner);
    let space = if hint.is_empty() { "" } else { ". " };
    let _ = writeln!(
        stderr(),
        "interrupted; nothing half-written was left{space}{hint}"
    );
    std::process::exit(EXIT_CODE);
}
