//! Converts between the host's types and those of the WIT.

use fast_copy_engine::{CopyMethod, CopyReport, ExtentSummary, FileUsage, Operand};

use super::bindings::types;
use crate::dispatch::Outcome;
use crate::error::{CallError, ErrorCode};
use crate::job::JobProgress;
use crate::options::GuestOptions;

/// Converts an outcome to what a trait method returns.
pub(super) fn answer<T, U: From<T>>(
    outcome: Outcome<T>,
) -> wasmtime::Result<Result<U, types::CopyError>> {
    Ok(outcome.map(U::from).map_err(types::CopyError::from))
}

impl From<types::CopyFlags> for GuestOptions {
    fn from(flags: types::CopyFlags) -> Self {
        Self {
            replace: flags.contains(types::CopyFlags::REPLACE),
            symlink_follow: flags.contains(types::CopyFlags::SYMLINK_FOLLOW),
            require_reflink: flags.contains(types::CopyFlags::REQUIRE_REFLINK),
            dig_holes: flags.contains(types::CopyFlags::DIG_HOLES),
            no_sync: flags.contains(types::CopyFlags::NO_SYNC),
        }
    }
}

impl From<CopyReport> for types::CopyReport {
    fn from(report: CopyReport) -> Self {
        Self {
            method: match report.method {
                CopyMethod::Reflink => types::CopyMethod::Reflink,
                CopyMethod::Offload => types::CopyMethod::Offload,
                _ => types::CopyMethod::Copy,
            },
            size: report.size,
            copied: report.copied,
            allocated: report.allocated,
            durable: report.durable,
        }
    }
}

impl From<FileUsage> for types::FileUsage {
    fn from(FileUsage { size, allocated }: FileUsage) -> Self {
        Self { size, allocated }
    }
}

impl From<ExtentSummary> for types::ExtentSummary {
    fn from(ExtentSummary { extents, shared }: ExtentSummary) -> Self {
        Self { extents, shared }
    }
}

impl From<JobProgress> for types::CopyProgress {
    fn from(progress: JobProgress) -> Self {
        let JobProgress {
            copied,
            total,
            ended,
        } = progress;
        Self {
            copied,
            total,
            ended,
        }
    }
}

impl From<CallError> for types::CopyError {
    fn from(error: CallError) -> Self {
        Self {
            code: error.code().into(),
            operand: error.operand().map(|operand| match operand {
                Operand::Source => types::Operand::Source,
                _ => types::Operand::Destination,
            }),
        }
    }
}

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Access => Self::Access,
            ErrorCode::BadDescriptor => Self::BadDescriptor,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::Cancelled => Self::Cancelled,
            ErrorCode::Quota => Self::Quota,
            ErrorCode::Exist => Self::Exist,
            ErrorCode::FileTooLarge => Self::FileTooLarge,
            ErrorCode::IllegalByteSequence => Self::IllegalByteSequence,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::Io => Self::Io,
            ErrorCode::IsDirectory => Self::IsDirectory,
            ErrorCode::Loop => Self::Loop,
            ErrorCode::TooManyLinks => Self::TooManyLinks,
            ErrorCode::NameTooLong => Self::NameTooLong,
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::InsufficientMemory => Self::InsufficientMemory,
            ErrorCode::InsufficientSpace => Self::InsufficientSpace,
            ErrorCode::NotDirectory => Self::NotDirectory,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::TextFileBusy => Self::TextFileBusy,
            ErrorCode::SameFile => Self::SameFile,
            ErrorCode::SourceChanged => Self::SourceChanged,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::Other(text) => Self::Other(Some(text)),
        }
    }
}
