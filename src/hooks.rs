//! What a host can look at and forbid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime_wasi::FsPerms;

use crate::engine::{CopyControl, CopyError, CopyReport};

/// What a guest asks for, when its source and the destination's directory have been opened, the source
/// is a regular file, and nothing was made yet. Whether the destination exists is not known then.
/// Paths are the guest's, relative to descriptors of its.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CopyRequest<'a> {
    /// Whether the copy may share blocks with its source: `fast-copy`, unless the host's policy
    /// forbids it.
    pub may_share: bool,
    /// The source's path, as the guest gave it.
    pub src_path: &'a str,
    /// What the guest may do with the source's directory.
    pub src_perms: FsPerms,
    /// The destination's path, as the guest gave it.
    pub dst_path: &'a str,
    /// What the guest may do with the destination's directory.
    pub dst_perms: FsPerms,
    /// Apparent size of the source in bytes, when it was opened. A clone has the size of its own
    /// instant: what bounds it are the limits, not this.
    pub size: u64,
    /// What the source's file system had allocated for it then, in bytes.
    pub allocated: u64,
    /// Whether an existing destination would be replaced.
    pub replace: bool,
    /// Whether the copy is going to be durable.
    pub durable: bool,
}

/// What a host does at certain points of every copy of a guest.
///
/// All methods have a default: every copy is allowed, and nothing is done. They are called on the threads
/// that copy, so they may block, and the copy waits for them, with its slot taken and its time going on.
/// In the
/// synchronous form, and where [`allow_blocking_current_thread`] is set, that is the guest's own
/// thread.
///
/// Calls that are refused earlier don't come here: `busy`, a timeout while waiting, a path that can't be
/// opened, what the context's own policy forbids. Nor does what only looks at files. A panic of a hook
/// goes on into the host, from the guest's call or from the `finish` of its job.
///
/// [`allow_blocking_current_thread`]: crate::FastCopyCtxBuilder::allow_blocking_current_thread
pub trait CopyHooks: Send + Sync {
    /// Whether the copy may be made. If not, the guest gets `not-permitted`.
    fn authorize(&self, request: &CopyRequest<'_>) -> bool {
        let _ = request;
        true
    }

    /// A copy begins. The control shows how far it is, and cancels it, from any thread.
    fn started(&self, request: &CopyRequest<'_>, control: &CopyControl) {
        let _ = (request, control);
    }

    /// Bytes are being moved, `copied` of them so far: after each batch of at most 16 MiB, on the thread
    /// that has moved it, of which a large copy has two. Never for a clone, which is one call.
    fn progress(&self, request: &CopyRequest<'_>, copied: u64) {
        let _ = (request, copied);
    }

    /// A copy has ended: once for each [`started`](Self::started), also if nobody waits for it any more,
    /// unless a hook has panicked.
    fn ended(
        &self,
        request: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        let _ = (request, result, times);
    }
}

/// How long the parts of a guest's call took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CopyTimes {
    /// From the call until it was its turn.
    pub waited: Duration,
    /// From then until its work had ended.
    pub worked: Duration,
}

impl CopyTimes {
    /// Of a call whose turn came at `given`, and whose work ends now.
    pub(crate) fn until_now(called: Instant, given: Instant) -> Self {
        Self {
            waited: given - called,
            worked: given.elapsed(),
        }
    }
}

impl<H: CopyHooks + ?Sized> CopyHooks for Arc<H> {
    fn authorize(&self, request: &CopyRequest<'_>) -> bool {
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
