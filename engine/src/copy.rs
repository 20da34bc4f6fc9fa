//! The copy, top to bottom: check, stage, clone or else transfer, finish, publish.
//!
//! There are three ways to fill the staged file. A clone is tried first ([`clone`](mod@clone)). Then
//! [`transfer`](mod@transfer) lets the kernel move the bytes (`copy_file_range`), or reads and writes
//! them.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use crate::clone::{self, CloneOutcome};
use crate::context::{Context, OnProgress};
use crate::destination::Destination;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::options::{CopyOptions, Sharing};
use crate::platform::status::Status;
use crate::platform::{self, Lease};
use crate::report::{CopyMethod, CopyNotes, CopyReport};
use crate::source::{Permissions, Source};
use crate::staging::{self, Left, Naming, Staged, Unpublished};
use crate::transfer::{self, Transferred};

/// Copies `src` to `dst` as fast as the file system allows, and returns the apparent size in bytes.
///
/// It clones the file where blocks can be shared. Otherwise it copies the data and preserves the holes.
/// It replaces an existing file, blocks the calling thread, and returns once the copy survives a power
/// cut. It is the same as
/// [`CopyOptions::new().replace(true).fast_copy(src, dst)`](CopyOptions::fast_copy).
///
/// # Errors
///
/// The error contains a [`CopyError`], which says what has changed and names both paths.
pub fn fast_copy(src: impl AsRef<Path>, dst: impl AsRef<Path>) -> io::Result<u64> {
    Ok(CopyOptions::new().replace(true).fast_copy(src, dst)?.size)
}

/// Copies the data of `src` to `dst`, and returns the apparent size in bytes.
///
/// The copy shares no blocks with `src` and preserves its holes. It replaces an existing file, blocks
/// the calling thread, and returns once the copy survives a power cut. It is the same as
/// [`CopyOptions::new().replace(true).sparse_copy(src, dst)`](CopyOptions::sparse_copy).
///
/// # Errors
///
/// The error contains a [`CopyError`], which says what has changed and names both paths.
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
    /// See [`CopyErrorKind`]; [`CopyError`] says what has changed then.
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
    /// See [`CopyErrorKind`]; [`CopyError`] says what has changed then.
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
        let copy = || {
            self.check(sharing)?;
            let source = Source::open(src, self.symlink_follow)?;
            let destination = Destination::open(dst)?;
            self.copy(&source, &destination, sharing, &|_| ())
        };
        copy().map_err(|error| error.with_paths(src, dst))
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
    /// See [`CopyErrorKind`]; [`CopyError`] says what has changed then.
    pub fn copy(
        &self,
        source: &Source,
        destination: &Destination,
        sharing: Sharing,
        on_progress: &OnProgress<'_>,
    ) -> Result<CopyReport, CopyError> {
        self.check(sharing)?;
        let context = Context::new(self, sharing, on_progress);
        context.begin(source.data_at_most())?;
        let mut staged = None;
        // `on_progress` may panic.
        let attempt = panic::catch_unwind(AssertUnwindSafe(|| {
            attempt(source, destination, &context, &mut staged)
        }));
        match attempt {
            Ok(attempt) => conclude(attempt, staged, context),
            Err(panic) => {
                discard(staged, context);
                panic::resume_unwind(panic)
            }
        }
    }
}

/// The least number of bytes moved after which the free space is checked once more, in bytes. For fewer, the
/// check at the beginning is recent enough, and a check takes a noticeable part of the copy's time.
const WORTH_ANOTHER_LOOK: u64 = 1 << 20;

/// A copy that is in place, whether or not its directory could be synchronised.
struct InPlace {
    /// What the quota is charged, in bytes.
    takes: u64,
    result: Result<CopyReport, CopyError>,
}

/// Ends a copy that has begun, unless it has panicked.
fn conclude(
    attempt: Result<InPlace, CopyError>,
    staged: Option<Staged<'_>>,
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
            Err(error.leaving(discard(staged, context)))
        }
    }
}

/// Discards the staged file of a copy that was not published, if there is one, and charges the quota for
/// what remains of it.
fn discard(staged: Option<Staged<'_>>, context: Context<'_>) -> Left {
    let left = staged.map(Staged::discard).unwrap_or_default();
    context.end(left.bytes);
    left
}

/// Checks the files, then makes the copy. It is made again, under a name, where a file without one can't be
/// linked: that is known only afterwards.
fn attempt<'d>(
    source: &Source,
    destination: &'d Destination,
    context: &Context<'_>,
    staged: &mut Option<Staged<'d>>,
) -> Result<InPlace, CopyError> {
    destination.admit(source, context.options.replace)?;
    refuse_too_large(source.size(), context, CopyStep::Open)?;
    refuse_size(source, context)?;
    context.check(CopyStep::Open)?;
    let lease = match context.options.lease_source {
        true => Some(source.lease()?),
        false => None,
    };
    let mut naming = Naming::Optional;
    loop {
        let published = stage_and_publish(source, destination, context, staged, naming, &lease);
        match published {
            Ok(in_place) => {
                if naming == Naming::Required {
                    staging::remember_to_name(destination);
                }
                return Ok(in_place);
            }
            Err(Unpublished::Refused(error)) => return Err(error),
            Err(Unpublished::NeedsName) => {
                // It was not published. If it has got a temporary name, that is removed.
                staged.take().map(Staged::discard);
                context.begin_again();
                naming = Naming::Required;
            }
        }
    }
}

/// Stages, fills and publishes the copy. Until it is published, nothing of it is visible.
fn stage_and_publish<'d>(
    source: &Source,
    destination: &'d Destination,
    context: &Context<'_>,
    made: &mut Option<Staged<'d>>,
    naming: Naming,
    lease: &Option<Lease<'_>>,
) -> Result<InPlace, Unpublished> {
    let options = context.options;
    let created = Staged::create(destination, options.durable, naming)?;
    let staged = made.insert(created);
    let Filled {
        method,
        copied,
        planned,
        source_now,
    } = fill(source, staged, context)?;
    if lease.as_ref().is_some_and(Lease::is_broken) {
        let changed = CopyErrorKind::SourceChanged;
        return Err(Unpublished::Refused(CopyError::source(
            CopyStep::Transfer,
            changed,
        )));
    }

    context.check(CopyStep::Finish)?;
    let mut permissions = source.permissions(&source_now);
    permissions.bits &= options.permissions_mask;
    let times = options.preserve_times.then(|| source.times());
    staged.finish(permissions.bits, times)?;
    let status = platform::status_now(&staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Finish, error))?;
    let is_clone = method == CopyMethod::Reflink;
    let size = options
        .size
        .or_else(|| (!is_clone).then_some(source.size()));
    if size.is_some_and(|size| size != status.size) {
        return Err(Unpublished::Refused(CopyError::destination(
            CopyStep::Finish,
            CopyErrorKind::Unsupported("the file system changed the size of the copy"),
        )));
    }
    // A clone has the size that the source had at that instant.
    refuse_too_large(status.size, context, CopyStep::Finish)?;
    let notes = CopyNotes {
        times_not_preserved: times.is_some_and(|times| {
            // A clone can be newer than these times.
            !times.are_those_of(&status) || times.modified != source_now.modified
        }),
        holes_not_kept: !is_clone && has_lost_holes(source, staged, &status, copied),
        ..compare_permissions(&permissions, &status)
    };
    if notes.permissions_wider && options.refuse_wider_permissions {
        return Err(Unpublished::Refused(CopyError::destination(
            CopyStep::Finish,
            CopyErrorKind::WiderPermissions,
        )));
    }
    // A file system that allocates late reports less than the copy will take.
    let takes = status.allocated.max(copied);
    context.reserve(takes, CopyStep::Finish)?;
    let is_large = !is_clone && copied >= WORTH_ANOTHER_LOOK;
    if is_large || takes > planned {
        context.leave_room(0, staged, CopyStep::Finish)?;
    }

    context.check(CopyStep::Publish)?;
    if !context.begin_publishing() {
        // At its deadline, too, the caller may have cancelled the copy.
        context.check(CopyStep::Publish)?;
        return Err(Unpublished::Refused(CopyError::new(
            CopyStep::Publish,
            CopyErrorKind::Cancelled,
        )));
    }
    staged.publish(options.replace)?;
    let result = staged
        .sync_directory()
        .map(|()| context.report(method, status, copied, notes));
    *made = None;
    Ok(InPlace { takes, result })
}

/// Returns whether the copy has its full size allocated although its source has holes.
fn has_lost_holes(source: &Source, staged: &Staged<'_>, copy: &Status, copied: u64) -> bool {
    let is_full = copied < copy.size && copy.allocated >= copy.size;
    // No file system has a hole that is smaller than a block.
    let block = copy.block_size.max(1);
    let is_longer = copy.size >= source.size().next_multiple_of(block).saturating_add(block);
    let has_holes = source.is_partly_allocated() || is_longer;
    is_full && has_holes && !platform::hides_allocation(&staged.file)
}

/// Compares the permission bits of the copy with those that it should have.
fn compare_permissions(wanted: &Permissions, copy: &Status) -> CopyNotes {
    let shown = copy.mode & 0o7777;
    CopyNotes {
        permissions_wider: shown & !wanted.bits != 0,
        permissions_narrower: wanted.bits & !shown != 0 || wanted.group_unknown,
        ..CopyNotes::default()
    }
}

/// How the staged file was filled.
struct Filled {
    method: CopyMethod,
    copied: u64,
    /// The bytes for which there was room at the beginning. A clone takes none.
    planned: u64,
    /// The status of the source after that.
    source_now: Status,
}

/// Fills the staged file: by a clone if possible, else by a transfer.
fn fill(
    source: &Source,
    staged: &mut Staged<'_>,
    context: &Context<'_>,
) -> Result<Filled, CopyError> {
    if context.sharing == Sharing::Allowed {
        context.leave_room(0, staged, CopyStep::Clone)?;
        let mut outcome = clone::clone(source, staged, context)?;
        if let (CloneOutcome::Done, Some(size)) = (&outcome, context.options.size) {
            outcome = enlarge_clone(staged, size, context)?;
        }
        match outcome {
            CloneOutcome::Done => {
                return Ok(Filled {
                    method: CopyMethod::Reflink,
                    copied: 0,
                    // An enlarged one can take blocks of its own.
                    planned: match context.options.size {
                        Some(_) => source.allocated(),
                        None => u64::MAX,
                    },
                    source_now: source.status_now(CopyStep::Clone)?,
                });
            }
            CloneOutcome::Refused(error) if context.options.require_reflink => return Err(error),
            CloneOutcome::Refused(_) => staged.reset()?,
        }
        context.check(CopyStep::Clone)?;
    }
    let Transferred {
        copied,
        planned,
        offloaded,
        source_now,
    } = transfer::transfer(source, staged, context)?;
    let method = match offloaded {
        true => CopyMethod::Offload,
        false => CopyMethod::Copy,
    };
    Ok(Filled {
        method,
        copied,
        planned,
        source_now,
    })
}

/// Checks the size that the copy is to have.
fn refuse_size(source: &Source, context: &Context<'_>) -> Result<(), CopyError> {
    context.options.check_size(source)?;
    match context.options.size {
        Some(size) if size > context.max_size => Err(CopyError::new(
            CopyStep::Open,
            CopyErrorKind::FileTooLarge {
                size,
                limit: context.max_size,
            },
        )),
        _ => Ok(()),
    }
}

/// Extends a clone to the size that the copy is to have. A clone has the size that the source had at that
/// instant, which can be too large by now.
///
/// On XFS, extending a file whose last block is not full gives it a block of its own, and up to 128 KiB beside it
/// (the default extent size hint for copy-on-write). If the quota has no room for that, a copy of the bytes may
/// fit.
fn enlarge_clone(
    staged: &Staged<'_>,
    wanted: u64,
    context: &Context<'_>,
) -> Result<CloneOutcome, CopyError> {
    let size = staged.size(CopyStep::Clone)?;
    if size > wanted {
        return Err(CopyError::source(
            CopyStep::Clone,
            CopyErrorKind::SourceChanged,
        ));
    }
    if size < wanted {
        let at_destination = |error| CopyError::destination(CopyStep::Clone, error);
        platform::prepare_sparse(&staged.file).map_err(at_destination)?;
        staged.set_len(wanted)?;
        let allocated = platform::allocated_now(&staged.file).map_err(at_destination)?;
        if let Err(exceeded) = context.reserve(allocated, CopyStep::Clone) {
            return Ok(CloneOutcome::Refused(exceeded));
        }
    }
    Ok(CloneOutcome::Done)
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
    fn an_error_of_a_function_that_takes_paths_names_both() {
        let dir = tempfile::tempdir().unwrap();
        let (src, dst) = (dir.path().join("none"), dir.path().join("dst"));
        let error = fast_copy(&src, &dst).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let text = error.to_string();
        assert!(
            text.contains("none\" to ") && text.contains("dst\": "),
            "{text}"
        );
        let error = error.downcast::<CopyError>().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(!error.is_published());
    }

    #[test]
    fn an_error_of_a_copy_of_open_files_names_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let source = Source::open(&path, true).unwrap();
        let destination = Destination::open(&path).unwrap();
        let options = CopyOptions::new();
        let copied = options.copy(&source, &destination, Sharing::Allowed, &|_| ());
        let text = copied.unwrap_err().to_string();
        assert!(!text.contains("file\""), "{text}");
    }

    #[test]
    fn a_used_control_and_a_cancelled_one_give_different_errors() {
        let dir = tempfile::tempdir().unwrap();
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        std::fs::write(&src, "text").unwrap();
        let control = CopyControl::new();
        assert!(control.cancel());
        let options = CopyOptions::new().control(control);
        let error = options.fast_copy(&src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::Cancelled));
        let error = options.fast_copy(&src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::Invalid(_)));
    }

    #[test]
    fn a_cancel_after_a_failed_copy_has_no_effect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let control = CopyControl::new();
        let error = CopyOptions::new()
            .durable(false)
            .control(control.clone())
            .limits(Limits::new().quota(CopyQuota::new(1)))
            .fast_copy(&path, dir.path().join("copy"));
        assert_eq!(error.unwrap_err().step(), CopyStep::Transfer);
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
        let options = CopyOptions::new().durable(false);
        let error = options.copy(&source, &destination, Sharing::Forbidden, &|_| {
            std::fs::write(&dst, "another file").unwrap();
        });
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::AlreadyExists));
        assert_eq!((error.step(), error.copied()), (CopyStep::Publish, 10_000));
        assert_eq!(std::fs::read(&dst).unwrap(), b"another file");
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

    /// An append-only file can be neither truncated nor removed.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_staged_file_that_cannot_be_removed_is_charged_and_reported() {
        use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false, Naming::Required).unwrap();
        staged.file.write_all_at(&[1; 100_000], 0).unwrap();
        let file = staged.file.try_clone().unwrap();
        let flags = ioctl_getflags(&file).unwrap();
        if let Err(error) = ioctl_setflags(&file, flags | IFlags::APPEND) {
            // Only root may, and not every file system has the flag.
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("not tested, needs root: {error}");
            return;
        }
        let quota = CopyQuota::new(u64::MAX);
        let options = CopyOptions::new().limits(Limits::new().quota(quota.clone()));
        let context = Context::new(&options, Sharing::Forbidden, &|_| ());
        let failed = Err(CopyError::new(CopyStep::Transfer, CopyErrorKind::Cancelled));
        let error = conclude(failed, Some(staged), context).unwrap_err();
        ioctl_setflags(&file, flags).unwrap();
        let leftover = error.leftover().expect("a file is left");
        assert!(leftover >= 100_000);
        assert_eq!((quota.used(), quota.reserved()), (leftover, 0));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_whose_caller_panics_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("src");
        std::fs::write(&src, [1; 10_000]).unwrap();
        let quota = CopyQuota::new(u64::MAX);
        let control = CopyControl::new();
        let options = CopyOptions::new()
            .limits(Limits::new().quota(quota.clone()))
            .control(control.clone());
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let panicking = || {
            let copied = options.copy(&source, &destination, Sharing::Forbidden, &|_| {
                panic!("a caller's defect")
            });
            drop(copied);
        };
        assert!(panic::catch_unwind(AssertUnwindSafe(panicking)).is_err());
        assert_eq!((quota.used(), quota.reserved()), (0, 0));
        assert!(!control.cancel(), "the copy has ended");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn permissions_are_compared_with_those_that_the_copy_should_have() {
        let file = tempfile::tempfile().unwrap();
        let mut status = platform::status(&file).unwrap();
        let wanted = |bits, group_unknown| Permissions {
            bits,
            group_unknown,
        };
        for (bits, group_unknown, shown, wider, narrower) in [
            (0o640, false, 0o640, false, false),
            (0o600, false, 0o777, true, false),
            (0o644, false, 0o600, false, true),
            (0o604, true, 0o604, false, true),
            (0o444, false, 0o600, true, true),
            (0o755, false, 0o4755, true, false),
        ] {
            status.mode = 0o100_000 | shown;
            let notes = compare_permissions(&wanted(bits, group_unknown), &status);
            let found = (notes.permissions_wider, notes.permissions_narrower);
            assert_eq!(found, (wider, narrower), "{bits:o} {shown:o}");
        }
    }
}
