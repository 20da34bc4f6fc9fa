//! Runs `clone-disk clone`: makes the copies, and prints a line for each.

use std::time::Instant;

use crate::args::How;
use crate::failure::failure;
use crate::progress::{Progress, TICK};
use crate::table::Table;

/// Copies the base to each name in turn. Stops at the first error, and keeps the copies made before.
pub fn run(how: &How, base: &str, names: &[String]) -> Result<(), String> {
    let table = Table::start("CLONE", names);
    for (i, name) in names.iter().enumerate() {
        let start = Instant::now();
        let copied = how.start(base, name).and_then(|job| {
            let mut progress = Progress::start(name);
            job.wait_with(TICK, |copy| {
                progress.show(copy.copied, copy.total.unwrap_or(0))
            })
        });
        let report = copied.map_err(|error| failure(error, &names[i + 1..]))?;
        table.row(name, &report, start.elapsed());
    }
    Ok(())
}
