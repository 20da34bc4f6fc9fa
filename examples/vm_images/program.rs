//! Runs other programs.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use wasmtime::Result;
use wasmtime::error::Context;

/// Returns a command that runs a program.
pub fn command(name: &str) -> Command {
    // On Debian, the programs for file systems are in a folder that only root has in PATH.
    let mut path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new(name);
    command.env("PATH", path).stdin(Stdio::null());
    command
}

/// Runs a command to its end, and captures its output. Returns `None` if its program is not installed.
pub fn run(command: &mut Command) -> Result<Option<Output>> {
    match command.output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| command.get_program().to_string_lossy().into_owned())
        }
    }
}

/// Returns what a program has printed.
pub fn text(output: &Output) -> String {
    let printed = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&printed).trim().to_owned()
}
