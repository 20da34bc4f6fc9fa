//! `clone-disk usage`.

use fast_copy::{ErrorCode, disk_usage, summarize_extents};

use crate::size::in_words;

pub fn run(files: &[String]) -> Result<(), String> {
    let width = files.iter().map(|file| file.len()).max();
    let width = width.unwrap_or(0).max("FILE".len());
    println!(
        "{:width$}    APPARENT   ALLOCATED      SHARED  EXTENTS",
        "FILE"
    );
    for file in files {
        let usage = disk_usage(file).map_err(|error| format!("{file}: {error}"))?;
        let (shared, extents) = match summarize_extents(file) {
            Ok(summary) => (in_words(summary.shared), summary.extents.to_string()),
            // tmpfs, for one, doesn't tell.
            Err(error) if matches!(error.code, ErrorCode::Unsupported) => ("-".into(), "-".into()),
            Err(error) => return Err(format!("{file}: {error}")),
        };
        println!(
            "{file:width$}  {:>10}  {:>10}  {shared:>10}  {extents:>7}",
            in_words(usage.size),
            in_words(usage.allocated),
        );
    }
    Ok(())
}
