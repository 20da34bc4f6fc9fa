//! What every copy has to be: the same bytes, and ours no denser than its source's data.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use fast_copy_test_support::files::{KIB, allocated, same_content};

pub fn same(src: &Path, copy: &Path) -> Result<()> {
    same_content(src, copy).map_err(|difference| anyhow!("{}: {difference}", copy.display()))
}

/// That a copy of some data takes no more blocks than the data itself, and the file system's records.
pub fn no_denser(copy: &Path, data: &[Range<u64>]) -> Result<()> {
    let bytes: u64 = data.iter().map(|range| range.end - range.start).sum();
    takes_at_most(copy, bytes + records(data.len()))
}

pub fn takes_at_most(copy: &Path, most: u64) -> Result<()> {
    let taken = allocated(copy);
    ensure!(
        taken <= most,
        "{} takes {taken} bytes, {most} were expected at most",
        copy.display()
    );
    Ok(())
}

/// What a file system takes at most for its records of so many extents, as far as `st_blocks` counts
/// them, in bytes.
///
/// ext4 counts the blocks of its extent tree, with 12 bytes for an extent, and XFS those of its block
/// map, with 16; in both a leaf is at least half full. btrfs and tmpfs count data alone. The 64 KiB
/// are for long extents that the file system lays out in pieces: there is room for 2000.
pub fn records(extents: usize) -> u64 {
    64 * KIB + 32 * extents as u64
}
