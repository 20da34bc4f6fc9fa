//! How far a copy is, for people: a bar on a terminal, lines elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use fast_copy::{CopyProgress, CopyReport, Error, Job};

use crate::size::in_words;

/// Nothing is shown of what is over sooner.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often a bar moves.
const FRAME: Duration = Duration::from_millis(100);

/// How often a line comes.
const LINE: Duration = Duration::from_secs(5);

/// In characters.
const BAR: usize = 30;

/// Waits for a job, and shows meanwhile on stderr how far it is.
pub fn wait_for(job: Job, name: &str) -> Result<CopyReport, Error> {
    let start = Instant::now();
    if job.wait_timeout(PATIENCE) {
        return job.finish();
    }
    if stderr().is_terminal() {
        while !job.wait_timeout(FRAME) {
            eprint!("\r{}", bar(name, job.progress()));
            let _ = stderr().flush();
        }
        // Clears the line.
        eprint!("\r\x1b[K");
    } else {
        while !job.wait_timeout(LINE) {
            let copied = in_words(job.progress().copied);
            eprintln!("{name}: {copied} after {} s", start.elapsed().as_secs());
        }
    }
    job.finish()
}

/// A clone moves no bytes, and a disk is waited for in the end: both show a bar that stands still.
fn bar(name: &str, progress: CopyProgress) -> String {
    let total = progress.total.unwrap_or(0).max(1);
    let part = progress.copied.min(total) as f64 / total as f64;
    let full = (part * BAR as f64) as usize;
    format!(
        "{name} [{}{}] {:3.0} %  {}\x1b[K",
        "#".repeat(full),
        "-".repeat(BAR - full),
        part * 100.0,
        in_words(progress.copied),
    )
}
