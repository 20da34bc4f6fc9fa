//! What a copy shares with whoever watches or stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A handle on a copy that runs on another thread: cancels it and shows how far it is.
///
/// Clones share the same state. Every method only touches that state, so each answers at once,
/// whatever the copy is doing.
///
/// Publishing is the point of no return: [`cancel`](Self::cancel) tells whether it came before.
/// One handle is for one copy: once it is cancelled or the copy is published, it stays so.
#[derive(Clone, Debug, Default)]
pub struct CopyControl {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    copied: AtomicU64,
}

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const PUBLISHING: u8 = 2;

impl CopyControl {
    /// A handle for one copy, to be given to [`CopyOptions::control`](crate::CopyOptions::control).
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the copy to stop. True: it will not be published, and its call returns with
    /// [`Cancelled`](crate::CopyErrorKind::Cancelled) at the next chunk (at most 16 MiB) or system
    /// call; a clone and an `fsync` are one call each. False: the copy is being published, or is
    /// done, and stays.
    pub fn cancel(&self) -> bool {
        match self.shared.phase.compare_exchange(
            RUNNING,
            CANCELLED,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => true,
            Err(phase) => phase == CANCELLED,
        }
    }

    /// Whether the copy was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) == CANCELLED
    }

    /// Bytes moved so far. A clone moves none.
    pub fn copied(&self) -> u64 {
        self.shared.copied.load(Ordering::Relaxed)
    }

    pub(super) fn add_copied(&self, bytes: u64) {
        self.shared.copied.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether a copy was published with this already.
    pub(super) fn is_spent(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) == PUBLISHING
    }

    /// Passes the point of no return, unless a cancel came first.
    pub(super) fn begin_publishing(&self) -> bool {
        self.shared
            .phase
            .compare_exchange(RUNNING, PUBLISHING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_before_publishing_wins() {
        let control = CopyControl::new();
        assert!(control.cancel());
        assert!(control.is_cancelled());
        assert!(!control.begin_publishing());
    }

    #[test]
    fn a_cancel_after_publishing_is_ignored() {
        let control = CopyControl::new();
        assert!(control.begin_publishing());
        assert!(!control.cancel());
        assert!(!control.is_cancelled());
    }
}
