//! Clones disk images from inside a WebAssembly sandbox, and shows the space that they use.
//!
//! `clone-disk --help` lists the commands and options.

mod args;
mod clone;
mod data;
mod failure;
mod notes;
mod progress;
mod size;
mod table;
mod tree;
mod usage;
mod verify;

use std::process::ExitCode;

use args::Command;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(error) => {
            eprintln!("clone-disk: {error} (clone-disk --help lists all commands and options)");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Command::Version => {
            println!("clone-disk {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Clone { how, base, names } => clone::run(&how, &base, &names),
        Command::Tree { how, dir, new } => tree::run(&how, &dir, &new),
        Command::Verify { a, b } => verify::run(&a, &b),
        Command::Usage { files } => usage::run(&files),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("clone-disk: {message}");
            ExitCode::FAILURE
        }
    }
}
