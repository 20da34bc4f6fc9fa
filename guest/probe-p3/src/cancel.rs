//! Cancels calls.

use std::pin::pin;

use futures::future::{Either, select};
use wasip3::clocks::monotonic_clock::wait_for;

use crate::copy::Copy;
use crate::counts::Counts;
use crate::outcome::Outcome;

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
