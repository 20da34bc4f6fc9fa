//! Turns: the order of the contenders, and the times of their calls.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use anyhow::Result;

/// The number of counted rounds.
pub const ROUNDS: usize = 5;

/// Sorts contenders in an order that differs between rounds and is the same in each run, so that no
/// contender always follows the same one.
pub fn shuffle<T>(round: usize, contenders: &mut [T], name: impl Fn(&T) -> String) {
    contenders.sort_by_cached_key(|contender| {
        let mut hasher = DefaultHasher::new();
        (round, name(contender)).hash(&mut hasher);
        hasher.finish()
    });
}

/// Makes calls, and measures the time of each.
pub fn timed(calls: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<Vec<Duration>> {
    (0..calls)
        .map(|i| {
            let start = Instant::now();
            call(i)?;
            Ok(start.elapsed())
        })
        .collect()
}
