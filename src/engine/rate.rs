//! How fast copies may go together.

use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock::lock;

/// How many bytes a second the copies made with it may read, together.
///
/// It counts what is read of a source's data, in chunks of at most 256 KiB: so much goes at once, and
/// the next chunk, of whichever copy, waits until its time has come. A clone reads nothing. Clones of
/// this share the same limit.
///
/// A copy that waits keeps its thread and, in a host, its slot; and its deadline goes on.
#[derive(Clone, Debug)]
pub struct CopyRate {
    bytes_per_second: NonZero<u64>,
    /// When the next chunk may go.
    next: Arc<Mutex<Instant>>,
}

impl CopyRate {
    /// At most `bytes_per_second`, together.
    pub fn new(bytes_per_second: NonZero<u64>) -> Self {
        Self {
            bytes_per_second,
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// The limit, in bytes a second.
    pub fn bytes_per_second(&self) -> NonZero<u64> {
        self.bytes_per_second
    }

    /// Lets a chunk of so many bytes go, or says how long there is nothing to be had. Who goes away
    /// instead of asking again has taken nothing from the others.
    pub(super) fn take(&self, bytes: u64) -> Result<(), Duration> {
        let mut next = lock(&self.next);
        let now = Instant::now();
        if now < *next {
            return Err(*next - now);
        }
        // A time beyond the clock's end can't come.
        *next = now.checked_add(self.time_of(bytes)).unwrap_or(now);
        Ok(())
    }

    /// Gives back what was taken and not read.
    pub(super) fn give_back(&self, bytes: u64) {
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
    fn a_chunk_waits_for_the_one_before() {
        let rate = CopyRate::new(NonZero::new(1000).unwrap());
        let shared = rate.clone();
        assert!(rate.take(50_000).is_ok());
        let wait = shared.take(1).unwrap_err();
        assert!(wait > Duration::from_secs(40) && wait <= Duration::from_secs(50));
        // To ask costs nothing.
        assert!(shared.take(u64::MAX).is_err());
        assert!(rate.take(1).unwrap_err() <= wait);
        rate.give_back(50_000);
        assert!(shared.take(u64::MAX).is_ok());
    }
}
