//! Slots, queues and places: which calls may run now.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::CallError;
use crate::threads::{ReadyThread, Threads};
use crate::wait;

/// A limit on how many calls run at once, in all stores that use clones of this value.
///
/// - A call takes a slot before it takes a thread. It holds the slot until its work has ended, even if
///   its caller has gone. Copies and the functions of `inspect` take slots.
/// - Slots are granted first come, first served. Each store has at most one request for a slot in the
///   queue at a time, so stores take turns, however many calls each of them makes
///   ([`max_copies`](crate::FastCopyCtxBuilder::max_copies)).
/// - Each slot has at most one thread, named `fast-copy`. Threads start when needed and end after 10
///   seconds without work. Calls linked with [`add_to_linker_sync`](crate::p2::add_to_linker_sync) run on
///   the thread that called the guest; only their jobs use these threads.
///
/// A system call that hangs, such as a read from a network file system whose server is gone, keeps its
/// slot and its thread. Give the guests of such directories slots of their own.
///
/// ```
/// use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
///
/// // At most two calls of all guests on the network disk run at once.
/// let network = CopySlots::new(2);
/// let first = FastCopyCtx::builder().slots(network.clone()).build();
/// let second = FastCopyCtx::builder().slots(network.clone()).build();
/// assert_eq!(first.slots().total(), second.slots().total());
/// ```
#[derive(Clone, Debug)]
pub struct CopySlots {
    shared: Arc<Slots>,
}

#[derive(Debug)]
struct Slots {
    semaphore: Arc<Semaphore>,
    total: usize,
    threads: Threads,
}

/// The number of slots that the stores of this process share by default.
pub const DEFAULT_SLOTS: usize = 8;

impl CopySlots {
    /// Creates `copies` slots. 0 counts as 1. At most [`Semaphore::MAX_PERMITS`].
    pub fn new(copies: usize) -> Self {
        let total = copies.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Slots {
                semaphore: Arc::new(Semaphore::new(total)),
                total,
                threads: Threads::default(),
            }),
        }
    }

    /// Returns the [`DEFAULT_SLOTS`] slots that all stores of this process share by default.
    pub fn of_this_process() -> Self {
        static SLOTS: LazyLock<CopySlots> = LazyLock::new(|| CopySlots::new(DEFAULT_SLOTS));
        SLOTS.clone()
    }

    /// Returns the number of slots.
    pub fn total(&self) -> usize {
        self.shared.total
    }

    /// Returns the number of free slots.
    pub fn free(&self) -> usize {
        self.shared.semaphore.available_permits()
    }
}

const WAITED_TOO_LONG: CallError = CallError::TimedOut("the call has waited too long for a slot");

/// The queue of one store.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    slots: CopySlots,
    own: Arc<Semaphore>,
    /// The store's only place in the queue for slots.
    turn: Arc<Semaphore>,
    waiting: Places,
}

/// The right to run one call. Drop it when the work has ended.
#[derive(Debug)]
pub(crate) struct Permit {
    /// When it was granted.
    pub(crate) granted: Instant,
    slots: CopySlots,
    _slot: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Permit {
    /// Takes the slot's thread.
    ///
    /// # Errors
    ///
    /// The system has no thread, or no memory for one.
    pub(crate) fn thread(&self) -> io::Result<ReadyThread> {
        self.slots.shared.threads.take()
    }
}

impl Queue {
    pub(crate) fn new(slots: CopySlots, max_copies: usize, max_waiting: usize) -> Self {
        Self {
            slots,
            own: Arc::new(Semaphore::new(max_copies.clamp(1, Semaphore::MAX_PERMITS))),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Places::new(max_waiting, "too many calls are waiting"),
        }
    }

    /// Takes a permit if one is free now.
    pub(crate) fn try_permit(&self) -> Option<Permit> {
        let own = self.own.clone().try_acquire_owned().ok()?;
        let slot = self.slots.shared.semaphore.clone().try_acquire_owned();
        Some(self.grant(slot.ok()?, own))
    }

    /// Waits for a permit until an instant, or until `stopped` is ready.
    pub(crate) async fn permit(
        &self,
        wait_until: Option<Instant>,
        stopped: impl Future<Output = ()>,
    ) -> Result<Permit, CallError> {
        if let Some(permit) = self.try_permit() {
            return Ok(permit);
        }
        let _waits = self.waiting.take()?;
        let (mut next, mut stopped) = (pin!(self.next()), pin!(stopped));
        let either = poll_fn(|context| {
            if stopped.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(CallError::Cancelled));
            }
            next.as_mut().poll(context).map(Ok)
        });
        match wait::until(wait_until, either).await {
            Ok(Some(permit)) => permit,
            Ok(None) => Err(WAITED_TOO_LONG),
            Err(_) => Err(CallError::Busy(wait::NO_THREAD)),
        }
    }

    /// Waits for a permit until an instant, and blocks the calling thread.
    pub(crate) fn permit_blocking(&self, wait_until: Option<Instant>) -> Result<Permit, CallError> {
        if let Some(permit) = self.try_permit() {
            return Ok(permit);
        }
        let _waits = self.waiting.take()?;
        wait::block_on(wait_until, self.next()).ok_or(WAITED_TOO_LONG)
    }

    /// Returns the number of waiting calls.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.taken()
    }

    pub(crate) fn slots(&self) -> &CopySlots {
        &self.slots
    }

    async fn next(&self) -> Permit {
        let own = acquire(&self.own).await;
        let _turn = acquire(&self.turn).await;
        let slot = acquire(&self.slots.shared.semaphore).await;
        self.grant(slot, own)
    }

    fn grant(&self, slot: OwnedSemaphorePermit, own: OwnedSemaphorePermit) -> Permit {
        Permit {
            granted: Instant::now(),
            slots: self.slots.clone(),
            _slot: slot,
            _own: own,
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = semaphore.clone().acquire_owned().await;
    permit.expect("the semaphore is never closed")
}

/// A number of places. Taking one beyond the last fails with `busy`.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    max: usize,
    none_left: &'static str,
}

/// A taken place. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(max: usize, none_left: &'static str) -> Self {
        Self {
            taken: Arc::default(),
            max,
            none_left,
        }
    }

    /// Returns the number of taken places.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Result<Place, CallError> {
        let one_more = |taken| (taken < self.max).then_some(taken + 1);
        let counter = &self.taken;
        match counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Place(counter.clone())),
            Err(_) => Err(CallError::Busy(self.none_left)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_queue_grants_no_more_permits_than_its_limit() {
        let slots = CopySlots::new(3);
        let queue = Queue::new(slots.clone(), 2, 0);
        let first = queue.permit_blocking(None).unwrap();
        let second = queue.permit_blocking(None).unwrap();
        assert_eq!(slots.free(), 1);
        assert!(matches!(
            queue.permit_blocking(None),
            Err(CallError::Busy(_))
        ));
        let other = Queue::new(slots.clone(), 2, 0);
        let third = other.permit_blocking(None).unwrap();
        assert!(matches!(
            other.permit_blocking(None),
            Err(CallError::Busy(_))
        ));
        drop((first, second, third));
        assert_eq!(slots.free(), 3);
        assert!(queue.permit_blocking(None).is_ok());
    }

    #[test]
    fn a_call_that_times_out_leaves_the_queue() {
        let queue = Queue::new(CopySlots::new(1), 1, 1);
        let first = queue.permit_blocking(None).unwrap();
        for _ in 0..3 {
            let wait_until = Instant::now() + Duration::from_millis(5);
            assert!(matches!(
                queue.permit_blocking(Some(wait_until)),
                Err(CallError::TimedOut(_))
            ));
        }
        drop(first);
        assert!(queue.permit_blocking(None).is_ok());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn stores_take_turns() {
        let slots = CopySlots::new(1);
        let holder = Queue::new(slots.clone(), 1, 0);
        let held = holder.permit(None, pending()).await.unwrap();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        // A store with a higher limit gets no more turns.
        for (store, max_copies) in [("a", 4), ("b", 1)] {
            let queue = Queue::new(slots.clone(), max_copies, 64);
            for call in 0..4 {
                let (queue, order) = (queue.clone(), order.clone());
                tasks.push(tokio::spawn(async move {
                    let _permit = queue.permit(None, pending()).await.unwrap();
                    order.lock().unwrap().push(format!("{store}{call}"));
                    tokio::task::yield_now().await;
                }));
                tokio::task::yield_now().await;
            }
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap().join(" ");
        assert_eq!(order, "a0 b0 a1 b1 a2 b2 a3 b3");
    }
}
