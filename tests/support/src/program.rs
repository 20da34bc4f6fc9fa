//! Programs that must succeed.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// Returns a command for a program of `/usr/sbin` or `/sbin`, which may be missing in `PATH`.
pub fn administrative(name: impl AsRef<OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Runs a program. Returns its command line, status and errors if it fails.
pub fn try_run(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Runs a program, and fails the test if it fails.
#[track_caller]
pub fn run(command: &mut Command) {
    if let Err(failure) = try_run(command) {
        panic!("{failure}");
    }
}
