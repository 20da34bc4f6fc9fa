//! What a test tried, and how often: printed, and kept for `docs/reliability.md`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

/// The environment variable with the file that rows are appended to. `tests/reliability/long.sh` sets it.
const RESULTS: &str = "FAST_COPY_RESULTS";

/// Prints the figures of a test. In a long form, also appends them to the results, from which the report is
/// made. `kind` is the kind of test, as `tests/reliability/long.sh` names it; `row` is what was tested, such as a
/// file system. Call this before the test asserts that the figures are right.
pub fn record(kind: &str, row: &str, figures: &[(&str, u64)]) {
    let mut line = row.to_owned();
    for (name, count) in figures {
        let _ = write!(line, "\t{name}={count}");
    }
    println!("{kind}: {}", line.replace('\t', ", "));
    if let Some(path) = std::env::var_os(RESULTS) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        // One `write`, so that rows of several processes do not mix.
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
