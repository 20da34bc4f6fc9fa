//! What a host keeps for each store, and how the bindings reach it.

use std::sync::Arc;

use fast_copy_engine::{CopyQuota, CopyRate};
use wasmtime::component::{HasData, ResourceTable};

use crate::admission::{CopySlots, Places, Queue};
use crate::settings::Settings;

/// The limits and the policy for the guest of one store. [`FastCopyCtx::builder`] creates it.
///
/// Clones share state: give a clone to another store only if both stores should count against the same
/// limits.
#[derive(Clone, Debug)]
pub struct FastCopyCtx {
    pub(crate) settings: Arc<Settings>,
    pub(crate) queue: Queue,
    pub(crate) jobs: Places,
    pub(crate) options: Places,
}

impl FastCopyCtx {
    /// Returns the quota that the guest's copies are charged to, if any.
    pub fn quota(&self) -> Option<&CopyQuota> {
        self.settings.limits.get_quota()
    }

    /// Returns the rate of the guest's copies, if any.
    pub fn rate(&self) -> Option<&CopyRate> {
        self.settings.limits.get_rate()
    }

    /// Returns the slots that the guest's copies run in.
    pub fn slots(&self) -> &CopySlots {
        self.queue.slots()
    }

    /// Returns how many calls of the guest are waiting.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Returns how many jobs the guest has. A job counts until the guest has dropped it and its work has
    /// ended. In WASI 0.3, a copy with progress and a stream of `inspect.data-ranges` are jobs.
    pub fn jobs(&self) -> usize {
        self.jobs.taken()
    }
}

/// What the bindings use: the context, and the table with the guest's descriptors.
///
/// The table must be the one that `wasi:filesystem` uses in the same store.
#[derive(Debug)]
pub struct FastCopyCtxView<'a> {
    /// The limits and the policy.
    pub ctx: &'a mut FastCopyCtx,
    /// The table with the descriptors of `wasi:filesystem`.
    pub table: &'a mut ResourceTable,
}

/// Gives the bindings access to the context and the resource table in a store's data, for
/// [`p2::add_to_linker_async`](crate::p2::add_to_linker_async),
/// [`p2::add_to_linker_sync`](crate::p2::add_to_linker_sync) and `p3::add_to_linker`.
pub trait FastCopyView: Send {
    /// Returns the context and the table.
    fn fast_copy(&mut self) -> FastCopyCtxView<'_>;
}

/// The [`HasData`] type of the bindings. Use it to link them without [`FastCopyView`].
///
/// A framework that owns the store's data calls the generated function itself, with a plain `fn` that
/// returns the view:
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
