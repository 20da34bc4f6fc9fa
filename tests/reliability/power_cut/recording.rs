//! What a disk was asked to do during a copy, and after it.

use std::fs::File;
use std::path::Path;

use super::contents::Contents;
use super::log::Entry;
use super::recorded_disk::RecordedDisk;
use super::scratch_disk::ScratchDisk;

pub struct Recording {
    pub entries: Vec<Entry>,
    /// The number of entries before the copy began. All of them are on the disk.
    pub begun: usize,
    /// The number of entries up to the last flush before the copy returned. What was written before is on the disk.
    pub returned: usize,
    /// The number of entries up to the last flush before the file system was synchronised by another process.
    pub synchronised: usize,
}

impl Recording {
    /// Mounts a disk with the given contents, lets `copy` make a copy there, and then synchronises the copy's
    /// directory and the file system, as another process may do. Also returns the result of `copy`.
    pub fn make<T>(
        scratch: &ScratchDisk,
        contents: &Contents,
        dir: &str,
        copy: impl FnOnce(&Path) -> T,
    ) -> (Self, T) {
        scratch.be_the_only_one();
        let mut disk = RecordedDisk::start(scratch.memory(), contents, scratch.size());
        let dir = disk.root.join(dir);
        let begun = disk.sync();
        let result = copy(&dir);
        let returned = disk.completed();
        File::open(&dir).unwrap().sync_all().unwrap();
        let synchronised = disk.sync();
        let entries = std::mem::take(&mut disk.log.entries);
        drop(disk);
        scratch.be_the_only_one();
        let last_flush = |end: usize| {
            let flush = entries[..end].iter().rposition(|one| *one == Entry::Flush);
            flush.map_or(begun, |flush| (flush + 1).max(begun))
        };
        let recording = Self {
            begun,
            returned: last_flush(returned),
            synchronised: last_flush(synchronised),
            entries,
        };
        (recording, result)
    }

    /// Returns the number of flushes since the copy began.
    pub fn flushes(&self) -> usize {
        let since = &self.entries[self.begun..];
        since.iter().filter(|one| **one == Entry::Flush).count()
    }
}
