//! The command `alice`.

mod cli;
mod commands;
mod device;
mod download;
mod interrupt;
mod progress;

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

/// Training makes and drops large arrays all the time; the system's allocator
/// gives their pages back to the kernel each time, which costs a third of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_bug));
    let cli = cli::Cli::read();
    let result = interrupt::install().and_then(|()| commands::run(cli));
    match result {
        Ok(answer) => match print(&answer.text) {
            ExitCode::SUCCESS if !answer.success => ExitCode::FAILURE,
            code => code,
        },
        Err(error) => fail(&error),
    }
}

/// Writes the result to stdout. A reader who stopped reading has what it wanted.
fn print(text: &str) -> ExitCode {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(&format!(
            "standard output: {error}. The run itself is complete"
        )),
        _ => ExitCode::SUCCESS,
    }
}

/// Tells what went wrong in one line.
fn fail(error: &impl Display) -> ExitCode {
    let text = error.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(stderr(), "error: {line}");
    ExitCode::FAILURE
}

fn report_bug(info: &std::panic::PanicHookInfo) {
    let message = info.payload();
    let message = message
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| message.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    let place = info
        .location()
        .map_or(String::new(), |l| format!(" at {l}"));
    let _ = writeln!(
        stderr(),
        "error: this is a bug in Alice {}: {message}{place}. Please report it with the command you ran",
        env!("CARGO_PKG_VERSION")
    );
}
