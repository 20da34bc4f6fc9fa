//! `--json`: a line of JSON for each copy that has ended.

use std::io::{Write, stdout};

use serde_json::{Value, json};
use wasmtime_fast_copy::{CopyError, CopyHooks, CopyNotes, CopyReport, CopyRequest, CopyTimes};

/// Prints a line to stdout for each copy. The paths in it are as the guest spelt them. Sizes are in bytes.
///
/// A call that is refused before the copy begins, for example because there is no source, gets no line.
pub struct JsonReports;

impl CopyHooks for JsonReports {
    fn ended(
        &self,
        request: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        let line = line(request, result, times);
        // A hook can't return an error. This one fails if the reader has closed the pipe.
        let _ = writeln!(stdout(), "{line}");
    }
}

fn line(
    request: &CopyRequest<'_>,
    result: Result<&CopyReport, &CopyError>,
    times: CopyTimes,
) -> Value {
    // The runner's policy allows sharing, so only `sparse-copy` may not share.
    let function = if request.may_share {
        "fast-copy"
    } else {
        "sparse-copy"
    };
    // The time from when the copy got its slot.
    let milliseconds = times.worked.as_micros() as f64 / 1000.0;
    match result {
        Ok(report) => json!({
            "function": function,
            "source": request.src_path,
            "destination": request.dst_path,
            "method": report.method.as_str(),
            "size": report.size,
            "copied": report.copied,
            "allocated": report.allocated,
            "durable": report.durable,
            "notes": notes(report.notes),
            "milliseconds": milliseconds,
        }),
        Err(error) => json!({
            "function": function,
            "source": request.src_path,
            "destination": request.dst_path,
            "error": error.to_string(),
            "size": request.copy_size,
            "copied": error.copied(),
            "milliseconds": milliseconds,
        }),
    }
}

/// Returns the names of the notes that are set.
fn notes(notes: CopyNotes) -> Vec<&'static str> {
    [
        (notes.permissions_wider, "permissions-wider"),
        (notes.permissions_narrower, "permissions-narrower"),
        (notes.times_not_preserved, "times-not-preserved"),
        (notes.holes_not_kept, "holes-not-kept"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}
