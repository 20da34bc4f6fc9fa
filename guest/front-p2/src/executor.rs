//! Runs futures, and waits for pollables with `poll` of `wasi:io`.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use wasip2::io::poll::{Pollable, poll};

thread_local! {
    /// What futures wait for.
    static WAITING: RefCell<Vec<(Pollable, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Wakes the task when the pollable is ready. A task that is polled earlier can call this again.
pub fn wake_when_ready(pollable: Pollable, context: &Context<'_>) {
    WAITING.with_borrow_mut(|waiting| waiting.push((pollable, context.waker().clone())));
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !woken.0.swap(false, Ordering::Relaxed) {
            wait();
        }
    }
}

/// Waits until at least one pollable is ready, and wakes the tasks of all that are.
fn wait() {
    let mut waiting = WAITING.take();
    let pollables: Vec<_> = waiting.iter().map(|(pollable, _)| pollable).collect();
    let mut ready = poll(&pollables);
    // From the last one on, so that the other indices stay valid.
    ready.sort_unstable_by(|a, b| b.cmp(a));
    for index in ready {
        let (_, waker) = waiting.swap_remove(index as usize);
        waker.wake();
    }
    WAITING.set(waiting);
}

/// Whether the future of `block_on` was woken since its last poll.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
