//! Checks of each copy: the same bytes as the source, and not more allocated than its data.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use fast_copy_test_support::files::{KIB, allocated, same_content};

pub fn same(src: &Path, copy: &Path) -> Result<()> {
    same_content(src, copy).map_err(|difference| anyhow!("{}: {difference}", copy.display()))
}

/// Checks that a copy has no more allocated than its data and the file system's metadata.
pub fn no_denser(copy: &Path, data: &[Range<u64>]) -> Result<()> {
    let bytes: u64 = data.iter().map(|range| range.end - range.start).sum();
    takes_at_most(copy, bytes + metadata(data.len()))
}

/// Checks that a file has at most `most` bytes allocated.
pub fn takes_at_most(copy: &Path, most: u64) -> Result<()> {
    let taken = allocated(copy);
    ensure!(
        taken <= most,
        "{} takes {taken} bytes, {most} were expected at most",
        copy.display()
    );
    Ok(())
}

/// Returns the most metadata that `st_blocks` includes for a number of extents, in bytes.
///
/// ext4 includes the blocks of its extent tree, with 12 bytes for an extent, and XFS those of its block
/// map, with 16. In both a leaf is at least half full. btrfs and tmpfs include data only. The 64 KiB
/// allow for 2000 more extents, since a file system may split long ones.
pub fn metadata(extents: usize) -> u64 {
    64 * KIB + 32 * extents as u64
}
