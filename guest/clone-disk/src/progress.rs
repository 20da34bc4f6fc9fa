//! Shows the progress of a copy on stderr: as a bar on a terminal, as lines elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use fast_copy::{CopyProgress, CopyReport, Error, Job};

use crate::size::human_size;

/// A copy that takes less time than this shows no progress.
const SHOW_AFTER: Duration = Duration::from_millis(200);

/// The time between two updates of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// The time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The width of the bar in characters.
const BAR_WIDTH: usize = 30;

/// Waits for a job, shows its progress meanwhile, and returns its result.
pub fn wait_for(job: Job, name: &str) -> Result<CopyReport, Error> {
    let start = Instant::now();
    if job.wait_timeout(SHOW_AFTER) {
        return job.finish();
    }
    if stderr().is_terminal() {
        while !job.wait_timeout(BAR_INTERVAL) {
            eprint!("\r{}", bar(name, job.progress()));
            let _ = stderr().flush();
        }
        // Clears the line.
        eprint!("\r\x1b[K");
    } else {
        while !job.wait_timeout(LINE_INTERVAL) {
            let copied = human_size(job.progress().copied);
            eprintln!("{name}: {copied} after {} s", start.elapsed().as_secs());
        }
    }
    job.finish()
}

/// Returns the bar with its percentage and the bytes copied.
///
/// The bar does not move while the host clones, which copies no bytes, or while it synchronises the copy.
fn bar(name: &str, progress: CopyProgress) -> String {
    let total = progress.total.unwrap_or(0).max(1);
    let part = progress.copied.min(total) as f64 / total as f64;
    let full = (part * BAR_WIDTH as f64) as usize;
    format!(
        "{name} [{}{}] {:3.0} %  {}\x1b[K",
        "#".repeat(full),
        "-".repeat(BAR_WIDTH - full),
        part * 100.0,
        human_size(progress.copied),
    )
}
