//! Files of random layouts, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use crate::model::pattern;
use crate::model::random::Random;

pub const BLOCK: u64 = 4096;

/// The largest folio of the page cache, in bytes: a huge page (`MAX_PAGECACHE_ORDER` in
/// include/linux/pagemap.h).
const FOLIO: u64 = 2 << 20;

/// What a file has.
pub struct Layout {
    pub size: u64,
    /// The content of the blocks with a byte that is not zero.
    content: BTreeMap<u64, Vec<u8>>,
    written: BTreeSet<u64>,
    /// The blocks into which the file system may have written zeros.
    zeroed: BTreeSet<u64>,
    preallocated: BTreeSet<u64>,
    /// What made the file.
    pub steps: Vec<String>,
    kind: String,
}

impl Layout {
    /// Makes a file of a random layout.
    pub fn make(random: &mut Random, path: &Path, kind: &str) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        let mut layout = Self {
            size: 0,
            content: BTreeMap::new(),
            written: BTreeSet::new(),
            zeroed: BTreeSet::new(),
            preallocated: BTreeSet::new(),
            steps: Vec::new(),
            kind: kind.to_owned(),
        };
        let within = match random.below(100) {
            0..4 => 1,
            4..45 => 1 + random.below(64 << 10),
            45..80 => 1 + random.below(1 << 20),
            80..92 => 1 + random.below(8 << 20),
            _ => 1 + random.below(1 << 40),
        };
        if random.chance(60) {
            layout.resize(&file, within)?;
        }
        for _ in 0..random.below(12) {
            layout.step(random, &file, within)?;
        }
        if random.chance(5) {
            // Many extents.
            for number in 0..random.below(400) {
                layout.write(&file, number * 2 * BLOCK, BLOCK, 4 * number + 1)?;
            }
        }
        if random.chance(50) {
            file.sync_all()?;
            layout.steps.push("sync".to_owned());
        }
        Ok(layout)
    }

    fn step(&mut self, random: &mut Random, file: &File, within: u64) -> io::Result<()> {
        let mut offset = random.below(within);
        if random.chance(50) {
            offset -= offset % BLOCK;
        }
        let length = match random.below(6) {
            0 => 1 + random.below(64),
            1 | 2 => BLOCK * (1 + random.below(16)),
            3 | 4 => 1 + random.below(64 << 10),
            _ => 1 + random.below(512 << 10),
        };
        match random.below(20) {
            0..8 => self.write(file, offset, length, random.next()),
            8..10 => self.resize(file, offset),
            10..13 => self.punch(file, offset, length),
            13..16 => self.allocate(file, offset, length, random.chance(50)),
            16..18 => self.store(file, offset, length.min(64 << 10), random.next()),
            18 => {
                self.steps.push("sync".to_owned());
                file.sync_all()
            }
            _ => {
                // Preallocated blocks are in the page cache from now on.
                self.steps.push(format!("read {offset} {length}"));
                file.read_at(&mut vec![0; length as usize], offset)
                    .map(drop)
            }
        }
    }

    fn resize(&mut self, file: &File, size: u64) -> io::Result<()> {
        self.steps.push(format!("resize {size}"));
        file.set_len(size)?;
        self.set_size(size);
        Ok(())
    }

    fn set_size(&mut self, size: u64) {
        let old = std::mem::replace(&mut self.size, size);
        if size != old {
            self.end(size.min(old));
        }
        if size < old {
            self.clear(size..old.next_multiple_of(BLOCK));
            let end = size.div_ceil(BLOCK);
            for blocks in [&mut self.written, &mut self.zeroed, &mut self.preallocated] {
                blocks.split_off(&end);
            }
        }
    }

    fn write(&mut self, file: &File, offset: u64, length: u64, seed: u64) -> io::Result<()> {
        self.steps.push(format!("write {offset} {length} {seed}"));
        let bytes = pattern::bytes(seed, length);
        file.write_all_at(&bytes, offset)?;
        self.set_size(self.size.max(offset + length));
        self.put(offset, &bytes);
        Ok(())
    }

    #[expect(unsafe_code, reason = "no safe interface maps a file")]
    fn store(&mut self, file: &File, offset: u64, length: u64, seed: u64) -> io::Result<()> {
        let length = length.min(self.size.saturating_sub(offset));
        if length == 0 {
            return Ok(());
        }
        self.steps.push(format!("store {offset} {length} {seed}"));
        let bytes = pattern::bytes(seed, length);
        let mut options = memmap2::MmapOptions::new();
        options.offset(offset).len(length as usize);
        // SAFETY: no other thread or process changes the size of the file, and nothing else refers to the mapping.
        let mut mapping = unsafe { options.map_mut(file) }?;
        mapping.copy_from_slice(&bytes);
        self.put(offset, &bytes);
        if self.kind != "tmpfs" {
            // The first store to a folio makes all of it dirty (`iomap_page_mkwrite` in fs/iomap/buffered-io.c).
            let end = (offset + length).next_multiple_of(FOLIO).min(self.size);
            self.written.extend(touched(offset - offset % FOLIO..end));
        }
        Ok(())
    }

    fn punch(&mut self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        let end = (offset + length).min(self.size);
        if offset >= end {
            return Ok(());
        }
        self.steps.push(format!("punch {offset} {}", end - offset));
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(file, flags, offset, end - offset)?;
        self.clear(offset..end);
        self.end(offset);
        self.end(end);
        for block in offset.div_ceil(BLOCK)..end / BLOCK {
            for blocks in [&mut self.written, &mut self.zeroed, &mut self.preallocated] {
                blocks.remove(&block);
            }
        }
        Ok(())
    }

    fn allocate(
        &mut self,
        file: &File,
        offset: u64,
        length: u64,
        keep_size: bool,
    ) -> io::Result<()> {
        self.steps
            .push(format!("allocate {offset} {length} {keep_size}"));
        let flags = match keep_size {
            true => FallocateFlags::KEEP_SIZE,
            false => FallocateFlags::empty(),
        };
        fallocate(file, flags, offset, length)?;
        self.end(self.size);
        if !keep_size {
            self.set_size(self.size.max(offset + length));
        }
        self.preallocated.extend(touched(offset..offset + length));
        let written: Vec<u64> = self.written.iter().copied().collect();
        self.zero(&written);
        Ok(())
    }

    /// Puts bytes into the model.
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let range = offset..offset + bytes.len() as u64;
        for block in touched(range.clone()) {
            let (start, end) = (
                range.start.max(block * BLOCK),
                range.end.min((block + 1) * BLOCK),
            );
            let content = self
                .content
                .entry(block)
                .or_insert_with(|| vec![0; BLOCK as usize]);
            let from = &bytes[(start - range.start) as usize..(end - range.start) as usize];
            content[(start % BLOCK) as usize..][..from.len()].copy_from_slice(from);
            if content.iter().all(|&byte| byte == 0) {
                self.content.remove(&block);
            }
        }
        let written: Vec<u64> = touched(range).collect();
        self.written.extend(&written);
        self.zero(&written);
    }

    /// Makes bytes zeros in the model.
    fn clear(&mut self, range: Range<u64>) {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let within: Vec<u64> = self
            .content
            .range(blocks)
            .map(|(&block, _)| block)
            .collect();
        for block in within {
            let start = range.start.max(block * BLOCK) - block * BLOCK;
            let end = range.end.min((block + 1) * BLOCK) - block * BLOCK;
            let content = self.content.get_mut(&block).expect("a block with content");
            content[start as usize..end as usize].fill(0);
            if content.iter().all(|&byte| byte == 0) {
                self.content.remove(&block);
            }
        }
    }

    /// Marks the block with the end of a range. btrfs writes it if the end is within the block, even if it was a
    /// hole (`btrfs_truncate_block` in fs/btrfs/inode.c).
    fn end(&mut self, at: u64) {
        if self.kind == "btrfs" && !at.is_multiple_of(BLOCK) {
            self.written.insert(at / BLOCK);
        }
    }

    /// Marks the blocks beside those that were written. ext4 writes zeros into up to 32 KiB of preallocated blocks
    /// beside a write, instead of splitting an extent (s_extent_max_zeroout_kb, ext4_ext_convert_to_initialized in
    /// fs/ext4/extents.c).
    fn zero(&mut self, written: &[u64]) {
        if self.kind == "ext4" {
            for &block in written {
                let beside = block.saturating_sub(8)..block + 9;
                self.zeroed.extend(self.preallocated.range(beside));
            }
        }
    }

    /// Returns the content of a block, or none if all of it is zero.
    pub fn block(&self, block: u64) -> Option<&[u8]> {
        self.content.get(&block).map(Vec::as_slice)
    }

    /// Returns the blocks that are not zero.
    pub fn not_zero(&self) -> impl Iterator<Item = u64> {
        self.content.keys().copied()
    }

    /// Returns the blocks that a copy of the bytes may have.
    pub fn data(&self, dig_holes: bool) -> BTreeSet<u64> {
        let all = self.written.union(&self.zeroed).copied();
        // Without FIEMAP, all blocks of zeros become holes.
        let digs = dig_holes || self.kind == "tmpfs";
        let end = self.size.div_ceil(BLOCK);
        all.filter(|block| *block < end && (!digs || self.content.contains_key(block)))
            .collect()
    }
}

/// Returns the blocks that a range of bytes touches.
fn touched(range: Range<u64>) -> Range<u64> {
    match range.is_empty() {
        true => 0..0,
        false => range.start / BLOCK..range.end.div_ceil(BLOCK),
    }
}
