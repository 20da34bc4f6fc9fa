//! Defines the options of a copy, and the functions that make one.

use crate::location::Location;
use crate::request::{Function, Request};
use crate::{CopyReport, Error, Job, system};

/// Copies `src` to `dst`: clones it if the file system can share blocks between the two, otherwise copies
/// the data and preserves the holes. Replaces an existing file.
///
/// Waits until the copy has ended. It is durable, unless the host decides otherwise. The call is the same as
/// [`CopyOptions::new().replace(true).fast_copy(src, dst)`](CopyOptions::fast_copy).
///
/// # Errors
///
/// Fails as [`CopyOptions::fast_copy`] does.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let images = dir.path();
/// # std::fs::write(images.join("base.img"), "an image")?;
/// let report = fast_copy::fast_copy(images.join("base.img"), images.join("vm1.img"))?;
/// println!("{}, {} of {} bytes moved", report.method, report.copied, report.size);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fast_copy<'a>(src: impl Location<'a>, dst: impl Location<'a>) -> Result<CopyReport, Error> {
    CopyOptions::new().replace(true).fast_copy(src, dst)
}

/// Copies `src` to `dst` without sharing blocks: copies the data and preserves the holes. Replaces an
/// existing file.
///
/// Waits until the copy has ended. It is durable, unless the host decides otherwise. The call is the same as
/// [`CopyOptions::new().replace(true).sparse_copy(src, dst)`](CopyOptions::sparse_copy).
///
/// # Errors
///
/// Fails as [`CopyOptions::sparse_copy`] does.
pub fn sparse_copy<'a>(
    src: impl Location<'a>,
    dst: impl Location<'a>,
) -> Result<CopyReport, Error> {
    CopyOptions::new().replace(true).sparse_copy(src, dst)
}

/// The options of a copy, and the functions that make one.
///
/// One value can make any number of copies. Limits on size, space and time are set by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CopyOptions {
    pub(crate) replace: bool,
    pub(crate) symlink_follow: bool,
    pub(crate) require_reflink: bool,
    pub(crate) dig_holes: bool,
    pub(crate) durable: bool,
    pub(crate) size: Option<u64>,
    pub(crate) preserve_times: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            replace: false,
            symlink_follow: true,
            require_reflink: false,
            dig_holes: false,
            durable: true,
            size: None,
            preserve_times: false,
        }
    }
}

impl CopyOptions {
    /// Creates options with their defaults. [`symlink_follow`](Self::symlink_follow) and
    /// [`durable`](Self::durable) are true.
    ///
    /// With the defaults an existing destination is an error, a symbolic link as source is followed,
    /// bytes are copied if blocks can't be shared, zeros are copied as data, the copy survives a power cut
    /// once the call has returned, and it has its source's size and new times.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether to replace an existing destination atomically. Default: false.
    ///
    /// If false, an existing destination fails with [`ErrorCode::Exist`](crate::ErrorCode::Exist). The
    /// replacement is a new file: other hard links keep the old content, and a symbolic link is itself
    /// replaced. A directory, a FIFO, a socket or a device is never replaced.
    pub fn replace(self, replace: bool) -> Self {
        Self { replace, ..self }
    }

    /// Sets whether to follow a symbolic link in the last component of the source path. Default: true, as
    /// for [`std::fs::copy`].
    ///
    /// If false, such a source fails with [`ErrorCode::Loop`](crate::ErrorCode::Loop). If true, it fails
    /// with the same code on a host that can't follow links safely (Linux without `openat2`). Links in
    /// other components are always followed, within the preopened directory.
    pub fn symlink_follow(self, follow: bool) -> Self {
        Self {
            symlink_follow: follow,
            ..self
        }
    }

    /// Sets whether to fail if the copy can't share the source's blocks, like `cp --reflink=always`.
    /// Default: false.
    ///
    /// If true, such a copy fails with [`ErrorCode::NotShareable`](crate::ErrorCode::NotShareable) instead
    /// of copying bytes. Together with [`dig_holes`](Self::dig_holes) or
    /// [`sparse_copy`](Self::sparse_copy) it fails with
    /// [`ErrorCode::Invalid`](crate::ErrorCode::Invalid).
    pub fn require_reflink(self, require: bool) -> Self {
        Self {
            require_reflink: require,
            ..self
        }
    }

    /// Sets whether copied blocks that hold only zeros become holes, like `cp --sparse=always`. Default:
    /// false.
    ///
    /// This has no effect on a clone, which shares the source's blocks as they are.
    pub fn dig_holes(self, dig: bool) -> Self {
        Self {
            dig_holes: dig,
            ..self
        }
    }

    /// Sets whether the copy survives a power cut once the call has returned. Default: true.
    ///
    /// If false, the call returns before the copy is on the disk. A power cut soon after it can lose the
    /// copy, or leave a destination that is neither the old file nor the new one. The host can override this
    /// option; [`CopyReport::durable`](crate::CopyReport::durable) says whether the copy was synchronised.
    pub fn durable(self, durable: bool) -> Self {
        Self { durable, ..self }
    }

    /// Sets the apparent size of the copy in bytes. Default: the size of the source.
    ///
    /// The part after the source's end is a hole, which reads as zeros. A size below the source's fails with
    /// [`ErrorCode::Invalid`](crate::ErrorCode::Invalid), one beyond the limit of the host or the file system
    /// with [`ErrorCode::FileTooLarge`](crate::ErrorCode::FileTooLarge).
    pub fn size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    /// Sets whether the copy gets the modification and access time of its source. Default: false.
    ///
    /// If the destination's file system can't store them, the copy is made all the same, and
    /// [`CopyReport::notes`](crate::CopyReport::notes) has
    /// [`times_not_preserved`](crate::CopyNotes::times_not_preserved).
    pub fn preserve_times(self, preserve: bool) -> Self {
        Self {
            preserve_times: preserve,
            ..self
        }
    }

    /// Copies `src` to `dst`: clones it if the file system can share blocks between the two, otherwise
    /// copies the data and preserves the holes.
    ///
    /// Waits until the copy has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorCode`](crate::ErrorCode) lists the causes. A path outside all preopened directories fails with
    /// [`NoEntry`](crate::ErrorCode::NoEntry), and one that is not UTF-8 with
    /// [`IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence).
    ///
    /// After an error nothing has changed, with the two exceptions that [`Error`] lists.
    pub fn fast_copy<'a>(
        &self,
        src: impl Location<'a>,
        dst: impl Location<'a>,
    ) -> Result<CopyReport, Error> {
        system::copy(&Request::new(Function::FastCopy, self, src, dst))
    }

    /// Copies `src` to `dst` without sharing blocks: copies the data and preserves the holes.
    ///
    /// Waits until the copy has ended.
    ///
    /// # Errors
    ///
    /// Fails as [`fast_copy`](Self::fast_copy) does.
    pub fn sparse_copy<'a>(
        &self,
        src: impl Location<'a>,
        dst: impl Location<'a>,
    ) -> Result<CopyReport, Error> {
        system::copy(&Request::new(Function::SparseCopy, self, src, dst))
    }

    /// Starts [`fast_copy`](Self::fast_copy) in the background. Returns without waiting.
    ///
    /// # Errors
    ///
    /// Fails with
    /// - [`ErrorCode::Busy`](crate::ErrorCode::Busy) if this guest has as many jobs as the host allows;
    /// - [`ErrorCode::NoEntry`](crate::ErrorCode::NoEntry) if a path is empty, or outside all preopened
    ///   directories;
    /// - [`ErrorCode::IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence) if a path is not UTF-8.
    ///
    /// [`Job::wait`] and [`Job::result`] return every other error.
    pub fn start_fast_copy<'a>(
        &self,
        src: impl Location<'a>,
        dst: impl Location<'a>,
    ) -> Result<Job, Error> {
        Job::start(&Request::new(Function::FastCopy, self, src, dst))
    }

    /// Starts [`sparse_copy`](Self::sparse_copy) in the background. Returns without waiting.
    ///
    /// # Errors
    ///
    /// Fails as [`start_fast_copy`](Self::start_fast_copy) does.
    pub fn start_sparse_copy<'a>(
        &self,
        src: impl Location<'a>,
        dst: impl Location<'a>,
    ) -> Result<Job, Error> {
        Job::start(&Request::new(Function::SparseCopy, self, src, dst))
    }
}
