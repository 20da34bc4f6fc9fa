//! The task that the workers of one transfer share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::plan::Plan;
use super::zeros::zero_block;
use crate::context::Context;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::lock::lock;
use crate::options::Sharing;
use crate::platform;
use crate::source::Source;
use crate::staging::Staged;

/// The size of a worker's buffer, in bytes. GNU cp's measurements on 11 machines level off at 256 KiB
/// (coreutils, `ioblksize.h`).
pub(super) const BUFFER_SIZE: usize = 256 << 10;

/// The least amount of data that is offloaded, in bytes. Below it, one read and one write take less time
/// than a query of the block map.
const WORTH_OFFLOADING: u64 = BUFFER_SIZE as u64;

/// The task that the workers of one transfer share.
pub(super) struct Task<'a> {
    pub(super) source: &'a Source,
    pub(super) staged: &'a Staged<'a>,
    pub(super) context: &'a Context<'a>,
    pub(super) plan: Mutex<Plan<'a>>,
    /// Blocks of zeros are left out in units of this many bytes: the destination's block size.
    pub(super) block: usize,
    /// Whether a single worker lets the kernel move bytes.
    offload_alone: bool,
    /// Whether `copy_file_range` is used now. Cleared at its first failure.
    may_offload: AtomicBool,
    offloaded: AtomicBool,
    /// Set by a worker that fails or panics, so that the other one stops.
    stopped: AtomicBool,
    /// The first error of a worker. A later one must not hide it.
    failure: Mutex<Option<CopyError>>,
}

impl<'a> Task<'a> {
    pub(super) fn new(
        source: &'a Source,
        staged: &'a Staged<'a>,
        context: &'a Context<'a>,
    ) -> Result<Self, CopyError> {
        let empty = platform::status(&staged.file).map_err(|error| {
            CopyError::destination(CopyStep::Transfer, CopyErrorKind::Os(error))
        })?;
        let may_share = context.sharing == Sharing::Allowed;
        Ok(Self {
            source,
            staged,
            context,
            plan: Mutex::new(Plan::new(source)),
            block: zero_block(empty.block_size),
            offload_alone: may_share && source.data_at_most() >= WORTH_OFFLOADING,
            may_offload: AtomicBool::new(false),
            offloaded: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
        })
    }

    /// Whether to write data back early: only a durable copy waits for the disk at its end.
    pub(super) fn writes_back_early(&self) -> bool {
        self.context.options.durable
    }

    /// Lets the worker, which is alone from now on, offload.
    pub(super) fn continue_alone(&self) {
        self.may_offload
            .store(self.offload_alone, Ordering::Relaxed);
    }

    pub(super) fn may_offload(&self) -> bool {
        self.may_offload.load(Ordering::Relaxed)
    }

    /// Stops offloading: the kernel has refused.
    pub(super) fn stop_offloading(&self) {
        self.may_offload.store(false, Ordering::Relaxed);
    }

    /// Records that the kernel has moved bytes.
    pub(super) fn set_offloaded(&self) {
        self.offloaded.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_offloaded(&self) -> bool {
        self.offloaded.load(Ordering::Relaxed)
    }

    /// Records a worker's error and stops the other worker.
    pub(super) fn fail(&self, error: CopyError) {
        lock(&self.failure).get_or_insert(error);
        self.stop();
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Returns the first error of a worker.
    pub(super) fn result(&self) -> Result<(), CopyError> {
        match lock(&self.failure).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Stops the task if its worker panics: the worker's batch is not done, so the copy is lost.
pub(super) struct StopIfPanicking<'t, 'a>(pub(super) &'t Task<'a>);

impl Drop for StopIfPanicking<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}
