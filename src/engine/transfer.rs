//! Tiers 2 and 3: move the source's data and leave its holes.
//!
//! Two movers: `copy_file_range`, where sharing is allowed and the block map can be trusted, and
//! reading and writing. The first may densify what it is given (on ext4 it writes a hole as zeros),
//! so it only ever gets ranges that were surely written.
//!
//! A large copy has two workers, which take batches from one plan in turn: while one looks up
//! extents, or waits, the other one moves bytes. Two of them always read and write, since that is
//! where a second one helps: on ext4 (Linux 6.18, 2 processors) 1 GiB took them 0.23 s, and 0.29 s
//! by `copy_file_range`, which for one worker is the faster way (0.32 s, and 0.49 s).
//!
//! Where many copies run at once, a second worker only takes a processor from another copy: so
//! together they have no more workers than there are processors, or one each.

use std::io::ErrorKind;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use super::Sharing;
use super::bounds::Bounds;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::extents::Extent;
use super::lock::lock;
use super::options::CopyOptions;
use super::plan::Plan;
use super::platform::{self, WrittenMap};
use super::source::Source;
use super::staging::Staged;

/// 256 KiB is where GNU cp's measurements on 11 machines level off (coreutils, `ioblksize.h`). Each
/// worker has one buffer.
const BUFFER_SIZE: usize = 256 << 10;

/// With less data than this, in bytes, one read and one write are sooner done than the block map is
/// asked what may be offloaded.
const WORTH_OFFLOADING: u64 = BUFFER_SIZE as u64;

/// With less data than this, in bytes, a second worker isn't worth its start.
const WORTH_A_WORKER: u64 = 16 << 20;

/// How long a piece must be, in bytes, for the disk to be told of it at once. With less, the file
/// system lays out the copy of a fragmented file worse and later ends no sooner.
const WORTH_WRITING_BACK: u64 = 1 << 20;

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
    let moving = (source.data_at_most() >= WORTH_A_WORKER).then(Moving::begin);
    let alone = match options.workers {
        Some(workers) => workers < 2,
        None => moving.is_none() || !Moving::has_room_for_another(),
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

/// A thread that moves bytes, of all large copies of this process.
struct Moving;

static MOVING: AtomicUsize = AtomicUsize::new(0);

impl Moving {
    fn begin() -> Self {
        MOVING.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// Whether one more thread would find a processor.
    fn has_room_for_another() -> bool {
        MOVING.load(Ordering::Relaxed) < processors()
    }

    /// Whether there are more threads than processors.
    fn is_crowded() -> bool {
        MOVING.load(Ordering::Relaxed) > processors()
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        MOVING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn processors() -> usize {
    // Asking the system takes longer than copying a small file.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// What the workers share.
struct Transfer<'a> {
    source: &'a Source,
    staged: &'a Staged<'a>,
    bounds: &'a Bounds<'a>,
    dig_holes: bool,
    write_back: bool,
    /// Zeros are left out in blocks of this many bytes: what the destination allocates at once.
    block: usize,
    plan: Mutex<Plan<'a>>,
    /// Whether a worker that is alone lets the kernel move bytes.
    offload_alone: bool,
    /// Whether it does now. What the kernel has refused once, nobody tries again.
    may_offload: AtomicBool,
    offloaded: AtomicBool,
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
        let other_moves = Moving::begin();
        thread::scope(|scope| {
            // Where no thread is to be had, this one does it alone.
            let name = thread::Builder::new().name("fast-copy".to_owned());
            let other = name.spawn_scoped(scope, move || {
                let _moves = other_moves;
                self.work(|| optional && Moving::is_crowded());
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
        let mut worker = Worker {
            transfer: self,
            written: WrittenMap::new(&self.source.file),
            buffer: Vec::new(),
        };
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

/// What to do with blocks of zeros among the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// Left out.
    Dig,
    /// Kept where they were surely written. Other zeros in data are preallocated blocks which
    /// nobody ever wrote: the file system calls them data as soon as the page cache holds them.
    KeepWritten,
}

/// One thread's tools.
struct Worker<'t, 'a> {
    transfer: &'t Transfer<'a>,
    written: WrittenMap<'a>,
    buffer: Vec<u8>,
}

impl Worker<'_, '_> {
    fn move_extent(&mut self, extent: Extent) -> Result<(), CopyError> {
        let range = extent.range();
        match extent {
            Extent::Data(_) if !self.transfer.dig_holes => self.move_data(range.clone())?,
            Extent::Data(_) | Extent::Unmapped(_) => self.pump(range.clone(), Zeros::Dig)?,
        }
        if self.transfer.write_back && range.end - range.start >= WORTH_WRITING_BACK {
            self.write_back(range)?;
        }
        Ok(())
    }

    /// Tells the disk of a piece now.
    ///
    /// An error that says no more than "not here" or "not now" leaves it all to the synchronisation
    /// in the end. Any other ends the copy: a file system that finds no place for dirty data may
    /// throw it away (ext4 does where its block bitmap is damaged), and then this call is the only
    /// one that hears of it.
    fn write_back(&self, range: Range<u64>) -> Result<(), CopyError> {
        match platform::start_writing_back(&self.transfer.staged.file, range) {
            Err(error) if !platform::is_left_for_later(&error) => Err(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            )),
            _ => Ok(()),
        }
    }

    /// Moves a range that the file system calls data.
    fn move_data(&mut self, mut range: Range<u64>) -> Result<(), CopyError> {
        while range.start < range.end && self.transfer.may_offload.load(Ordering::Relaxed) {
            let (surely_written, until) = self.written.at(range.start);
            let part = range.start..until.min(range.end);
            range.start = if surely_written {
                self.offload(part)?
            } else {
                self.pump(part.clone(), Zeros::KeepWritten)?;
                part.end
            };
        }
        self.pump(range, Zeros::KeepWritten)
    }

    /// Lets the kernel move a range, and returns where it stopped. If that is before the end, the
    /// kernel won't move more: from here on bytes are read and written.
    ///
    /// Before the first byte of the copy, any error but a lack of room means that the kernel can't
    /// do it for these two files. Later the usual errors are terminal, and the others make the copy
    /// go on at the exact next byte. A 0 is not the end of the file: kernels have answered it for
    /// files that could be read (overlayfs, 5.6 to 5.10; procfs).
    fn offload(&self, range: Range<u64>) -> Result<u64, CopyError> {
        let transfer = self.transfer;
        let (src, dst) = (&transfer.source.file, &transfer.staged.file);
        let mut at = range.start;
        while at < range.end {
            let length = match transfer.bounds.is_paced() {
                true => (range.end - at).min(BUFFER_SIZE as u64),
                false => range.end - at,
            };
            transfer.bounds.pace(length)?;
            transfer.bounds.admit(length, dst)?;
            let result = platform::offload(src, dst, at, length);
            let moved = *result.as_ref().unwrap_or(&0);
            transfer.bounds.give_back(length.saturating_sub(moved));
            match result {
                Ok(0) => break,
                Ok(moved) => {
                    at += moved;
                    transfer.offloaded.store(true, Ordering::Relaxed);
                    transfer.bounds.add_copied(moved);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let stop = if transfer.offloaded.load(Ordering::Relaxed) {
                        platform::is_terminal(&error)
                    } else {
                        platform::is_lack_of_room(&error)
                    };
                    if stop {
                        return Err(CopyError::new(CopyStep::Transfer, error));
                    }
                    transfer.bounds.offload_refused(&error);
                    break;
                }
            }
        }
        if at < range.end {
            transfer.may_offload.store(false, Ordering::Relaxed);
        }
        Ok(at)
    }

    /// Reads and writes a range.
    fn pump(&mut self, mut range: Range<u64>, zeros: Zeros) -> Result<(), CopyError> {
        while range.start < range.end {
            let length = self.fill(&range)?;
            let at = range.start;
            range.start += length as u64;
            for run in self.worth_writing(at..range.start, zeros) {
                self.write(at + run.start as u64, run)?;
            }
        }
        Ok(())
    }

    /// Which parts of the buffer are to be written, if it holds this range of the file.
    fn worth_writing(&mut self, range: Range<u64>, zeros: Zeros) -> Vec<Range<usize>> {
        let bytes = &self.buffer[..(range.end - range.start) as usize];
        let block = self.transfer.block;
        let runs = nonzero_runs(bytes, range.start, block);
        // The map is asked only if there is a zero block to ask about.
        if zeros == Zeros::Dig || runs.first() == Some(&(0..bytes.len())) {
            return runs;
        }
        let mut kept = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (surely_written, until) = self.written.at(at);
            let part = at..until.min(range.end);
            at = part.end;
            let start = (part.start - range.start) as usize;
            let end = (part.end - range.start) as usize;
            if surely_written {
                kept.push(start..end);
            } else {
                let runs = nonzero_runs(&bytes[start..end], part.start, block);
                kept.extend(
                    runs.into_iter()
                        .map(|run| start + run.start..start + run.end),
                );
            }
        }
        kept
    }

    /// Reads the beginning of `range` into the buffer, as much as fits, and returns how much.
    ///
    /// The buffer ends at a block of the file where it can, so that blocks of zeros stay whole.
    fn fill(&mut self, range: &Range<u64>) -> Result<usize, CopyError> {
        let Transfer { source, block, .. } = *self.transfer;
        if self.buffer.is_empty() {
            let whole = source.size().next_multiple_of(block as u64);
            self.buffer = vec![0; whole.min(BUFFER_SIZE as u64) as usize];
        }
        let misaligned = (range.start % block as u64) as usize;
        let room = (self.buffer.len() - misaligned) as u64;
        let wanted = room.min(range.end - range.start) as usize;
        let mut filled = 0;
        self.transfer.bounds.pace(wanted as u64)?;
        while filled < wanted {
            self.transfer.bounds.check(CopyStep::Transfer)?;
            let rest = &mut self.buffer[filled..wanted];
            match platform::read_at(&source.file, rest, range.start + filled as u64) {
                Ok(0) => return Err(self.ended_early()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CopyError::source(CopyStep::Transfer, error)),
            }
        }
        Ok(filled)
    }

    /// The source yielded fewer bytes than its size: it was cut, or its size was never true.
    fn ended_early(&self) -> CopyError {
        match self.transfer.source.refuse_change() {
            Err(changed) => changed,
            Ok(()) => CopyError::source(
                CopyStep::Transfer,
                CopyErrorKind::Unsupported(
                    "the source yields fewer bytes than its size: a file made up by the kernel",
                ),
            ),
        }
    }

    /// Writes a part of the buffer at an offset of the staged file.
    fn write(&self, mut at: u64, mut part: Range<usize>) -> Result<(), CopyError> {
        let transfer = self.transfer;
        transfer
            .bounds
            .admit(part.len() as u64, &transfer.staged.file)?;
        while !part.is_empty() {
            transfer.bounds.check(CopyStep::Transfer)?;
            let result = platform::write_at(&transfer.staged.file, &self.buffer[part.clone()], at);
            let error = match result {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    at += written as u64;
                    part.start += written;
                    transfer.bounds.add_copied(written as u64);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            ));
        }
        Ok(())
    }
}

/// The unit in which zeros are left out: the destination's block size, where that is less than a
/// page. A unit smaller than a block costs nothing; a larger one would fill holes, and network file
/// systems say their transfer size there, of 64 KiB and more.
fn zero_block(reported: u64) -> usize {
    match usize::try_from(reported) {
        Ok(size @ 512..4096) if size.is_power_of_two() => size,
        _ => 4096,
    }
}

/// The runs of `bytes` that hold anything but zeros, in whole blocks of the file that `bytes`
/// stands at `offset` of.
fn nonzero_runs(bytes: &[u8], offset: u64, block: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let to_boundary = block - ((offset + at as u64) % block as u64) as usize;
        let end = bytes.len().min(at + to_boundary);
        if !is_zero(&bytes[at..end]) {
            match runs.last_mut() {
                Some(run) if run.end == at => run.end = end,
                _ => runs.push(at..end),
            }
        }
        at = end;
    }
    runs
}

/// Compares with zeros as `memcmp` does, which every libc has tuned.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block == &ZEROS[..block.len()]
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

    #[test]
    fn runs_are_whole_blocks_of_the_file() {
        let mut bytes = vec![0; 40];
        assert!(nonzero_runs(&bytes, 0, 8).is_empty());
        bytes[9] = 1;
        bytes[17] = 1;
        bytes[39] = 1;
        assert_eq!(nonzero_runs(&bytes, 0, 8), [8..24, 32..40]);
        assert_eq!(nonzero_runs(&bytes, 4, 8), [4..20, 36..40]);
        assert_eq!(nonzero_runs(&bytes[..10], 0, 8).first(), Some(&(8..10)));
        assert!(nonzero_runs(&[], 5, 8).is_empty());
    }

    #[test]
    fn only_a_plausible_block_size_is_believed() {
        assert_eq!(zero_block(1024), 1024);
        for odd in [0, 1, 511, 3000, 4096, 65536, 1 << 20, u64::MAX] {
            assert_eq!(zero_block(odd), 4096);
        }
    }
}
