//! Error numbers on Unix.

use super::ErrorCode;

/// Returns the code of an error number that has no [`io::ErrorKind`](std::io::ErrorKind) of its own.
pub(super) fn code(number: i32) -> Option<ErrorCode> {
    Some(match number {
        libc::EPERM => ErrorCode::NotPermitted,
        libc::ELOOP => ErrorCode::Loop,
        libc::EIO => ErrorCode::Io,
        libc::EBADF => ErrorCode::BadDescriptor,
        libc::EOVERFLOW => ErrorCode::Overflow,
        libc::EILSEQ => ErrorCode::IllegalByteSequence,
        // The host has no free descriptor at the moment.
        libc::EMFILE | libc::ENFILE => ErrorCode::Busy,
        // Some file systems return this instead of EOPNOTSUPP.
        libc::ENOTTY => ErrorCode::Unsupported,
        _ => return None,
    })
}
