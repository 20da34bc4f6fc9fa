//! Clones disk images from inside a WebAssembly sandbox, and shows the space that they use.
//!
//! `clone-disk --help` lists the commands and options. The exit status is 0 if everything succeeded,
//! otherwise 1.

mod args;
mod clone;
mod data;
mod notes;
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
