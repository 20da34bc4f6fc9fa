//! Runs `clone-disk clone`: makes the copies, and prints a line for each. Notes are printed to stderr.

use std::time::{Duration, Instant};

use fast_copy::{CopyMethod, CopyReport};

use crate::args::CloneRequest;
use crate::notes;
use crate::progress;
use crate::size::human_size;

/// Copies the base to each name in turn. Stops at the first error, and keeps the copies made before.
pub fn run(request: &CloneRequest) -> Result<(), String> {
    let width = request.names.iter().map(|name| name.len()).max();
    let width = width.unwrap_or(0).max("CLONE".len());
    println!(
        "{:width$}  METHOD     APPARENT      COPIED   ALLOCATED  DURABLE       TIME",
        "CLONE"
    );
    for name in &request.names {
        let (report, time) = clone(request, name).map_err(|error| error.to_string())?;
        println!(
            "{name:width$}  {:7}  {:>10}  {:>10}  {:>10}  {:7}  {:>9}",
            method(&report),
            human_size(report.size),
            human_size(report.copied),
            human_size(report.allocated),
            if report.durable { "yes" } else { "no" },
            format!("{:.2} ms", time.as_secs_f64() * 1000.0),
        );
        for note in notes::texts(report.notes) {
            eprintln!("note: {name} {note}");
        }
    }
    Ok(())
}

fn clone(request: &CloneRequest, name: &str) -> Result<(CopyReport, Duration), fast_copy::Error> {
    let start = Instant::now();
    let job = if request.independent {
        request.options.start_sparse_copy(&request.base, name)?
    } else {
        request.options.start_fast_copy(&request.base, name)?
    };
    let report = progress::wait_for(job, name)?;
    Ok((report, start.elapsed()))
}

fn method(report: &CopyReport) -> &'static str {
    match report.method {
        CopyMethod::Reflink => "reflink",
        CopyMethod::Offload => "offload",
        CopyMethod::Copy => "copy",
    }
}
