//! What is on a disk: its blocks that are not all zeros.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use fast_copy_test_support::files::data_ranges;

use super::log::Entry;

pub const BLOCK: u64 = 4096;

const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// What is on a disk. Copies share their blocks.
#[derive(Clone, Default)]
pub struct Contents {
    blocks: BTreeMap<u64, Arc<[u8; BLOCK as usize]>>,
}

impl Contents {
    /// Reads an image whose size is a multiple of the block size.
    pub fn read(image: &File) -> Self {
        let mut contents = Self::default();
        for range in data_ranges(image) {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            image.read_exact_at(&mut bytes, range.start).unwrap();
            contents.write(range.start, &bytes);
        }
        contents
    }

    /// Writes all blocks to an image, or to a disk, that has only zeros.
    pub fn write_to(&self, image: &File) {
        for (number, block) in &self.blocks {
            image.write_all_at(&block[..], number * BLOCK).unwrap();
        }
    }

    /// Does what an entry of a log says.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Write { at, bytes, .. } => self.write(*at, bytes),
            Entry::Discard { at, length } => self.write(*at, &vec![0; *length as usize]),
            Entry::Flush => {}
        }
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            let (number, within) = (at / BLOCK, (at % BLOCK) as usize);
            let (now, later) = rest.split_at(rest.len().min(BLOCK as usize - within));
            let mut block = self.blocks.get(&number).map_or(ZEROS, |block| **block);
            block[within..within + now.len()].copy_from_slice(now);
            match block == ZEROS {
                true => self.blocks.remove(&number),
                false => self.blocks.insert(number, Arc::new(block)),
            };
            rest = later;
            at += now.len() as u64;
        }
    }
}
