//! Whose turn it is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Rounds that count.
pub const ROUNDS: usize = 5;

/// Puts contenders in another order in each round, and in the same one in each run, so that nobody
/// always has the same one before.
pub fn shuffle<T>(round: usize, contenders: &mut [T], name: impl Fn(&T) -> String) {
    contenders.sort_by_cached_key(|contender| {
        let mut hasher = DefaultHasher::new();
        (round, name(contender)).hash(&mut hasher);
        hasher.finish()
    });
}

/// Makes calls, and takes the time of each.
pub fn timed(calls: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<Vec<Duration>> {
    (0..calls)
        .map(|i| {
            let start = Instant::now();
            call(i)?;
            Ok(start.elapsed())
        })
        .collect()
}
