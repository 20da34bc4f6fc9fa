//! Runs commands of WASI 0.2 and 0.3 with `sandbox:fast-copy` linked. `--help` prints the usage.
//!
//! The exit status is the guest's own, 2 if the guest could not be started, and 134 if it trapped. That of the
//! demonstration is 0 or 1.

mod args;
mod command;
mod demo;
mod dir;
mod env;
mod guest;
mod image;
mod json;
mod limits;
mod program;
mod size;

use std::process::ExitCode;

use clap::error::ContextKind;
use wasmtime::WasmBacktrace;

use crate::args::Invocation;
use crate::command::End;
use crate::program::Program;

const FAILED: u8 = 1;
const NOT_STARTED: u8 = 2;
/// The exit status of the `wasmtime` command for a trap.
const TRAPPED: u8 = 134;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().collect()) {
        Ok(Invocation::Demo { form }) => finish(demo::run(form).map(|()| End::Exited(0)), FAILED),
        Ok(Invocation::Guest(guest)) => {
            let program = match &guest.component {
                Some(path) => Program::load(path),
                None => Program::bundled(),
            };
            let end = program
                .and_then(|program| guest::run(&program, &guest.args, &guest.options, guest.form));
            finish(end, NOT_STARTED)
        }
        Err(error) => answer(error),
    }
}

/// Prints why a guest did not end by itself, and returns the exit status. `failure` is that of an error.
fn finish(end: wasmtime::Result<End>, failure: u8) -> ExitCode {
    match end {
        Ok(End::Exited(status)) => ExitCode::from(u8::try_from(status).unwrap_or(FAILED)),
        Ok(End::Trapped(trap)) => {
            eprintln!("run: the guest trapped: {}", trap.root_cause());
            if let Some(backtrace) = trap.downcast_ref::<WasmBacktrace>() {
                eprintln!("{backtrace}");
            }
            ExitCode::from(TRAPPED)
        }
        Err(error) => {
            eprintln!("run: {error:#}");
            ExitCode::from(failure)
        }
    }
}

/// Prints what clap has to say: the help, the version, or a usage error. Returns the exit status.
fn answer(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Printing fails if the reader has closed the pipe, as `head` does.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // clap suggests `--` before an unknown option, which would run the bundled guest.
    error.remove(ContextKind::Suggested);
    // Three lines of usage would hide the error.
    error.remove(ContextKind::Usage);
    let text = error.render().to_string();
    let text = text.trim_end();
    eprintln!("run: {}", text.strip_prefix("error: ").unwrap_or(text));
    ExitCode::from(NOT_STARTED)
}
