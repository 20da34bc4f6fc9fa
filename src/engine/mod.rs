//! The native engine: copies one regular file, with no knowledge of WebAssembly.
//!
//! [`copy`] is the whole way, top to bottom: check, stage, clone or else transfer, finish, publish.

mod bounds;
mod control;
mod destination;
mod error;
mod extents;
mod lock;
mod mover;
mod options;
mod plan;
mod platform;
mod quota;
mod rate;
mod reflink;
mod report;
mod room;
mod source;
mod staging;
mod threads;
mod transfer;
#[cfg(feature = "p2")]
mod usage;
mod zeros;

use std::io;
use std::path::Path;

pub use control::CopyControl;
pub(crate) use destination::Destination;
#[cfg(all(feature = "p2", unix))]
pub(crate) use destination::split;
pub use error::{CopyError, CopyErrorKind, CopyStep, Operand};
pub use options::CopyOptions;
#[cfg(all(feature = "p2", target_os = "linux"))]
pub(crate) use platform::handle_id;
#[cfg(all(feature = "p2", unix))]
pub(crate) use platform::open_entry_handle;
#[cfg(feature = "p2")]
pub(crate) use platform::{Directory, FileId, SourceHandle};
pub use quota::CopyQuota;
pub use rate::CopyRate;
pub use report::{CopyMethod, CopyReport};
pub use room::FreeSpaceFloor;
pub(crate) use source::Source;
pub use staging::STAGING_PREFIX;
#[cfg(feature = "p2")]
pub(crate) use usage::{ExtentSummary, FileUsage, disk_usage, summarize_extents};

pub(crate) use bounds::Watch;

use bounds::Bounds;
use reflink::CloneOutcome;
use staging::Staged;
use transfer::Transferred;

/// Copies `src` to `dst` as fast as the file system can: a clone where blocks can be shared, else
/// a copy of the data that keeps the holes. Replaces an existing file. Returns the apparent size
/// in bytes.
///
/// Blocks the calling thread; when it returns, the copy survives a power cut. An error tells neither
/// which file nor which step it came from: [`CopyOptions`] has errors that do. The same as
/// [`CopyOptions::new().replace(true).fast_copy(src, dst)`](CopyOptions::fast_copy).
///
/// # Errors
///
/// As [`CopyErrorKind`] tells, with [`CopyError`] inside unless the system gave an error number;
/// then nothing has changed, unless only the directory could not be synchronised.
pub fn fast_copy(src: &Path, dst: &Path) -> io::Result<u64> {
    Ok(CopyOptions::new().replace(true).fast_copy(src, dst)?.size)
}

/// Copies the data of `src` to `dst`, keeps its holes, and shares no block with it. Replaces an
/// existing file. Returns the apparent size in bytes.
///
/// Blocks the calling thread; when it returns, the copy survives a power cut. An error tells neither
/// which file nor which step it came from: [`CopyOptions`] has errors that do. The same as
/// [`CopyOptions::new().replace(true).sparse_copy(src, dst)`](CopyOptions::sparse_copy).
///
/// # Errors
///
/// As [`CopyErrorKind`] tells, with [`CopyError`] inside unless the system gave an error number;
/// then nothing has changed, unless only the directory could not be synchronised.
pub fn sparse_copy(src: &Path, dst: &Path) -> io::Result<u64> {
    Ok(CopyOptions::new().replace(true).sparse_copy(src, dst)?.size)
}

/// Whether a copy may share blocks with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// `fast_copy`: reflinks and copies by the kernel.
    Allowed,
    /// `sparse_copy`: only reading and writing, since nothing tells whether `copy_file_range` has
    /// shared (on XFS and btrfs it clones silently).
    Forbidden,
}

/// The ladder. Everything is opened already; from here on no path is resolved, and until
/// [`Staged::publish`] nothing can be seen.
pub(crate) fn copy(
    source: &Source,
    destination: &Destination,
    sharing: Sharing,
    options: &CopyOptions,
    watch: &Watch<'_>,
) -> Result<CopyReport, CopyError> {
    options.check(sharing)?;
    destination.admit(source, options.replace)?;
    refuse_too_large(source.size(), options.max_size, CopyStep::Open)?;
    let control = options.control_or_new();
    let bounds = Bounds::new(options, &control).watched_by(watch);
    if !control.begin(source.data_at_most()) {
        bounds.check(CopyStep::Open)?;
        return Err(CopyError::new(
            CopyStep::Open,
            CopyErrorKind::Invalid("a control is for one copy; make a new one for the next"),
        ));
    }
    let result = make(source, destination, sharing, options, bounds, &control);
    control.end();
    result
}

/// The way itself, for a copy that has begun.
fn make(
    source: &Source,
    destination: &Destination,
    sharing: Sharing,
    options: &CopyOptions,
    bounds: Bounds<'_>,
    control: &CopyControl,
) -> Result<CopyReport, CopyError> {
    bounds.check(CopyStep::Open)?;
    // A clone takes nothing yet, and is charged all the same.
    bounds.reserve(source.allocated(), CopyStep::Open)?;
    let durable = !options.no_sync;
    let mut staged = Staged::create(destination, durable)?;
    bounds.leave_room(0, &staged.file, CopyStep::Stage)?;
    let Filled { method, copied } = fill(source, &mut staged, sharing, options, &bounds)?;
    bounds
        .check(CopyStep::Finish)
        .map_err(|error| error.after(copied))?;
    staged.finish(source.permissions()? & options.permissions_mask)?;
    let result = platform::status(&staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Finish, error))?;
    // A clone has the size that the source had at that instant.
    refuse_too_large(result.size, options.max_size, CopyStep::Finish)?;
    // A file system that allocates late says less than it will take.
    let takes = result.allocated.max(copied);
    bounds.reserve(takes, CopyStep::Finish)?;
    bounds
        .check(CopyStep::Publish)
        .map_err(|error| error.after(copied))?;

    if !control.begin_publishing() {
        return Err(CopyError::new(CopyStep::Publish, CopyErrorKind::Cancelled).after(copied));
    }
    let published = staged.publish(options.replace);
    // A directory that can't be synchronised leaves the copy where it is.
    let in_place = match &published {
        Ok(()) => true,
        Err(error) => error.step() == CopyStep::SyncDirectory,
    };
    if in_place {
        bounds.charge(takes);
    }
    published?;
    Ok(CopyReport {
        method,
        size: result.size,
        copied,
        allocated: result.allocated,
        durable,
        clone_error: control.clone_error(),
        offload_error: control.offload_error(),
    })
}

/// How the staged file came by its content.
struct Filled {
    method: CopyMethod,
    copied: u64,
}

/// The tiers: a clone, else a transfer.
fn fill(
    source: &Source,
    staged: &mut Staged<'_>,
    sharing: Sharing,
    options: &CopyOptions,
    bounds: &Bounds<'_>,
) -> Result<Filled, CopyError> {
    if sharing == Sharing::Allowed {
        let too_many =
            source.has_more_extents_than(options.max_clone_extents, &staged.file, bounds)?;
        let outcome = match too_many {
            true => CloneOutcome::Refused(None),
            false => reflink::clone(source, staged, bounds)?,
        };
        if let CloneOutcome::Refused(Some(number)) = outcome {
            bounds.clone_refused(number);
        }
        match outcome {
            CloneOutcome::Done => {
                return Ok(Filled {
                    method: CopyMethod::Reflink,
                    copied: 0,
                });
            }
            CloneOutcome::Refused(_) if options.require_reflink => {
                return Err(CopyError::new(
                    CopyStep::Clone,
                    CopyErrorKind::Unsupported(match too_many {
                        true => {
                            "the source has too many extents for a clone, and a reflink is required"
                        }
                        false => "these two files can't share blocks, and a reflink is required",
                    }),
                ));
            }
            CloneOutcome::Refused(_) => staged.reset()?,
        }
        bounds.check(CopyStep::Clone)?;
    }
    bounds.leave_room(source.data_at_most(), &staged.file, CopyStep::Transfer)?;
    let Transferred { copied, offloaded } =
        transfer::transfer(source, staged, sharing, options, bounds)?;
    let method = if offloaded {
        CopyMethod::Offload
    } else {
        CopyMethod::Copy
    };
    Ok(Filled { method, copied })
}

/// The process's limit is looked at before a file is grown: to pass it raises `SIGXFSZ`, which kills
/// the process. To clone raises nothing.
fn refuse_too_large(size: u64, max_size: u64, step: CopyStep) -> Result<(), CopyError> {
    let limit = max_size.min(platform::process_file_size_limit());
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

    #[test]
    fn a_cancel_after_a_failed_copy_comes_too_late() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let control = CopyControl::new();
        let options = CopyOptions::new().no_sync(true).control(control.clone());
        let quota = CopyQuota::new(1);
        let error = options
            .quota(quota)
            .fast_copy(&path, dir.path().join("copy"));
        assert_eq!(error.unwrap_err().step(), CopyStep::Open);
        assert!(!control.cancel() && !control.is_cancelled());
    }

    /// A clone may fail and leave anything. Nothing of that may show where the source has a hole.
    #[test]
    fn what_a_refused_clone_has_left_is_not_in_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("src");
        let file = File::create(&src).unwrap();
        file.write_all_at(b"the end", 1 << 20).unwrap();
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(&dir.path().join("dst")).unwrap();
        let mut staged = Staged::create(&destination, false).unwrap();
        staged.file.write_all_at(&[1; 4096], 0).unwrap();
        staged.file.set_len(3 << 20).unwrap();

        let (options, control) = (CopyOptions::new(), CopyControl::new());
        let bounds = Bounds::new(&options, &control);
        fill(&source, &mut staged, Sharing::Allowed, &options, &bounds).unwrap();
        let mut copy = vec![2; (1 << 20) + 7];
        staged.file.read_exact_at(&mut copy, 0).unwrap();
        assert_eq!(copy.len() as u64, staged.file.metadata().unwrap().len());
        let (hole, data) = copy.split_at(1 << 20);
        assert!(hole.iter().all(|&byte| byte == 0));
        assert_eq!(data, b"the end");
    }
}
