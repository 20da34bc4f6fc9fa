//! Runs `clone-disk usage`: prints the space that each file uses and shares.

use fast_copy::{ErrorCode, disk_usage, summarize_extents};

use crate::failure::failure;
use crate::size::human_size;

/// Prints a line for each file. Stops at the first error, which lists the files that follow.
pub fn run(files: &[String]) -> Result<(), String> {
    let width = files.iter().map(|file| file.chars().count()).max();
    let width = width.unwrap_or(0).max("FILE".len());
    println!(
        "{:width$}    APPARENT   ALLOCATED      SHARED  EXTENTS",
        "FILE"
    );
    for (i, file) in files.iter().enumerate() {
        let rest = &files[i + 1..];
        let usage = disk_usage(file).map_err(|error| failure(error, rest))?;
        let (shared, extents) = match summarize_extents(file) {
            Ok(summary) => (human_size(summary.shared), summary.extents.to_string()),
            // The file system has no extent map; tmpfs is one.
            Err(error) if error.code() == ErrorCode::Unsupported => ("-".into(), "-".into()),
            Err(error) => return Err(failure(error, rest)),
        };
        println!(
            "{file:width$}  {:>10}  {:>10}  {shared:>10}  {extents:>7}",
            human_size(usage.size),
            human_size(usage.allocated),
        );
    }
    Ok(())
}
