//! `close` with its result, which the standard library ignores.

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

#[expect(
    unsafe_code,
    reason = "no crate has a safe close that returns its error"
)]
pub(super) fn close(descriptor: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned, so no other code uses its number. close(2) releases it even if it
    // fails.
    match unsafe { libc::close(descriptor.into_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
