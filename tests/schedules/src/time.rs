//! `std::time`, and what the host uses of `tokio::time`: a clock that a model advances.

use system::cell::RefCell;
use system::fmt;
use system::ops::Sub;
use system::pin::pin;
pub use system::time::Duration;

use crate::future::{Future, poll_fn};
use crate::step;
use crate::task::{Poll, Waker};

system::thread_local!(static CLOCK: RefCell<Clock> = const { RefCell::new(Clock::new()) });

struct Clock {
    now: Duration,
    timers: Vec<(Duration, Waker)>,
}

impl Clock {
    const fn new() -> Self {
        Self {
            now: Duration::ZERO,
            timers: Vec::new(),
        }
    }
}

/// Prepares an execution of a model.
pub(crate) fn reset() {
    CLOCK.set(Clock::new());
}

/// Lets time pass, and wakes what waits for it.
pub(crate) fn advance(time: Duration) {
    step();
    let due: Vec<_> = CLOCK.with_borrow_mut(|clock| {
        clock.now += time;
        let now = clock.now;
        clock.timers.extract_if(.., |(at, _)| *at <= now).collect()
    });
    for (_, waker) in due {
        waker.wake();
    }
}

pub(crate) fn wake_at(at: Instant, waker: Waker) {
    CLOCK.with_borrow_mut(|clock| clock.timers.push((at.0, waker)));
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        step();
        Self(CLOCK.with_borrow(|clock| clock.now))
    }

    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The time has passed before the future was ready.
#[derive(Debug)]
pub struct Elapsed;

pub async fn timeout_at<F: Future>(at: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        if Instant::now() >= at {
            return Poll::Ready(Err(Elapsed));
        }
        wake_at(at, context.waker().clone());
        Poll::Pending
    })
    .await
}
