//! Error numbers on Linux.

use super::ErrorCode;

#[path = "unix.rs"]
mod unix;

/// Returns the code of an error number that has no [`io::ErrorKind`](std::io::ErrorKind) of its own, or
/// not the right one.
pub(super) fn code(number: i32) -> Option<ErrorCode> {
    Some(match number {
        // The key of an encrypted file (fscrypt) is not loaded, or the ticket for an NFS server with
        // Kerberos has expired.
        libc::ENOKEY | libc::EKEYEXPIRED | libc::EKEYREVOKED | libc::EKEYREJECTED => {
            ErrorCode::Access
        }
        // Corrupt metadata (EFSCORRUPTED of ext4 and XFS), a failed target, no medium.
        libc::EUCLEAN | libc::EREMOTEIO | libc::ENOMEDIUM => ErrorCode::Io,
        _ => return unix::code(number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_of_linux_have_codes() {
        for (number, expected) in [
            (libc::EKEYEXPIRED, ErrorCode::Access),
            (libc::EKEYREJECTED, ErrorCode::Access),
            (libc::EKEYREVOKED, ErrorCode::Access),
            (libc::ENOKEY, ErrorCode::Access),
            (libc::ENOMEDIUM, ErrorCode::Io),
            (libc::EREMOTEIO, ErrorCode::Io),
            (libc::EUCLEAN, ErrorCode::Io),
        ] {
            assert_eq!(code(number), Some(expected), "{number}");
        }
    }
}
