//! The context of one copy: its options, its control, and what is left of its limits.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::control::{CopyControl, Unusable};
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::limits::budget::Budget;
use crate::options::{CopyOptions, LARGEST_SIZE, Sharing};
use crate::platform;
use crate::platform::status::Status;
use crate::report::{CopyMethod, CopyNotes, CopyReport};
use crate::source::Source;
use crate::staging::Staged;

/// A function that is called with the number of bytes moved so far. Two threads may call it at the same
/// time.
pub type OnProgress<'a> = dyn Fn(u64) + Sync + 'a;

/// The longest sleep of a worker that waits for its rate, before it checks for a cancel again.
const NAP: Duration = Duration::from_millis(10);

/// The context of one copy. Its workers share it.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a CopyOptions,
    pub(crate) sharing: Sharing,
    /// The largest apparent size in bytes that source and copy may have: the caller's limit or the
    /// process's (`RLIMIT_FSIZE`), whichever is less. It is queried once.
    pub(crate) max_size: u64,
    control: CopyControl,
    budget: Budget<'a>,
    on_progress: &'a OnProgress<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        options: &'a CopyOptions,
        sharing: Sharing,
        on_progress: &'a OnProgress<'a>,
    ) -> Self {
        Self {
            options,
            sharing,
            max_size: options
                .limits
                .max_size
                .min(platform::process_file_size_limit())
                .min(LARGEST_SIZE),
            control: options.control.clone().unwrap_or_default(),
            budget: Budget::new(&options.limits),
            on_progress,
        }
    }

    /// Takes the control for this copy, which moves about `total` bytes.
    pub(crate) fn begin(&self, total: u64) -> Result<(), CopyError> {
        let kind = match self.control.begin(total) {
            Ok(()) => return Ok(()),
            Err(Unusable::Used) => {
                CopyErrorKind::Invalid("this CopyControl was used before; create one for each copy")
            }
            Err(Unusable::Cancelled) => {
                self.check(CopyStep::Open)?;
                CopyErrorKind::Cancelled
            }
        };
        Err(CopyError::new(CopyStep::Open, kind))
    }

    /// Passes the point of no return. False if the copy was cancelled before.
    pub(crate) fn begin_publishing(&self) -> bool {
        self.control.begin_publishing()
    }

    /// Fails if the deadline has passed or the copy was cancelled.
    ///
    /// The deadline is checked first: a caller that gives up on a copy at its deadline cancels it.
    pub(crate) fn check(&self, step: CopyStep) -> Result<(), CopyError> {
        match self.options.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(CopyError::new(step, CopyErrorKind::TimedOut))
            }
            _ if self.control.is_cancelled() => Err(CopyError::new(step, CopyErrorKind::Cancelled)),
            _ => Ok(()),
        }
    }

    /// Whether the copy has a rate. Then there is no read-ahead, and all chunks are small, so that
    /// each copy gets an equal share.
    pub(crate) fn is_paced(&self) -> bool {
        self.budget.is_paced()
    }

    /// Returns how many bytes are read at once, at most `largest`.
    pub(crate) fn chunk(&self, largest: u64) -> u64 {
        self.budget.chunk(largest)
    }

    /// Waits until a chunk of the source may be read.
    pub(crate) fn pace(&self, bytes: u64) -> Result<(), CopyError> {
        self.check(CopyStep::Transfer)?;
        while let Err(wait) = self.budget.take_rate(bytes) {
            thread::sleep(wait.min(NAP));
            self.check(CopyStep::Transfer)?;
        }
        Ok(())
    }

    /// Makes room for `bytes` more, which are about to be written to the staged file.
    pub(crate) fn admit(&self, bytes: u64, staged: &Staged<'_>) -> Result<(), CopyError> {
        self.check(CopyStep::Transfer)?;
        self.budget.admit(bytes, staged)
    }

    /// Returns a part of what was paced and admitted: it was neither read nor written.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.budget.give_back(bytes);
    }

    /// Whether the copy has a quota.
    pub(crate) fn has_quota(&self) -> bool {
        self.budget.has_quota()
    }

    /// Begins again with an empty staged file: what was reserved is returned, and a cancel takes effect.
    pub(crate) fn begin_again(&self) {
        self.budget.begin_again();
        self.control.retract_publishing();
    }

    /// Reserves what a copy of the bytes is expected to take, and returns it: the source's allocation, or, if
    /// that does not fit, the bytes that are known to be written (a preallocated file has less data). Fails if
    /// these don't fit either, because the copy would fail later.
    pub(crate) fn plan_for(&self, source: &Source, staged: &Staged<'_>) -> Result<u64, CopyError> {
        let step = CopyStep::Transfer;
        let fits = |bytes| {
            self.budget.reserve(bytes, step)?;
            self.leave_room(bytes, staged, step)?;
            Ok(bytes)
        };
        let allocated = source.data_at_most();
        if fits(allocated).is_ok() {
            return Ok(allocated);
        }
        self.budget.begin_again();
        // Blocks of zeros are left out then, whether they were written or not.
        if self.options.dig_holes {
            return Ok(0);
        }
        let written = platform::known_written(&source.file, || self.check(step))?;
        fits(written.min(source.size()))
    }

    /// Reserves `total` bytes of the quota for this copy.
    pub(crate) fn reserve(&self, total: u64, step: CopyStep) -> Result<(), CopyError> {
        self.budget.reserve(total, step)
    }

    /// Fails if less than the floor stays free when `needed` more bytes are written.
    pub(crate) fn leave_room(
        &self,
        needed: u64,
        staged: &Staged<'_>,
        step: CopyStep,
    ) -> Result<(), CopyError> {
        self.budget.leave_room(needed, staged, step)
    }

    /// Returns how many bytes were moved so far.
    pub(crate) fn copied(&self) -> u64 {
        self.control.copied()
    }

    /// Counts bytes that were moved.
    pub(crate) fn add_copied(&self, bytes: u64) {
        self.control.add_copied(bytes);
    }

    /// Reports progress to the caller, after a batch of extents.
    pub(crate) fn report_progress(&self) {
        (self.on_progress)(self.copied());
    }

    /// Records why the copy is not a clone.
    pub(crate) fn clone_refused(&self, number: i32) {
        self.control.clone_refused(number);
    }

    /// Records why the kernel does not move the bytes.
    pub(crate) fn offload_refused(&self, error: &io::Error) {
        if let Some(number) = error.raw_os_error() {
            self.control.offload_refused(number);
        }
    }

    /// Describes a copy that was published, with the staged file's last status.
    pub(crate) fn report(
        &self,
        method: CopyMethod,
        status: Status,
        copied: u64,
        notes: CopyNotes,
    ) -> CopyReport {
        CopyReport {
            method,
            size: status.size,
            copied,
            allocated: status.allocated,
            durable: self.options.durable,
            clone_error: self.control.clone_error(),
            offload_error: self.control.offload_error(),
            notes,
        }
    }

    /// Ends the copy: charges the quota for the bytes that it takes, if any, and returns what was reserved.
    /// A later cancel has no effect.
    pub(crate) fn end(self, charged: Option<u64>) {
        self.budget.settle(charged);
        self.control.end();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::destination::Destination;
    use crate::limits::Limits;
    use crate::limits::quota::CopyQuota;
    use crate::limits::rate::CopyRate;
    use crate::staging::Naming;

    /// On the test file systems no copy writes more than the source has allocated. On FUSE it can.
    #[test]
    fn the_quota_is_reserved_as_bytes_are_admitted() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::open(dir.path().join("dst")).unwrap();
        let staged = Staged::create(&destination, false, Naming::Optional).unwrap();
        let quota = CopyQuota::new(100);
        let options = CopyOptions::new().limits(Limits::new().quota(quota.clone()));
        let context = Context::new(&options, Sharing::Forbidden, &|_| ());
        context.reserve(10, CopyStep::Open).unwrap();
        context.admit(60, &staged).unwrap();
        assert_eq!(quota.reserved(), 60);
        context.give_back(20);
        context.admit(60, &staged).unwrap();
        assert_eq!(quota.reserved(), 100);
        assert!(!context.is_paced());
        let error = context.admit(1, &staged).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::QuotaExceeded));
        drop(context);
        assert_eq!((quota.used(), quota.reserved()), (0, 0));
    }

    #[test]
    fn bytes_that_were_not_read_are_returned_to_the_rate() {
        let rate = CopyRate::new(NonZero::new(1000).unwrap());
        let options = CopyOptions::new().limits(Limits::new().rate(rate.clone()));
        let context = Context::new(&options, Sharing::Forbidden, &|_| ());
        context.pace(1_000_000).unwrap();
        context.budget.take_rate(0).unwrap_err();
        assert!(rate.take(1).is_err());
        context.give_back(1_000_000);
        assert!(rate.take(1).is_ok());
    }
}
