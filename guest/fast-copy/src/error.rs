//! Defines the error type: a text for people, and a code for programs.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::cause;

/// Why a call failed, for programs.
///
/// Each code has the name of a case of `error-code` in the WIT, which documents it. After all of them but
/// two nothing has changed: see [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The host's file system denies access (`EACCES`).
    Access,
    /// The host can't use the directory that a descriptor stands for (`EBADF`).
    BadDescriptor,
    /// A limit on waiting calls or jobs is reached, or a file is in use (`EBUSY`). The same call can succeed
    /// later.
    Busy,
    /// The copy was cancelled.
    Cancelled,
    /// The host's policy forbids the call.
    Denied,
    /// The destination exists, and [`replace`](crate::CopyOptions::replace) is not set (`EEXIST`).
    Exist,
    /// The source, or the copy's size, is above a limit of the host or of the file system (`EFBIG`).
    FileTooLarge,
    /// A path has bytes that the file system or WASI does not accept (`EILSEQ`).
    IllegalByteSequence,
    /// It is not known whether the complete copy is in place.
    InDoubt,
    /// The host is out of memory (`ENOMEM`).
    InsufficientMemory,
    /// The disk is full, or the copy would leave less free space than the host requires (`ENOSPC`).
    InsufficientSpace,
    /// An argument is invalid (`EINVAL`): options contradict each other, the size is below the source's, or the
    /// last component of a path can't be the name of a file.
    Invalid,
    /// Reading or writing failed (`EIO`).
    Io,
    /// A file is a directory (`EISDIR`).
    IsDirectory,
    /// The source is a symbolic link that is not followed, or there are too many links (`ELOOP`).
    Loop,
    /// A path, or a name in it, is too long (`ENAMETOOLONG`).
    NameTooLong,
    /// A file, or the directory of the copy, does not exist (`ENOENT`); or a path is empty, or outside all
    /// preopened directories.
    NoEntry,
    /// A component of a path is not a directory (`ENOTDIR`).
    NotDirectory,
    /// The complete copy is in place, but may not survive a power cut.
    NotDurable,
    /// A path begins in a preopened directory and leads out of it, or the directory is read-only (`EPERM`).
    NotPermitted,
    /// A file is a FIFO, a socket, a device or a file of the kernel.
    NotRegularFile,
    /// [`require_reflink`](crate::CopyOptions::require_reflink) is set, and blocks can't be shared.
    NotShareable,
    /// A number is too large for its type (`EOVERFLOW`).
    Overflow,
    /// A quota of the host or of the file system is used up (`EDQUOT`).
    Quota,
    /// The file system is read-only (`EROFS`).
    ReadOnly,
    /// Source and destination are the same file.
    SameFile,
    /// The source changed during the copy.
    SourceChanged,
    /// A file is in use as a program or as swap space (`ETXTBSY`).
    TextFileBusy,
    /// The call reached a time limit of the host.
    Timeout,
    /// A file has too many hard links (`EMLINK`).
    TooManyLinks,
    /// The host or its file system lacks something that the call needs (`ENOTSUP`).
    Unsupported,
    /// An error without a code of its own. The error's text says more.
    Other,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: &[Self] = &[
        Self::Access,
        Self::BadDescriptor,
        Self::Busy,
        Self::Cancelled,
        Self::Denied,
        Self::Exist,
        Self::FileTooLarge,
        Self::IllegalByteSequence,
        Self::InDoubt,
        Self::InsufficientMemory,
        Self::InsufficientSpace,
        Self::Invalid,
        Self::Io,
        Self::IsDirectory,
        Self::Loop,
        Self::NameTooLong,
        Self::NoEntry,
        Self::NotDirectory,
        Self::NotDurable,
        Self::NotPermitted,
        Self::NotRegularFile,
        Self::NotShareable,
        Self::Overflow,
        Self::Quota,
        Self::ReadOnly,
        Self::SameFile,
        Self::SourceChanged,
        Self::TextFileBusy,
        Self::Timeout,
        Self::TooManyLinks,
        Self::Unsupported,
        Self::Other,
    ];

    /// Returns the name of the code in the WIT, such as `no-entry`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::BadDescriptor => "bad-descriptor",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Exist => "exist",
            Self::FileTooLarge => "file-too-large",
            Self::IllegalByteSequence => "illegal-byte-sequence",
            Self::InDoubt => "in-doubt",
            Self::InsufficientMemory => "insufficient-memory",
            Self::InsufficientSpace => "insufficient-space",
            Self::Invalid => "invalid",
            Self::Io => "io",
            Self::IsDirectory => "is-directory",
            Self::Loop => "loop",
            Self::NameTooLong => "name-too-long",
            Self::NoEntry => "no-entry",
            Self::NotDirectory => "not-directory",
            Self::NotDurable => "not-durable",
            Self::NotPermitted => "not-permitted",
            Self::NotRegularFile => "not-regular-file",
            Self::NotShareable => "not-shareable",
            Self::Overflow => "overflow",
            Self::Quota => "quota",
            Self::ReadOnly => "read-only",
            Self::SameFile => "same-file",
            Self::SourceChanged => "source-changed",
            Self::TextFileBusy => "text-file-busy",
            Self::Timeout => "timeout",
            Self::TooManyLinks => "too-many-links",
            Self::Unsupported => "unsupported",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One of the two files of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operand {
    /// The file that is read.
    Source,
    /// The copy, or its directory.
    Destination,
}

/// What a system reports about a failed call: a code, and a text if the code does not say it all.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) text: Option<Cow<'static, str>>,
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self { code, text: None }
    }
}

impl Failure {
    pub(crate) fn with_text(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: Some(text.into()),
        }
    }

    /// Adds a text that is more exact than the code, if there is none.
    pub(crate) fn or_text(self, text: impl FnOnce(ErrorCode) -> Option<Cow<'static, str>>) -> Self {
        Self {
            text: self.text.or_else(|| text(self.code)),
            ..self
        }
    }

    /// Sets the text of a failure whose code is [`ErrorCode::Unsupported`].
    pub(crate) fn if_unsupported(self, text: &'static str) -> Self {
        match self.code {
            ErrorCode::Unsupported => Self::with_text(self.code, text),
            _ => self,
        }
    }

    /// Creates the error about one path, with the text of the code if there is no better one.
    pub(crate) fn about(self, path: &Path, operand: Option<Operand>) -> Error {
        let cause = self
            .text
            .unwrap_or_else(|| cause::of_code(self.code).into());
        Error::about(path, operand, self.code, cause)
    }

    /// Creates the error about both paths.
    pub(crate) fn about_both(self, src: &Path, dst: &Path) -> Error {
        let cause = self
            .text
            .unwrap_or_else(|| cause::of_code(self.code).into());
        Error::about_both(src, dst, self.code, cause)
    }
}

/// The error of a failed call: the path that it is about, and one cause.
///
/// After a failed copy nothing has changed: an old destination is as it was, and a new one does not
/// exist. There are two exceptions:
/// - [`ErrorCode::NotDurable`]: the complete copy is in place, but may not survive a power cut;
/// - [`ErrorCode::InDoubt`]: it is not known whether the complete copy is in place.
///
/// The text is `PATH: CAUSE`, or `SOURCE -> DESTINATION: CAUSE` for an error about both paths. Options have
/// their names from the WIT in it, such as `require-reflink` for
/// [`CopyOptions::require_reflink`](crate::CopyOptions::require_reflink).
/// [`Debug`](fmt::Debug) prints the same text as [`Display`](fmt::Display), because a `main` that returns an
/// error prints it by `Debug`.
///
/// On WASI, creating an error can call `wasi:filesystem` on the path, to find the cause.
///
/// It converts to [`io::Error`] with the [`io::ErrorKind`] that is closest to the code.
#[derive(Clone)]
pub struct Error {
    code: ErrorCode,
    operand: Option<Operand>,
    subject: Subject,
    cause: Cow<'static, str>,
}

/// What an error is about.
#[derive(Clone)]
enum Subject {
    Path(PathBuf),
    Both(PathBuf, PathBuf),
}

impl Error {
    /// Creates an error about one path.
    pub(crate) fn about(
        path: &Path,
        operand: Option<Operand>,
        code: ErrorCode,
        cause: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            operand,
            subject: Subject::Path(path.into()),
            cause: cause.into(),
        }
    }

    /// Creates an error about both paths.
    pub(crate) fn about_both(
        src: &Path,
        dst: &Path,
        code: ErrorCode,
        cause: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            operand: None,
            subject: Subject::Both(src.into(), dst.into()),
            cause: cause.into(),
        }
    }

    /// Returns the code, for programs.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns which of a copy's two files the error is about.
    ///
    /// Returns `None` if it is about both or about neither, if the host does not know, and for a function
    /// that takes one path or directories.
    pub fn operand(&self) -> Option<Operand> {
        self.operand
    }

    /// Returns the path that the error is about, as the caller has passed it, or `None` if the error is
    /// about both paths of the call.
    pub fn path(&self) -> Option<&Path> {
        match &self.subject {
            Subject::Path(path) => Some(path),
            Subject::Both(..) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Path(path) if path.as_os_str().is_empty() => f.write_str("\"\"")?,
            Subject::Path(path) => write!(f, "{}", path.display())?,
            Subject::Both(src, dst) => write!(f, "{} -> {}", src.display(), dst.display())?,
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(kind(error.code), error)
    }
}

fn kind(code: ErrorCode) -> io::ErrorKind {
    use io::ErrorKind;
    match code {
        ErrorCode::Access | ErrorCode::Denied | ErrorCode::NotPermitted => {
            ErrorKind::PermissionDenied
        }
        ErrorCode::Busy => ErrorKind::ResourceBusy,
        ErrorCode::Quota => ErrorKind::QuotaExceeded,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::FileTooLarge => ErrorKind::FileTooLarge,
        ErrorCode::IllegalByteSequence | ErrorCode::NameTooLong => ErrorKind::InvalidFilename,
        ErrorCode::Invalid | ErrorCode::Loop | ErrorCode::NotRegularFile | ErrorCode::SameFile => {
            ErrorKind::InvalidInput
        }
        ErrorCode::IsDirectory => ErrorKind::IsADirectory,
        ErrorCode::TooManyLinks => ErrorKind::TooManyLinks,
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::InsufficientMemory => ErrorKind::OutOfMemory,
        ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
        ErrorCode::NotDirectory => ErrorKind::NotADirectory,
        ErrorCode::NotShareable | ErrorCode::Unsupported => ErrorKind::Unsupported,
        ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem,
        ErrorCode::TextFileBusy => ErrorKind::ExecutableFileBusy,
        ErrorCode::Timeout => ErrorKind::TimedOut,
        // Not `Interrupted` for a cancelled copy: generic loops retry at once on that.
        ErrorCode::BadDescriptor
        | ErrorCode::Cancelled
        | ErrorCode::InDoubt
        | ErrorCode::Io
        | ErrorCode::NotDurable
        | ErrorCode::Overflow
        | ErrorCode::SourceChanged
        | ErrorCode::Other => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes in the order of [`ErrorCode::ALL`], with their `io::ErrorKind` and the text that an error
    /// without a better one has.
    const TABLE: &[(&str, io::ErrorKind, &str)] = &[
        (
            "access",
            io::ErrorKind::PermissionDenied,
            "the host's file system denies access",
        ),
        ("bad-descriptor", io::ErrorKind::Other, "bad descriptor"),
        (
            "busy",
            io::ErrorKind::ResourceBusy,
            "the host accepts no more calls or jobs now; try again later",
        ),
        ("cancelled", io::ErrorKind::Other, "cancelled"),
        (
            "denied",
            io::ErrorKind::PermissionDenied,
            "the host's policy forbids it",
        ),
        (
            "exist",
            io::ErrorKind::AlreadyExists,
            "already exists (use replace to overwrite it)",
        ),
        (
            "file-too-large",
            io::ErrorKind::FileTooLarge,
            "too large for the host or the destination's file system",
        ),
        (
            "illegal-byte-sequence",
            io::ErrorKind::InvalidFilename,
            "the file system does not accept the bytes of the path",
        ),
        (
            "in-doubt",
            io::ErrorKind::Other,
            "it is not known whether the complete copy is in place",
        ),
        (
            "insufficient-memory",
            io::ErrorKind::OutOfMemory,
            "the host is out of memory",
        ),
        (
            "insufficient-space",
            io::ErrorKind::StorageFull,
            "not enough free space",
        ),
        ("invalid", io::ErrorKind::InvalidInput, "invalid arguments"),
        ("io", io::ErrorKind::Other, "input/output error"),
        (
            "is-directory",
            io::ErrorKind::IsADirectory,
            "is a directory",
        ),
        (
            "loop",
            io::ErrorKind::InvalidInput,
            "a symbolic link in the path can't be followed",
        ),
        (
            "name-too-long",
            io::ErrorKind::InvalidFilename,
            "the path or a name in it is too long",
        ),
        (
            "no-entry",
            io::ErrorKind::NotFound,
            "no such file or directory",
        ),
        (
            "not-directory",
            io::ErrorKind::NotADirectory,
            "a component of the path is not a directory",
        ),
        (
            "not-durable",
            io::ErrorKind::Other,
            "the complete copy is in place, but may not survive a power cut: synchronising its directory failed",
        ),
        (
            "not-permitted",
            io::ErrorKind::PermissionDenied,
            "not permitted by the host's file system",
        ),
        (
            "not-regular-file",
            io::ErrorKind::InvalidInput,
            "is not a regular file",
        ),
        (
            "not-shareable",
            io::ErrorKind::Unsupported,
            "blocks can't be shared, and require-reflink is set",
        ),
        (
            "overflow",
            io::ErrorKind::Other,
            "a number is too large for its type",
        ),
        ("quota", io::ErrorKind::QuotaExceeded, "quota exceeded"),
        (
            "read-only",
            io::ErrorKind::ReadOnlyFilesystem,
            "read-only file system",
        ),
        (
            "same-file",
            io::ErrorKind::InvalidInput,
            "source and destination are the same file",
        ),
        (
            "source-changed",
            io::ErrorKind::Other,
            "changed during the copy; try again when no program writes to it",
        ),
        (
            "text-file-busy",
            io::ErrorKind::ExecutableFileBusy,
            "in use as a program or as swap space",
        ),
        (
            "timeout",
            io::ErrorKind::TimedOut,
            "exceeded the host's time limit",
        ),
        (
            "too-many-links",
            io::ErrorKind::TooManyLinks,
            "too many hard links",
        ),
        (
            "unsupported",
            io::ErrorKind::Unsupported,
            "not supported by the host or its file system",
        ),
        ("other", io::ErrorKind::Other, "unknown error"),
    ];

    #[test]
    fn each_code_has_its_name_kind_and_text() {
        assert_eq!(ErrorCode::ALL.len(), TABLE.len());
        for (&code, &(name, kind, text)) in ErrorCode::ALL.iter().zip(TABLE) {
            let error = Failure::from(code).about(Path::new("a.img"), Some(Operand::Source));
            assert_eq!(code.as_str(), name);
            assert_eq!(error.to_string(), format!("a.img: {text}"));
            let error = io::Error::from(error);
            assert_eq!(error.kind(), kind, "{name}");
            let inside = error.downcast::<Error>().unwrap();
            assert_eq!(
                (inside.code(), inside.operand()),
                (code, Some(Operand::Source))
            );
        }
    }

    #[test]
    fn the_codes_are_those_of_the_wit() {
        let wit = include_str!("../wit/p2/types.wit");
        let body = wit.split("variant error-code {").nth(1).unwrap();
        let body = body.split("\n  }").next().unwrap();
        let cases = body.lines().map(str::trim);
        let cases: BTreeSet<_> = cases
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .map(|line| line.split(['(', ',']).next().unwrap())
            .collect();
        let names = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(cases, names);
    }

    #[test]
    fn an_error_about_both_paths_names_both() {
        let failure = Failure::from(ErrorCode::SameFile);
        let error = failure.about_both(Path::new("a"), Path::new("b"));
        assert_eq!(
            error.to_string(),
            "a -> b: source and destination are the same file"
        );
        assert_eq!((error.path(), error.operand()), (None, None));
    }
}
