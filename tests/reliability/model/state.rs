//! The model: the names and the files that a directory should have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::blocks::{self, BLOCK, Blocks};

/// The directory below the root. It always exists.
pub const DIRECTORY: &str = "d";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    File(u64),
    /// A symbolic link, and where it leads to.
    Symlink(String),
    Fifo,
    Directory,
}

#[derive(Clone, Debug)]
pub struct File {
    pub bytes: Arc<Vec<u8>>,
    /// The blocks that were written. A file system reports no others as data.
    pub written: Blocks,
    /// The blocks beside them into which the file system may have written zeros.
    zeroed: Blocks,
    pub preallocated: Blocks,
    pub mode: u32,
    /// Whether the file was the source or the result of a clone.
    pub cloned: bool,
    kind: Kind,
}

/// The file systems that write more than they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Btrfs,
    Ext4,
    Xfs,
    Other,
}

impl File {
    pub fn new(mode: u32, kind: &str) -> Self {
        Self {
            bytes: Arc::default(),
            written: 0,
            zeroed: 0,
            preallocated: 0,
            mode,
            cloned: false,
            kind: match kind {
                "btrfs" => Kind::Btrfs,
                "ext4" => Kind::Ext4,
                "xfs" => Kind::Xfs,
                _ => Kind::Other,
            },
        }
    }

    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        if end > self.size() {
            self.resize(end);
        }
        self.change(offset..end).copy_from_slice(data);
        self.written |= blocks::touched(offset..end);
        self.zero();
    }

    /// Writes through a mapping. The first store to a folio makes all of it dirty, and it can be as large as the
    /// file (`iomap_page_mkwrite` in fs/iomap/buffered-io.c).
    pub fn store(&mut self, offset: u64, data: &[u8]) {
        self.write(offset, data);
        if self.kind != Kind::Other {
            self.written |= blocks::touched(0..self.size());
        }
    }

    pub fn resize(&mut self, size: u64) {
        let old = self.size();
        if size != old {
            self.end(size.min(old));
        }
        if size < old {
            self.written &= blocks::touched(0..size);
            self.zeroed &= blocks::touched(0..size);
            self.preallocated &= blocks::touched(0..size);
        }
        Arc::make_mut(&mut self.bytes).resize(size as usize, 0);
    }

    /// Makes a hole. It ends at the end of the file or before.
    pub fn punch(&mut self, range: Range<u64>) {
        self.change(range.clone()).fill(0);
        self.end(range.start);
        self.end(range.end);
        self.written &= !blocks::covered(range.clone());
        self.zeroed &= !blocks::covered(range.clone());
        self.preallocated &= !blocks::covered(range);
    }

    pub fn allocate(&mut self, range: Range<u64>, keep_size: bool) {
        self.end(self.size());
        if !keep_size && range.end > self.size() {
            self.resize(range.end);
        }
        self.preallocated |= blocks::touched(range);
        self.zero();
    }

    /// Marks the blocks beside those that were written. ext4 writes zeros into up to 32 KiB of preallocated blocks
    /// beside a write, instead of splitting an extent (s_extent_max_zeroout_kb, ext4_ext_convert_to_initialized in
    /// fs/ext4/extents.c).
    fn zero(&mut self) {
        if self.kind == Kind::Ext4 {
            self.zeroed |= blocks::around(self.written, 8) & self.preallocated;
        }
    }

    fn change(&mut self, range: Range<u64>) -> &mut [u8] {
        &mut Arc::make_mut(&mut self.bytes)[range.start as usize..range.end as usize]
    }

    /// Marks the block with the end of a range, if the end is within the block. btrfs writes it even if it was a
    /// hole (`btrfs_truncate_block` in fs/btrfs/inode.c). XFS does so if it has reserved the block for a write to
    /// shared blocks nearby (`xfs_truncate_page` in fs/xfs/xfs_iomap.c; seen on Linux 6.18).
    fn end(&mut self, at: u64) {
        if at.is_multiple_of(BLOCK) {
            return;
        }
        let block = blocks::touched(at..at + 1);
        match self.kind {
            Kind::Btrfs => self.written |= block,
            Kind::Xfs if self.cloned => self.zeroed |= block,
            _ => {}
        }
    }

    /// Returns the blocks that the file system may have written.
    pub fn data(&self) -> Blocks {
        self.written | self.zeroed
    }

    /// Returns the blocks that the file system may report as data.
    pub fn reported(&self) -> Blocks {
        match self.kind {
            // For a write to shared blocks, XFS reserves others, 128 KiB or more, and reports all of them
            // (xfs_seek_iomap_begin in fs/xfs/xfs_iomap.c).
            Kind::Xfs if self.cloned => Blocks::MAX,
            // Without FIEMAP, preallocated blocks can be data.
            Kind::Other => self.written | self.preallocated,
            _ => self.data(),
        }
    }

    /// Makes this the model of a copy of the bytes, with data in these blocks.
    pub fn keep_only(&mut self, written: Blocks) {
        self.written = written;
        self.zeroed = 0;
        self.preallocated = 0;
    }

    /// Adds what another file with the same content may have.
    pub fn or(&mut self, other: &Self) {
        self.written |= other.written;
        self.zeroed |= other.zeroed;
        self.preallocated |= other.preallocated;
        self.cloned |= other.cloned;
    }
}

/// The names and the files.
#[derive(Default)]
pub struct State {
    pub names: BTreeMap<String, Entry>,
    files: BTreeMap<u64, File>,
    next: u64,
}

impl State {
    pub fn new() -> Self {
        let mut state = Self::default();
        state.names.insert(DIRECTORY.to_owned(), Entry::Directory);
        state
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.names.get(key)
    }

    pub fn file(&self, id: u64) -> &File {
        &self.files[&id]
    }

    /// Returns the number of the file that has a name.
    pub fn id(&self, key: &str) -> Option<u64> {
        match self.names.get(key) {
            Some(Entry::File(id)) => Some(*id),
            _ => None,
        }
    }

    pub fn file_named(&self, key: &str) -> Option<&File> {
        self.id(key).map(|id| self.file(id))
    }

    pub fn file_named_mut(&mut self, key: &str) -> Option<&mut File> {
        let id = self.id(key)?;
        self.files.get_mut(&id)
    }

    /// Gives a new file a name, in place of what had it.
    pub fn put(&mut self, key: &str, file: File) {
        let id = self.next;
        self.next += 1;
        self.files.insert(id, file);
        self.names.insert(key.to_owned(), Entry::File(id));
        self.forget();
    }

    pub fn remove(&mut self, key: &str) {
        self.names.remove(key);
        self.forget();
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        // Of two names of one file, both stay (rename(2)).
        if self.id(from).is_some() && self.id(from) == self.id(to) {
            return;
        }
        let entry = self.names.remove(from).expect("a name to change");
        self.names.insert(to.to_owned(), entry);
        self.forget();
    }

    /// Forgets the files that have no name any more.
    fn forget(&mut self) {
        let named = |id: &u64| self.names.values().any(|entry| *entry == Entry::File(*id));
        let unnamed: Vec<u64> = self.files.keys().copied().filter(|id| !named(id)).collect();
        for id in unnamed {
            self.files.remove(&id);
        }
    }

    /// Resolves a path as the host does for a guest, to a key of `names`, and adds the names on the way to `seen`.
    /// Returns the name of the error if it leads nowhere.
    pub fn resolve(
        &self,
        path: &str,
        follow: bool,
        seen: &mut BTreeSet<String>,
    ) -> Result<String, &'static str> {
        let mut left: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut directory = String::new();
        let mut followed = 0;
        if path.is_empty() {
            return Err("NoEntry");
        }
        while let Some(part) = left.pop_front() {
            if part == ".." {
                if directory.is_empty() {
                    return Err("NotPermitted");
                }
                directory.clear();
                continue;
            }
            let key = match directory.as_str() {
                "" => part,
                above => format!("{above}/{part}"),
            };
            let is_last = left.is_empty();
            match self.names.get(&key) {
                Some(Entry::Symlink(target)) if !is_last || follow => {
                    seen.insert(key);
                    followed += 1;
                    if followed > 40 {
                        return Err("Loop");
                    }
                    if target.starts_with('/') {
                        return Err("NotPermitted");
                    }
                    for part in target.split('/').rev() {
                        left.push_front(part.to_owned());
                    }
                }
                _ if is_last => return Ok(key),
                Some(Entry::Directory) => directory = key,
                other => {
                    seen.insert(key);
                    return Err(match other {
                        Some(_) => "NotDirectory",
                        None => "NoEntry",
                    });
                }
            }
        }
        unreachable!("no path ends in ..")
    }
}
