use super::{InUse, Store, after, block_on, choose, linger, maybe, pass, poll_times};
use crate::admission::{CopySlots, Queue};
use crate::error::CallError;
use crate::future::pending;
use crate::sync::{Arc, Notify};
use crate::thread;
use crate::time::Duration;

/// The calls of each store.
const CALLS: usize = 2;

/// The limit on the time that some calls wait.
const LIMIT: Duration = Duration::from_secs(1);

/// Calls of two stores wait for slots, in each way that the host has: on the calling thread or not, with and without
/// a limit on the time, stopped, or dropped while they wait.
///
/// There are never more permits than slots, nor than a store may have, and never more calls waiting than may wait. A
/// call without a limit gets its permit. In the end, everything is free.
pub fn slots() {
    let slots = CopySlots::new(choose(1..=2));
    let all = InUse::at_most(slots.total());
    let stores = [0, 1].map(|_| {
        let (max_copies, max_waiting) = (choose(1..=2), choose(1..=CALLS));
        let store = Store {
            queue: Queue::new(slots.clone(), max_copies, max_waiting),
            permits: InUse::at_most(max_copies),
            all: all.clone(),
        };
        (store, max_waiting)
    });
    let mut threads = vec![pass(2 * LIMIT, 1)];
    for (store, max_waiting) in &stores {
        for _ in 0..CALLS {
            let (store, max_waiting, way) = (store.clone(), *max_waiting, choose(0..=4));
            threads.push(thread::spawn(move || {
                call(&store, max_waiting, way);
                assert!(store.queue.waiting() <= max_waiting);
            }));
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    for (store, _) in &stores {
        store.check_free();
    }
}

fn call(store: &Store, max_waiting: usize, way: usize) {
    let queue = &store.queue;
    let (permit, may_fail) = match way {
        0 => (queue.permit_blocking(None), false),
        1 => (queue.permit_blocking(after(LIMIT)), true),
        2 => (block_on(queue.permit(None, pending())), false),
        3 => {
            let stop = Arc::new(Notify::default());
            let stopping = stop.clone();
            let stopper = thread::spawn(move || {
                linger();
                stopping.notify_one();
            });
            let until = if maybe() { after(LIMIT) } else { None };
            let permit = block_on(queue.permit(until, stop.notified()));
            stopper.join().unwrap();
            (permit, true)
        }
        _ => match poll_times(choose(1..=3), queue.permit(after(LIMIT), pending())) {
            Some(permit) => (permit, true),
            None => return,
        },
    };
    match permit {
        Ok(permit) => store.work_under(permit),
        // All calls of the store fit into its queue, unless one less may wait.
        Err(CallError::Busy(_)) if max_waiting < CALLS => {}
        Err(error) => assert!(
            may_fail && !matches!(error, CallError::Busy(_)),
            "{error:?}"
        ),
    }
}
