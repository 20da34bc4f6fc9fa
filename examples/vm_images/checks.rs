//! Checks images with other programs.

use std::fmt;
use std::path::PathBuf;
use std::process::Output;

use wasmtime::Result;

use crate::program;

/// The checks made so far. Each one prints a line.
pub struct Checks {
    /// The directory in which the programs run.
    dir: PathBuf,
    passed: u32,
    pub failed: u32,
    /// Not made, because the program is not installed.
    not_made: u32,
}

impl Checks {
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            passed: 0,
            failed: 0,
            not_made: 0,
        }
    }

    /// Checks the file system in an image.
    pub fn file_system(&mut self, image: &str) -> Result<()> {
        self.check("e2fsck", &["-fn", image], |output| output.status.success())
    }

    /// Checks that a file in an image's file system has the given content.
    pub fn file_holds(&mut self, image: &str, file: &str, content: &[u8]) -> Result<()> {
        self.check(
            "debugfs",
            &["-R", &format!("cat {file}"), image],
            |output| output.stdout == content,
        )
    }

    /// Checks that two images have the same size and content.
    pub fn same(&mut self, a: &str, b: &str) -> Result<()> {
        let args = ["compare", "-f", "raw", "-F", "raw", a, b];
        self.check("qemu-img", &args, |output| {
            // It exits with 0, after a warning, if the larger image ends with zeros.
            output.status.success() && output.stdout == b"Images are identical.\n"
        })
    }

    fn check(&mut self, name: &str, args: &[&str], passed: impl Fn(&Output) -> bool) -> Result<()> {
        let quoted = args.iter().map(|arg| match arg.contains(' ') {
            true => format!("'{arg}'"),
            false => arg.to_string(),
        });
        let line = format!("{name} {}", quoted.collect::<Vec<_>>().join(" "));
        let mut command = program::command(name);
        match program::run(command.args(args).current_dir(&self.dir))? {
            Some(output) if passed(&output) => {
                self.passed += 1;
                println!("passed: {line}");
            }
            Some(output) => {
                self.failed += 1;
                println!(
                    "FAILED: {line}: {}\n{}",
                    output.status,
                    program::text(&output)
                );
            }
            None => {
                self.not_made += 1;
                println!("not made, {name} is not installed: {line}");
            }
        }
        Ok(())
    }
}

/// Formats how many checks had which result.
impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            not_made,
            ..
        } = self;
        write!(
            f,
            "{passed} checks passed, {failed} failed, {not_made} were not made"
        )
    }
}
