//! `clone-disk`: clones disk images from inside a WebAssembly sandbox.

mod args;
mod clone;
mod progress;
mod size;
mod usage;
mod verify;

use std::process::ExitCode;

use args::Command;

fn main() -> ExitCode {
    let result = match args::parse() {
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            Ok(())
        }
        Ok(Command::Clone(request)) => clone::run(&request),
        Ok(Command::Verify { a, b }) => verify::run(&a, &b),
        Ok(Command::Usage { files }) => usage::run(&files),
        Err(error) => Err(format!("{error}\n\n{}", args::HELP)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("clone-disk: {message}");
            ExitCode::FAILURE
        }
    }
}
