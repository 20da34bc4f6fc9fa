use super::{Count, InUse, block_on, choose, maybe, poll_times, wait_until};
use crate::admission::{CopySlots, Places, Queue};
use crate::call::Call;
use crate::control::CopyControl;
use crate::ctx::FastCopyCtx;
use crate::dispatch::{Outcome, Ticket};
use crate::error::CallError;
use crate::job::CopyJob;
use crate::sync::Arc;
use crate::{CopyReport, panic, step, thread};

const STORES: usize = 2;
const CALLS: usize = 2;

/// Stores make calls and jobs, of which some panic, some are cancelled or dropped, and some get no thread.
///
/// The work of each is called once. Its caller gets its outcome, and its slot and its place are free by then. There
/// are never more of them than slots, and as many threads at most. In the end, everything is free, and the next call
/// succeeds.
pub fn jobs() {
    let slots = CopySlots::new(choose(1..=2));
    if maybe() {
        thread::fail_starts(0.3);
    }
    let working = InUse::at_most(slots.total());
    let (begun, called) = (Count::default(), Count::default());
    let stores: [_; STORES] = std::array::from_fn(|_| {
        Arc::new(FastCopyCtx {
            queue: Queue::new(slots.clone(), choose(1..=2), CALLS),
            jobs: Places::new(choose(1..=CALLS), "too many jobs"),
        })
    });
    let guests = stores.each_ref().map(|store| {
        let guest = Guest {
            store: store.clone(),
            working: working.clone(),
            begun: begun.clone(),
            called: called.clone(),
        };
        thread::spawn(move || (0..CALLS).for_each(|_| guest.act()))
    });
    for guest in guests {
        guest.join().unwrap();
    }
    wait_until(|| called.get() == begun.get() && slots.free() == slots.total());
    assert!(thread::most_alive() <= slots.total(), "too many threads");
    thread::fail_starts(0.0);
    for store in &stores {
        wait_until(|| store.queue.waiting() == 0 && store.jobs.taken() == 0);
        let guest = Guest {
            store: store.clone(),
            working: working.clone(),
            begun: begun.clone(),
            called: called.clone(),
        };
        let (running, begin) = guest.call(false).prepare(None);
        begin();
        let outcome = block_on(running.outcome());
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(slots.free(), slots.total());
    }
    assert_eq!(called.get(), begun.get(), "work was called again");
}

struct Guest {
    store: Arc<FastCopyCtx>,
    working: InUse,
    /// The calls that have begun.
    begun: Count,
    /// The times that the work of a call was called: under a permit, or with the reason why there is none.
    called: Count,
}

impl Guest {
    fn act(&self) {
        let panics = choose(0..=3) == 0;
        let call = self.call(panics);
        if maybe() {
            self.run(call, panics);
        } else {
            self.start_job(call, panics);
        }
    }

    fn call(&self, panics: bool) -> Call<CopyReport> {
        self.begun.one_more();
        let (called, working) = (self.called.clone(), self.working.clone());
        let control = CopyControl::new();
        let ticket = Ticket {
            queue: self.store.queue.clone(),
            wait_until: None,
            timeout: None,
            control: control.clone(),
        };
        let work = move |admission: Result<_, CallError>| {
            called.one_more();
            admission?;
            let _used = working.one();
            step();
            if panics {
                // This prints nothing.
                panic::resume_unwind(Box::new(Panicked));
            }
            match control.is_cancelled() {
                true => Err(CallError::Cancelled),
                false => Ok(CopyReport),
            }
        };
        Call {
            ticket,
            work: Box::new(work),
        }
    }

    /// Makes a call as the front for asynchronous hosts does.
    fn run(&self, call: Call<CopyReport>, panics: bool) {
        let (running, begin) = call.prepare(None);
        begin();
        let outcome = running.outcome();
        if maybe() {
            let _ = caught(|| poll_times(choose(1..=3), outcome));
        } else {
            check(caught(|| block_on(outcome)), panics, false);
        }
    }

    /// Makes a job as the fronts do.
    fn start_job(&self, call: Call<CopyReport>, panics: bool) {
        let before = self.store.jobs.taken();
        let (mut job, begin) = match CopyJob::prepare(&self.store, call) {
            Ok(job) => job,
            Err(error) => {
                assert!(before > 0 && matches!(error, CallError::Busy(_)));
                // Nothing calls the work of a call that got no place.
                self.called.one_more();
                return;
            }
        };
        begin();
        if maybe() {
            return;
        }
        let is_cancelled = maybe();
        if is_cancelled {
            job.cancel();
        }
        block_on(job.end().wait());
        let outcome = caught(|| match job.outcome() {
            Some(Ok(CopyReport)) => Ok(CopyReport),
            Some(Err(error)) => Err(copied(error)),
            None => panic!("the job has ended without an outcome"),
        });
        check(outcome, panics, is_cancelled);
    }
}

fn copied(error: &CallError) -> CallError {
    match error {
        CallError::Busy(reason) => CallError::Busy(reason),
        CallError::Cancelled => CallError::Cancelled,
        CallError::TimedOut(reason) => CallError::TimedOut(reason),
        CallError::Lost => CallError::Lost,
        CallError::Failed => CallError::Failed,
    }
}

/// The payload of the panic of a call's work.
struct Panicked;

fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(panic::AssertUnwindSafe(run)).map_err(|payload| {
        match payload.downcast::<Panicked>() {
            Ok(panicked) => *panicked,
            Err(payload) => panic::resume_unwind(payload),
        }
    })
}

fn check(outcome: Result<Outcome<CopyReport>, Panicked>, panics: bool, is_cancelled: bool) {
    match outcome {
        Ok(Ok(CopyReport)) => assert!(!panics),
        Err(Panicked) => assert!(panics),
        // There is no thread for it.
        Ok(Err(CallError::Busy(_))) => {}
        Ok(Err(CallError::Cancelled)) => assert!(is_cancelled),
        Ok(Err(error)) => panic!("{error:?}"),
    }
}
