//! Runs WASI 0.2 commands with `sandbox:fast-copy` linked. `--help` prints the usage.

mod args;
mod command;
mod demo;
mod guest;

use std::process::ExitCode;

use crate::args::Invocation;

fn main() -> ExitCode {
    let result = args::parse(std::env::args().skip(1)).and_then(|invocation| match invocation {
        Invocation::Help => {
            print!("{}", args::HELP);
            Ok(0)
        }
        Invocation::Demo { form } => demo::run(form),
        Invocation::Guest(guest) => guest::run(guest),
    });
    match result {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("run: {error:#}");
            ExitCode::from(2)
        }
    }
}
