//! Keeps streams and futures of copies.

use crate::copy::Copy;
use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::progress::{print_outcome, start};

/// Starts copies, and keeps of each what KEPT says. Makes one more copy while it has them, and one afterwards.
pub async fn run(kept: &str, copy: &Copy<'_>, copies: usize) {
    let (keeps_streams, keeps_futures) = match kept {
        "stream" => (true, false),
        "future" => (false, true),
        "both" => (true, true),
        "neither" => (false, false),
        other => panic!("unknown KEPT {other}"),
    };
    let (mut streams, mut futures) = (Vec::new(), Vec::new());
    for number in 0..copies {
        let (progress, result) = start(copy, number);
        streams.extend(keeps_streams.then_some(progress));
        futures.extend(keeps_futures.then_some(result));
    }
    make(copy, copies).await;
    for progress in streams {
        progress.collect().await;
    }
    let mut counts = Counts::default();
    for result in futures {
        counts.add_outcome(Outcome::Copy(result.await));
    }
    if keeps_futures {
        println!("{counts}");
    }
    make(copy, copies + 1).await;
}

/// Makes the copy with this number, and prints its line.
async fn make(copy: &Copy<'_>, number: usize) {
    let (progress, result) = start(copy, number);
    print_outcome(result.await);
    drop(progress);
}
