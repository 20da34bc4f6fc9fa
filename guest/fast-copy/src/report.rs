//! Defines what a copy reports.

use std::fmt;

/// What a successful copy did. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// How the copy was made.
    pub method: CopyMethod,
    /// The apparent size of the copy. It is that of the source, unless
    /// [`CopyOptions::size`](crate::CopyOptions::size) is set.
    pub size: u64,
    /// The bytes that were moved: 0 for a clone, and less than `size` if the source has holes.
    pub copied: u64,
    /// The bytes allocated for the copy, including shared blocks. A file system that allocates late may
    /// report less than the copy will take.
    pub allocated: u64,
    /// Whether the copy and its directory were synchronised. The host can decide this: it can differ from
    /// [`CopyOptions::durable`](crate::CopyOptions::durable).
    pub durable: bool,
    /// What else differs from what was asked for.
    pub notes: CopyNotes,
}

/// How a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// The copy is a clone: it shares all blocks of its source, copy-on-write.
    Reflink,
    /// The system, or the server of a network file system, moved at least one byte. It may have shared
    /// blocks.
    Offload,
    /// Every byte was read and written. The copy shares no blocks.
    Copy,
}

impl CopyMethod {
    /// Returns the name: `reflink`, `offload` or `copy`.
    pub const fn as_str(self) -> &'static str {
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

/// How a published copy differs from what was asked for. All are false if it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyNotes {
    /// The copy has permission bits that it should not have, because its file system decides them.
    pub permissions_wider: bool,
    /// The copy lacks permission bits that it should have.
    pub permissions_narrower: bool,
    /// The copy does not have the times of its source, although
    /// [`CopyOptions::preserve_times`](crate::CopyOptions::preserve_times) is set.
    pub times_not_preserved: bool,
    /// The copy has its full size allocated, because its file system has no holes.
    pub holes_not_kept: bool,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// The bytes that were moved so far: always 0 for a clone.
    pub copied: u64,
    /// An estimate of the bytes that will be moved, or `None` until the copy has begun. In the end `copied`
    /// can be less (a clone moves no bytes) or more (the source is compressed, or not on the disk yet).
    pub total: Option<u64>,
}
