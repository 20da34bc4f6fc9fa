//! Builds the context of a store.

use std::mem;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use fast_copy_engine::{CopyQuota, CopyRate, FreeSpaceFloor, Limits};

use crate::admission::{CopySlots, Places, Queue};
use crate::ctx::FastCopyCtx;
use crate::hooks::CopyHooks;
use crate::settings::{
    DEFAULT_MAX_COPIES, DEFAULT_MAX_JOBS, DEFAULT_MAX_OPTIONS, DEFAULT_MAX_WAITING, Durability,
    Hooks, Settings,
};

impl FastCopyCtx {
    /// Creates a context with the defaults.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder that starts from the defaults.
    pub fn builder() -> FastCopyCtxBuilder {
        FastCopyCtxBuilder::new()
    }
}

impl Default for FastCopyCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds a [`FastCopyCtx`].
///
/// ```
/// use std::time::Duration;
/// use wasmtime_fast_copy::{CopyQuota, Durability, FastCopyCtx, FreeSpaceFloor};
///
/// let quota = CopyQuota::new(100 << 30);
/// let ctx = FastCopyCtx::builder()
///     .quota(quota.clone())
///     .free_space_floor(FreeSpaceFloor::of_percent(10))
///     .max_copies(4)
///     .timeout(Some(Duration::from_secs(60)))
///     .durability(Durability::Always)
///     .build();
/// assert_eq!(ctx.quota().unwrap().limit(), 100 << 30);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FastCopyCtxBuilder {
    settings: Settings,
    slots: Option<CopySlots>,
    max_copies: usize,
    max_waiting: usize,
    max_jobs: usize,
    max_options: usize,
}

impl Default for FastCopyCtxBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            slots: None,
            max_copies: DEFAULT_MAX_COPIES,
            max_waiting: DEFAULT_MAX_WAITING,
            max_jobs: DEFAULT_MAX_JOBS,
            max_options: DEFAULT_MAX_OPTIONS,
        }
    }
}

impl FastCopyCtxBuilder {
    /// Creates a builder that starts from the defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Limits.
impl FastCopyCtxBuilder {
    /// Sets the largest apparent size of a source and of a copy, in bytes. Default:
    /// [`DEFAULT_MAX_SIZE`](crate::DEFAULT_MAX_SIZE). [`u64::MAX`] means no limit. For a larger one the guest
    /// gets `file-too-large`.
    pub fn max_size(self, bytes: u64) -> Self {
        self.limits(|limits| limits.max_size(bytes))
    }

    /// Sets the longest path, in bytes. Default: [`DEFAULT_MAX_PATH`](crate::DEFAULT_MAX_PATH).
    /// [`usize::MAX`] means no limit but the kernel's. For a longer path the guest gets `name-too-long`.
    pub fn max_path(mut self, bytes: usize) -> Self {
        self.settings.max_path = bytes;
        self
    }

    /// Sets how many extents a source may have to be cloned. Default:
    /// [`DEFAULT_MAX_CLONE_EXTENTS`](crate::DEFAULT_MAX_CLONE_EXTENTS). [`u64::MAX`] means no limit. The
    /// bytes of a source with more extents are copied; with `require-reflink` the guest gets
    /// `not-shareable`. See [`Limits::max_clone_extents`].
    pub fn max_clone_extents(self, extents: u64) -> Self {
        self.limits(|limits| limits.max_clone_extents(extents))
    }

    /// Sets the quota that all copies of the guest are charged to, including clones. Default: none. If
    /// the quota has no room for a copy, the guest gets `quota`.
    ///
    /// Keep a clone of the quota to read and to reset it, or use [`FastCopyCtx::quota`]. Several stores
    /// can share a quota.
    pub fn quota(self, quota: CopyQuota) -> Self {
        self.limits(|limits| limits.quota(quota))
    }

    /// Sets the free space that must remain on the destination's file system. Default:
    /// [`FreeSpaceFloor::DEFAULT`]. [`FreeSpaceFloor::NONE`] means no floor. If a copy would leave less,
    /// the guest gets `insufficient-space`. The floor has no effect on Windows.
    pub fn free_space_floor(self, floor: FreeSpaceFloor) -> Self {
        self.limits(|limits| limits.free_space_floor(floor))
    }

    /// Sets how many bytes per second all copies of the guest read together. Default: no limit. At the
    /// limit a copy waits, and the guest gets no error. Several stores can share a rate.
    ///
    /// A copy that waits for the rate holds its slot, and its time limit keeps running. So choose a
    /// [`timeout`](Self::timeout) that fits the rate, and give stores with a low rate
    /// [slots](Self::slots) of their own. Otherwise other stores wait for slots that throttled copies
    /// hold.
    pub fn rate(self, rate: CopyRate) -> Self {
        self.limits(|limits| limits.rate(rate))
    }

    /// Sets how long a call may wait for its slot. Default:
    /// [`DEFAULT_WAIT_TIMEOUT`](crate::DEFAULT_WAIT_TIMEOUT). None means no limit; with [`Duration::ZERO`] a
    /// call needs a free slot. After that time the guest gets `timeout`, and no work has begun.
    pub fn wait_timeout(mut self, time: Option<Duration>) -> Self {
        self.settings.wait_timeout = time;
        self
    }

    /// Sets how long a call may work, from when its slot is granted. Default:
    /// [`DEFAULT_TIMEOUT`](crate::DEFAULT_TIMEOUT). None means no limit. After that time the guest
    /// gets `timeout`, and nothing is published. The time that a call waits is limited by
    /// [`wait_timeout`](Self::wait_timeout).
    ///
    /// An asynchronous call returns within 100 ms after either limit even if its thread hangs in a system
    /// call; the slot is freed when the system call returns. A synchronous call, and one with
    /// [`allow_blocking_current_thread`](Self::allow_blocking_current_thread), hangs itself.
    pub fn timeout(mut self, time: Option<Duration>) -> Self {
        self.settings.timeout = time;
        self
    }

    /// Sets how many calls of this store run at once. 0 counts as 1. Default:
    /// [`DEFAULT_MAX_COPIES`](crate::DEFAULT_MAX_COPIES). Other calls wait.
    pub fn max_copies(mut self, copies: usize) -> Self {
        self.max_copies = copies;
        self
    }

    /// Sets how many calls of this store may wait. Default:
    /// [`DEFAULT_MAX_WAITING`](crate::DEFAULT_MAX_WAITING). For one more call the guest gets `busy`.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Sets how many jobs this store may have. Default: [`DEFAULT_MAX_JOBS`](crate::DEFAULT_MAX_JOBS). For
    /// one more job the guest gets `busy`. A job counts until the guest has dropped it and its work has
    /// ended. In WASI 0.3, a copy with progress and a stream of `inspect.data-ranges` are jobs.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Sets how many resources `copy-options` the guest may hold. Default:
    /// [`DEFAULT_MAX_OPTIONS`](crate::DEFAULT_MAX_OPTIONS). The constructor of one more traps.
    pub fn max_options(mut self, options: usize) -> Self {
        self.max_options = options;
        self
    }

    /// Sets the slots that this store's calls run in. Default: [`CopySlots::of_this_process`]. Stores that
    /// get clones of the same slots share them.
    pub fn slots(mut self, slots: CopySlots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Sets the largest number of threads that move the bytes of one copy. Default: two for large copies; see
    /// [`CopyOptions::max_workers`](crate::CopyOptions::max_workers). With 1, a copy uses only the thread that
    /// it runs on. The second thread lives as long as bytes are moved.
    pub fn max_workers(mut self, workers: NonZero<usize>) -> Self {
        self.settings.max_workers = Some(workers);
        self
    }

    fn limits(mut self, set: impl FnOnce(Limits) -> Limits) -> Self {
        self.settings.limits = set(mem::take(&mut self.settings.limits));
        self
    }
}

/// Policy.
impl FastCopyCtxBuilder {
    /// Sets which copies survive a power cut. Default: [`Durability::GuestsChoice`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Sets whether copies may share blocks with their sources. Default: true. If false, `fast-copy`
    /// copies as `sparse-copy` does, and with `require-reflink` the guest gets `not-shareable`.
    pub fn allow_sharing(mut self, allow: bool) -> Self {
        self.settings.allow_sharing = allow;
        self
    }

    /// Sets whether a copy may replace a file. Default: true. If false, a guest that sets `replace` gets
    /// `denied`, even if the destination does not exist.
    pub fn allow_replace(mut self, allow: bool) -> Self {
        self.settings.allow_replace = allow;
        self
    }

    /// Sets which permission bits of the source a copy may get. Default: `0o777`, all of them. It has no
    /// effect on Windows.
    pub fn permissions_mask(mut self, mask: u32) -> Self {
        self.settings.permissions_mask = mask;
        self
    }

    /// Sets whether a copy fails if its file system gives it permission bits that it must not have, for example
    /// on FAT. Default: false; the copy is made. If true, the guest gets `denied`. See
    /// [`CopyOptions::refuse_wider_permissions`](crate::CopyOptions::refuse_wider_permissions).
    pub fn refuse_wider_permissions(mut self, refuse: bool) -> Self {
        self.settings.refuse_wider_permissions = refuse;
        self
    }

    /// Sets whether a copy takes a read lease on its source. Default: false. If true, the guest gets `busy` for a
    /// source that is open for writing, also by the guest itself, and `source-changed` if it is opened for
    /// writing during the copy. See [`CopyOptions::lease_source`](crate::CopyOptions::lease_source).
    pub fn lease_source(mut self, lease: bool) -> Self {
        self.settings.lease_source = lease;
        self
    }

    /// Sets the hooks that are called for every copy of this guest. Default: none. `Arc<H>` implements
    /// [`CopyHooks`], so one value can serve many stores.
    pub fn hooks(mut self, hooks: impl CopyHooks + 'static) -> Self {
        self.settings.hooks = Some(Hooks(Arc::new(hooks)));
        self
    }
}

/// Threads.
impl FastCopyCtxBuilder {
    /// Sets whether the asynchronous form and WASI 0.3 run calls on the thread that polls them, instead of a slot's
    /// thread. Default: false. It has no effect on the synchronous form, which never changes threads.
    ///
    /// It saves the switch to the other thread and back, which takes about as long as a clone of one
    /// extent (`benches/README.md` has the figures). But nothing else runs on that thread until the copy ends,
    /// and dropping the call's future can't stop the copy. So use this only if each guest has its own thread.
    ///
    /// A call for which no slot is free waits, and then runs on a slot's thread. A job always does.
    ///
    /// The setting is independent of [`WasiCtxBuilder::allow_blocking_current_thread`].
    ///
    /// [`WasiCtxBuilder::allow_blocking_current_thread`]: wasmtime_wasi::WasiCtxBuilder::allow_blocking_current_thread
    pub fn allow_blocking_current_thread(mut self, allow: bool) -> Self {
        self.settings.allow_blocking_current_thread = allow;
        self
    }

    /// Creates the context.
    pub fn build(self) -> FastCopyCtx {
        let slots = self.slots.unwrap_or_else(CopySlots::of_this_process);
        FastCopyCtx {
            settings: Arc::new(self.settings),
            queue: Queue::new(slots, self.max_copies, self.max_waiting),
            jobs: Places::new(self.max_jobs, "the guest has too many jobs"),
            options: Places::new(
                self.max_options,
                "the guest holds too many copy-options (max_options)",
            ),
        }
    }
}
