//! What is left of the limits for one copy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Limits;
use super::quota::Reservation;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::platform;
use crate::staging::Staged;

/// How many bytes are written at most between two looks at what the copy takes. Each concurrent copy can
/// exceed the free-space floor by this much.
const LOOK_INTERVAL: u64 = 16 << 20;

/// How many writes are made at most between two looks.
const LOOK_WRITES: u64 = 1024;

/// How much more than the bytes written may be allocated for a copy before each write is followed by a
/// look. File systems allocate some blocks for the block map.
const SLACK: u64 = 1 << 20;

/// What is left of the limits for one copy. Its workers share it.
pub(crate) struct Budget<'a> {
    limits: &'a Limits,
    reservation: Option<Reservation>,
    /// Bytes that were written or are about to be.
    admitted: AtomicU64,
    writes: AtomicU64,
    /// The number of the write before which the next look is due.
    next_look: AtomicU64,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            reservation: limits.quota.as_ref().map(|quota| quota.open()),
            admitted: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            next_look: AtomicU64::new(1),
        }
    }

    /// Begins again, with an empty staged file: nothing is reserved and nothing was written.
    pub(crate) fn begin_again(&self) {
        if let Some(reservation) = &self.reservation {
            reservation.give_back();
        }
        self.admitted.store(0, Ordering::Relaxed);
        self.writes.store(0, Ordering::Relaxed);
        self.next_look.store(1, Ordering::Relaxed);
    }

    pub(crate) fn has_quota(&self) -> bool {
        self.reservation.is_some()
    }

    pub(crate) fn is_paced(&self) -> bool {
        self.limits.rate.is_some()
    }

    /// Returns how many bytes are read at once, at most `largest`.
    pub(crate) fn chunk(&self, largest: u64) -> u64 {
        match &self.limits.rate {
            Some(rate) => rate.chunk(largest),
            None => largest,
        }
    }

    /// Takes a chunk from the rate, or returns how long it is exhausted.
    pub(crate) fn take_rate(&self, bytes: u64) -> Result<(), Duration> {
        match &self.limits.rate {
            Some(rate) => rate.take(bytes),
            None => Ok(()),
        }
    }

    /// Makes room for `bytes` more, which are about to be written.
    pub(crate) fn admit(&self, bytes: u64, staged: &Staged<'_>) -> Result<(), CopyError> {
        let before = self.admitted.fetch_add(bytes, Ordering::Relaxed);
        if self.reservation.is_none() && self.limits.free_space_floor.is_none() {
            return Ok(());
        }
        let after = before + bytes;
        self.reserve(after, CopyStep::Transfer)?;
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        let is_due = write >= self.next_look.load(Ordering::Relaxed)
            || before / LOOK_INTERVAL != after / LOOK_INTERVAL;
        if is_due {
            self.look(write, before, staged)?;
        }
        Ok(())
    }

    /// Looks at what the copy takes, after about `written` bytes in `writes` writes, and schedules the next
    /// look.
    ///
    /// A file system can allocate far more than is written: 64 MiB for 4 KiB with an extent size hint of
    /// XFS, 2 MiB on a tmpfs with huge pages, a cluster of ext4. So the first looks come after 1, 2, 4
    /// writes and so on, and after each write where that happens.
    fn look(&self, writes: u64, written: u64, staged: &Staged<'_>) -> Result<(), CopyError> {
        let step = CopyStep::Transfer;
        let allocated = platform::allocated_now(&staged.file)
            .map_err(|error| CopyError::destination(step, error))?;
        self.reserve(allocated, step)?;
        self.leave_room(0, staged, step)?;
        let pause = match allocated > written.saturating_mul(2).saturating_add(SLACK) {
            true => 1,
            false => writes.clamp(1, LOOK_WRITES),
        };
        self.next_look.store(writes + pause, Ordering::Relaxed);
        Ok(())
    }

    /// Returns bytes that were taken from the rate and admitted, and neither read nor written.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.admitted.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(rate) = &self.limits.rate {
            rate.give_back(bytes);
        }
    }

    /// Reserves `total` bytes of the quota in all.
    pub(crate) fn reserve(&self, total: u64, step: CopyStep) -> Result<(), CopyError> {
        match &self.reservation {
            Some(reservation) if !reservation.cover(total) => {
                Err(CopyError::destination(step, CopyErrorKind::QuotaExceeded))
            }
            _ => Ok(()),
        }
    }

    /// Fails if less than the floor stays free when `needed` more bytes are written: in the directory, or on
    /// the whole file system.
    pub(crate) fn leave_room(
        &self,
        needed: u64,
        staged: &Staged<'_>,
        step: CopyStep,
    ) -> Result<(), CopyError> {
        let floor = self.limits.free_space_floor;
        if floor.is_none() {
            return Ok(());
        }
        let spaces = platform::spaces(staged.directory(), &staged.file)
            .map_err(|error| CopyError::destination(step, error))?;
        if spaces.iter().all(|&space| floor.allows(space, needed)) {
            return Ok(());
        }
        Err(CopyError::destination(
            step,
            CopyErrorKind::InsufficientSpace(
                "the copy would leave less free space than free_space_floor requires",
            ),
        ))
    }

    /// Charges the quota for what the copy leaves, if anything, and returns the rest of what was reserved.
    pub(crate) fn settle(self, charged: Option<u64>) {
        if let (Some(reservation), Some(bytes)) = (self.reservation, charged) {
            reservation.charge(bytes);
        }
    }
}
