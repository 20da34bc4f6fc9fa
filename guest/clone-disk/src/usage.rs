//! Runs `clone-disk usage`: prints the space that each file uses and shares.

use fast_copy::{ErrorCode, disk_usage, summarize_extents};

use crate::size::human_size;

/// Prints a line for each file. Stops at the first error.
pub fn run(files: &[String]) -> Result<(), String> {
    let width = files.iter().map(|file| file.len()).max();
    let width = width.unwrap_or(0).max("FILE".len());
    println!(
        "{:width$}    APPARENT   ALLOCATED      SHARED  EXTENTS",
        "FILE"
    );
    for file in files {
        let usage = disk_usage(file).map_err(|error| error.to_string())?;
        let (shared, extents) = match summarize_extents(file) {
            Ok(summary) => (human_size(summary.shared), summary.extents.to_string()),
            // The file system has no extent map; tmpfs is one.
            Err(error) if matches!(error.code(), ErrorCode::Unsupported) => {
                ("-".into(), "-".into())
            }
            Err(error) => return Err(error.to_string()),
        };
        println!(
            "{file:width$}  {:>10}  {:>10}  {shared:>10}  {extents:>7}",
            human_size(usage.size),
            human_size(usage.allocated),
        );
    }
    Ok(())
}
