//! How a handle is opened on Linux.

use rustix::fs::OFlags;

/// `O_PATH` neither waits at a FIFO nor has an effect on a device.
pub(super) const HANDLE: OFlags = OFlags::PATH;
