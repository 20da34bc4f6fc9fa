use super::{Count, InUse, Shared, Store, after, block_on, choose, wait_until};
use crate::CopyReport;
use crate::admission::{CopySlots, Queue};
use crate::control::CopyControl;
use crate::dispatch::{self, Ticket};
use crate::error::CallError;
use crate::thread;
use crate::time::{self, Duration};

const CALLS: usize = 3;

const LIMIT: Duration = Duration::from_secs(1);

/// Calls wait for a slot that is not freed. Some have a limit on their time, some are cancelled, some are dropped.
///
/// As many calls wait as may wait, and all others are busy. Each call ends while the slot is still held, and its work
/// is called once, with the reason.
pub fn waiting() {
    let max_waiting = choose(0..=CALLS);
    let store = Store {
        queue: Queue::new(CopySlots::new(1), choose(1..=2), max_waiting),
        permits: InUse::at_most(1),
        all: InUse::at_most(1),
    };
    let held = store.queue.try_permit().unwrap();
    let refusals: Shared<Vec<CallError>> = Shared::default();
    let (begun, ended) = (Count::default(), Count::default());
    for _ in 0..CALLS {
        let (queue, refusals) = (store.queue.clone(), refusals.clone());
        let (begun, ended, way) = (begun.clone(), ended.clone(), choose(0..=2));
        thread::spawn(move || {
            let ticket = Ticket {
                queue,
                wait_until: if way == 0 { after(LIMIT) } else { None },
                timeout: None,
                control: CopyControl::new(),
            };
            let (running, begin) = dispatch::prepare(ticket, None, move |admission| {
                let refusal = admission.err().expect("the slot is held");
                refusals.lock().unwrap().push(refusal);
                Ok(CopyReport)
            });
            begin();
            begun.one_more();
            wait_until(|| begun.get() == CALLS);
            let mut end = running.end().clone();
            match way {
                1 => running.cancel(),
                2 => drop(running),
                _ => {}
            }
            block_on(end.wait());
            ended.one_more();
        });
    }
    wait_until(|| begun.get() == CALLS);
    time::advance(LIMIT);
    wait_until(|| ended.get() == CALLS);
    wait_until(|| store.queue.waiting() == 0 && refusals.lock().unwrap().len() == CALLS);
    let refusals = refusals.lock().unwrap();
    let busy = refusals
        .iter()
        .filter(|refusal| matches!(refusal, CallError::Busy(_)))
        .count();
    assert_eq!(busy, CALLS - max_waiting, "{refusals:?}");
    drop(held);
    store.check_free();
}
