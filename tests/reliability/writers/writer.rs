//! The writers: each makes operations of one kind on the source, and records them.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use memmap2::{MmapMut, MmapRaw};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::log::{Call, Entry, Log};
use super::states::{BLOCK, Block, Operation, bytes};

/// How many blocks a long `write` has.
pub const LONG: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `write` of one block.
    Buffered,
    /// `write` of [`LONG`] blocks.
    BufferedLong,
    /// `write` of one block with `O_DIRECT`.
    Direct,
    /// `write` of [`LONG`] blocks with `O_DIRECT`.
    DirectLong,
    /// Stores through a mapping whose pages are clean before each store.
    MappedClean,
    /// Stores through a mapping whose pages are clean, and have been read.
    MappedRead,
    /// Stores through a mapping whose pages are dirty.
    MappedDirty,
    PunchHole,
    ZeroRange,
    CollapseRange,
    InsertRange,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Buffered,
        Self::BufferedLong,
        Self::Direct,
        Self::DirectLong,
        Self::MappedClean,
        Self::MappedRead,
        Self::MappedDirty,
        Self::PunchHole,
        Self::ZeroRange,
        Self::CollapseRange,
        Self::InsertRange,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::BufferedLong => "buffered, long",
            Self::Direct => "O_DIRECT",
            Self::DirectLong => "O_DIRECT, long",
            Self::MappedClean => "mapped, clean",
            Self::MappedRead => "mapped, clean, read before",
            Self::MappedDirty => "mapped, dirty",
            Self::PunchHole => "punch hole",
            Self::ZeroRange => "zero range",
            Self::CollapseRange => "collapse range",
            Self::InsertRange => "insert range",
        }
    }

    fn flags(self) -> Option<FallocateFlags> {
        match self {
            Self::PunchHole => Some(FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE),
            Self::ZeroRange => Some(FallocateFlags::ZERO_RANGE),
            Self::CollapseRange => Some(FallocateFlags::COLLAPSE_RANGE),
            Self::InsertRange => Some(FallocateFlags::INSERT_RANGE),
            _ => None,
        }
    }

    /// Returns whether the file system of a directory has the operation.
    pub fn is_supported(self, dir: &Path) -> bool {
        let Some(flags) = self.flags() else {
            return true;
        };
        let file = tempfile::tempfile_in(dir).unwrap();
        file.write_all_at(&[1; 3 * BLOCK], 0).unwrap();
        match fallocate(&file, flags, BLOCK as u64, BLOCK as u64) {
            Ok(()) => true,
            Err(Errno::OPNOTSUPP) => false,
            Err(error) => panic!("{self:?}: {error}"),
        }
    }

    /// Returns the operations that belong to an exception that the contract documents, for a copy during the given
    /// call.
    pub fn excepted(self, entries: &[Entry], call: &Call) -> Vec<Operation> {
        let (begun, opened) = (call.begun, call.opened);
        let excepted: Vec<_> = match self {
            // The mapping was dirty already. A store can make a whole huge page writable, so a store to a page that
            // was clean may pass unnoticed too.
            Self::MappedDirty => {
                let is_dirty = |entry: &&Entry| {
                    entry.begun < opened && entry.synchronised.is_none_or(|at| at > begun)
                };
                entries
                    .iter()
                    .skip_while(|entry| !is_dirty(entry))
                    .collect()
            }
            // They were in progress at the opening.
            Self::DirectLong => {
                let is_in_progress = |entry: &&Entry| {
                    entry.begun < opened && entry.ended.is_none_or(|at| at > begun)
                };
                entries.iter().filter(is_in_progress).collect()
            }
            _ => Vec::new(),
        };
        excepted
            .into_iter()
            .map(|entry| entry.operation.clone())
            .collect()
    }
}

/// Makes the operations of one kind on a file.
pub struct Writer {
    kind: Kind,
    file: File,
    direct: File,
    map: MmapRaw,
    /// Memory that is aligned as `O_DIRECT` needs it.
    buffer: MmapMut,
    /// The blocks that it changes, but for the operations that move blocks.
    region: Range<usize>,
    /// The size of the file, in blocks.
    size: usize,
    stamp: u64,
    rng: Rng,
    step: usize,
    inserted: usize,
}

impl Writer {
    /// Opens a source. Its file system must support `kind`. `number` distinguishes the writers of a source.
    pub fn new(kind: Kind, path: &Path, region: Range<usize>, number: u64, seed: u64) -> Self {
        let open = |flags| {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).custom_flags(flags);
            options.open(path).unwrap()
        };
        let file = open(0);
        Self {
            kind,
            direct: open(libc::O_DIRECT),
            map: MmapRaw::map_raw(&file).unwrap(),
            buffer: MmapMut::map_anon(LONG * BLOCK).unwrap(),
            size: file.metadata().unwrap().len() as usize / BLOCK,
            file,
            region,
            stamp: (number + 1) << 48,
            rng: Rng::with_seed(seed),
            step: 0,
            inserted: 0,
        }
    }

    fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Chooses the next operation. Kinds that take blocks away add others in between.
    fn choose(&mut self) -> Operation {
        let step = self.step;
        self.step += 1;
        let block = self.rng.usize(self.region.clone());
        let stamp = self.next_stamp();
        let write = |at: usize, blocks: usize| Operation::Write {
            blocks: at..at + blocks,
            stamp,
        };
        match self.kind {
            Kind::Buffered | Kind::Direct => write(block, 1),
            Kind::BufferedLong | Kind::DirectLong => write(block.min(self.region.end - LONG), LONG),
            Kind::MappedClean | Kind::MappedRead => Operation::Store { block, stamp },
            // A few pages, each of which soon is dirty.
            Kind::MappedDirty => Operation::Store {
                block: block - block % 64,
                stamp,
            },
            Kind::PunchHole | Kind::ZeroRange => match step % 2 {
                0 => Operation::Clear { block },
                _ => write(block, 1),
            },
            Kind::CollapseRange => match step % 2 {
                0 => Operation::Collapse {
                    block: block.min(self.size - 2),
                },
                _ => write(self.size, 1),
            },
            Kind::InsertRange => match step % 3 {
                0 => {
                    self.inserted = block.min(self.size - 2);
                    Operation::Insert {
                        block: self.inserted,
                    }
                }
                1 => write(self.inserted, 1),
                _ => Operation::Resize {
                    blocks: self.size - 1,
                },
            },
        }
    }

    /// Returns operations that change both the first and the last block of the region, or move all blocks.
    pub fn at_both_ends(&mut self) -> Vec<Operation> {
        let (first, last) = (self.region.start, self.region.end - 1);
        let stamp = self.next_stamp();
        let write = |blocks| Operation::Write { blocks, stamp };
        match self.kind {
            Kind::Buffered | Kind::Direct => vec![write(first..first + 1), write(last..last + 1)],
            Kind::BufferedLong | Kind::DirectLong => {
                vec![write(first..first + LONG), write(last + 1 - LONG..last + 1)]
            }
            Kind::MappedClean | Kind::MappedRead | Kind::MappedDirty => [first, last]
                .map(|block| Operation::Store { block, stamp })
                .to_vec(),
            Kind::PunchHole | Kind::ZeroRange => [first, last]
                .map(|block| Operation::Clear { block })
                .to_vec(),
            Kind::CollapseRange => vec![Operation::Collapse { block: first }],
            Kind::InsertRange => vec![Operation::Insert { block: first }],
        }
    }

    /// Makes an operation.
    pub fn perform(&mut self, operation: &Operation) {
        let at = |block: usize| (block * BLOCK) as u64;
        match operation {
            Operation::Write { blocks, stamp } => {
                let data = bytes(&vec![Block::stamped(*stamp); blocks.len()]);
                let buffer = &mut self.buffer[..data.len()];
                buffer.copy_from_slice(&data);
                let file = match self.kind {
                    Kind::Direct | Kind::DirectLong => &self.direct,
                    _ => &self.file,
                };
                // One system call: a short write would be two operations.
                let written = file.write_at(buffer, at(blocks.start)).unwrap();
                assert_eq!(written, data.len(), "a short write");
                self.size = self.size.max(blocks.end);
            }
            Operation::Store { block, stamp } => self.store(*block, *stamp),
            Operation::Clear { block } => self.fallocate(at(*block)),
            Operation::Collapse { block } => {
                self.fallocate(at(*block));
                self.size -= 1;
            }
            Operation::Insert { block } => {
                self.fallocate(at(*block));
                self.size += 1;
            }
            Operation::Resize { blocks } => {
                self.file.set_len(at(*blocks)).unwrap();
                self.size = *blocks;
            }
        }
    }

    fn fallocate(&self, at: u64) {
        let flags = self.kind.flags().expect("a kind that calls fallocate");
        fallocate(&self.file, flags, at, BLOCK as u64).unwrap();
    }

    fn store(&self, block: usize, stamp: u64) {
        self.word(block).store(stamp, Ordering::Relaxed);
    }

    /// Reads all pages of the mapping.
    pub fn read(&self) {
        for block in self.region.clone() {
            std::hint::black_box(self.word(block).load(Ordering::Relaxed));
        }
    }

    #[expect(unsafe_code, reason = "memory that a copy may read at the same time")]
    fn word(&self, block: usize) -> &AtomicU64 {
        assert!((block + 1) * BLOCK <= self.map.len());
        // SAFETY: the eight bytes are within the mapping, aligned, and only accessed by this thread and by the kernel.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(block * BLOCK).cast()) }
    }

    /// Makes all pages of the mapping clean: the next store to each is noticed by the kernel. tmpfs, which writes
    /// nothing to a disk, notices only the first access to a page of a mapping.
    pub fn clean(&mut self) {
        self.map.flush().unwrap();
        if self.is_on_tmpfs() {
            self.map = MmapRaw::map_raw(&self.file).unwrap();
        }
    }

    pub fn is_on_tmpfs(&self) -> bool {
        /// `TMPFS_MAGIC` (statfs(2)).
        const TMPFS: i64 = 0x0102_1994;
        rustix::fs::fstatfs(&self.file).unwrap().f_type == TMPFS
    }

    /// Makes operations until it is told to stop, with pauses up to three times as long as a copy takes.
    pub fn run(&mut self, log: &Log, stop: &AtomicBool, copy_takes: &AtomicU64) {
        while !stop.load(Ordering::Relaxed) {
            let operation = self.choose();
            let index = log.begin(operation.clone());
            self.perform(&operation);
            log.end(index);
            if self.kind == Kind::MappedClean || self.kind == Kind::MappedDirty && index % 64 == 63
            {
                self.clean();
                log.synchronised();
            }
            if self.rng.bool() {
                let longest = copy_takes.load(Ordering::Relaxed) * 3;
                std::thread::sleep(Duration::from_nanos(self.rng.u64(0..=longest)));
            }
        }
    }
}
