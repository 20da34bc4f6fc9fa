use super::{Count, choose, pass, wait_until};
use crate::admission::{CopySlots, Queue};
use crate::thread;
use crate::time::Duration;

/// The time after which an idle thread ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const CALLERS: usize = 3;
const CALLS: usize = 2;

/// Callers run work on the threads of two slots, while threads that are idle for too long end.
///
/// Work runs once, on a thread that has not ended. Until time passes, there are at most as many threads as slots. In
/// the end, all slots are free, and all threads end.
pub fn idle_threads() {
    let queue = Queue::new(CopySlots::new(2), 2, CALLERS);
    let ran = Count::default();
    let passes = choose(0..=2);
    let clock = pass(KEEP_ALIVE, passes);
    let callers: [_; CALLERS] = std::array::from_fn(|_| {
        let (queue, ran) = (queue.clone(), ran.clone());
        thread::spawn(move || {
            for _ in 0..CALLS {
                let permit = queue.permit_blocking(None).unwrap();
                let (once, ran) = (Count::default(), ran.clone());
                permit.thread().unwrap().run(Box::new(move || {
                    once.one_more();
                    assert_eq!(once.get(), 1, "the work runs again");
                    Box::new(move || {
                        drop(permit);
                        ran.one_more();
                    })
                }));
            }
        })
    });
    for caller in callers {
        caller.join().unwrap();
    }
    clock.join().unwrap();
    wait_until(|| ran.get() == CALLERS * CALLS);
    assert_eq!(queue.slots().free(), 2, "a slot is lost");
    assert!(passes > 0 || thread::most_alive() <= 2, "too many threads");
    // The list of idle threads goes with the slots. A thread that goes on waiting is a deadlock.
}
