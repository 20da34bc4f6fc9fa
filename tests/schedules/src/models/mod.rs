//! The models. Each test of `tests/schedules.rs` explores one.

mod jobs;
mod publishing;
mod slots;
mod threads;
mod turns;
mod waiting;
mod watched;

pub use jobs::jobs;
pub use publishing::publishing;
pub use slots::slots;
pub use threads::idle_threads;
pub use turns::turns;
pub use waiting::waiting;
pub use watched::watched;

use system::ops::RangeInclusive;
use system::sync::atomic::{AtomicUsize, Ordering};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::JoinHandle;

use crate::admission::{Permit, Queue};
use crate::future::Future;
use crate::pin::pin;
use crate::sync::Arc;
use crate::task::{Context, Poll};
use crate::time::{self, Duration, Instant};
use crate::{step, thread};

/// Chooses a number. A schedule contains the choices that were made.
fn choose(range: RangeInclusive<usize>) -> usize {
    thread_rng().gen_range(range)
}

/// Chooses one of two.
fn maybe() -> bool {
    choose(0..=1) == 1
}

/// Lets the other threads of a model go on for a while, so that what comes next can come at any time.
fn linger() {
    for _ in 0..choose(0..=30) {
        step();
    }
}

fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

/// Starts a thread that lets the same time pass several times, each time after a while.
fn pass(time: Duration, times: usize) -> JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..times {
            linger();
            time::advance(time);
        }
    })
}

/// Lets the other threads go on until the condition is met. If it is never met, the execution takes too many steps.
fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Waits for a future on the calling thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = thread::waker();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Polls a future at most some times, and drops it then.
fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = thread::waker();
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        step();
    }
    None
}

/// Counts what is in use at the same time, and fails if it is more than a limit.
#[derive(Clone)]
struct InUse {
    now: Arc<AtomicUsize>,
    limit: usize,
}

/// One unit in use, until it is dropped.
struct Used(Arc<AtomicUsize>);

impl InUse {
    fn at_most(limit: usize) -> Self {
        Self {
            now: Arc::default(),
            limit,
        }
    }

    fn one(&self) -> Used {
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        assert!(before < self.limit, "more than {} in use", self.limit);
        Used(self.now.clone())
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store: its queue, and how many permits it may have.
#[derive(Clone)]
struct Store {
    queue: Queue,
    permits: InUse,
    all: InUse,
}

impl Store {
    /// Uses a permit for some steps.
    fn work_under(&self, permit: Permit) {
        let used = (self.permits.one(), self.all.one());
        step();
        drop(used);
        drop(permit);
    }

    /// Checks that all is free: the store gets as many permits as it may have.
    fn check_free(&self) {
        let slots = self.queue.slots();
        assert_eq!(slots.free(), slots.total(), "a slot is lost");
        assert_eq!(self.queue.waiting(), 0, "a place in the queue is lost");
        let most = self.permits.limit.min(slots.total());
        let permits: Vec<_> = (0..most).map(|_| self.queue.try_permit()).collect();
        assert!(permits.iter().all(Option::is_some), "a permit is lost");
        assert!(self.queue.try_permit().is_none(), "a permit too many");
    }
}

/// A counter that a model's threads share. Counting is no step.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that a model's threads share. Neither reading nor writing is a step.
type Shared<T> = Arc<system::sync::Mutex<T>>;
