//! Reads operations, and writes their answers.

use wasip2::cli::stdin::get_stdin;
use wasip2::cli::stdout::get_stdout;
use wasip2::filesystem::preopens::get_directories;
use wasip2::io::streams::{InputStream, OutputStream};

use crate::operation::Operation;
use crate::{answers, copies, files, inspect, ways};

/// The most bytes of one `blocking-write-and-flush`.
const MOST: usize = 4096;

/// Does operations until the host ends it.
pub async fn run() {
    let (input, output) = (get_stdin(), get_stdout());
    let directory = get_directories().remove(0).0;
    let shared = front::get_directories().remove(0).0;
    let mut answer = "ready".to_owned();
    loop {
        let line = exchange(&input, &output, &answer);
        if line == "end" {
            return;
        }
        answer = match Operation::parse(&line) {
            Operation::Copy(copies) => copies::make(&shared, &copies).await,
            Operation::DiskUsage { name } => inspect::disk_usage(&shared, name).await,
            Operation::SummarizeExtents { name } => inspect::summarize_extents(&shared, name).await,
            Operation::DataRanges { name, start } => {
                answers::data_ranges(&shared, name, start).await
            }
            Operation::CanReflink => answers::can_reflink(&shared).await,
            Operation::Wait => {
                ways::wait(100_000).await;
                "ok".to_owned()
            }
            operation => files::run(&directory, operation),
        };
    }
}

/// Sends an answer, and returns the next line.
fn exchange(input: &InputStream, output: &OutputStream, answer: &str) -> String {
    let line = format!("{answer}\n");
    for part in line.as_bytes().chunks(MOST) {
        output
            .blocking_write_and_flush(part)
            .expect("the host reads");
    }
    let line = input.blocking_read(1 << 16).expect("the host writes");
    String::from_utf8(line).expect("UTF-8")
}
