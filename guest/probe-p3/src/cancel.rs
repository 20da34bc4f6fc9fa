//! Cancels calls.

use std::pin::pin;

use futures::future::{Either, select};
use wasip3::clocks::monotonic_clock::wait_for;

use crate::copy::Copy;
use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::progress::{print_outcome, start};
use crate::signal::{wait_until_absent, wait_until_present};

/// Makes copies, and cancels each after a longer time than the one before, up to `nanos`. Prints how they
/// ended.
pub async fn run(copy: &Copy<'_>, nanos: u64, copies: usize) {
    let mut counts = Counts::default();
    for number in 0..copies {
        let call = pin!(copy.make(copy.paths(number)));
        let timer = pin!(wait_for(nanos * number as u64 / copies as u64));
        match select(call, timer).await {
            Either::Left((result, _)) => counts.add_outcome(Outcome::Copy(result)),
            // Dropping the call cancels it.
            Either::Right(_) => counts.add("cancelled"),
        }
    }
    println!("{counts}");
}

/// Cancels a copy when a file appears, by dropping what HOW says. Goes on until the file has gone.
pub async fn when_signalled(how: &str, file: &str, copy: &Copy<'_>) {
    match how {
        "call" => {
            let call = pin!(copy.make(copy.paths(0)));
            let signal = pin!(wait_until_present(&copy.dst, file));
            if let Either::Left((result, _)) = select(call, signal).await {
                return print_outcome(result);
            }
        }
        "future" => {
            let (progress, result) = start(copy, 0);
            wait_until_present(&copy.dst, file).await;
            drop(result);
            progress.collect().await;
        }
        other => panic!("unknown HOW {other}"),
    }
    wait_until_absent(&copy.dst, file).await;
    println!("cancelled");
}
