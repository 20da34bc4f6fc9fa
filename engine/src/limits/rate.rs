//! The read rate of copies.

use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// A limit on how many bytes per second all copies made with it read together. Clones share the limit.
///
/// It counts the bytes that are read from sources. They are read in chunks; a chunk has the bytes that the
/// rate allows in 100 ms, at least 4 KiB and at most 256 KiB. One chunk may pass at a time; the next, from any
/// copy, waits until the rate allows it. A clone reads nothing. Where a file system without holes writes
/// zeros, these count too, after the first MiB, in chunks of at most 8 MiB.
///
/// A copy that waits keeps its thread, and its deadline keeps running.
///
/// ```
/// use std::num::NonZero;
/// use fast_copy_engine::{CopyOptions, CopyRate, Limits};
///
/// // 100 MB/s for all copies with clones of these limits.
/// let rate = CopyRate::new(NonZero::new(100_000_000).unwrap());
/// let options = CopyOptions::new().limits(Limits::new().rate(rate));
/// ```
#[derive(Clone, Debug)]
pub struct CopyRate {
    bytes_per_second: NonZero<u64>,
    /// When the next chunk may pass.
    next: Arc<Mutex<Instant>>,
}

impl CopyRate {
    /// Creates a limit of `bytes_per_second`.
    pub fn new(bytes_per_second: NonZero<u64>) -> Self {
        Self {
            bytes_per_second,
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Returns the limit in bytes per second.
    pub fn bytes_per_second(&self) -> NonZero<u64> {
        self.bytes_per_second
    }

    /// Returns how many bytes a chunk has, at most `largest`: what the rate allows in 100 ms, in whole blocks
    /// of 4 KiB.
    pub(crate) fn chunk(&self, largest: u64) -> u64 {
        const BLOCK: u64 = 4096;
        let in_100_ms = self.bytes_per_second.get() / 10;
        (in_100_ms / BLOCK * BLOCK).max(BLOCK).min(largest)
    }

    /// Takes a chunk of `bytes`, or returns how long the rate is exhausted. A caller that does not ask
    /// again has taken nothing from other copies.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Duration> {
        let mut next = lock(&self.next);
        let now = Instant::now();
        if now < *next {
            return Err(*next - now);
        }
        // A rate this low would wait beyond the clock's range; let the chunk pass.
        *next = now.checked_add(self.time_of(bytes)).unwrap_or(now);
        Ok(())
    }

    /// Returns bytes that were taken and not read.
    pub(crate) fn give_back(&self, bytes: u64) {
        let mut next = lock(&self.next);
        if let Some(earlier) = next.checked_sub(self.time_of(bytes)) {
            *next = earlier;
        }
    }

    fn time_of(&self, bytes: u64) -> Duration {
        let seconds = bytes as f64 / self.bytes_per_second.get() as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_what_the_rate_allows_in_100_ms() {
        let chunk = |rate| CopyRate::new(NonZero::new(rate).unwrap()).chunk(256 << 10);
        for (rate, expected) in [
            (1, 4096),
            (1024, 4096),
            (100_000, 8192),
            (1 << 20, 100 << 10),
            (100 << 20, 256 << 10),
            (u64::MAX, 256 << 10),
        ] {
            assert_eq!(chunk(rate), expected, "{rate}");
        }
    }

    #[test]
    fn a_chunk_waits_for_the_chunk_before_it() {
        let rate = CopyRate::new(NonZero::new(1000).unwrap());
        let shared = rate.clone();
        assert!(rate.take(50_000).is_ok());
        let wait = shared.take(1).unwrap_err();
        assert!(wait > Duration::from_secs(40) && wait <= Duration::from_secs(50));
        // A refused chunk takes nothing.
        assert!(shared.take(u64::MAX).is_err());
        assert!(rate.take(1).unwrap_err() <= wait);
        rate.give_back(50_000);
        assert!(shared.take(u64::MAX).is_ok());
    }
}
