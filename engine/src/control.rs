//! Cancelling a copy, and watching its progress.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A handle to cancel a copy and to read its progress, from any thread.
///
/// Clones share the same state. Every method returns at once, whatever the copy is doing.
///
/// Use a new handle for each copy. A copy with a used handle fails with
/// [`Invalid`](crate::CopyErrorKind::Invalid), even if the copy before failed or was cancelled. A copy with a new
/// handle that was cancelled fails with [`Cancelled`](crate::CopyErrorKind::Cancelled).
///
/// ```no_run
/// use std::thread;
/// use std::time::Duration;
/// use fast_copy_engine::{CopyControl, CopyOptions};
///
/// let control = CopyControl::new();
/// let options = CopyOptions::new().control(control.clone());
/// let copying = thread::spawn(move || options.fast_copy("base.img", "vm1.img"));
/// while !copying.is_finished() {
///     println!("{} of {:?} bytes", control.copied(), control.total());
///     thread::sleep(Duration::from_millis(100));
/// }
/// println!("{:?}", copying.join().unwrap());
/// ```
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

/// Why a copy can't begin with a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Another copy has used it.
    Used,
    /// It was cancelled before.
    Cancelled,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;
const PUBLISHING: u8 = 3;
const ENDED: u8 = 4;
/// Being published. If the copy has to be made again, it is cancelled.
const CANCELLED_LATE: u8 = 5;

impl CopyControl {
    /// Creates a handle for one copy. Pass it to [`CopyOptions::control`](crate::CopyOptions::control).
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the copy. Returns true if it will not be published, false if it is too late.
    ///
    /// If true, the copy stops at its next chunk (at most 16 MiB) or system call and fails with
    /// [`Cancelled`](crate::CopyErrorKind::Cancelled). A clone and an `fsync` are one system call each.
    /// If false, the copy is being published or has ended.
    pub fn cancel(&self) -> bool {
        let cancelled = |phase| match phase {
            IDLE | RUNNING => Some(CANCELLED),
            PUBLISHING => Some(CANCELLED_LATE),
            _ => None,
        };
        let phase = &self.shared.phase;
        match phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, cancelled) {
            Ok(before) => before != PUBLISHING,
            Err(now) => now == CANCELLED,
        }
    }

    /// Returns whether the copy was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) == CANCELLED
    }

    /// Returns the bytes moved so far: always 0 for a clone. The first copy on a file system where a file
    /// without a name can't be linked is made twice; then the bytes of both attempts count.
    pub fn copied(&self) -> u64 {
        self.shared.copied.load(Ordering::Relaxed)
    }

    /// Returns an estimate of the bytes to be moved, or none before the copy begins.
    ///
    /// It is what the file system has allocated for the source, at most the apparent size: it counts
    /// preallocated blocks and no holes. Where blocks are compressed or allocated late, more bytes may be moved.
    pub fn total(&self) -> Option<u64> {
        self.shared.total.get().copied()
    }

    /// Returns the error number (see [`io::Error::raw_os_error`](std::io::Error::raw_os_error)) of a
    /// refused clone: the reason why bytes are moved.
    ///
    /// None if no clone was attempted (`sparse_copy`, too many extents), or if a clone succeeded but had
    /// the wrong size and was discarded.
    pub fn clone_error(&self) -> Option<i32> {
        self.shared.clone_error.get().copied()
    }

    /// Returns the error number of a refused `copy_file_range`: the reason why bytes are read and
    /// written. None if it was not attempted, or if it stopped without an error.
    pub fn offload_error(&self) -> Option<i32> {
        self.shared.offload_error.get().copied()
    }

    pub(crate) fn clone_refused(&self, error: i32) {
        let _ = self.shared.clone_error.set(error);
    }

    pub(crate) fn offload_refused(&self, error: i32) {
        let _ = self.shared.offload_error.set(error);
    }

    pub(crate) fn add_copied(&self, bytes: u64) {
        self.shared.copied.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes the handle for a copy of about `total` bytes.
    pub(crate) fn begin(&self, total: u64) -> Result<(), Unusable> {
        // It is set once, by the first copy.
        self.shared.total.set(total).map_err(|_| Unusable::Used)?;
        match self.pass(IDLE, RUNNING) {
            true => Ok(()),
            false => Err(Unusable::Cancelled),
        }
    }

    /// Marks the copy as ended: a later cancel has no effect.
    pub(crate) fn end(&self) {
        self.pass(RUNNING, ENDED);
    }

    /// Passes the point of no return. False if the copy was cancelled before.
    pub(crate) fn begin_publishing(&self) -> bool {
        self.pass(RUNNING, PUBLISHING)
    }

    /// Goes back before the point of no return, because the copy has to be made again. A cancel that came while it
    /// was being published takes effect now.
    pub(crate) fn retract_publishing(&self) {
        if !self.pass(PUBLISHING, RUNNING) {
            self.pass(CANCELLED_LATE, CANCELLED);
        }
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
    fn a_cancel_before_publishing_takes_effect() {
        let control = CopyControl::new();
        assert_eq!(control.begin(7), Ok(()));
        assert!(control.cancel());
        assert!(control.is_cancelled());
        assert!(!control.begin_publishing());
    }

    #[test]
    fn a_cancel_after_publishing_has_no_effect() {
        let control = CopyControl::new();
        assert_eq!(control.begin(7), Ok(()));
        assert!(control.begin_publishing());
        assert!(!control.cancel());
        assert!(!control.is_cancelled());
    }

    #[test]
    fn a_cancel_while_publishing_takes_effect_if_the_copy_is_made_again() {
        let control = CopyControl::new();
        assert_eq!(control.begin(7), Ok(()));
        assert!(control.begin_publishing());
        assert!(!control.cancel());
        control.retract_publishing();
        assert!(control.is_cancelled());
        assert!(!control.begin_publishing());
    }

    #[test]
    fn a_cancel_after_the_end_has_no_effect() {
        let control = CopyControl::new();
        assert_eq!(control.begin(7), Ok(()));
        control.end();
        assert!(!control.cancel());
        assert!(!control.is_cancelled());
    }

    #[test]
    fn a_control_can_be_used_once() {
        let control = CopyControl::new();
        assert_eq!(control.begin(7), Ok(()));
        assert_eq!(control.begin(7), Err(Unusable::Used));
        let cancelled = CopyControl::new();
        assert!(cancelled.cancel());
        assert_eq!(cancelled.begin(7), Err(Unusable::Cancelled));
        assert_eq!(cancelled.begin(7), Err(Unusable::Used));
    }
}
