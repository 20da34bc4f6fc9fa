//! Error numbers on Unix.

use super::ErrorCode;

/// Returns the code of an error number that has no [`io::ErrorKind`](std::io::ErrorKind) of its own, or
/// not the right one.
pub(super) fn code(number: i32) -> Option<ErrorCode> {
    Some(match number {
        libc::EPERM => ErrorCode::NotPermitted,
        libc::ELOOP => ErrorCode::Loop,
        libc::EBADF => ErrorCode::BadDescriptor,
        libc::EOVERFLOW => ErrorCode::Overflow,
        libc::EILSEQ => ErrorCode::IllegalByteSequence,
        // The host has no free descriptor at the moment.
        libc::EMFILE | libc::ENFILE => ErrorCode::Busy,
        // Some file systems return this instead of EOPNOTSUPP.
        libc::ENOTTY => ErrorCode::Unsupported,
        // The disk: a wrong checksum, an unreadable sector, a device that is gone.
        libc::EIO | libc::EBADMSG | libc::ENODATA | libc::ENODEV | libc::ENXIO => ErrorCode::Io,
        // The server of a network file system, or the process of a FUSE file system.
        libc::ESTALE
        | libc::ENOLINK
        | libc::EPROTO
        | libc::EPIPE
        | libc::ENOTCONN
        | libc::ECONNABORTED
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::ESHUTDOWN
        | libc::EHOSTDOWN
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::ENETUNREACH
        | libc::ETIMEDOUT => ErrorCode::Io,
        _ => return None,
    })
}
