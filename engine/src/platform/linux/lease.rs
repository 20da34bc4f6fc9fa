//! Read leases (`F_SETLEASE`, fcntl(2)).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// `F_SETSIG` (include/uapi/asm-generic/fcntl.h), which libc lacks.
const F_SETSIG: i32 = 10;

/// A read lease on a file. As long as it is held, no process can open the file for writing: the open waits,
/// at most as long as `/proc/sys/fs/lease-break-time` says. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Lease<'a>(&'a File);

impl<'a> Lease<'a> {
    /// Takes a lease on a file that is open for reading.
    ///
    /// The kernel announces that another process waits by a signal, `SIGIO` by default, which would end the
    /// process. So the signal is set to `SIGURG`, which is ignored by default. Nothing depends on it.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the file is open for writing, or mapped from such a descriptor; `EACCES` for a file of
    /// another user without `CAP_LEASE`; `EINVAL` if the file system has no leases.
    pub(crate) fn take(file: &'a File) -> io::Result<Self> {
        call(file, F_SETSIG, libc::SIGURG)?;
        call(file, libc::F_SETLEASE, libc::F_RDLCK)?;
        Ok(Self(file))
    }

    /// Returns whether another process waits to open the file for writing, or has waited and opened it.
    pub(crate) fn is_broken(&self) -> bool {
        call(self.0, libc::F_GETLEASE, 0).ok() != Some(libc::F_RDLCK)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let _ = call(self.0, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

#[expect(unsafe_code, reason = "no dependency wraps these commands")]
fn call(file: &File, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: the descriptor is open, and these commands take a number.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
