//! Converts the engine's types to those of this crate.

use std::io;

use fast_copy_engine as engine;

use crate::error::Failure;
use crate::{
    CopyMethod, CopyNotes, CopyReport, DataRange, ErrorCode, ExtentSummary, Operand, ReflinkSupport,
};

impl From<engine::CopyReport> for CopyReport {
    fn from(report: engine::CopyReport) -> Self {
        Self {
            method: match report.method {
                engine::CopyMethod::Reflink => CopyMethod::Reflink,
                engine::CopyMethod::Offload => CopyMethod::Offload,
                _ => CopyMethod::Copy,
            },
            size: report.size,
            copied: report.copied,
            allocated: report.allocated,
            durable: report.durable,
            notes: CopyNotes {
                permissions_wider: report.notes.permissions_wider,
                permissions_narrower: report.notes.permissions_narrower,
                times_not_preserved: report.notes.times_not_preserved,
                holes_not_kept: report.notes.holes_not_kept,
            },
        }
    }
}

impl From<engine::DataRange> for DataRange {
    fn from(range: engine::DataRange) -> Self {
        Self {
            offset: range.offset,
            length: range.length,
        }
    }
}

impl From<engine::ExtentSummary> for ExtentSummary {
    fn from(summary: engine::ExtentSummary) -> Self {
        Self {
            extents: summary.extents,
            shared: summary.shared,
        }
    }
}

impl From<engine::ReflinkSupport> for ReflinkSupport {
    fn from(support: engine::ReflinkSupport) -> Self {
        match support {
            engine::ReflinkSupport::Yes => Self::Yes,
            engine::ReflinkSupport::No => Self::No,
            _ => Self::Unknown,
        }
    }
}

pub(super) fn operand(error: &engine::CopyError) -> Option<Operand> {
    match error.operand()? {
        engine::Operand::Source => Some(Operand::Source),
        engine::Operand::Destination => Some(Operand::Destination),
        _ => None,
    }
}

/// Returns the code that a guest of `wasmtime-fast-copy` gets for the same error. Rare errors of the system,
/// which the host tells apart, are [`ErrorCode::Other`] here.
impl From<&engine::CopyError> for Failure {
    fn from(error: &engine::CopyError) -> Self {
        use engine::CopyErrorKind as Kind;
        if error.is_published() {
            return ErrorCode::NotDurable.into();
        }
        if error.is_in_doubt() {
            return ErrorCode::InDoubt.into();
        }
        let code = match error.kind() {
            Kind::Os(error) => return error.into(),
            Kind::AlreadyExists => ErrorCode::Exist,
            Kind::NotRegularFile(_) => ErrorCode::NotRegularFile,
            Kind::Invalid(_) => ErrorCode::Invalid,
            Kind::IsDirectory => ErrorCode::IsDirectory,
            Kind::SymbolicLink => ErrorCode::Loop,
            Kind::SameFile => ErrorCode::SameFile,
            Kind::SourceChanged => ErrorCode::SourceChanged,
            Kind::FileTooLarge { .. } => ErrorCode::FileTooLarge,
            Kind::InsufficientSpace(_) => ErrorCode::InsufficientSpace,
            Kind::QuotaExceeded => ErrorCode::Quota,
            Kind::NotShareable(_) => ErrorCode::NotShareable,
            Kind::WiderPermissions => ErrorCode::Denied,
            Kind::InsufficientMemory => ErrorCode::InsufficientMemory,
            Kind::Unsupported(_) => ErrorCode::Unsupported,
            Kind::NotPermitted(text) => return Self::with_text(ErrorCode::NotPermitted, *text),
            Kind::Busy(_) => ErrorCode::Busy,
            Kind::Cancelled => ErrorCode::Cancelled,
            Kind::TimedOut => ErrorCode::Timeout,
            other => return Self::with_text(ErrorCode::Other, other.to_string()),
        };
        code.into()
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind;
        #[cfg(unix)]
        match error.raw_os_error() {
            Some(libc::EPERM) => return ErrorCode::NotPermitted.into(),
            Some(libc::ELOOP) => return ErrorCode::Loop.into(),
            Some(libc::EILSEQ) => return ErrorCode::IllegalByteSequence.into(),
            Some(libc::EIO) => return ErrorCode::Io.into(),
            _ => {}
        }
        let code = match error.kind() {
            ErrorKind::NotFound => ErrorCode::NoEntry,
            ErrorKind::PermissionDenied => ErrorCode::Access,
            ErrorKind::AlreadyExists => ErrorCode::Exist,
            ErrorKind::WouldBlock | ErrorKind::ResourceBusy => ErrorCode::Busy,
            ErrorKind::NotADirectory => ErrorCode::NotDirectory,
            ErrorKind::IsADirectory => ErrorCode::IsDirectory,
            ErrorKind::StorageFull => ErrorCode::InsufficientSpace,
            ErrorKind::QuotaExceeded => ErrorCode::Quota,
            ErrorKind::FileTooLarge => ErrorCode::FileTooLarge,
            ErrorKind::ReadOnlyFilesystem => ErrorCode::ReadOnly,
            ErrorKind::ExecutableFileBusy => ErrorCode::TextFileBusy,
            ErrorKind::TooManyLinks => ErrorCode::TooManyLinks,
            ErrorKind::InvalidFilename => ErrorCode::NameTooLong,
            ErrorKind::InvalidInput => ErrorCode::Invalid,
            // The file system's own; `timeout` means a limit of the host.
            ErrorKind::TimedOut => ErrorCode::Io,
            ErrorKind::Unsupported => ErrorCode::Unsupported,
            ErrorKind::OutOfMemory => ErrorCode::InsufficientMemory,
            _ => return Self::with_text(ErrorCode::Other, error.to_string()),
        };
        code.into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        (&error).into()
    }
}
