//! The source files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use fast_copy_test_support::files::{GIB, KIB, MIB};
use fast_copy_test_support::program::{administrative, try_run};
use rustix::fs::{Advice, FallocateFlags, FsWord, fadvise, fallocate, fstatfs, syncfs};

/// Writes bytes that don't compress, without a block of zeros.
pub fn write_noise(file: &File, range: Range<u64>) -> Result<()> {
    let mut state = range.start.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = vec![0; MIB.min(range.end - range.start) as usize];
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(MIB) as usize;
        for word in bytes.as_chunks_mut::<8>().0 {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *word = state.to_le_bytes();
        }
        file.write_all_at(&bytes[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// Makes a file of `size` bytes with noise in the given ranges.
pub fn sparse(path: &Path, size: u64, data: impl Iterator<Item = Range<u64>>) -> Result<()> {
    let file = File::create(path)?;
    file.set_len(size)?;
    for range in data {
        write_noise(&file, range)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Makes a file of `count` extents of `length` bytes, with holes of the same length between them.
pub fn extents(path: &Path, count: u64, length: u64) -> Result<()> {
    let data = (0..count).map(|i| 2 * i * length..(2 * i + 1) * length);
    sparse(path, 2 * count * length, data)
}

/// Makes a file of `size` bytes with `count` extents of `length` bytes, spread evenly.
pub fn spread(path: &Path, size: u64, count: u64, length: u64) -> Result<()> {
    let step = size / count;
    let data = (0..count).map(|i| i * step..i * step + length);
    sparse(path, size, data)
}

/// Makes a file system image of 8 GiB by mkfs.ext4, with files of 1 KiB to 64 MiB, about 700 MiB in all.
pub fn image(path: &Path) -> Result<()> {
    let tree = tempfile::tempdir_in(path.parent().unwrap())?;
    let mut number = 0;
    for (count, size) in [
        (4000, KIB),
        (2000, 16 * KIB),
        (400, 256 * KIB),
        (60, 4 * MIB),
        (5, 64 * MIB),
    ] {
        let dir = tree.path().join(format!("{size}"));
        fs::create_dir(&dir)?;
        for _ in 0..count {
            let file = File::create(dir.join(number.to_string()))?;
            write_noise(&file, 0..size).context("filling the image")?;
            number += 1;
        }
    }
    try_run(
        administrative("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(tree.path())
            .arg(path)
            .arg("8G"),
    )
    .map_err(anyhow::Error::msg)?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// Makes a file of 2 GiB preallocated, with 64 written extents of 1 MiB.
pub fn preallocated(path: &Path) -> Result<()> {
    let file = File::create(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, 2 * GIB)?;
    for i in 0..64 {
        write_noise(&file, i * 32 * MIB..i * 32 * MIB + MIB)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Removes a file from the page cache.
pub fn cool(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}

/// Reads the data of a file once.
pub fn warm_data(path: &Path, data: &[Range<u64>]) -> Result<()> {
    let file = File::open(path)?;
    let mut buffer = vec![0; MIB as usize];
    for range in data {
        for at in range.clone().step_by(MIB as usize) {
            file.read_at(&mut buffer, at)?;
        }
    }
    Ok(())
}

/// Reads all of a file once, as `cat` does.
pub fn warm(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; MIB as usize];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Reads all of a file once through a mapping. tmpfs reports preallocated blocks as data after that, and
/// not after `cat`.
#[expect(
    unsafe_code,
    reason = "a mapping of a file, which other processes could change"
)]
pub fn warm_by_mapping(path: &Path) -> Result<()> {
    // SAFETY: no process writes to the file while it is mapped.
    let mapping = unsafe { memmap2::Mmap::map(&File::open(path)?)? };
    let first_bytes = mapping.iter().step_by(4096);
    std::hint::black_box(first_bytes.map(|&byte| u64::from(byte)).sum::<u64>());
    Ok(())
}

/// Waits until a file system has finished its work.
///
/// XFS frees the blocks of a removed file in the background. For a file with 50,000 shared extents this
/// takes a second, which the next contender would lose. `syncfs` doesn't wait for it; freezing the file
/// system does.
pub fn settle(dir: &Path) -> Result<()> {
    let opened = File::open(dir)?;
    syncfs(&opened)?;
    if fstatfs(&opened)?.f_type == XFS_SUPER_MAGIC {
        for flag in ["--freeze", "--unfreeze"] {
            try_run(administrative("fsfreeze").arg(flag).arg(dir)).map_err(anyhow::Error::msg)?;
        }
    }
    Ok(())
}

/// From statfs(2).
const XFS_SUPER_MAGIC: FsWord = 0x5846_5342;

/// Makes `count` files of 4 KiB.
pub fn small_files(dir: &Path, count: usize) -> Result<()> {
    for i in 0..count {
        let mut file = File::create(dir.join(format!("src-{i}")))?;
        file.write_all(&[(i % 255) as u8 + 1; 4096])?;
    }
    settle(dir)
}
