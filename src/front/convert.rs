//! Converts the host's types to those of the WIT. Both fronts compile this file, each for its own bindings.

use fast_copy_engine::{
    CopyMethod, CopyNotes, CopyReport, DataRange, ExtentSummary, FileUsage, Operand, ReflinkSupport,
};

use super::bindings::types;
use crate::dispatch::Outcome;
use crate::error::{CallError, ErrorCode};
use crate::progress::Progress;

/// Converts an outcome to what a method of `inspect` returns.
pub(super) fn answer<T, U: From<T>>(
    outcome: Outcome<T>,
) -> wasmtime::Result<Result<U, types::ErrorCode>> {
    Ok(outcome.map(U::from).map_err(|error| failed(&error)))
}

/// Converts an error to that of a function of `inspect`.
pub(super) fn failed(error: &CallError) -> types::ErrorCode {
    match error {
        // No function of `inspect` changes anything.
        CallError::Lost => types::ErrorCode::Other(Some(error.to_string())),
        _ => error.code().into(),
    }
}

/// Converts the outcome of a copy.
pub(super) fn copied(outcome: &Outcome<CopyReport>) -> Result<types::CopyReport, types::CopyError> {
    match outcome {
        Ok(report) => Ok((*report).into()),
        Err(error) => Err(error.into()),
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
            notes: report.notes.into(),
        }
    }
}

impl From<CopyNotes> for types::CopyNotes {
    fn from(notes: CopyNotes) -> Self {
        [
            (notes.permissions_wider, Self::PERMISSIONS_WIDER),
            (notes.permissions_narrower, Self::PERMISSIONS_NARROWER),
            (notes.times_not_preserved, Self::TIMES_NOT_PRESERVED),
            (notes.holes_not_kept, Self::HOLES_NOT_KEPT),
        ]
        .into_iter()
        .filter_map(|(applies, note)| applies.then_some(note))
        .fold(Self::empty(), |all, note| all | note)
    }
}

impl From<DataRange> for types::DataRange {
    fn from(DataRange { offset, length }: DataRange) -> Self {
        Self { offset, length }
    }
}

impl From<ReflinkSupport> for types::ReflinkSupport {
    fn from(support: ReflinkSupport) -> Self {
        match support {
            ReflinkSupport::Yes => Self::Yes,
            ReflinkSupport::No => Self::No,
            ReflinkSupport::Unknown => Self::Unknown,
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

impl From<Progress> for types::CopyProgress {
    fn from(progress: Progress) -> Self {
        let Progress { copied, total } = progress;
        Self { copied, total }
    }
}

impl From<&CallError> for types::CopyError {
    fn from(error: &CallError) -> Self {
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
            ErrorCode::NotShareable => Self::NotShareable,
            ErrorCode::NotRegularFile => Self::NotRegularFile,
            ErrorCode::NotDurable => Self::NotDurable,
            ErrorCode::InDoubt => Self::InDoubt,
            ErrorCode::Denied => Self::Denied,
            ErrorCode::Other(text) => Self::Other(Some(text)),
        }
    }
}
