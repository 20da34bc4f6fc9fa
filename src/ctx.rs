//! What a host keeps for each store, and how the bindings reach it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{HasData, ResourceTable};

use crate::engine::{CopyError, CopyErrorKind, CopyStep, Sharing};
use crate::slots::{Permit, Places, Queue};
use crate::{CopyHooks, CopyOptions, CopyQuota, CopyRate, CopySlots, FreeSpaceFloor};

/// The largest source that a guest may copy unless the host says otherwise: 16 TiB of apparent
/// size, what ext4 can hold in one file. A sparse file costs nothing to make at 8 EiB, and breaks
/// the tools of whoever meets its copy.
pub const DEFAULT_MAX_SIZE: u64 = 16 << 40;

/// The longest path of a guest unless the host says otherwise, in bytes: Linux takes none that is
/// longer (`PATH_MAX`, which counts a NUL behind it).
pub const DEFAULT_MAX_PATH: usize = 4096;

/// The most extents that a guest may clone unless the host says otherwise. A clone can't be stopped,
/// and keeps writers of its source waiting: 100,000 extents took 2.4 s on XFS (Linux 6.18).
pub const DEFAULT_MAX_CLONE_EXTENTS: u64 = 100_000;

/// How long a call of a guest may take, its waiting included, unless the host says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How many copies of a store run at once unless the host says otherwise.
pub const DEFAULT_MAX_COPIES: usize = 2;

/// How many calls of a store wait for their turn unless the host says otherwise.
pub const DEFAULT_MAX_WAITING: usize = 64;

/// How many jobs a store has at once unless the host says otherwise.
pub const DEFAULT_MAX_JOBS: usize = 64;

/// What a host allows the guest of one store. Made by [`FastCopyCtx::builder`].
///
/// A clone is for the same store: both have the same limits together.
#[derive(Clone, Debug)]
pub struct FastCopyCtx {
    settings: Arc<Settings>,
    queue: Queue,
    jobs: Places,
}

/// Which of a guest's copies survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Those without the flag `no-sync`.
    #[default]
    GuestsChoice,
    /// All of them; `no-sync` changes nothing.
    Always,
    /// None: no call waits for the disk, and each report says so.
    Never,
}

#[derive(Clone, Debug)]
struct Settings {
    max_size: u64,
    max_path: usize,
    max_clone_extents: u64,
    free_space_floor: FreeSpaceFloor,
    quota: Option<CopyQuota>,
    rate: Option<CopyRate>,
    timeout: Option<Duration>,
    workers: Option<usize>,
    durability: Durability,
    allow_sharing: bool,
    allow_replace: bool,
    permissions_mask: u32,
    allow_blocking_current_thread: bool,
    hooks: Option<Hooks>,
}

#[derive(Clone)]
struct Hooks(Arc<dyn CopyHooks>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn CopyHooks")
    }
}

impl FastCopyCtx {
    /// The defaults.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder that starts from the defaults.
    pub fn builder() -> FastCopyCtxBuilder {
        FastCopyCtxBuilder {
            settings: Settings {
                max_size: DEFAULT_MAX_SIZE,
                max_path: DEFAULT_MAX_PATH,
                max_clone_extents: DEFAULT_MAX_CLONE_EXTENTS,
                free_space_floor: FreeSpaceFloor::DEFAULT,
                quota: None,
                rate: None,
                timeout: Some(DEFAULT_TIMEOUT),
                workers: None,
                durability: Durability::default(),
                allow_sharing: true,
                allow_replace: true,
                permissions_mask: 0o777,
                allow_blocking_current_thread: false,
                hooks: None,
            },
            slots: None,
            max_copies: DEFAULT_MAX_COPIES,
            max_waiting: DEFAULT_MAX_WAITING,
            max_jobs: DEFAULT_MAX_JOBS,
        }
    }

    /// The account that the guest's copies are charged to, if there is one.
    pub fn quota(&self) -> Option<&CopyQuota> {
        self.settings.quota.as_ref()
    }

    /// The rate at which the guest's bytes are moved, if there is one.
    pub fn rate(&self) -> Option<&CopyRate> {
        self.settings.rate.as_ref()
    }

    /// The slots that the guest's copies run in.
    pub fn slots(&self) -> &CopySlots {
        self.queue.slots()
    }

    /// How many calls of the guest wait for their turn now.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// How many jobs the guest has now, those included that have ended and were neither finished nor
    /// dropped.
    pub fn jobs(&self) -> usize {
        self.jobs.taken()
    }

    /// What a guest has asked for, within what the host allows.
    pub(crate) fn restrict(
        &self,
        sharing: Sharing,
        wanted: CopyOptions,
    ) -> Result<(Sharing, CopyOptions), CopyError> {
        let refuse = |kind| Err(CopyError::new(CopyStep::Open, kind));
        wanted.check(sharing)?;
        let settings = &*self.settings;
        if wanted.replace && !settings.allow_replace {
            return refuse(CopyErrorKind::NotPermitted(
                "the host doesn't allow a copy to replace a file",
            ));
        }
        let sharing = match settings.allow_sharing {
            true => sharing,
            false if wanted.require_reflink => {
                return refuse(CopyErrorKind::Unsupported(
                    "the host doesn't allow blocks to be shared, and a reflink is required",
                ));
            }
            false => Sharing::Forbidden,
        };
        let no_sync = match settings.durability {
            Durability::GuestsChoice => wanted.no_sync,
            Durability::Always => false,
            Durability::Never => true,
        };
        let mut options = wanted
            .no_sync(no_sync)
            .max_size(settings.max_size)
            .max_clone_extents(settings.max_clone_extents)
            .free_space_floor(settings.free_space_floor)
            .permissions_mask(settings.permissions_mask);
        if let Some(quota) = &settings.quota {
            options = options.quota(quota.clone());
        }
        if let Some(rate) = &settings.rate {
            options = options.rate(rate.clone());
        }
        if let Some(workers) = settings.workers {
            options = options.workers(workers);
        }
        Ok((sharing, self.timed(options)))
    }

    /// The options with the time that a call has from now on.
    pub(crate) fn timed(&self, options: CopyOptions) -> CopyOptions {
        // A deadline beyond the clock's end is none.
        let timeout = self.settings.timeout;
        match timeout.and_then(|time| Instant::now().checked_add(time)) {
            Some(deadline) => options.deadline(deadline),
            None => options,
        }
    }

    /// A turn, if nobody has to be waited for.
    pub(crate) fn permit_now(&self) -> Option<Permit> {
        self.queue.permit_now()
    }

    /// Waits for a turn. `given_up` is ready when the guest no longer wants one.
    pub(crate) async fn permit(
        &self,
        options: &CopyOptions,
        given_up: impl Future<Output = ()>,
    ) -> Result<Permit, CopyErrorKind> {
        self.queue
            .permit(options.deadline_or_none(), given_up)
            .await
    }

    /// The same, and blocks the calling thread.
    pub(crate) fn permit_blocking(&self, options: &CopyOptions) -> Result<Permit, CopyErrorKind> {
        self.queue.permit_blocking(options.deadline_or_none())
    }

    /// Where jobs have their places.
    pub(crate) fn job_places(&self) -> &Places {
        &self.jobs
    }

    /// The longest path that is looked at, in bytes.
    pub(crate) fn max_path(&self) -> usize {
        self.settings.max_path
    }

    /// Whether the executor's thread may be blocked.
    pub(crate) fn may_block_executor(&self) -> bool {
        self.settings.allow_blocking_current_thread
    }

    pub(crate) fn hooks(&self) -> Option<&dyn CopyHooks> {
        self.settings.hooks.as_ref().map(|hooks| &*hooks.0)
    }
}

impl Default for FastCopyCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds a [`FastCopyCtx`].
#[derive(Clone, Debug)]
#[must_use]
pub struct FastCopyCtxBuilder {
    settings: Settings,
    slots: Option<CopySlots>,
    max_copies: usize,
    max_waiting: usize,
    max_jobs: usize,
}

/// What a guest may take.
impl FastCopyCtxBuilder {
    /// The largest apparent size in bytes of a source; a guest that copies a larger one gets
    /// `file-too-large`. [`u64::MAX`]: no limit. Default: [`DEFAULT_MAX_SIZE`].
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.settings.max_size = bytes;
        self
    }

    /// The longest path in bytes; a guest that passes a longer one gets `name-too-long`.
    /// [`usize::MAX`]: no limit but the kernel's. Default: [`DEFAULT_MAX_PATH`].
    pub fn max_path(mut self, bytes: usize) -> Self {
        self.settings.max_path = bytes;
        self
    }

    /// The most extents of a clone; a source with more has its bytes copied, and with
    /// `require-reflink` the guest gets `unsupported`. [`u64::MAX`]: no limit. Default:
    /// [`DEFAULT_MAX_CLONE_EXTENTS`]. See [`CopyOptions::max_clone_extents`].
    pub fn max_clone_extents(mut self, extents: u64) -> Self {
        self.settings.max_clone_extents = extents;
        self
    }

    /// The account that all copies of the guest are charged to, clones too; a guest whose copy has no
    /// room in it gets `insufficient-space`. Default: none.
    ///
    /// Keep a clone of it to read and to reset it; [`FastCopyCtx::quota`] has it too. Several stores
    /// may have the same.
    pub fn quota(mut self, quota: CopyQuota) -> Self {
        self.settings.quota = Some(quota);
        self
    }

    /// How much of a file system stays free; a guest whose copy would leave less gets
    /// `insufficient-space`. [`FreeSpaceFloor::NONE`]: no floor. Default: [`FreeSpaceFloor::DEFAULT`]. Not
    /// on Windows.
    pub fn free_space_floor(mut self, floor: FreeSpaceFloor) -> Self {
        self.settings.free_space_floor = floor;
        self
    }

    /// How fast the guest's bytes may be moved, all its copies together. Default: as fast as can be.
    /// Several stores may have the same.
    ///
    /// A copy that waits for the rate keeps its slot, and its time goes on: choose the
    /// [`timeout`](Self::timeout) for the rate, and give stores with a low one
    /// [slots](Self::slots) of their own, or others will wait for them.
    pub fn rate(mut self, rate: CopyRate) -> Self {
        self.settings.rate = Some(rate);
        self
    }

    /// How long a call may take from when it is made, its waiting included; then the guest gets
    /// `timeout`. None: no limit. Default: [`DEFAULT_TIMEOUT`].
    pub fn timeout(mut self, time: Option<Duration>) -> Self {
        self.settings.timeout = time;
        self
    }

    /// How many copies of this store run at once, at least 1; others wait for their turn. Default:
    /// [`DEFAULT_MAX_COPIES`].
    pub fn max_copies(mut self, copies: usize) -> Self {
        self.max_copies = copies;
        self
    }

    /// How many calls of this store wait for their turn; a guest that makes another gets `busy`.
    /// Default: [`DEFAULT_MAX_WAITING`].
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// How many jobs this store has at once, those included that have ended and were neither finished
    /// nor dropped; a guest that starts another gets `busy`. Default: [`DEFAULT_MAX_JOBS`].
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// The slots that this store's copies run in, shared with the other stores that are given clones
    /// of it. Default: [`CopySlots::of_this_process`].
    pub fn slots(mut self, slots: CopySlots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// How many threads may move the bytes of one copy, as [`CopyOptions::workers`] has it, with the
    /// same default. With 1 a copy takes no thread but the one it runs on. The second one lives as
    /// long as the bytes move, and isn't one of the runtime's blocking threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = Some(workers);
        self
    }
}

/// What a guest may do.
impl FastCopyCtxBuilder {
    /// Which copies survive a power cut. Default: [`Durability::GuestsChoice`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Whether copies may share blocks with their sources. Default: true. If not, `fast-copy` copies
    /// as `sparse-copy` does, and with `require-reflink` the guest gets `unsupported`.
    pub fn allow_sharing(mut self, allow: bool) -> Self {
        self.settings.allow_sharing = allow;
        self
    }

    /// Whether a copy may replace a file. Default: true. If not, a guest that asks for it gets
    /// `not-permitted`.
    pub fn allow_replace(mut self, allow: bool) -> Self {
        self.settings.allow_replace = allow;
        self
    }

    /// The permission bits that a copy may have; it has those of its source that are in here.
    /// Default: `0o777`, all of them. Not on Windows, which has none.
    pub fn permissions_mask(mut self, mask: u32) -> Self {
        self.settings.permissions_mask = mask;
        self
    }

    /// What looks at every copy of the guest. Default: nothing. An [`Arc`] of hooks is hooks too, for
    /// many stores.
    pub fn hooks(mut self, hooks: impl CopyHooks + 'static) -> Self {
        self.settings.hooks = Some(Hooks(Arc::new(hooks)));
        self
    }
}

/// Where it is done.
impl FastCopyCtxBuilder {
    /// Lets the asynchronous form copy on the thread that polls the call, instead of one of the
    /// runtime's blocking threads. Default: false. The synchronous form never changes threads.
    ///
    /// It saves the way to the other thread and back, which takes longer than a clone does:
    /// `benches/README.md` has the figures. But nothing else runs on that thread until the copy
    /// ends, and dropping the call's future can't stop a copy that no other thread makes. A call that
    /// waits must be polled, or the slot that it is given is lost to all others. So it is for hosts that
    /// give each guest a thread, as
    /// [`WasiCtxBuilder::allow_blocking_current_thread`] is, which it doesn't depend on.
    ///
    /// [`WasiCtxBuilder::allow_blocking_current_thread`]: wasmtime_wasi::WasiCtxBuilder::allow_blocking_current_thread
    pub fn allow_blocking_current_thread(mut self, allow: bool) -> Self {
        self.settings.allow_blocking_current_thread = allow;
        self
    }

    /// The context.
    pub fn build(self) -> FastCopyCtx {
        let slots = self.slots.unwrap_or_else(CopySlots::of_this_process);
        FastCopyCtx {
            settings: Arc::new(self.settings),
            queue: Queue::new(slots, self.max_copies, self.max_waiting),
            jobs: Places::new(self.max_jobs),
        }
    }
}

/// What the bindings work on: the context, and the table that holds the guest's descriptors.
///
/// The table must be the one that `wasi:filesystem` uses in the same store.
#[derive(Debug)]
pub struct FastCopyCtxView<'a> {
    /// What the host allows.
    pub ctx: &'a mut FastCopyCtx,
    /// The table that `wasi:filesystem` keeps its descriptors in.
    pub table: &'a mut ResourceTable,
}

/// A store's data that the bindings can be linked for, by
/// [`p2::add_to_linker_async`](crate::p2::add_to_linker_async) and
/// [`p2::add_to_linker_sync`](crate::p2::add_to_linker_sync).
pub trait FastCopyView: Send {
    /// The view on the context and the table.
    fn fast_copy(&mut self) -> FastCopyCtxView<'_>;
}

/// The type that the bindings are implemented for, to link them without [`FastCopyView`].
///
/// A framework that owns the store's data calls the generated function itself, with a plain `fn`
/// that finds the view:
///
/// ```
/// use wasmtime::component::{Linker, ResourceTable};
/// use wasmtime_fast_copy::p2::bindings;
/// use wasmtime_fast_copy::{FastCopy, FastCopyCtx, FastCopyCtxView};
///
/// struct State {
///     copies: FastCopyCtx,
///     table: ResourceTable,
/// }
///
/// // A plain function: `add_to_linker` takes no closure that captures.
/// fn view(state: &mut State) -> FastCopyCtxView<'_> {
///     FastCopyCtxView { ctx: &mut state.copies, table: &mut state.table }
/// }
///
/// fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
///     bindings::types::add_to_linker::<_, FastCopy>(linker, view)?;
///     bindings::copy::add_to_linker::<_, FastCopy>(linker, view)?;
///     bindings::jobs::add_to_linker::<_, FastCopy>(linker, view)?;
///     bindings::inspect::add_to_linker::<_, FastCopy>(linker, view)
/// }
/// # link(&mut Linker::new(&wasmtime::Engine::default())).unwrap();
/// ```
#[derive(Debug)]
pub struct FastCopy;

impl HasData for FastCopy {
    type Data<'a> = FastCopyCtxView<'a>;
}
