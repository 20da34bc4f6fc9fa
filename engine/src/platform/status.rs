//! What the system reports about a file, in types that are the same on all systems.

/// The kind of a file, as far as copying is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Symlink,
    /// A FIFO, a socket or a device.
    Other,
}

/// The identity of a file, under any name: device and inode on Unix, volume and file index on Windows.
///
/// It is valid while the file exists. The inode of a removed file can be given to a new one, so keep the file
/// open as long as you compare its identity. Some network and overlay file systems do not give each file an
/// identity of its own that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    /// Returns the device (`st_dev`).
    #[doc(alias = "st_dev")]
    pub fn device(self) -> u64 {
        self.device
    }

    /// Returns the inode (`st_ino`).
    #[doc(alias = "st_ino")]
    pub fn inode(self) -> u64 {
        self.inode
    }
}

/// What a name in a directory refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// Why the name can't be renamed over, if the system tells.
    pub(crate) pinned: Option<Pinned>,
}

/// Why a name can't be renamed over or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "only Linux tells")]
pub(crate) enum Pinned {
    /// The file has the attribute "append only" or "immutable" (`chattr +a`, `+i`).
    Attribute,
    /// A file system or a file is mounted there.
    MountPoint,
}

/// Whether copies can share blocks with their sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReflinkSupport {
    /// The file system can share blocks between files in the two directories.
    Yes,
    /// It can't, so `fast_copy` copies bytes.
    No,
    /// Only an attempt can tell.
    Unknown,
}

/// The status of an open file. Sizes are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) allocated: u64,
    pub(crate) block_size: u64,
    /// Number of names (hard links).
    pub(crate) links: u64,
    pub(crate) mode: u32,
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

/// Seconds and nanoseconds. On Unix the epoch is that of Unix; elsewhere they are only compared, or set again.
pub(crate) type Timestamp = (i64, i64);

/// The times that a copy can take from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
}

impl Times {
    /// Returns whether a file has these times.
    pub(crate) fn are_those_of(&self, status: &Status) -> bool {
        (self.accessed, self.modified) == (status.accessed, status.modified)
    }
}

/// The size of a file system, and its free space for unprivileged processes, in bytes. A size of 0 means
/// that the file system does not report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) size: u64,
    pub(crate) free: u64,
}
