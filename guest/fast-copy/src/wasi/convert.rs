//! Converts the types of the bindings to those of this crate.
//!
//! The types are those of the bindings for WASI 0.2. The bindings for WASI 0.3 use the same.

use super::signs::leads_out;
use crate::error::Failure;
use crate::location::Located;
use crate::p2::bindings::sandbox::fast_copy::types as wit;
use crate::{
    CopyMethod, CopyNotes, CopyProgress, CopyReport, DataRange, ErrorCode, ExtentSummary,
    FileUsage, Operand, ReflinkSupport,
};

impl From<wit::CopyReport> for CopyReport {
    fn from(report: wit::CopyReport) -> Self {
        let wit::CopyReport {
            method,
            size,
            copied,
            allocated,
            durable,
            notes,
        } = report;
        Self {
            method: match method {
                wit::CopyMethod::Reflink => CopyMethod::Reflink,
                wit::CopyMethod::Offload => CopyMethod::Offload,
                wit::CopyMethod::Copy => CopyMethod::Copy,
            },
            size,
            copied,
            allocated,
            durable,
            notes: CopyNotes {
                permissions_wider: notes.contains(wit::CopyNotes::PERMISSIONS_WIDER),
                permissions_narrower: notes.contains(wit::CopyNotes::PERMISSIONS_NARROWER),
                times_not_preserved: notes.contains(wit::CopyNotes::TIMES_NOT_PRESERVED),
                holes_not_kept: notes.contains(wit::CopyNotes::HOLES_NOT_KEPT),
            },
        }
    }
}

impl From<wit::CopyProgress> for CopyProgress {
    fn from(wit::CopyProgress { copied, total }: wit::CopyProgress) -> Self {
        Self { copied, total }
    }
}

impl From<wit::Operand> for Operand {
    fn from(operand: wit::Operand) -> Self {
        match operand {
            wit::Operand::Source => Self::Source,
            wit::Operand::Destination => Self::Destination,
        }
    }
}

impl From<wit::FileUsage> for FileUsage {
    fn from(wit::FileUsage { size, allocated }: wit::FileUsage) -> Self {
        Self { size, allocated }
    }
}

impl From<wit::ExtentSummary> for ExtentSummary {
    fn from(wit::ExtentSummary { extents, shared }: wit::ExtentSummary) -> Self {
        Self { extents, shared }
    }
}

impl From<wit::DataRange> for DataRange {
    fn from(wit::DataRange { offset, length }: wit::DataRange) -> Self {
        Self { offset, length }
    }
}

impl From<wit::ReflinkSupport> for ReflinkSupport {
    fn from(support: wit::ReflinkSupport) -> Self {
        match support {
            wit::ReflinkSupport::Yes => Self::Yes,
            wit::ReflinkSupport::No => Self::No,
            wit::ReflinkSupport::Unknown => Self::Unknown,
        }
    }
}

impl From<wit::ErrorCode> for Failure {
    fn from(code: wit::ErrorCode) -> Self {
        use wit::ErrorCode as Code;
        let code = match code {
            Code::Access => ErrorCode::Access,
            Code::BadDescriptor => ErrorCode::BadDescriptor,
            Code::Busy => ErrorCode::Busy,
            Code::Cancelled => ErrorCode::Cancelled,
            Code::Denied => ErrorCode::Denied,
            Code::Exist => ErrorCode::Exist,
            Code::FileTooLarge => ErrorCode::FileTooLarge,
            Code::IllegalByteSequence => ErrorCode::IllegalByteSequence,
            Code::InDoubt => ErrorCode::InDoubt,
            Code::InsufficientMemory => ErrorCode::InsufficientMemory,
            Code::InsufficientSpace => ErrorCode::InsufficientSpace,
            Code::Invalid => ErrorCode::Invalid,
            Code::Io => ErrorCode::Io,
            Code::IsDirectory => ErrorCode::IsDirectory,
            Code::Loop => ErrorCode::Loop,
            Code::NameTooLong => ErrorCode::NameTooLong,
            Code::NoEntry => ErrorCode::NoEntry,
            Code::NotDirectory => ErrorCode::NotDirectory,
            Code::NotDurable => ErrorCode::NotDurable,
            Code::NotPermitted => ErrorCode::NotPermitted,
            Code::NotRegularFile => ErrorCode::NotRegularFile,
            Code::NotShareable => ErrorCode::NotShareable,
            Code::Overflow => ErrorCode::Overflow,
            Code::Quota => ErrorCode::Quota,
            Code::ReadOnly => ErrorCode::ReadOnly,
            Code::SameFile => ErrorCode::SameFile,
            Code::SourceChanged => ErrorCode::SourceChanged,
            Code::TextFileBusy => ErrorCode::TextFileBusy,
            Code::Timeout => ErrorCode::Timeout,
            Code::TooManyLinks => ErrorCode::TooManyLinks,
            Code::Unsupported => ErrorCode::Unsupported,
            Code::Other(Some(text)) => return Self::with_text(ErrorCode::Other, text),
            Code::Other(None) => ErrorCode::Other,
        };
        code.into()
    }
}

/// Converts the code of an error of opening a directory. Each version of `wasi:filesystem` has its own type.
macro_rules! of_wasi {
    ($Wasi:ident, $code:expr) => {
        match $code {
            $Wasi::Access => Some(ErrorCode::Access),
            $Wasi::Busy => Some(ErrorCode::Busy),
            $Wasi::IllegalByteSequence => Some(ErrorCode::IllegalByteSequence),
            $Wasi::InsufficientMemory => Some(ErrorCode::InsufficientMemory),
            $Wasi::Invalid => Some(ErrorCode::Invalid),
            $Wasi::Io => Some(ErrorCode::Io),
            $Wasi::Loop => Some(ErrorCode::Loop),
            $Wasi::NameTooLong => Some(ErrorCode::NameTooLong),
            $Wasi::NoEntry => Some(ErrorCode::NoEntry),
            $Wasi::NotDirectory => Some(ErrorCode::NotDirectory),
            $Wasi::NotPermitted => Some(ErrorCode::NotPermitted),
            $Wasi::Unsupported => Some(ErrorCode::Unsupported),
            _ => None,
        }
    };
}
pub(crate) use of_wasi;

/// Adds the cause to the code of an error of opening the directory `dir`.
pub(crate) fn opening_failed<D>(code: ErrorCode, dir: &Located<'_, D>) -> Failure {
    match code {
        // A directory that may be used at all may be opened for reading.
        ErrorCode::NotPermitted => Failure::with_text(code, leads_out(dir)),
        _ => code.into(),
    }
}
