//! Prints the space that files use and share.

use fast_copy::{Error, ErrorCode, ExtentSummary, FileUsage};

use crate::size::human_size;

/// A table of files on stdout.
pub struct UsageTable {
    /// The width of the first column in characters.
    width: usize,
}

impl UsageTable {
    /// Prints the line with the columns' titles.
    pub fn start(files: &[String]) -> Self {
        let width = files.iter().map(|file| file.chars().count()).max();
        let width = width.unwrap_or(0).max("FILE".len());
        println!(
            "{:width$}    APPARENT   ALLOCATED      SHARED  EXTENTS",
            "FILE"
        );
        Self { width }
    }

    /// Prints the line of a file. Returns the error of `extents`, except that of a file system that has no
    /// extent map; tmpfs is one.
    pub fn row(
        &self,
        file: &str,
        usage: FileUsage,
        extents: Result<ExtentSummary, Error>,
    ) -> Result<(), Error> {
        let (shared, extents) = match extents {
            Ok(summary) => (human_size(summary.shared), summary.extents.to_string()),
            Err(error) if error.code() == ErrorCode::Unsupported => ("-".into(), "-".into()),
            Err(error) => return Err(error),
        };
        println!(
            "{file:width$}  {:>10}  {:>10}  {shared:>10}  {extents:>7}",
            human_size(usage.size),
            human_size(usage.allocated),
            width = self.width,
        );
        Ok(())
    }
}
