use super::{Count, Shared, block_on, choose, maybe, pass, poll_times, wait_until};
use crate::admission::{CopySlots, Places, Queue};
use crate::call::Call;
use crate::control::CopyControl;
use crate::ctx::FastCopyCtx;
use crate::dispatch::Ticket;
use crate::error::CallError;
use crate::job::CopyJob;
use crate::progress::Progress;
use crate::time::Duration;
use crate::{CopyReport, thread};

/// A copy whose progress is a stream: one thread reads it, another waits for the outcome, or drops it.
///
/// The stream shows changes only. It ends with the copy, and its last value is the copy's last progress. The job's
/// place is free once both are dropped and the work has ended.
pub fn watched() {
    let slots = CopySlots::new(1);
    let ctx = FastCopyCtx {
        queue: Queue::new(slots.clone(), 1, 1),
        jobs: Places::new(1, "too many jobs"),
    };
    let mut threads = Vec::new();
    if maybe() {
        let permit = ctx.queue.try_permit().unwrap();
        threads.push(thread::spawn(move || drop(permit)));
    }
    let control = CopyControl::new();
    let (called, chunks) = (Count::default(), choose(0..=3) as u64);
    let work = {
        let (control, called) = (control.clone(), called.clone());
        move |admission: Result<_, CallError>| {
            called.one_more();
            admission?;
            control.begin(chunks).map_err(|_| CallError::Cancelled)?;
            for _ in 0..chunks {
                if control.is_cancelled() {
                    return Err(CallError::Cancelled);
                }
                control.add_copied(1);
            }
            match control.begin_publishing() {
                true => Ok(CopyReport),
                false => Err(CallError::Cancelled),
            }
        }
    };
    let ticket = Ticket {
        queue: ctx.queue.clone(),
        wait_until: None,
        timeout: None,
        control: control.clone(),
    };
    let work = Box::new(work);
    let (job, begin) = CopyJob::prepare(&ctx, Call { ticket, work }).unwrap();
    let (mut changes, outcome) = job.split();
    let seen: Shared<Vec<Progress>> = Shared::default();
    let reader = seen.clone();
    threads.push(thread::spawn(move || {
        while let Some(progress) = block_on(changes.next()) {
            reader.lock().unwrap().push(progress);
        }
    }));
    // Whether it passes or not: the stream looks again when time has passed, and when the copy has ended.
    threads.push(pass(Duration::from_millis(100), choose(0..=2)));
    begin();
    if maybe() {
        let outcome = block_on(outcome);
        assert!(matches!(outcome, Ok(CopyReport)), "{outcome:?}");
        assert_eq!(slots.free(), 1, "the slot is not free");
    } else {
        let outcome = poll_times(choose(0..=3), outcome);
        assert!(!matches!(outcome, Some(Err(_))), "{outcome:?}");
    }
    for thread in threads {
        thread.join().unwrap();
    }
    wait_until(|| called.get() == 1 && slots.free() == 1 && ctx.jobs.taken() == 0);
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    let last = seen.last().copied().unwrap_or_default();
    assert_eq!(last, Progress::of(&control), "{seen:?}");
}
