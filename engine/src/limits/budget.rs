//! What is left of the limits for one copy.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Limits;
use super::quota::Reservation;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::platform;

/// How many bytes are written between two checks of the free space. Each concurrent copy can overshoot
/// the floor by this much.
const CHECK_INTERVAL: u64 = 16 << 20;

/// What is left of the limits for one copy. Its workers share it.
pub(crate) struct Budget<'a> {
    limits: &'a Limits,
    reservation: Option<Reservation>,
    /// Bytes that were written or are about to be.
    admitted: AtomicU64,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            reservation: limits.quota.as_ref().map(|quota| quota.open()),
            admitted: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_paced(&self) -> bool {
        self.limits.rate.is_some()
    }

    /// Takes a chunk from the rate, or returns how long it is exhausted.
    pub(crate) fn take_rate(&self, bytes: u64) -> Result<(), Duration> {
        match &self.limits.rate {
            Some(rate) => rate.take(bytes),
            None => Ok(()),
        }
    }

    /// Makes room for `bytes` more.
    pub(crate) fn admit(&self, bytes: u64, staged: &File) -> Result<(), CopyError> {
        let before = self.admitted.fetch_add(bytes, Ordering::Relaxed);
        let after = before + bytes;
        self.reserve(after, CopyStep::Transfer)?;
        if before / CHECK_INTERVAL != after / CHECK_INTERVAL {
            self.leave_room(0, staged, CopyStep::Transfer)?;
        }
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
            Some(reservation) if !reservation.cover(total) => Err(CopyError::destination(
                step,
                CopyErrorKind::InsufficientSpace("the copy exceeds the quota"),
            )),
            _ => Ok(()),
        }
    }

    /// Fails if less than the floor stays free when `needed` more bytes are written.
    pub(crate) fn leave_room(
        &self,
        needed: u64,
        staged: &File,
        step: CopyStep,
    ) -> Result<(), CopyError> {
        let floor = self.limits.free_space_floor;
        if floor.is_none() {
            return Ok(());
        }
        let space = platform::space(staged).map_err(|error| CopyError::destination(step, error))?;
        if floor.allows(space, needed) {
            return Ok(());
        }
        Err(CopyError::destination(
            step,
            CopyErrorKind::InsufficientSpace(
                "the copy would leave less free space than free_space_floor requires",
            ),
        ))
    }

    /// Charges the quota for a published copy, if there is one, and returns the rest of what was
    /// reserved.
    pub(crate) fn settle(self, charged: Option<u64>) {
        if let (Some(reservation), Some(bytes)) = (self.reservation, charged) {
            reservation.charge(bytes);
        }
    }
}
