//! What a successful copy did.

use std::fmt;

/// What a successful copy did. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// How the copy was made.
    pub method: CopyMethod,
    /// Apparent size of the copy, as `stat` reports it. It is that of the source, unless
    /// [`size`](crate::CopyOptions::size) is set.
    pub size: u64,
    /// Bytes that were moved: 0 for a clone, less than `size` if the source has holes.
    pub copied: u64,
    /// Bytes allocated for the copy, including shared blocks (`st_blocks * 512`). A file system that
    /// allocates late may report less than the copy will take, especially if the copy is not
    /// [`durable`](crate::CopyOptions::durable). On Windows it is the apparent size, an upper bound.
    pub allocated: u64,
    /// Whether file and directory were synchronised, so that the copy survives a power cut as far as
    /// its file system can (tmpfs can't). See [`CopyOptions::durable`](crate::CopyOptions::durable). On macOS
    /// the drive's cache is not flushed. On Windows the directory is left to the file system's log.
    pub durable: bool,
    /// The error number of a refused clone. See
    /// [`CopyControl::clone_error`](crate::CopyControl::clone_error).
    pub clone_error: Option<i32>,
    /// The error number of a refused `copy_file_range`. See
    /// [`CopyControl::offload_error`](crate::CopyControl::offload_error).
    pub offload_error: Option<i32>,
    /// What differs from what was asked for.
    pub notes: CopyNotes,
}

/// What differs in a published copy from what was asked for. All are false if nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyNotes {
    /// The copy has permission bits that it should not have, because its file system decides them (FAT,
    /// exFAT, CIFS, some FUSE file systems). With
    /// [`refuse_wider_permissions`](crate::CopyOptions::refuse_wider_permissions) such a copy fails instead.
    pub permissions_wider: bool,
    /// The copy lacks permission bits that it should have: its file system decides them, or the source's
    /// access control list can't be read.
    pub permissions_narrower: bool,
    /// The copy does not have the source's times, although
    /// [`preserve_times`](crate::CopyOptions::preserve_times) is set: the file system refused them, or stores
    /// times less exactly.
    pub times_not_preserved: bool,
    /// The copy has its full size allocated although its source has holes, because its file system has no
    /// holes (FAT, exFAT).
    pub holes_not_kept: bool,
}

/// How a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyMethod {
    /// The copy shares all blocks of its source, copy-on-write.
    Reflink,
    /// The kernel moved at least one byte (`copy_file_range`). It may have shared blocks.
    Offload,
    /// Every byte was read and written. The copy shares no blocks.
    Copy,
}

impl CopyMethod {
    /// Returns the name: `reflink`, `offload` or `copy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reflink => "reflink",
            Self::Offload => "offload",
            Self::Copy => "copy",
        }
    }
}

impl fmt::Display for CopyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
