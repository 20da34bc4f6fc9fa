//! How a copy is to be made.

use std::path::Path;

use crate::bindings::sandbox::fast_copy::types::CopyError;
use crate::preopens::resolve;
use crate::{CopyFlags, CopyReport, Descriptor, Error, Job, Operand, copy, jobs};

/// How a copy is to be made, and the ways to make it. Limits are the host's.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct CopyOptions {
    flags: CopyFlags,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            flags: CopyFlags::SYMLINK_FOLLOW,
        }
    }
}

impl CopyOptions {
    /// Refuses an existing destination, follows a symbolic link as source, copies bytes where
    /// blocks can't be shared, keeps zeros as they are, and makes the copy durable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an existing destination is replaced, atomically; default false.
    pub fn replace(self, replace: bool) -> Self {
        self.set(CopyFlags::REPLACE, replace)
    }

    /// Whether a symbolic link as the last component of the source path is followed; default true.
    pub fn symlink_follow(self, follow: bool) -> Self {
        self.set(CopyFlags::SYMLINK_FOLLOW, follow)
    }

    /// Whether to fail with [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported) rather than
    /// copy bytes where blocks can't be shared; default false.
    pub fn require_reflink(self, require: bool) -> Self {
        self.set(CopyFlags::REQUIRE_REFLINK, require)
    }

    /// Whether copied blocks that hold only zeros become holes; default false.
    pub fn dig_holes(self, dig: bool) -> Self {
        self.set(CopyFlags::DIG_HOLES, dig)
    }

    /// Whether to return without waiting for the disk; default false.
    pub fn no_sync(self, no_sync: bool) -> Self {
        self.set(CopyFlags::NO_SYNC, no_sync)
    }

    fn set(mut self, flag: CopyFlags, on: bool) -> Self {
        self.flags.set(flag, on);
        self
    }

    /// Clones `src` to `dst` where the host's file system can share blocks, else copies its data
    /// and keeps its holes.
    ///
    /// # Errors
    ///
    /// Any [`ErrorCode`](crate::ErrorCode); then nothing has changed, unless it is
    /// [`Io`](crate::ErrorCode::Io) on the destination, with which the copy may be in place.
    pub fn fast_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, Error> {
        self.call(copy::fast_copy, src.as_ref(), dst.as_ref())
    }

    /// Copies the data of `src` to `dst`, keeps its holes, and shares no block.
    ///
    /// # Errors
    ///
    /// Any [`ErrorCode`](crate::ErrorCode); then nothing has changed, unless it is
    /// [`Io`](crate::ErrorCode::Io) on the destination, with which the copy may be in place.
    pub fn sparse_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, Error> {
        self.call(copy::sparse_copy, src.as_ref(), dst.as_ref())
    }

    /// Starts what [`fast_copy`](Self::fast_copy) does, in the background.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`](crate::ErrorCode::Busy) where the host allows no more jobs, and those of a
    /// path that leads into no preopened directory. All others are the job's.
    pub fn start_fast_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<Job, Error> {
        let job = self.call(jobs::start_fast_copy, src.as_ref(), dst.as_ref());
        job.map(Job::new)
    }

    /// Starts what [`sparse_copy`](Self::sparse_copy) does, in the background.
    ///
    /// # Errors
    ///
    /// As [`start_fast_copy`](Self::start_fast_copy).
    pub fn start_sparse_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<Job, Error> {
        let job = self.call(jobs::start_sparse_copy, src.as_ref(), dst.as_ref());
        job.map(Job::new)
    }

    fn call<T>(self, call: Call<T>, src: &Path, dst: &Path) -> Result<T, Error> {
        let (src_dir, src_path) = resolve(src, Operand::Source)?;
        let (dst_dir, dst_path) = resolve(dst, Operand::Destination)?;
        Ok(call(src_dir, &src_path, dst_dir, &dst_path, self.flags)?)
    }
}

type Call<T> = fn(&Descriptor, &str, &Descriptor, &str, CopyFlags) -> Result<T, CopyError>;
