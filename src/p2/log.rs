//! What a subscriber of `tracing` is told of a guest's call: a span at the level of debugging, with the
//! guest's own paths only. All calls are traced by the generated bindings too, one level below, with
//! all of their arguments however long they are.

use tracing::Span;
use tracing::field::{Empty, debug, display};

use super::bindings::types::{self, CopyFlags};
use crate::engine::{CopyControl, CopyError, CopyErrorKind, CopyReport, CopyStep, Sharing};
use crate::hooks::CopyTimes;

const TARGET: &str = "wasmtime_fast_copy";

/// The span of one copy, from the call to its end.
pub(super) fn copy(src: &str, dst: &str, sharing: Sharing, flags: CopyFlags) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "copy",
        src = ?shown(src),
        dst = ?shown(dst),
        function = match sharing {
            Sharing::Allowed => "fast-copy",
            Sharing::Forbidden => "sparse-copy",
        },
        flags = ?flags,
        size = Empty,
        method = Empty,
        copied = Empty,
        allocated = Empty,
        clone_error = Empty,
        offload_error = Empty,
        error = Empty,
        waited = Empty,
        worked = Empty,
    )
}

/// The span of one look at a file.
pub(super) fn inspect(path: &str) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "inspect",
        path = ?shown(path),
        size = Empty,
        error = Empty,
        waited = Empty,
        worked = Empty,
    )
}

/// A guest's text, which could pass for lines of a log unless it is quoted, and could fill it.
fn shown(path: &str) -> &str {
    &path[..path.floor_char_boundary(512)]
}

pub(super) fn opened(span: &Span, size: u64) {
    span.record("size", size);
}

pub(super) fn times(span: &Span, times: CopyTimes) {
    span.record("waited", debug(times.waited));
    span.record("worked", debug(times.worked));
}

pub(super) fn report(span: &Span, report: &CopyReport) {
    span.record("method", debug(report.method));
    span.record("copied", report.copied);
    span.record("allocated", report.allocated);
}

/// What was refused on the way, whatever became of the copy.
pub(super) fn refusals(span: &Span, control: &CopyControl) {
    span.record("clone_error", control.clone_error());
    span.record("offload_error", control.offload_error());
}

/// What a guest gets for a failure, of which the log is told more.
pub(super) fn failed(span: &Span, error: CopyError) -> types::CopyError {
    span.record("error", display(&error));
    error.into()
}

/// What a guest gets for a call that is refused before anything is opened.
pub(super) fn refused(span: &Span, kind: CopyErrorKind) -> types::CopyError {
    failed(span, CopyError::new(CopyStep::Open, kind))
}
