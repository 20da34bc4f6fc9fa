//! How many threads move bytes, of all copies of this process.
//!
//! Where many copies run at once, a second worker only takes a processor from another copy: so together
//! they have no more workers than there are processors, or one each.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One of them; of small copies, which are over before they could be in anybody's way, none is counted.
pub(super) struct MovingThread;

static MOVING: AtomicUsize = AtomicUsize::new(0);

impl MovingThread {
    pub(super) fn begin() -> Self {
        MOVING.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// Whether one more thread would find a processor.
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
