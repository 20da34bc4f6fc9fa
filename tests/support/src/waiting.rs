//! Waits, with a time limit.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `work` on a thread of its own, and fails the test if it takes more than a minute.
#[track_caller]
pub fn must_not_block<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let _ = sender.send(result);
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => panic!("still blocked after a minute"),
    }
}

/// Waits until a condition holds. Fails the test if that takes more than a minute.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not hold after a minute");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Polls a call without a runtime until it ends.
pub fn poll_to_end<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        assert!(Instant::now() < deadline, "the call never ends");
        thread::sleep(Duration::from_micros(100));
    }
}
