//! Defines the options of a copy, and the functions that make one.

use std::path::Path;

use crate::bindings::sandbox::fast_copy::types::CopyError;
use crate::preopens::resolve;
use crate::{CopyFlags, CopyReport, Descriptor, Error, Job, Operand, copy, jobs};

/// The options of a copy, and the functions that make one.
///
/// One value can make any number of copies. Limits on size, space and time are set by the host.
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
    /// Creates options with their defaults: only [`symlink_follow`](Self::symlink_follow) is true.
    ///
    /// With the defaults an existing destination is an error, a symbolic link as source is followed,
    /// bytes are copied if blocks can't be shared, zeros are copied as data, and the copy survives a
    /// power cut once the call has returned.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether to replace an existing destination atomically. Default: false.
    ///
    /// If false, an existing destination fails with [`ErrorCode::Exist`](crate::ErrorCode::Exist). The
    /// replacement is a new file: other hard links keep the old content, and a symbolic link is itself
    /// replaced. A directory, a FIFO, a socket or a device is never replaced.
    pub fn replace(self, replace: bool) -> Self {
        self.set(CopyFlags::REPLACE, replace)
    }

    /// Sets whether to follow a symbolic link in the last component of the source path. Default: true.
    ///
    /// If false, such a source fails with [`ErrorCode::Loop`](crate::ErrorCode::Loop). If true, it fails
    /// with the same code on a host that can't follow links safely (Linux without `openat2`). Links in
    /// other components are always followed, within the preopened directory.
    pub fn symlink_follow(self, follow: bool) -> Self {
        self.set(CopyFlags::SYMLINK_FOLLOW, follow)
    }

    /// Sets whether to fail if the copy can't share the source's blocks, like `cp --reflink=always`.
    /// Default: false.
    ///
    /// If true, such a copy fails with [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported) instead
    /// of copying bytes. Together with [`dig_holes`](Self::dig_holes) or
    /// [`sparse_copy`](Self::sparse_copy) it fails with
    /// [`ErrorCode::Invalid`](crate::ErrorCode::Invalid).
    pub fn require_reflink(self, require: bool) -> Self {
        self.set(CopyFlags::REQUIRE_REFLINK, require)
    }

    /// Sets whether copied blocks that hold only zeros become holes, like `cp --sparse=always`. Default:
    /// false.
    ///
    /// This has no effect on a clone, which shares the source's blocks as they are.
    pub fn dig_holes(self, dig: bool) -> Self {
        self.set(CopyFlags::DIG_HOLES, dig)
    }

    /// Sets whether to return before the copy is on the disk. Default: false.
    ///
    /// If true, a power cut soon after the call can lose the copy, or leave a destination that is neither
    /// the old file nor the new one. The host can override this option;
    /// [`CopyReport::durable`](crate::CopyReport::durable) says whether the copy was synchronised.
    pub fn no_sync(self, no_sync: bool) -> Self {
        self.set(CopyFlags::NO_SYNC, no_sync)
    }

    fn set(mut self, flag: CopyFlags, on: bool) -> Self {
        self.flags.set(flag, on);
        self
    }

    /// Copies `src` to `dst`: clones it if the file system can share blocks between the two, otherwise
    /// copies the data and preserves the holes.
    ///
    /// Waits until the copy has ended.
    ///
    /// # Errors
    ///
    /// Fails with the errors listed in [`copy`]. A path outside every preopened directory fails with
    /// [`NoEntry`](crate::ErrorCode::NoEntry), and one that is not UTF-8 with
    /// [`IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence).
    ///
    /// After an error nothing has changed, unless the code is [`Io`](crate::ErrorCode::Io) and the
    /// operand [`Destination`](crate::Operand::Destination): then the complete copy may be in place.
    pub fn fast_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, Error> {
        self.call(copy::fast_copy, src.as_ref(), dst.as_ref())
    }

    /// Copies `src` to `dst` without sharing blocks: copies the data and preserves the holes.
    ///
    /// Waits until the copy has ended.
    ///
    /// # Errors
    ///
    /// Fails as [`fast_copy`](Self::fast_copy) does.
    pub fn sparse_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, Error> {
        self.call(copy::sparse_copy, src.as_ref(), dst.as_ref())
    }

    /// Starts [`fast_copy`](Self::fast_copy) in the background. Returns without waiting.
    ///
    /// # Errors
    ///
    /// Fails with
    /// - [`ErrorCode::Busy`](crate::ErrorCode::Busy) if this guest has as many jobs as the host allows;
    /// - [`ErrorCode::NoEntry`](crate::ErrorCode::NoEntry) if a path is empty, or outside every preopened
    ///   directory;
    /// - [`ErrorCode::IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence) if a path is not UTF-8.
    ///
    /// [`Job::finish`] returns every other error.
    pub fn start_fast_copy(
        self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<Job, Error> {
        let job = self.call(jobs::start_fast_copy, src.as_ref(), dst.as_ref());
        job.map(Job::new)
    }

    /// Starts [`sparse_copy`](Self::sparse_copy) in the background. Returns without waiting.
    ///
    /// # Errors
    ///
    /// Fails as [`start_fast_copy`](Self::start_fast_copy) does.
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
