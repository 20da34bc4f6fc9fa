//! Tiers 2 and 3: move the source's data and leave its holes.
//!
//! A large copy has two workers, which take batches from one plan in turn: while one looks up extents, or
//! waits, the other one moves bytes. Two of them always read and write, since that is where a second one
//! helps; one lets the kernel move what it can, which for one is the faster way (`benches/README.md` has
//! the figures). A worker that is left alone, since other copies have come, goes on as if it had been
//! alone from the beginning.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Sharing;
use super::bounds::Bounds;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::lock::lock;
use super::mover::Worker;
use super::options::CopyOptions;
use super::plan::Plan;
use super::platform;
use super::source::Source;
use super::staging::Staged;
use super::threads::MovingThread;
use super::zeros::zero_block;

/// 256 KiB is where GNU cp's measurements on 11 machines level off (coreutils, `ioblksize.h`). Each
/// worker has one buffer.
pub(super) const BUFFER_SIZE: usize = 256 << 10;

/// With less data than this, in bytes, one read and one write are sooner done than the block map is
/// asked what may be offloaded.
const WORTH_OFFLOADING: u64 = BUFFER_SIZE as u64;

/// With less data than this, in bytes, a second worker isn't worth its start.
const WORTH_A_WORKER: u64 = 16 << 20;

/// How long a piece must be, in bytes, for the kernel to be told before it is read: longer than what
/// one read asks for anyway.
const WORTH_READING_AHEAD: u64 = BUFFER_SIZE as u64 + 1;

/// What was moved.
pub(super) struct Transferred {
    pub(super) copied: u64,
    pub(super) offloaded: bool,
}

/// Fills the staged file, which is empty, with the source's data, and gives it the source's size.
pub(super) fn transfer(
    source: &Source,
    staged: &Staged<'_>,
    sharing: Sharing,
    options: &CopyOptions,
    bounds: &Bounds<'_>,
) -> Result<Transferred, CopyError> {
    let size = source.size();
    let at_destination =
        |error| CopyError::destination(CopyStep::Transfer, CopyErrorKind::Os(error));
    platform::prepare_sparse(&staged.file).map_err(at_destination)?;
    let empty = platform::status(&staged.file).map_err(at_destination)?;
    staged.file.set_len(size).map_err(at_destination)?;

    // A small copy is over before it could be in anybody's way.
    let moving = (source.data_at_most() >= WORTH_A_WORKER).then(MovingThread::begin);
    let alone = match options.workers {
        Some(workers) => workers < 2,
        None => moving.is_none() || !MovingThread::has_room_for_another(),
    };
    let block = zero_block(empty.block_size);
    let transfer = Transfer::new(source, staged, sharing, options, bounds, block);
    let run = match alone {
        true => transfer.run_alone(),
        false => transfer.run_by_two(options.workers.is_none()),
    };
    drop(moving);
    run.and_then(|()| source.refuse_change())
        .map_err(|error| error.after(bounds.copied()))?;

    let result = platform::status(&staged.file).map_err(at_destination)?;
    if result.size != size {
        return Err(CopyError::destination(
            CopyStep::Transfer,
            CopyErrorKind::Unsupported("the copy has another size than was written to it"),
        ));
    }
    Ok(Transferred {
        copied: bounds.copied(),
        offloaded: transfer.offloaded.into_inner(),
    })
}

/// What the workers share.
pub(super) struct Transfer<'a> {
    pub(super) source: &'a Source,
    pub(super) staged: &'a Staged<'a>,
    pub(super) bounds: &'a Bounds<'a>,
    pub(super) dig_holes: bool,
    pub(super) write_back: bool,
    /// Zeros are left out in blocks of this many bytes: what the destination allocates at once.
    pub(super) block: usize,
    plan: Mutex<Plan<'a>>,
    /// Whether a worker that is alone lets the kernel move bytes.
    offload_alone: bool,
    /// Whether it does now. What the kernel has refused once, nobody tries again.
    pub(super) may_offload: AtomicBool,
    pub(super) offloaded: AtomicBool,
    /// Set by a worker that fails or panics, so that the other one stops too.
    stopped: AtomicBool,
    /// The first error that a worker met: what stops the other one in turn is not to hide it.
    failure: Mutex<Option<CopyError>>,
}

impl<'a> Transfer<'a> {
    fn new(
        source: &'a Source,
        staged: &'a Staged<'a>,
        sharing: Sharing,
        options: &CopyOptions,
        bounds: &'a Bounds,
        block: usize,
    ) -> Self {
        Self {
            source,
            staged,
            bounds,
            dig_holes: options.dig_holes,
            // Only who waits for the disk in the end gains by its early start.
            write_back: !options.no_sync,
            block,
            plan: Mutex::new(Plan::new(&source.file, source.size())),
            offload_alone: sharing == Sharing::Allowed && source.data_at_most() >= WORTH_OFFLOADING,
            may_offload: AtomicBool::new(false),
            offloaded: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Works the plan off on the calling thread.
    fn run_alone(&self) -> Result<(), CopyError> {
        self.offload_from_now_on();
        self.work_off(|| false)
    }

    /// Works the plan off on the calling thread and on one more, which may leave where it is
    /// `optional`. A third wouldn't help: two keep a file's writes going.
    fn run_by_two(&self, optional: bool) -> Result<(), CopyError> {
        let other_moves = MovingThread::begin();
        thread::scope(|scope| {
            // Where no thread is to be had, this one does it alone.
            let name = thread::Builder::new().name("fast-copy".to_owned());
            let other = name.spawn_scoped(scope, move || {
                let _moves = other_moves;
                self.work(|| optional && MovingThread::is_crowded());
            });
            self.work(|| false);
            if let Ok(Err(panic)) = other.map(|thread| thread.join()) {
                resume_unwind(panic);
            }
        });
        match lock(&self.failure).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn offload_from_now_on(&self) {
        self.may_offload
            .store(self.offload_alone, Ordering::Relaxed);
    }

    /// Works with another one: what ends this worker early ends both.
    fn work(&self, leaves: impl Fn() -> bool) {
        let _stop = StopIfPanicking(&self.stopped);
        if let Err(error) = self.work_off(leaves) {
            lock(&self.failure).get_or_insert(error);
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Takes batch after batch until nothing is left, or this worker `leaves` the rest to the other.
    fn work_off(&self, leaves: impl Fn() -> bool) -> Result<(), CopyError> {
        let mut worker = Worker::new(self);
        let mut batch = Vec::new();
        loop {
            if leaves() {
                self.offload_from_now_on();
                return Ok(());
            }
            lock(&self.plan).take(&mut batch, || {
                self.bounds.check(CopyStep::Transfer).is_err() || self.is_stopped()
            });
            self.bounds.check(CopyStep::Transfer)?;
            if batch.is_empty() || self.is_stopped() {
                return Ok(());
            }
            for extent in batch.iter().filter(|_| !self.bounds.is_paced()) {
                let range = extent.range();
                if range.end - range.start >= WORTH_READING_AHEAD {
                    platform::read_ahead(&self.source.file, range);
                }
            }
            for extent in batch.drain(..) {
                if self.is_stopped() {
                    return Ok(());
                }
                worker.move_extent(extent)?;
            }
            self.bounds.tell_copied();
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A worker that panics leaves its batch undone: the copy is lost, so the other one needn't go on.
struct StopIfPanicking<'a>(&'a AtomicBool);

impl Drop for StopIfPanicking<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::engine::CopyControl;
    use crate::engine::destination::Destination;

    /// A panic can only come of a defect, so no copy from outside shows this.
    #[test]
    fn a_worker_that_panics_stops_the_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("src");
        std::fs::write(&src, "text").unwrap();
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(&dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false).unwrap();
        let (options, control) = (CopyOptions::new(), CopyControl::new());
        let bounds = Bounds::new(&options, &control);
        let transfer = Transfer::new(
            &source,
            &staged,
            Sharing::Forbidden,
            &options,
            &bounds,
            4096,
        );
        let panicking = || transfer.work(|| panic!("a defect"));
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        transfer.work(|| false);
        assert_eq!(control.copied(), 0);
    }
}
