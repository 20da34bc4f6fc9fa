//! Why a guest's call failed, and the code that the guest gets.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod number;
#[cfg(target_os = "macos")]
#[path = "unix.rs"]
mod number;
#[cfg(windows)]
#[path = "windows.rs"]
mod number;

use std::fmt;
use std::io;

use fast_copy_engine::{CopyError, CopyErrorKind, CopyStep, Operand};

/// A failed call of a guest. It contains no host path.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The engine failed to copy or to inspect a file.
    Engine(CopyError),
    /// A descriptor or a path of the guest can't be opened.
    Path(Operand, io::Error),
    /// The destination's descriptor is read-only.
    ReadOnlyDescriptor,
    /// The host's policy or its hooks refuse the call.
    Denied(&'static str),
    /// The guest requires a reflink, but the host's policy forbids shared blocks.
    NotShareable(&'static str),
    /// A limit on waiting calls or jobs is reached, or the host lacks a thread.
    Busy(&'static str),
    /// The call was cancelled.
    Cancelled,
    /// The call reached a limit on its time.
    TimedOut(&'static str),
    /// The outcome of the call is unknown: its thread was destroyed.
    Lost,
}

/// Why a call failed, as the guest sees it: the `error-code` of the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    Access,
    BadDescriptor,
    Busy,
    Cancelled,
    Quota,
    Exist,
    FileTooLarge,
    IllegalByteSequence,
    Invalid,
    Io,
    IsDirectory,
    Loop,
    TooManyLinks,
    NameTooLong,
    NoEntry,
    InsufficientMemory,
    InsufficientSpace,
    NotDirectory,
    Unsupported,
    Overflow,
    NotPermitted,
    ReadOnly,
    TextFileBusy,
    SameFile,
    SourceChanged,
    Timeout,
    NotShareable,
    NotRegularFile,
    NotDurable,
    InDoubt,
    Denied,
    Other(String),
}

impl CallError {
    /// Returns the code that the guest gets.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Engine(error) => of_engine(error),
            Self::Path(_, error) => of_system(error),
            Self::ReadOnlyDescriptor => ErrorCode::NotPermitted,
            Self::Denied(_) => ErrorCode::Denied,
            Self::NotShareable(_) => ErrorCode::NotShareable,
            Self::Busy(_) => ErrorCode::Busy,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::TimedOut(_) => ErrorCode::Timeout,
            Self::Lost => ErrorCode::InDoubt,
        }
    }

    /// Returns the file that the error concerns, if known.
    pub(crate) fn operand(&self) -> Option<Operand> {
        match self {
            Self::Engine(error) => error.operand(),
            Self::Path(operand, _) => Some(*operand),
            Self::ReadOnlyDescriptor => Some(Operand::Destination),
            _ => None,
        }
    }
}

impl From<CopyError> for CallError {
    fn from(error: CopyError) -> Self {
        Self::Engine(error)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Path(Operand::Source, error) => write!(f, "opening (source): {error}"),
            Self::Path(_, error) => write!(f, "opening (destination): {error}"),
            Self::ReadOnlyDescriptor => f.write_str("the destination's descriptor is read-only"),
            Self::Denied(reason)
            | Self::NotShareable(reason)
            | Self::Busy(reason)
            | Self::TimedOut(reason) => f.write_str(reason),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Lost => f.write_str("the outcome of the call is unknown"),
        }
    }
}

fn of_engine(error: &CopyError) -> ErrorCode {
    // After any other failure nothing has changed.
    if error.is_published() {
        return ErrorCode::NotDurable;
    }
    if error.is_in_doubt() {
        return ErrorCode::InDoubt;
    }
    match error.kind() {
        CopyErrorKind::Os(os) => match of_system(os) {
            // The guest's arguments are used in these steps only: a name that the file system refuses shows when
            // the copy gets it.
            ErrorCode::Invalid if !matches!(error.step(), CopyStep::Open | CopyStep::Publish) => {
                ErrorCode::Io
            }
            code => code,
        },
        CopyErrorKind::AlreadyExists => ErrorCode::Exist,
        CopyErrorKind::NotRegularFile(_) => ErrorCode::NotRegularFile,
        CopyErrorKind::Invalid(_) => ErrorCode::Invalid,
        CopyErrorKind::IsDirectory => ErrorCode::IsDirectory,
        CopyErrorKind::SymbolicLink => ErrorCode::Loop,
        CopyErrorKind::SameFile => ErrorCode::SameFile,
        CopyErrorKind::SourceChanged => ErrorCode::SourceChanged,
        CopyErrorKind::FileTooLarge { .. } => ErrorCode::FileTooLarge,
        CopyErrorKind::InsufficientSpace(_) => ErrorCode::InsufficientSpace,
        CopyErrorKind::QuotaExceeded => ErrorCode::Quota,
        CopyErrorKind::NotShareable(_) => ErrorCode::NotShareable,
        CopyErrorKind::WiderPermissions => ErrorCode::Denied,
        CopyErrorKind::InsufficientMemory => ErrorCode::InsufficientMemory,
        CopyErrorKind::Unsupported(_) => ErrorCode::Unsupported,
        CopyErrorKind::NotPermitted(_) => ErrorCode::NotPermitted,
        CopyErrorKind::Busy(_) => ErrorCode::Busy,
        CopyErrorKind::Cancelled => ErrorCode::Cancelled,
        CopyErrorKind::TimedOut => ErrorCode::Timeout,
        // The engine has no other kind; its enum is open for later ones.
        other => ErrorCode::Other(other.to_string()),
    }
}

fn of_system(error: &io::Error) -> ErrorCode {
    use io::ErrorKind;
    if let Some(code) = error.raw_os_error().and_then(number::code) {
        return code;
    }
    match error.kind() {
        ErrorKind::NotFound => ErrorCode::NoEntry,
        ErrorKind::PermissionDenied => ErrorCode::Access,
        ErrorKind::AlreadyExists => ErrorCode::Exist,
        ErrorKind::WouldBlock | ErrorKind::ResourceBusy => ErrorCode::Busy,
        ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        ErrorKind::IsADirectory => ErrorCode::IsDirectory,
        ErrorKind::ReadOnlyFilesystem => ErrorCode::ReadOnly,
        ErrorKind::InvalidInput => ErrorCode::Invalid,
        ErrorKind::InvalidFilename => ErrorCode::NameTooLong,
        ErrorKind::WriteZero | ErrorKind::TimedOut => ErrorCode::Io,
        ErrorKind::StorageFull => ErrorCode::InsufficientSpace,
        ErrorKind::QuotaExceeded => ErrorCode::Quota,
        ErrorKind::FileTooLarge => ErrorCode::FileTooLarge,
        ErrorKind::ExecutableFileBusy => ErrorCode::TextFileBusy,
        ErrorKind::TooManyLinks => ErrorCode::TooManyLinks,
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        ErrorKind::OutOfMemory => ErrorCode::InsufficientMemory,
        // Only the kind: the error's own text could contain a host path.
        kind => ErrorCode::Other(kind.to_string()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_have_the_codes_of_wasi() {
        for (number, expected) in [
            (libc::EACCES, ErrorCode::Access),
            (libc::EAGAIN, ErrorCode::Busy),
            (libc::EBADF, ErrorCode::BadDescriptor),
            (libc::EBADMSG, ErrorCode::Io),
            (libc::EBUSY, ErrorCode::Busy),
            (libc::ECONNABORTED, ErrorCode::Io),
            (libc::ECONNREFUSED, ErrorCode::Io),
            (libc::ECONNRESET, ErrorCode::Io),
            (libc::EDQUOT, ErrorCode::Quota),
            (libc::EEXIST, ErrorCode::Exist),
            (libc::EFBIG, ErrorCode::FileTooLarge),
            (libc::EHOSTDOWN, ErrorCode::Io),
            (libc::EHOSTUNREACH, ErrorCode::Io),
            (libc::EILSEQ, ErrorCode::IllegalByteSequence),
            (libc::EINVAL, ErrorCode::Invalid),
            (libc::EIO, ErrorCode::Io),
            (libc::EISDIR, ErrorCode::IsDirectory),
            (libc::ELOOP, ErrorCode::Loop),
            (libc::EMFILE, ErrorCode::Busy),
            (libc::EMLINK, ErrorCode::TooManyLinks),
            (libc::ENAMETOOLONG, ErrorCode::NameTooLong),
            (libc::ENETDOWN, ErrorCode::Io),
            (libc::ENETUNREACH, ErrorCode::Io),
            (libc::ENFILE, ErrorCode::Busy),
            (libc::ENODATA, ErrorCode::Io),
            (libc::ENODEV, ErrorCode::Io),
            (libc::ENOENT, ErrorCode::NoEntry),
            (libc::ENOLINK, ErrorCode::Io),
            (libc::ENOMEM, ErrorCode::InsufficientMemory),
            (libc::ENOSPC, ErrorCode::InsufficientSpace),
            (libc::ENOSYS, ErrorCode::Unsupported),
            (libc::ENOTCONN, ErrorCode::Io),
            (libc::ENOTDIR, ErrorCode::NotDirectory),
            (libc::ENOTSUP, ErrorCode::Unsupported),
            (libc::ENOTTY, ErrorCode::Unsupported),
            (libc::ENXIO, ErrorCode::Io),
            (libc::EOVERFLOW, ErrorCode::Overflow),
            (libc::EPERM, ErrorCode::NotPermitted),
            (libc::EPIPE, ErrorCode::Io),
            (libc::EPROTO, ErrorCode::Io),
            (libc::EROFS, ErrorCode::ReadOnly),
            (libc::ESHUTDOWN, ErrorCode::Io),
            (libc::ESTALE, ErrorCode::Io),
            // The file system's own; `timeout` means a limit of the host.
            (libc::ETIMEDOUT, ErrorCode::Io),
            (libc::ETXTBSY, ErrorCode::TextFileBusy),
        ] {
            let error = io::Error::from_raw_os_error(number);
            let found = CallError::Path(Operand::Source, error).code();
            assert_eq!(found, expected, "{number}");
        }
    }

    #[test]
    fn the_guest_does_not_see_the_text_of_a_system_error() {
        let error = io::Error::other("/a/path/of/the/host");
        let code = CallError::Path(Operand::Destination, error).code();
        let ErrorCode::Other(text) = code else {
            panic!("{code:?}");
        };
        assert!(!text.contains("path"), "{text}");
    }
}
