//! Makes copies at once.

use std::time::Instant;

use futures::stream::{self, StreamExt};

use crate::copy::Copy;
use crate::counts::Counts;
use crate::outcome::Outcome;

/// Makes copies, at most `in_flight` at once. Prints how they ended, and their times.
pub async fn run(copy: &Copy<'_>, copies: usize, in_flight: usize) {
    let mut counts = Counts::default();
    let mut times = Vec::with_capacity(copies);
    let all = Instant::now();
    let mut ended = stream::iter(0..copies)
        .map(async |i| {
            let paths = copy.paths(i);
            let start = Instant::now();
            let result = copy.make_concurrently(paths).await;
            (result, start.elapsed())
        })
        .buffer_unordered(in_flight);
    while let Some((result, time)) = ended.next().await {
        counts.add_outcome(Outcome::Copy(result));
        times.push(time.as_nanos().to_string());
    }
    let all = all.elapsed();
    println!("{counts}");
    println!("{}", times.join(" "));
    println!("{}", all.as_nanos());
}
