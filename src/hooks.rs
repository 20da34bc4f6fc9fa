//! Hooks: how a host observes and refuses copies.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use fast_copy_engine::{CopyControl, CopyError, CopyReport, Destination, Source};
use wasmtime_wasi::FsPerms;

/// A copy that a guest asks for. The source and the destination's directory are open, the source is a
/// regular file, and nothing was created yet.
///
/// # Identities and paths
///
/// [`source`](Self::source) is the file that is copied, whatever path led to it. Its identity
/// ([`Source::id`]: device and inode) is the same under every name: through symbolic links, hard links and
/// bind mounts, after a rename, and relative to any descriptor. So base a policy on identities:
///
/// ```
/// use wasmtime_fast_copy::{CopyHooks, CopyRequest, Decision, Source};
///
/// /// Denies copies of one file, under any name.
/// struct Protect {
///     /// Kept open, so that no other file gets its inode.
///     file: Source,
/// }
///
/// impl CopyHooks for Protect {
///     fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
///         match request.source.id() == self.file.id() {
///             true => Decision::Deny,
///             false => Decision::Allow,
///         }
///     }
/// }
/// # fn main() -> std::io::Result<()> {
/// # let file = std::env::current_exe()?;
/// let hooks = Protect { file: Source::open(file, true)? };
/// # Ok(())
/// # }
/// ```
///
/// The paths are as the guest passed them. They are no basis for a decision: many paths lead to one file, the
/// guest chooses which, and it can rename files and make links between two calls. They are good for logs.
///
/// It is not known which preopened directory a descriptor comes from: `wasmtime-wasi` does not record that
/// for the directories that a guest opens itself. If a guest passes a preopened directory,
/// [`src_dir`](Self::src_dir) and [`dst_dir`](Self::dst_dir) have its identity.
///
/// A policy on copies controls copies only. A guest that may read a file through `wasi:filesystem` can still
/// read its bytes and write them elsewhere. A copy of a file is another file, with an identity of its own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CopyRequest<'a> {
    /// Whether the copy may share blocks with its source: true for `fast-copy`, unless the host's policy
    /// forbids it. After [`Decision::AllowWithoutSharing`] it is false in the later hooks.
    pub may_share: bool,
    /// The open source. The copy reads this file; its path is not resolved again.
    pub source: &'a Source,
    /// The directory of the guest's descriptor, which `src_path` is relative to.
    pub src_dir: &'a File,
    /// Path of the source, as the guest passed it.
    pub src_path: &'a str,
    /// What the guest may do in the source's directory.
    pub src_perms: FsPerms,
    /// The open directory of the destination, the name that the copy gets in it, and what had that name when
    /// the directory was opened.
    pub destination: &'a Destination,
    /// The directory of the guest's descriptor, which `dst_path` is relative to.
    pub dst_dir: &'a File,
    /// Path of the destination, as the guest passed it.
    pub dst_path: &'a str,
    /// What the guest may do in the destination's directory.
    pub dst_perms: FsPerms,
    /// Apparent size of the source in bytes when it was opened. A clone has the source's size at the
    /// moment of cloning, which can be larger, up to `max_size`.
    pub size: u64,
    /// Apparent size that the copy will have in bytes: `size`, or more if the guest asks for that (`set-size`).
    pub copy_size: u64,
    /// Bytes allocated for the source when it was opened.
    pub allocated: u64,
    /// Whether the guest allows an existing destination to be replaced.
    pub replace: bool,
    /// Whether the copy will be durable.
    pub durable: bool,
}

/// What a host decides about a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The copy is made.
    Allow,
    /// The copy is made and shares no blocks with its source: `fast-copy` copies as `sparse-copy` does. With
    /// `require-reflink` the guest gets `not-shareable`, as with
    /// [`allow_sharing(false)`](crate::FastCopyCtxBuilder::allow_sharing).
    AllowWithoutSharing,
    /// The copy is not made. The guest gets `denied`.
    Deny,
}

/// Functions of the host that are called for every copy of a guest.
///
/// All methods have a default: every copy is allowed, and nothing is done.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use wasmtime_fast_copy::{
///     CopyError, CopyHooks, CopyReport, CopyRequest, CopyTimes, Decision, FastCopyCtx,
/// };
///
/// /// Counts the copies, and allows none of more than 1 TiB.
/// #[derive(Default)]
/// struct Audit {
///     copies: AtomicU64,
///     failures: AtomicU64,
/// }
///
/// impl CopyHooks for Audit {
///     fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
///         match request.copy_size <= 1 << 40 {
///             true => Decision::Allow,
///             false => Decision::Deny,
///         }
///     }
///
///     fn ended(
///         &self,
///         _: &CopyRequest<'_>,
///         result: Result<&CopyReport, &CopyError>,
///         _: CopyTimes,
///     ) {
///         let counter = match result {
///             Ok(_) => &self.copies,
///             Err(_) => &self.failures,
///         };
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let audit = Arc::new(Audit::default());
/// let ctx = FastCopyCtx::builder().hooks(audit.clone()).build();
/// ```
///
/// `authorize`, `started` and `ended` run on the thread that runs the call. For synchronous calls, and with
/// [`allow_blocking_current_thread`], that is the thread that called the guest. `progress` may run on two
/// threads at the same time. Hooks may block, but the copy waits for them while holding its slot, and its
/// time limit keeps running. A hook that makes a copy in the same slots can wait for its own slot for ever.
///
/// They are not called for calls that are refused earlier: `busy`, a timeout while waiting, a path that
/// can't be opened, a copy that the context's policy forbids. Nor are they called for the functions of
/// `inspect`. A panic of a hook resumes in the guest's call, or in the first `get` of its job, with its
/// payload.
///
/// [`allow_blocking_current_thread`]: crate::FastCopyCtxBuilder::allow_blocking_current_thread
pub trait CopyHooks: Send + Sync {
    /// Decides whether the copy is made. Default: [`Decision::Allow`]. If it is not made, the other methods
    /// are not called.
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        let _ = request;
        Decision::Allow
    }

    /// Called when a copy begins. The control cancels it and shows its progress, from any thread.
    fn started(&self, request: &CopyRequest<'_>, control: &CopyControl) {
        let _ = (request, control);
    }

    /// Called after each batch of at most 16 MiB, with the bytes moved so far, on the thread that moved
    /// it. A large copy has two such threads, which may call it at the same time. A clone never calls it.
    fn progress(&self, request: &CopyRequest<'_>, copied: u64) {
        let _ = (request, copied);
    }

    /// Called when a copy has ended: once for each [`started`](Self::started), even if its caller has
    /// gone, unless a hook has panicked. The call waits for it without a time limit.
    fn ended(
        &self,
        request: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        let _ = (request, result, times);
    }
}

/// How long a guest's call took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CopyTimes {
    /// The time from the call until its slot was granted.
    pub waited: Duration,
    /// The time from then until its work had ended.
    pub worked: Duration,
}

impl<H: CopyHooks + ?Sized> CopyHooks for Arc<H> {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        (**self).authorize(request)
    }

    fn started(&self, request: &CopyRequest<'_>, control: &CopyControl) {
        (**self).started(request, control);
    }

    fn progress(&self, request: &CopyRequest<'_>, copied: u64) {
        (**self).progress(request, copied);
    }

    fn ended(
        &self,
        request: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        (**self).ended(request, result, times);
    }
}
