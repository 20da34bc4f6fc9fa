//! The second and third way to make a copy: move the source's data and preserve its holes.
//!
//! A large copy has two workers, which take batches from one plan in turn. While one looks up extents or
//! waits, the other moves bytes. Two workers always read and write, because that is where a second one
//! helps. A single worker lets the kernel move what it can, which is faster for one (`benches/README.md`
//! has the figures). If the second worker leaves because other copies have started, the first continues as
//! a single one.

pub(crate) mod extents;
mod plan;
mod task;
pub(crate) mod threads;
mod worker;
mod zeros;

use std::io;
use std::panic::resume_unwind;
use std::thread;

use crate::context::Context;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::lock::lock;
use crate::platform;
use crate::platform::status::Status;
use crate::source::Source;
use crate::staging::Staged;
use extents::Extent;
use task::{BUFFER_SIZE, StopIfPanicking, Task};
use threads::{MovingThread, thread_builder};
use worker::Worker;

/// The least amount of data for two workers, in bytes. Below it, starting a thread does not pay.
const WORTH_A_WORKER: u64 = 16 << 20;

/// The most that one read requests, in bytes. A longer extent is announced to the kernel before it is read.
const LONGEST_READ: u64 = BUFFER_SIZE as u64;

/// The size to which a staged file is extended first, in bytes.
const FIRST_STEP: u64 = 1 << 20;

/// How far a staged file without holes is extended at once, in bytes.
const STEP: u64 = 8 << 20;

/// The size of the smallest swap file, in bytes.
const SMALLEST_SWAP_FILE: u64 = 10 * 4096;

/// What was moved.
pub(crate) struct Transferred {
    pub(crate) copied: u64,
    /// The bytes for which there was room at the beginning.
    pub(crate) planned: u64,
    pub(crate) offloaded: bool,
    /// The status of the source after the last byte.
    pub(crate) source_now: Status,
}

/// Fills the staged file, which is empty, with the source's data, and sets its size.
pub(crate) fn transfer(
    source: &Source,
    staged: &Staged<'_>,
    context: &Context<'_>,
) -> Result<Transferred, CopyError> {
    let size = source.size();
    let at_destination = |error| CopyError::destination(CopyStep::Transfer, error);
    // A swap file has no holes, and at least ten pages (swapon(8), mkswap(8)).
    if size >= SMALLEST_SWAP_FILE && !source.is_partly_allocated() {
        platform::refuse_swap_file(&source.file, &staged.file)
            .map_err(|error| CopyError::source(CopyStep::Transfer, error))?;
    }
    let planned = context.plan_for(source, staged)?;
    source.wait_for_writers();
    let copied_before = context.copied();
    platform::prepare_sparse(&staged.file).map_err(at_destination)?;
    let task = Task::new(source, staged, context)?;
    extend(staged, context.options.size.unwrap_or(size), context)?;

    // A small copy ends too soon to disturb others.
    let moving = (source.data_at_most() >= WORTH_A_WORKER).then(MovingThread::begin);
    let workers = context.options.max_workers;
    let alone = match workers {
        Some(workers) => workers.get() < 2,
        None => moving.is_none() || !MovingThread::has_room_for_another(),
    };
    let run = match alone {
        true => run_alone(&task),
        false => run_by_two(&task, workers.is_none()),
    };
    drop(moving);
    run?;
    Ok(Transferred {
        source_now: source.refuse_change()?,
        copied: context.copied() - copied_before,
        planned,
        offloaded: task.was_offloaded(),
    })
}

/// Extends the staged file to `size`.
///
/// On a file system without holes (FAT, exFAT), one `ftruncate` writes as many zeros as the file is extended
/// by. So a large file is first extended by [`FIRST_STEP`]. If all of that is allocated, there are no holes:
/// the whole size must fit on the disk and into the limits, and the file is extended in steps, as fast as the rate allows.
fn extend(staged: &Staged<'_>, size: u64, context: &Context<'_>) -> Result<(), CopyError> {
    let file = &staged.file;
    if size <= FIRST_STEP || platform::supports_holes(file) || platform::hides_allocation(file) {
        return staged.set_len(size);
    }
    staged.set_len(FIRST_STEP)?;
    let allocated = platform::allocated_now(&staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Transfer, error))?;
    if allocated < FIRST_STEP {
        return staged.set_len(size);
    }
    if let Some(limit) = platform::largest_size(&staged.file)
        && size > limit
    {
        let too_large = CopyErrorKind::FileTooLarge { size, limit };
        return Err(CopyError::destination(CopyStep::Transfer, too_large));
    }
    let spaces = platform::spaces(staged.directory(), &staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Transfer, error))?;
    if spaces
        .iter()
        .any(|space| space.size > 0 && space.free < size - FIRST_STEP)
    {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        return Err(CopyError::destination(CopyStep::Transfer, full));
    }
    context.reserve(size, CopyStep::Transfer)?;
    context.leave_room(size - FIRST_STEP, staged, CopyStep::Transfer)?;
    let mut extended = FIRST_STEP;
    while extended < size {
        let step = context.chunk(STEP).min(size - extended);
        context.pace(step)?;
        context.leave_room(step, staged, CopyStep::Transfer)?;
        extended += step;
        staged.set_len(extended)?;
    }
    Ok(())
}

/// Runs a single worker, on the calling thread.
fn run_alone(task: &Task<'_>) -> Result<(), CopyError> {
    task.continue_alone();
    move_batches(task, || false)
}

/// Runs a worker on the calling thread and one on a new thread. The latter may leave if it is `optional`.
/// A third would not help: two saturate the writes to one file.
fn run_by_two(task: &Task<'_>, optional: bool) -> Result<(), CopyError> {
    let moving = MovingThread::begin();
    thread::scope(|scope| {
        let second = thread_builder("fast-copy").and_then(|thread| {
            thread.spawn_scoped(scope, move || {
                let _moving = moving;
                move_batches_beside_another(task, || optional && MovingThread::is_crowded());
            })
        });
        match second {
            Ok(second) => {
                move_batches_beside_another(task, || false);
                if let Err(panic) = second.join() {
                    resume_unwind(panic);
                }
                task.result()
            }
            // No thread can be started now. This one still reads and writes, so that the method does not
            // depend on it.
            Err(_) => move_batches(task, || false),
        }
    })
}

/// Runs one of two workers. Its failure stops both.
fn move_batches_beside_another(task: &Task<'_>, leaves: impl Fn() -> bool) {
    let _stop = StopIfPanicking(task);
    if let Err(error) = move_batches(task, leaves) {
        task.fail(error);
    }
}

/// Moves batch after batch until nothing is left, or until this worker `leaves` the rest to the other.
fn move_batches(task: &Task<'_>, leaves: impl Fn() -> bool) -> Result<(), CopyError> {
    let context = task.context;
    let mut worker = Worker::new(task);
    let mut batch = Vec::new();
    loop {
        if leaves() {
            task.continue_alone();
            return Ok(());
        }
        lock(&task.plan).take(&mut batch, || {
            context.check(CopyStep::Transfer).is_err() || task.is_stopped()
        });
        context.check(CopyStep::Transfer)?;
        if batch.is_empty() || task.is_stopped() {
            return Ok(());
        }
        if !context.is_paced() {
            for range in batch.iter().map(Extent::range) {
                if range.end - range.start > LONGEST_READ {
                    platform::read_ahead(&task.source.file, range);
                }
            }
        }
        for extent in batch.drain(..) {
            if task.is_stopped() {
                return Ok(());
            }
            worker.move_extent(extent)?;
        }
        context.report_progress();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::destination::Destination;
    use crate::options::{CopyOptions, Sharing};
    use crate::staging::Naming;

    /// Only a defect makes a worker panic, so no copy from outside shows this.
    #[test]
    fn a_panicking_worker_stops_the_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("src");
        std::fs::write(&src, "text").unwrap();
        let source = Source::open(&src, true).unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false, Naming::Optional).unwrap();
        let options = CopyOptions::new();
        let context = Context::new(&options, Sharing::Forbidden, &|_| ());
        let task = Task::new(&source, &staged, &context).unwrap();
        let panicking = || move_batches_beside_another(&task, || panic!("a defect"));
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        move_batches_beside_another(&task, || false);
        assert_eq!(context.copied(), 0);
    }
}
