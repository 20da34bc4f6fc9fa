//! How many copies run at once, and who is next.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::CopyErrorKind;
use crate::runtime;

/// How many copies may run at once, of all stores that are given clones of it.
///
/// A call takes a slot before it takes a thread, and keeps it until its work has really ended, also
/// if nobody waits for the call any more. Slots are given in the order of asking, and of each store
/// only one call asks at a time: so stores take turns, however many calls each of them has, and however
/// many it may run at once ([`max_copies`](crate::FastCopyCtxBuilder::max_copies)). The walk through a
/// file's extents (`inspect.summarize-extents`) takes a slot too.
#[derive(Clone, Debug)]
pub struct CopySlots {
    semaphore: Arc<Semaphore>,
    total: usize,
}

/// How many slots the stores of this process share, unless they are given others.
pub const DEFAULT_SLOTS: usize = 8;

impl CopySlots {
    /// `copies` slots; at least one, and at most [`Semaphore::MAX_PERMITS`].
    pub fn new(copies: usize) -> Self {
        let total = copies.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            semaphore: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    /// The [`DEFAULT_SLOTS`] that all stores of this process share, unless they are given others.
    pub fn of_this_process() -> Self {
        static SLOTS: LazyLock<CopySlots> = LazyLock::new(|| CopySlots::new(DEFAULT_SLOTS));
        SLOTS.clone()
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many of them are free.
    pub fn free(&self) -> usize {
        self.semaphore.available_permits()
    }
}

/// Where the calls of one store wait.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    slots: CopySlots,
    own: Arc<Semaphore>,
    /// The store's one place in the line for a slot.
    line: Arc<Semaphore>,
    waiting: Places,
}

/// Leave to copy. It is to be dropped by whoever does the work, when the work has ended.
#[derive(Debug)]
pub(crate) struct Permit {
    /// When it was given.
    pub(crate) given: Instant,
    _slot: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Permit {
    fn new(slot: OwnedSemaphorePermit, own: OwnedSemaphorePermit) -> Self {
        Self {
            given: Instant::now(),
            _slot: slot,
            _own: own,
        }
    }
}

impl Queue {
    pub(crate) fn new(slots: CopySlots, max_copies: usize, max_waiting: usize) -> Self {
        Self {
            slots,
            own: Arc::new(Semaphore::new(max_copies.clamp(1, Semaphore::MAX_PERMITS))),
            line: Arc::new(Semaphore::new(1)),
            waiting: Places::new(max_waiting),
        }
    }

    /// Waits for a turn: first come, first served within the store, then among all stores. Whoever
    /// waits no longer, since `given_up` is ready, gives up the place.
    pub(crate) async fn permit(
        &self,
        deadline: Option<Instant>,
        given_up: impl Future<Output = ()>,
    ) -> Result<Permit, CopyErrorKind> {
        if let Some(permit) = self.permit_now() {
            return Ok(permit);
        }
        let _waits = self.waiting.take()?;
        let (mut next, mut given_up) = (pin!(self.next()), pin!(given_up));
        let either = poll_fn(|context| {
            if given_up.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(CopyErrorKind::Cancelled));
            }
            next.as_mut().poll(context).map(Ok)
        });
        let permit = runtime::until(deadline, either).await;
        permit.unwrap_or(Err(CopyErrorKind::TimedOut))
    }

    /// The same, and blocks the calling thread.
    pub(crate) fn permit_blocking(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Permit, CopyErrorKind> {
        if let Some(permit) = self.permit_now() {
            return Ok(permit);
        }
        let _waits = self.waiting.take()?;
        runtime::block_on(self.next(), deadline).ok_or(CopyErrorKind::TimedOut)
    }

    /// How many calls wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.taken()
    }

    pub(crate) fn slots(&self) -> &CopySlots {
        &self.slots
    }

    /// A turn, if nobody has to be waited for.
    pub(crate) fn permit_now(&self) -> Option<Permit> {
        let own = self.own.clone().try_acquire_owned().ok()?;
        let slot = self.slots.semaphore.clone().try_acquire_owned().ok()?;
        Some(Permit::new(slot, own))
    }

    async fn next(&self) -> Permit {
        let own = take(&self.own).await;
        let _line = take(&self.line).await;
        let slot = take(&self.slots.semaphore).await;
        Permit::new(slot, own)
    }
}

async fn take(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = semaphore.clone().acquire_owned().await;
    permit.expect("nobody closes the semaphore")
}

/// A number of places; who finds none goes away.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Result<Place, CopyErrorKind> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.taken.clone());
        match before < self.most {
            true => Ok(place),
            false => Err(CopyErrorKind::Busy),
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
    fn a_queue_takes_no_more_than_it_may() {
        let slots = CopySlots::new(3);
        let queue = Queue::new(slots.clone(), 2, 0);
        let first = queue.permit_blocking(None).unwrap();
        let second = queue.permit_blocking(None).unwrap();
        assert_eq!(slots.free(), 1);
        assert!(matches!(
            queue.permit_blocking(None),
            Err(CopyErrorKind::Busy)
        ));
        let other = Queue::new(slots.clone(), 2, 0);
        let third = other.permit_blocking(None).unwrap();
        assert!(matches!(
            other.permit_blocking(None),
            Err(CopyErrorKind::Busy)
        ));
        drop((first, second, third));
        assert_eq!(slots.free(), 3);
        assert!(queue.permit_blocking(None).is_ok());
    }

    #[test]
    fn who_waits_in_vain_leaves_the_queue() {
        let queue = Queue::new(CopySlots::new(1), 1, 1);
        let first = queue.permit_blocking(None).unwrap();
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_millis(5);
            assert!(matches!(
                queue.permit_blocking(Some(deadline)),
                Err(CopyErrorKind::TimedOut)
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
        // To be allowed more at once gives no store more turns.
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
