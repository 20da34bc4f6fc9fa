use super::{Shared, block_on};
use crate::admission::{CopySlots, Queue};
use crate::future::{Future, pending, poll_fn};
use crate::pin::pin;
use crate::sync::oneshot;
use crate::{step, thread, wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A call of a store waits: the store's number, and the call's.
    Waits(usize, usize),
    /// A call of a store has its slot.
    Granted(usize, usize),
}

/// The store whose calls come one after another.
const PATIENT: usize = 0;

/// The store whose calls come all at once, and that may make one copy at a time.
const IN_ORDER: usize = 1;

/// The number of calls that each store makes, and of copies that it may make at a time.
const STORES: [(usize, usize); 3] = [(2, 1), (3, 1), (4, 4)];

/// Three stores share a slot. The first one makes a call at a time, the two others make all of theirs at once.
///
/// Once a call of the first store waits, each other store gets the slot at most once before it, and so does the call
/// that has just got the slot. Calls of a store that may make one copy at a time get the slot in the order in which
/// they are made.
pub fn turns() {
    let slots = CopySlots::new(1);
    let log: Shared<Vec<Event>> = Shared::default();
    let mut guests = Vec::new();
    for (store, (calls, max_copies)) in STORES.into_iter().enumerate() {
        let queue = Queue::new(slots.clone(), max_copies, calls);
        let log = log.clone();
        guests.push(thread::spawn(move || {
            let mut begun = Vec::new();
            for call in 0..calls {
                let ended = begin(queue.clone(), store, call, log.clone());
                match store {
                    PATIENT => block_on(ended).unwrap(),
                    _ => begun.push(ended),
                }
            }
            for ended in begun {
                block_on(ended).unwrap();
            }
        }));
    }
    for guest in guests {
        guest.join().unwrap();
    }
    check(&log.lock().unwrap());
}

/// Begins a call as the host does. It holds its slot for a step, on another thread.
fn begin(
    queue: Queue,
    store: usize,
    call: usize,
    log: Shared<Vec<Event>>,
) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    wait::spawn(wait::runtime().unwrap(), async move {
        let mut permit = pin!(queue.permit(None, pending()));
        let mut is_first = true;
        let permit = poll_fn(|context| {
            let poll = permit.as_mut().poll(context);
            if poll.is_pending() && is_first {
                log.lock().unwrap().push(Event::Waits(store, call));
            }
            is_first = false;
            poll
        });
        let permit = permit.await.unwrap();
        log.lock().unwrap().push(Event::Granted(store, call));
        thread::spawn(move || {
            step();
            drop(permit);
            end.send(()).unwrap();
        });
    });
    ended
}

fn check(log: &[Event]) {
    for (store, (calls, _)) in STORES.into_iter().enumerate() {
        let granted: Vec<_> = log
            .iter()
            .filter_map(|event| match event {
                Event::Granted(its, call) if *its == store => Some(*call),
                _ => None,
            })
            .collect();
        assert_eq!(granted.len(), calls, "{log:?}");
        assert!(store != IN_ORDER || granted.is_sorted(), "{log:?}");
    }
    for (begin, event) in log.iter().enumerate() {
        let Event::Waits(PATIENT, call) = *event else {
            continue;
        };
        let others = log[begin..]
            .iter()
            .take_while(|event| **event != Event::Granted(PATIENT, call))
            .filter(|event| matches!(event, Event::Granted(..)))
            .count();
        assert!(
            others <= STORES.len(),
            "{others} calls before {call}: {log:?}"
        );
    }
}
