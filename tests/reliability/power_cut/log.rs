//! Reads the log of a recorded disk: each write and each flush, in the order in which the disk completed them.
//!
//! The format is that of QEMU's `blklogwrites` (block/blklogwrites.c), which is dm-log-writes' (Linux,
//! drivers/md/dm-log-writes.c): a superblock, then for each entry a header, padded to a sector, and its data.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The sector size that the log is made with.
pub const SECTOR: u64 = 512;

const MAGIC: u64 = 0x6a_736677_736872;
const VERSION: u64 = 1;

const FLUSH: u64 = 1;
/// The write is on the disk when it completes (forced unit access).
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// What the disk was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Writes bytes at an offset. With `durable` they are on the disk at once.
    Write {
        at: u64,
        bytes: Vec<u8>,
        durable: bool,
    },
    /// Discards a number of bytes at an offset.
    Discard { at: u64, length: u64 },
    /// Puts all earlier writes on the disk.
    Flush,
}

/// The entries of a log that grows.
pub struct Log {
    file: File,
    /// The offset of the next entry.
    at: u64,
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            at: SECTOR,
            entries: Vec::new(),
        })
    }

    /// Reads what was added since the last call. Returns how many entries the log has now.
    ///
    /// The rest of the file is a hole. No entry has a header of zeros.
    pub fn read(&mut self) -> Result<usize> {
        loop {
            let header: [u64; 4] = numbers(&self.file, self.at)?;
            if header == [0; 4] {
                break;
            }
            let [sector, sectors, flags, _] = header;
            let (at, length) = (sector * SECTOR, sectors * SECTOR);
            self.at += SECTOR;
            ensure!(flags <= DISCARD, "an entry with flags {flags}");
            if flags & DISCARD != 0 {
                self.entries.push(Entry::Discard { at, length });
                continue;
            }
            if flags & FLUSH != 0 {
                self.entries.push(Entry::Flush);
            }
            if length > 0 {
                let mut bytes = vec![0; length as usize];
                self.file.read_exact_at(&mut bytes, self.at)?;
                self.at += length;
                let durable = flags & FUA != 0;
                self.entries.push(Entry::Write { at, bytes, durable });
            }
        }
        // The superblock is written at each flush.
        if self.entries.contains(&Entry::Flush) {
            let [magic, version] = numbers(&self.file, 0)?;
            ensure!(
                (magic, version) == (MAGIC, VERSION),
                "not a log: {magic:x} {version}"
            );
        }
        Ok(self.entries.len())
    }
}

/// Reads little-endian numbers.
fn numbers<const N: usize>(file: &File, at: u64) -> Result<[u64; N]> {
    let mut numbers = [0; N];
    for (i, number) in numbers.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at + 8 * i as u64)
            .context("the log is full")?;
        *number = u64::from_le_bytes(bytes);
    }
    Ok(numbers)
}
