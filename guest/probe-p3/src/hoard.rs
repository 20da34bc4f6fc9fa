//! Keeps streams and futures of copies.

use crate::copy::Copy;
use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::progress::{print_outcome, start};

/// Starts all copies, and keeps their streams while it reads their futures. Prints how the copies ended.
pub async fn hoard(copy: &Copy<'_>, copies: usize) {
    let started = (0..copies).map(|number| start(copy, number));
    let (_streams, results): (Vec<_>, Vec<_>) = started.unzip();
    let mut counts = Counts::default();
    for result in results {
        counts.add_outcome(Outcome::Copy(result.await));
    }
    println!("{counts}");
}

/// Starts copies, and keeps of each what KEPT says. Makes one more copy while it has them, and one afterwards.
pub async fn hold(kept: &str, copy: &Copy<'_>, copies: usize) {
    let mut streams = Vec::new();
    let mut results = Vec::new();
    for number in 0..copies {
        let (progress, result) = start(copy, number);
        match kept {
            "stream" => streams.push(progress),
            "future" => results.push(result),
            other => panic!("unknown KEPT {other}"),
        }
    }
    make(copy, copies).await;
    for progress in streams {
        progress.collect().await;
    }
    for result in results {
        let _ = result.await;
    }
    make(copy, copies + 1).await;
}

/// Makes the copy with this number, and prints its line.
async fn make(copy: &Copy<'_>, number: usize) {
    let (progress, result) = start(copy, number);
    print_outcome(result.await);
    drop(progress);
}
