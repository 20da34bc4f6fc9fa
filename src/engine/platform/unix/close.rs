//! Closing with an answer: the standard library drops it.

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

#[expect(
    unsafe_code,
    reason = "no crate has a safe close that returns its error"
)]
pub(super) fn close(descriptor: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned, and nobody else knows its number any more. It is closed
    // whatever close(2) returns.
    match unsafe { libc::close(descriptor.into_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
