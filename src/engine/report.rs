//! What a copy that succeeded did.

/// What a copy that succeeded did. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// How the bytes came into the copy.
    pub method: CopyMethod,
    /// The apparent size of source and copy, as `stat` gives it.
    pub size: u64,
    /// Bytes that were moved: 0 for a clone, less than `size` where the source has holes.
    pub copied: u64,
    /// Bytes that the file system has allocated for the copy, shared blocks included
    /// (`st_blocks * 512`). A file system that allocates late may report less than it will take,
    /// most of all where nothing was synchronised. On Windows the apparent size, which is an upper
    /// bound.
    pub allocated: u64,
    /// Whether file and directory were synchronised, so that the copy survives a power cut as far
    /// as its file system survives one at all (tmpfs doesn't). False with
    /// [`no_sync`](crate::CopyOptions::no_sync). On macOS the drive's own cache is not emptied, and on
    /// Windows the directory is left to the file system's log.
    pub durable: bool,
    /// Why the bytes were moved though a clone was tried, as
    /// [`CopyControl::clone_error`](crate::CopyControl::clone_error) has it. Not shown to guests.
    pub clone_error: Option<i32>,
    /// Why bytes were read and written though the kernel was asked to move them, as
    /// [`CopyControl::offload_error`](crate::CopyControl::offload_error) has it. Not shown to guests.
    pub offload_error: Option<i32>,
}

/// How the bytes came into a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyMethod {
    /// The copy shares all blocks of its source, copy-on-write.
    Reflink,
    /// At least one byte was moved by the kernel (`copy_file_range`), which may share blocks too.
    Offload,
    /// Every byte was read and written: the copy shares nothing.
    Copy,
}
