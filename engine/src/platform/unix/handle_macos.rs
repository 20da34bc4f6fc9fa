//! How a handle is opened on macOS.

use rustix::fs::OFlags;

/// There is no `O_PATH`. `O_NONBLOCK` prevents waiting at a FIFO.
pub(super) const HANDLE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);
