//! What a copy shares with whoever watches or stops it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A handle on a copy that runs on another thread: cancels it and shows how far it is.
///
/// Clones share the same state. Every method only touches that state, so each answers at once,
/// whatever the copy is doing.
///
/// Publishing is the point of no return: [`cancel`](Self::cancel) tells whether it came before.
/// One handle is for one copy that begins, even if that fails: a second one with it is refused.
#[derive(Clone, Debug, Default)]
pub struct CopyControl {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    copied: AtomicU64,
    total: OnceLock<u64>,
    clone_error: OnceLock<i32>,
    offload_error: OnceLock<i32>,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;
const PUBLISHING: u8 = 3;
const ENDED: u8 = 4;

impl CopyControl {
    /// A handle for one copy, to be given to [`CopyOptions::control`](crate::CopyOptions::control).
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the copy to stop. True: it will not be published, and its call returns with
    /// [`Cancelled`](crate::CopyErrorKind::Cancelled) at the next chunk (at most 16 MiB) or system
    /// call; a clone and an `fsync` are one call each. False: the copy is being published or has
    /// ended, well or not, and nothing changes.
    pub fn cancel(&self) -> bool {
        [IDLE, RUNNING]
            .into_iter()
            .any(|phase| self.pass(phase, CANCELLED))
            || self.is_cancelled()
    }

    /// Whether the copy was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) == CANCELLED
    }

    /// Bytes moved so far. A clone moves none.
    pub fn copied(&self) -> u64 {
        self.shared.copied.load(Ordering::Relaxed)
    }

    /// An estimate of the bytes to be moved, from what the file system has allocated for the source:
    /// holes are no part of it, preallocated blocks are. Where blocks are compressed or allocated late,
    /// more may be moved. None until the copy has begun.
    pub fn total(&self) -> Option<u64> {
        self.shared.total.get().copied()
    }

    /// The error number by which the system refused to clone, as
    /// [`io::Error::raw_os_error`](std::io::Error::raw_os_error) has it: why bytes are moved. None where
    /// no clone was tried (`sparse_copy`, too many extents), and where one of another size was made,
    /// which was thrown away.
    pub fn clone_error(&self) -> Option<i32> {
        self.shared.clone_error.get().copied()
    }

    /// The error number by which the system refused to move bytes by itself (`copy_file_range`): why
    /// they are read and written. None where that wasn't tried, and where it stopped without an error.
    pub fn offload_error(&self) -> Option<i32> {
        self.shared.offload_error.get().copied()
    }

    pub(super) fn clone_refused(&self, error: i32) {
        let _ = self.shared.clone_error.set(error);
    }

    pub(super) fn offload_refused(&self, error: i32) {
        let _ = self.shared.offload_error.set(error);
    }

    pub(super) fn add_copied(&self, bytes: u64) {
        self.shared.copied.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes the handle for a copy of so many bytes, unless it was taken or cancelled before.
    pub(super) fn begin(&self, total: u64) -> bool {
        let begun = self.pass(IDLE, RUNNING);
        if begun {
            let _ = self.shared.total.set(total);
        }
        begun
    }

    /// Lets a cancel come too late, whatever became of the copy.
    pub(super) fn end(&self) {
        self.pass(RUNNING, ENDED);
    }

    /// Passes the point of no return, unless a cancel came first.
    pub(super) fn begin_publishing(&self) -> bool {
        self.pass(RUNNING, PUBLISHING)
    }

    fn pass(&self, from: u8, to: u8) -> bool {
        let phase = &self.shared.phase;
        phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_before_publishing_wins() {
        let control = CopyControl::new();
        assert!(control.begin(7));
        assert!(control.cancel());
        assert!(control.is_cancelled());
        assert!(!control.begin_publishing());
    }

    #[test]
    fn a_cancel_after_publishing_is_ignored() {
        let control = CopyControl::new();
        assert!(control.begin(7));
        assert!(control.begin_publishing());
        assert!(!control.cancel());
        assert!(!control.is_cancelled());
    }

    #[test]
    fn a_cancel_after_the_end_is_ignored() {
        let control = CopyControl::new();
        assert!(control.begin(7));
        control.end();
        assert!(!control.cancel());
        assert!(!control.is_cancelled());
    }

    #[test]
    fn a_control_is_taken_once() {
        let control = CopyControl::new();
        assert!(control.begin(7));
        assert!(!control.begin(7));
        let cancelled = CopyControl::new();
        assert!(cancelled.cancel());
        assert!(!cancelled.begin(7));
    }
}
