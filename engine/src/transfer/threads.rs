//! The threads that move bytes.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::platform;

/// The stack of a thread, in bytes: the standard library's default. It is set so that `RUST_MIN_STACK`
/// can't exceed what [`thread_builder`] checks.
const STACK: usize = 2 << 20;

/// What a new thread maps and allocates besides its stack, in bytes: a signal stack of a few pages,
/// thread-local data, and small allocations of the work itself.
const BESIDES_STACK: usize = 1 << 20;

/// Returns a builder for a thread named `name`, if the process has memory for one.
///
/// [`Builder::spawn`](thread::Builder::spawn) reports a lack of threads or of memory for the stack. But
/// the new thread aborts the process if it can't map its signal stack, as under `RLIMIT_AS` (`get_stack`
/// in `library/std/src/sys/pal/unix/stack_overflow.rs`). So this function maps the memory that the thread
/// needs, and unmaps it, first. Another thread can still take the memory in between.
///
/// # Errors
///
/// [`io::ErrorKind::OutOfMemory`].
pub fn thread_builder(name: &str) -> io::Result<thread::Builder> {
    platform::check_memory(STACK + BESIDES_STACK)?;
    Ok(thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK))
}

/// A thread that moves the bytes of a large copy, counted among all copies of this process.
///
/// If many copies run at once, a second worker only takes a processor from another copy. So together they
/// use at most as many workers as there are processors, or one each. Small copies are not counted,
/// because they end too soon to disturb others.
pub(super) struct MovingThread;

static MOVING: AtomicUsize = AtomicUsize::new(0);

impl MovingThread {
    pub(super) fn begin() -> Self {
        MOVING.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// Whether a processor is free for one more thread.
    pub(super) fn has_room_for_another() -> bool {
        MOVING.load(Ordering::Relaxed) < processors()
    }

    /// Whether there are more threads than processors.
    pub(super) fn is_crowded() -> bool {
        MOVING.load(Ordering::Relaxed) > processors()
    }
}

impl Drop for MovingThread {
    fn drop(&mut self) {
        MOVING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn processors() -> usize {
    // Asking the system takes longer than copying a small file.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}
