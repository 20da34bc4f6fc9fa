//! What one copy may take, and when it must end: asked before each piece of the work.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::control::CopyControl;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::options::CopyOptions;
use super::platform;
use super::quota::Reservation;

/// How many bytes are written between two looks at the free space: so many can be written below the
/// floor by each copy that runs at once.
const BETWEEN_LOOKS: u64 = 16 << 20;

/// How long a worker sleeps at most before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(10);

/// The bounds of one copy, shared by its workers.
pub(super) struct Bounds<'a> {
    options: &'a CopyOptions,
    control: &'a CopyControl,
    reservation: Option<Reservation>,
    /// Bytes that were written or are about to be.
    admitted: AtomicU64,
    watch: &'a Watch<'a>,
}

/// Is told how many bytes were moved.
pub(crate) type Watch<'a> = dyn Fn(u64) + Sync + 'a;

impl<'a> Bounds<'a> {
    pub(super) fn new(options: &'a CopyOptions, control: &'a CopyControl) -> Self {
        Self {
            options,
            control,
            reservation: options.quota.as_ref().map(|quota| quota.open()),
            admitted: AtomicU64::new(0),
            watch: &|_| (),
        }
    }

    /// The same, and somebody watches.
    pub(super) fn watched_by(self, watch: &'a Watch<'a>) -> Self {
        Self { watch, ..self }
    }

    /// Whether the copy may go on: it wasn't cancelled, and has time left.
    pub(super) fn check(&self, step: CopyStep) -> Result<(), CopyError> {
        if self.control.is_cancelled() {
            return Err(CopyError::new(step, CopyErrorKind::Cancelled));
        }
        match self.options.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(CopyError::new(step, CopyErrorKind::TimedOut))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a rate: then nothing is read before its time, and all chunks are small, so that
    /// whoever moves larger ones gets no larger share.
    pub(super) fn is_paced(&self) -> bool {
        self.options.rate.is_some()
    }

    /// Before a chunk of the source is read: waits for its turn.
    pub(super) fn pace(&self, bytes: u64) -> Result<(), CopyError> {
        self.check(CopyStep::Transfer)?;
        let Some(rate) = &self.options.rate else {
            return Ok(());
        };
        while let Err(wait) = rate.take(bytes) {
            thread::sleep(wait.min(NAP));
            self.check(CopyStep::Transfer)?;
        }
        Ok(())
    }

    /// Before so many bytes are written to the staged file: sees to it that there is room for them.
    pub(super) fn admit(&self, bytes: u64, staged: &File) -> Result<(), CopyError> {
        self.check(CopyStep::Transfer)?;
        let before = self.admitted.fetch_add(bytes, Ordering::Relaxed);
        let after = before + bytes;
        self.reserve(after, CopyStep::Transfer)?;
        if before / BETWEEN_LOOKS != after / BETWEEN_LOOKS {
            self.leave_room(0, staged, CopyStep::Transfer)?;
        }
        Ok(())
    }

    /// Takes back a part of what was let go and admitted: it wasn't read and written.
    pub(super) fn give_back(&self, bytes: u64) {
        self.admitted.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(rate) = &self.options.rate {
            rate.give_back(bytes);
        }
    }

    /// Sees to it that the copy's quota has room for `total` bytes in all.
    pub(super) fn reserve(&self, total: u64, step: CopyStep) -> Result<(), CopyError> {
        match &self.reservation {
            Some(reservation) if !reservation.cover(total) => Err(CopyError::destination(
                step,
                CopyErrorKind::InsufficientSpace("the quota has no room for the copy"),
            )),
            _ => Ok(()),
        }
    }

    /// Sees to it that the floor stays free when `needed` bytes more are written.
    pub(super) fn leave_room(
        &self,
        needed: u64,
        staged: &File,
        step: CopyStep,
    ) -> Result<(), CopyError> {
        let floor = self.options.free_space_floor;
        if floor.bytes == 0 || floor.percent == 0 {
            return Ok(());
        }
        let room = platform::room(staged).map_err(|error| CopyError::destination(step, error))?;
        if room.allows(needed, floor) {
            return Ok(());
        }
        Err(CopyError::destination(
            step,
            CopyErrorKind::InsufficientSpace("too little of the file system would stay free"),
        ))
    }

    /// Bytes moved so far.
    pub(super) fn copied(&self) -> u64 {
        self.control.copied()
    }

    /// Counts bytes that were moved.
    pub(super) fn add_copied(&self, bytes: u64) {
        self.control.add_copied(bytes);
    }

    /// After a batch of them: tells who watches the copy.
    pub(super) fn tell_copied(&self) {
        (self.watch)(self.copied());
    }

    /// Notes why the copy is no clone.
    pub(super) fn clone_refused(&self, number: i32) {
        self.control.clone_refused(number);
    }

    /// Notes why the kernel moves no bytes.
    pub(super) fn offload_refused(&self, error: &io::Error) {
        if let Some(number) = error.raw_os_error() {
            self.control.offload_refused(number);
        }
    }

    /// Charges the copy, which is in its place, for what it takes.
    pub(super) fn charge(self, allocated: u64) {
        if let Some(reservation) = self.reservation {
            reservation.charge(allocated);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::engine::{CopyQuota, CopyRate};

    /// No file system of the tests has less allocated for a source than is read of it. FUSE can.
    #[test]
    fn what_is_written_is_reserved_as_it_comes() {
        let staged = tempfile::tempfile().unwrap();
        let quota = CopyQuota::new(100);
        let options = CopyOptions::new().quota(quota.clone());
        let control = CopyControl::new();
        let bounds = Bounds::new(&options, &control);
        bounds.reserve(10, CopyStep::Open).unwrap();
        bounds.admit(60, &staged).unwrap();
        assert_eq!(quota.reserved(), 60);
        bounds.give_back(20);
        bounds.admit(60, &staged).unwrap();
        assert_eq!(quota.reserved(), 100);
        assert!(!bounds.is_paced());
        let error = bounds.admit(1, &staged).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::InsufficientSpace(_)));
        drop(bounds);
        assert_eq!((quota.used(), quota.reserved()), (0, 0));
    }

    #[test]
    fn what_was_not_read_goes_back_to_the_rate() {
        let rate = CopyRate::new(NonZero::new(1000).unwrap());
        let options = CopyOptions::new().rate(rate.clone());
        let control = CopyControl::new();
        let bounds = Bounds::new(&options, &control);
        bounds.pace(1_000_000).unwrap();
        bounds
            .admit(1_000_000, &tempfile::tempfile().unwrap())
            .unwrap();
        assert!(rate.take(1).is_err());
        bounds.give_back(1_000_000);
        assert!(rate.take(1).is_ok());
    }
}
