//! Makes copies with progress.

use front::{CopyError, CopyProgress, CopyReport, Started, StreamReader};

use crate::copy::Copy;
use crate::outcome::Outcome;

/// Starts the copy with this number.
pub fn start(copy: &Copy<'_>, number: usize) -> Started {
    let [src, dst] = copy.paths(number);
    let options = copy.options.create();
    let options = options.as_ref();
    front::start(copy.function, &copy.src, &src, &copy.dst, &dst, options)
}

/// Makes a copy, and uses its stream and its future as MODE says.
pub async fn run(mode: &str, copy: &Copy<'_>) {
    let (progress, result) = start(copy, 0);
    match mode {
        "read" => {
            print_progress(progress).await;
            print_outcome(result.await);
        }
        "late" => {
            print_outcome(result.await);
            print_progress(progress).await;
        }
        "unread" => {
            print_outcome(result.await);
            drop(progress);
        }
        "drop-stream" => {
            drop(progress);
            print_outcome(result.await);
        }
        "drop-future" => {
            drop(result);
            print_progress(progress).await;
            println!("ended");
        }
        other => panic!("unknown mode {other}"),
    }
}

/// Prints the line of a copy.
pub fn print_outcome(result: Result<CopyReport, CopyError>) {
    let (Ok(line) | Err(line)) = Outcome::Copy(result).line();
    println!("{line}");
}

/// Reads a stream to its end, and prints each value.
async fn print_progress(mut progress: StreamReader<CopyProgress>) {
    while let Some(CopyProgress { copied, total }) = progress.next().await {
        let total = total.map_or("-".to_owned(), |total| total.to_string());
        println!("progress {copied} {total}");
    }
}
