//! Progress on the terminal.

use alice_studies::{Progress, Silent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The bar now shown, so that whoever ends the program can take it away.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// A bar on stderr; nothing if `quiet` or stderr is not a terminal.
pub fn for_terminal(quiet: bool) -> Box<dyn Progress> {
    if quiet || !stderr().is_terminal() {
        Box::new(Silent)
    } else {
        Box::new(Bar)
    }
}

/// Takes the bar away.
pub fn finish() {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Draws [`BAR`]. It has no colours, so NO_COLOR has nothing to change.
struct Bar;

fn with_bar(use_bar: impl FnOnce(&ProgressBar)) {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        use_bar(bar);
    }
}

impl Progress for Bar {
    fn begin(&mut self, what: &str, units: u64) {
        finish();
        let bar = ProgressBar::with_draw_target(Some(units), ProgressDrawTarget::stderr());
        let template = "{prefix:<22} {bar:28} {pos}/{len} {elapsed} < {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&mut self, units: u64) {
        with_bar(|bar| bar.inc(units));
    }

    fn note(&mut self, text: &str) {
        with_bar(|bar| bar.set_message(text.to_owned()));
    }
}
