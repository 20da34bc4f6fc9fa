//! The copy, top to bottom: check, stage, clone or else transfer, finish, publish.
//!
//! There are three ways to fill the staged file. A clone is tried first ([`clone`](mod@clone)). Then
//! [`transfer`](mod@transfer) lets the kernel move the bytes (`copy_file_range`), or reads and writes
//! them.

use std::io;
use std::path::Path;

use crate::clone::{self, CloneOutcome};
use crate::context::{Context, OnProgress};
use crate::destination::Destination;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::options::{CopyOptions, Sharing};
use crate::platform;
use crate::report::{CopyMethod, CopyReport};
use crate::source::Source;
use crate::staging::Staged;
use crate::transfer::{self, Transferred};

/// Copies `src` to `dst` as fast as the file system allows, and returns the apparent size in bytes.
///
/// It clones the file where blocks can be shared. Otherwise it copies the data and preserves the holes.
/// It replaces an existing file, blocks the calling thread, and returns once the copy survives a power
/// cut. It is the same as
/// [`CopyOptions::new().replace(true).fast_copy(src, dst)`](CopyOptions::fast_copy), whose error tells
/// the file and the step too.
///
/// # Errors
///
/// See [`CopyErrorKind`]. The error has the system's error number, or else contains a [`CopyError`]
/// ([`io::Error::get_ref`]). Nothing has changed, unless only the directory could not be synchronised.
pub fn fast_copy(src: impl AsRef<Path>, dst: impl AsRef<Path>) -> io::Result<u64> {
    Ok(CopyOptions::new().replace(true).fast_copy(src, dst)?.size)
}

/// Copies the data of `src` to `dst`, and returns the apparent size in bytes.
///
/// The copy shares no blocks with `src` and preserves its holes. It replaces an existing file, blocks
/// the calling thread, and returns once the copy survives a power cut. It is the same as
/// [`CopyOptions::new().replace(true).sparse_copy(src, dst)`](CopyOptions::sparse_copy), whose error
/// tells the file and the step too.
///
/// # Errors
///
/// See [`CopyErrorKind`]. The error has the system's error number, or else contains a [`CopyError`]
/// ([`io::Error::get_ref`]). Nothing has changed, unless only the directory could not be synchronised.
pub fn sparse_copy(src: impl AsRef<Path>, dst: impl AsRef<Path>) -> io::Result<u64> {
    Ok(CopyOptions::new().replace(true).sparse_copy(src, dst)?.size)
}

/// Making copies.
impl CopyOptions {
    /// Clones `src` to `dst` where the file system can share blocks. Otherwise copies the data and
    /// preserves the holes. Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// See [`CopyErrorKind`]. Nothing has changed, unless only the directory could not be synchronised
    /// ([`CopyStep::SyncDirectory`]).
    pub fn fast_copy(
        &self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, CopyError> {
        self.copy_paths(src.as_ref(), dst.as_ref(), Sharing::Allowed)
    }

    /// Copies the data of `src` to `dst`, shares no blocks, and preserves the holes. Blocks the calling
    /// thread.
    ///
    /// # Errors
    ///
    /// See [`CopyErrorKind`]. Nothing has changed, unless only the directory could not be synchronised
    /// ([`CopyStep::SyncDirectory`]).
    pub fn sparse_copy(
        &self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, CopyError> {
        self.copy_paths(src.as_ref(), dst.as_ref(), Sharing::Forbidden)
    }

    fn copy_paths(
        &self,
        src: &Path,
        dst: &Path,
        sharing: Sharing,
    ) -> Result<CopyReport, CopyError> {
        self.check(sharing)?;
        let source = Source::open(src, self.symlink_follow)?;
        let destination = Destination::open(dst)?;
        self.copy(&source, &destination, sharing, &|_| ())
    }

    /// Copies an open source to an open destination: with [`Sharing::Allowed`] as
    /// [`fast_copy`](Self::fast_copy) does, with [`Sharing::Forbidden`] as
    /// [`sparse_copy`](Self::sparse_copy) does. Blocks the calling thread. The option `symlink_follow`
    /// has no effect, because the source is open.
    ///
    /// `on_progress` is called with the bytes moved so far, after each batch of at most 16 MiB, on the
    /// thread that moved it. A large copy has two such threads, which may call it at the same time. A
    /// clone never calls it.
    ///
    /// ```
    /// use std::fs::File;
    /// use fast_copy_engine::{CopyOptions, Destination, Sharing, Source};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (src, dst) = (dir.path().join("base.img"), dir.path().join("vm1.img"));
    /// # std::fs::write(&src, "an image")?;
    /// let source = Source::from_file(File::open(src)?)?;
    /// let destination = Destination::open(dst)?;
    /// let options = CopyOptions::new();
    /// let report = options.copy(&source, &destination, Sharing::Allowed, &|_| ())?;
    /// assert_eq!(report.size, source.size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`CopyErrorKind`]. Nothing has changed, unless only the directory could not be synchronised
    /// ([`CopyStep::SyncDirectory`]).
    pub fn copy(
        &self,
        source: &Source,
        destination: &Destination,
        sharing: Sharing,
        on_progress: &OnProgress<'_>,
    ) -> Result<CopyReport, CopyError> {
        self.check(sharing)?;
        let context = Context::new(self, sharing, on_progress);
        if !context.begin(source.data_at_most()) {
            context.check(CopyStep::Open)?;
            return Err(CopyError::new(
                CopyStep::Open,
                CopyErrorKind::Invalid(
                    "this CopyControl was used before; create one for each copy",
                ),
            ));
        }
        let attempt = attempt(source, destination, &context);
        conclude(attempt, context)
    }
}

/// A copy that is in place, whether or not its directory could be synchronised.
struct InPlace {
    /// What the quota is charged, in bytes.
    takes: u64,
    result: Result<CopyReport, CopyError>,
}

/// Ends a copy that has begun. Every copy passes through here, however it ends.
fn conclude(
    attempt: Result<InPlace, CopyError>,
    context: Context<'_>,
) -> Result<CopyReport, CopyError> {
    match attempt {
        Ok(InPlace { takes, result }) => {
            let result = result.map_err(|error| error.after(context.copied()));
            context.end(Some(takes));
            result
        }
        Err(error) => {
            let error = error.after(context.copied());
            context.end(None);
            Err(error)
        }
    }
}

/// Stages, fills and publishes the copy. Until it is published, nothing of it is visible. Dropping the
/// staged file removes it.
fn attempt(
    source: &Source,
    destination: &Destination,
    context: &Context<'_>,
) -> Result<InPlace, CopyError> {
    let options = context.options;
    destination.admit(source, options.replace)?;
    refuse_too_large(source.size(), context, CopyStep::Open)?;
    context.check(CopyStep::Open)?;
    // A clone takes no space yet, and is charged like a copy.
    context.reserve(source.allocated(), CopyStep::Open)?;
    let mut staged = Staged::create(destination, !options.no_sync)?;
    context.leave_room(0, &staged.file, CopyStep::Stage)?;
    let Filled { method, copied } = fill(source, &mut staged, context)?;

    context.check(CopyStep::Finish)?;
    staged.finish(source.permissions()? & options.permissions_mask)?;
    let status = platform::status(&staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Finish, error))?;
    // A clone has the size that the source had at that instant.
    refuse_too_large(status.size, context, CopyStep::Finish)?;
    // A file system that allocates late reports less than the copy will take.
    let takes = status.allocated.max(copied);
    context.reserve(takes, CopyStep::Finish)?;

    context.check(CopyStep::Publish)?;
    if !context.begin_publishing() {
        // At its deadline, too, the caller may have cancelled the copy.
        context.check(CopyStep::Publish)?;
        return Err(CopyError::new(CopyStep::Publish, CopyErrorKind::Cancelled));
    }
    let result = match staged.publish(options.replace) {
        Ok(()) => Ok(context.report(method, status, copied)),
        Err(error) if error.is_published() => Err(error),
        Err(error) => return Err(error),
    };
    Ok(InPlace { takes, result })
}

/// How the staged file was filled.
struct Filled {
    method: CopyMethod,
    copied: u64,
}

/// Fills the staged file: by a clone if possible, else by a transfer.
fn fill(
    source: &Source,
    staged: &mut Staged<'_>,
    context: &Context<'_>,
) -> Result<Filled, CopyError> {
    if context.sharing == Sharing::Allowed {
        let outcome = clone::clone(source, staged, context)?;
        match outcome {
            CloneOutcome::Done => {
                return Ok(Filled {
                    method: CopyMethod::Reflink,
                    copied: 0,
                });
            }
            CloneOutcome::Refused(reason) if context.options.require_reflink => {
                return Err(CopyError::new(
                    CopyStep::Clone,
                    CopyErrorKind::Unsupported(reason),
                ));
            }
            CloneOutcome::Refused(_) => staged.reset()?,
        }
        context.check(CopyStep::Clone)?;
    }
    context.leave_room(source.data_at_most(), &staged.file, CopyStep::Transfer)?;
    let Transferred { copied, offloaded } = transfer::transfer(source, staged, context)?;
    let method = match offloaded {
        true => CopyMethod::Offload,
        false => CopyMethod::Copy,
    };
    Ok(Filled { method, copied })
}

/// Checks the size before the staged file is extended: beyond the process's limit, extending a file
/// raises `SIGXFSZ`, which kills the process. (Cloning raises no signal.)
fn refuse_too_large(size: u64, context: &Context<'_>, step: CopyStep) -> Result<(), CopyError> {
    let limit = context.max_size;
    if size <= limit {
        return Ok(());
    }
    Err(CopyError::source(
        step,
        CopyErrorKind::FileTooLarge { size, limit },
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::control::CopyControl;
    use crate::limits::Limits;
    use crate::limits::quota::CopyQuota;

    #[test]
    fn a_cancel_after_a_failed_copy_has_no_effect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let control = CopyControl::new();
        let error = CopyOptions::new()
            .no_sync(true)
            .control(control.clone())
            .limits(Limits::new().quota(CopyQuota::new(1)))
            .fast_copy(&path, dir.path().join("copy"));
        assert_eq!(error.unwrap_err().step(), CopyStep::Open);
        assert!(!control.cancel() && !control.is_cancelled());

        // A copy that is refused at once uses up its control too.
        let control = CopyControl::new();
        let options = CopyOptions::new().control(control.clone());
        let error = options.fast_copy(&path, &path).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::SameFile));
        assert!(!control.cancel() && !control.is_cancelled());
    }

    #[test]
    fn a_copy_that_fails_when_it_is_published_reports_the_bytes_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        std::fs::write(&src, [1; 10_000]).unwrap();
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(&dst).unwrap();
        let options = CopyOptions::new().no_sync(true);
        let error = options.copy(&source, &destination, Sharing::Forbidden, &|_| {
            std::fs::write(&dst, "another file").unwrap();
        });
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::AlreadyExists));
        assert_eq!((error.step(), error.copied()), (CopyStep::Publish, 10_000));
        assert_eq!(std::fs::read(&dst).unwrap(), b"another file");
    }

    /// A clone may fail and leave anything in the staged file. None of it may show where the source
    /// has a hole.
    #[test]
    fn bytes_left_by_a_failed_clone_are_not_in_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("src");
        let file = File::create(&src).unwrap();
        file.write_all_at(b"the end", 1 << 20).unwrap();
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let mut staged = Staged::create(&destination, false).unwrap();
        staged.file.write_all_at(&[1; 4096], 0).unwrap();
        staged.file.set_len(3 << 20).unwrap();

        let options = CopyOptions::new();
        let context = Context::new(&options, Sharing::Allowed, &|_| ());
        fill(&source, &mut staged, &context).unwrap();
        let mut copy = vec![2; (1 << 20) + 7];
        staged.file.read_exact_at(&mut copy, 0).unwrap();
        assert_eq!(copy.len() as u64, staged.file.metadata().unwrap().len());
        let (hole, data) = copy.split_at(1 << 20);
        assert!(hole.iter().all(|&byte| byte == 0));
        assert_eq!(data, b"the end");
    }

    #[test]
    fn a_copy_from_an_open_file_to_an_open_directory_resolves_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let [before, after] = ["before", "after"].map(|name| dir.path().join(name));
        std::fs::create_dir(&before).unwrap();
        std::fs::write(before.join("src"), "text").unwrap();
        let source = Source::from_file(File::open(before.join("src")).unwrap()).unwrap();
        let directory = File::open(&before).unwrap();
        let destination = Destination::in_directory(directory.into(), "dst").unwrap();
        std::fs::rename(&before, &after).unwrap();
        let report = CopyOptions::new().copy(&source, &destination, Sharing::Allowed, &|_| ());
        assert_eq!(report.unwrap().size, 4);
        assert_eq!(std::fs::read(after.join("dst")).unwrap(), b"text");
    }
}
