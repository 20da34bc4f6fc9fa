//! Spans and events for `tracing`.
//!
//! A span has the level `DEBUG` and contains the guest's own paths only. The generated bindings also trace
//! each call, one level below, with all of its arguments however long they are.

use fast_copy_engine::{CopyControl, CopyReport, Sharing};
use tracing::Span;
use tracing::field::{Empty, debug, display};

use crate::error::CallError;
use crate::hooks::CopyTimes;
use crate::options::Wanted;

const TARGET: &str = "wasmtime_fast_copy";

/// Opens the span of a copy.
pub(crate) fn copy(src: &str, dst: &str, sharing: Sharing, options: Wanted) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "copy",
        src = ?shown(src),
        dst = ?shown(dst),
        function = match sharing {
            Sharing::Allowed => "fast-copy",
            Sharing::Forbidden => "sparse-copy",
        },
        options = %options,
        size = Empty,
        method = Empty,
        copied = Empty,
        allocated = Empty,
        clone_error = Empty,
        offload_error = Empty,
        permissions_wider = Empty,
        permissions_narrower = Empty,
        times_not_preserved = Empty,
        holes_not_kept = Empty,
        error = Empty,
        leftover = Empty,
        waited = Empty,
        worked = Empty,
    )
}

/// Opens the span of a function of `inspect`.
pub(crate) fn inspect(path: &str) -> Span {
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

/// Shortens a guest's path, which could fill the log. It is logged quoted, so that it can't pass for lines
/// of the log.
fn shown(path: &str) -> &str {
    &path[..path.floor_char_boundary(512)]
}

/// Records the size of an opened file.
pub(crate) fn opened(span: &Span, size: u64) {
    span.record("size", size);
}

/// Records how long a call has waited and worked.
pub(crate) fn times(span: &Span, times: CopyTimes) {
    span.record("waited", debug(times.waited));
    span.record("worked", debug(times.worked));
}

/// Records what a successful copy did.
pub(crate) fn report(span: &Span, report: &CopyReport) {
    span.record("method", report.method.as_str());
    span.record("copied", report.copied);
    span.record("allocated", report.allocated);
    let notes = report.notes;
    for (applies, field) in [
        (notes.permissions_wider, "permissions_wider"),
        (notes.permissions_narrower, "permissions_narrower"),
        (notes.times_not_preserved, "times_not_preserved"),
        (notes.holes_not_kept, "holes_not_kept"),
    ] {
        if applies {
            span.record(field, true);
        }
    }
}

/// Records why a copy is neither a clone nor offloaded, whether or not it succeeded.
pub(crate) fn refusals(span: &Span, control: &CopyControl) {
    span.record("clone_error", control.clone_error());
    span.record("offload_error", control.offload_error());
}

/// Records the error of a call, and returns it. If a file of a failed copy may be left, that is also an event
/// of the level `WARN`.
pub(crate) fn failed(span: &Span, error: CallError) -> CallError {
    span.record("error", display(&error));
    if let CallError::Engine(copy) = &error
        && let Some(bytes) = copy.leftover()
    {
        span.record("leftover", bytes);
        tracing::warn!(
            target: TARGET,
            parent: span,
            leftover = bytes,
            "a file of a failed copy may be left"
        );
    }
    error
}

/// Reports that a path is resolved without `openat2`, within the span of its call.
pub(crate) fn openat2_failed(number: i32) {
    tracing::debug!(
        target: TARGET,
        openat2_error = number,
        "openat2 failed; the path is resolved by wasmtime's open-at"
    );
}
